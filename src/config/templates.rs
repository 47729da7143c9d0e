//! Where templates come from.

use std::path::PathBuf;

use crate::session::settings::Reader;

/// These settings, with what each does in a line.
pub const KEYS: &[(&str, &str)] = &[
    ("TEMPLATES_AUTO_RELOAD", "read templates anew for each page; unset: DEBUG"),
    ("EXPLAIN_TEMPLATE_LOADING", "log where each template is looked for and found"),
];

/// Where templates come from.
#[derive(Clone, Debug)]
pub struct Templates {
    /// `TEMPLATES_AUTO_RELOAD`, or else `DEBUG`.
    pub auto_reload: bool,
    /// `EXPLAIN_TEMPLATE_LOADING`.
    pub explain_loading: bool,
    /// Rocket's `template_dir`: templates in it are used in place of the built-in ones.
    pub dir: Option<PathBuf>,
}

impl Templates {
    pub(super) fn read(reader: &mut Reader, debug: bool) -> Self {
        Self {
            auto_reload: reader.bool("TEMPLATES_AUTO_RELOAD").unwrap_or(debug),
            explain_loading: reader.bool("EXPLAIN_TEMPLATE_LOADING").unwrap_or(false),
            dir: reader.directory("template_dir"),
        }
    }
}
