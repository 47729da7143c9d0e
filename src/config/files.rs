//! How files are sent.

use std::path::PathBuf;
use std::time::Duration;

use crate::session::settings::Reader;

/// These settings, with what each does in a line.
pub const KEYS: &[(&str, &str)] = &[
    ("SEND_FILE_MAX_AGE_DEFAULT", "how long browsers keep a file; unset: they ask each time"),
    ("USE_X_SENDFILE", "let the proxy send the files of static_dir"),
];

/// How files are sent.
#[derive(Clone, Debug)]
pub struct Files {
    /// `SEND_FILE_MAX_AGE_DEFAULT`; `None` has browsers ask each time.
    pub max_age: Option<Duration>,
    /// `USE_X_SENDFILE`: whether a file of `dir` is named in `X-Sendfile` instead of being sent.
    pub x_sendfile: bool,
    /// `static_dir`: files in it are sent, before the built-in ones of the same name.
    pub dir: Option<PathBuf>,
}

impl Files {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let files = Self {
            max_age: reader.duration("SEND_FILE_MAX_AGE_DEFAULT"),
            x_sendfile: reader.bool("USE_X_SENDFILE").unwrap_or(false),
            dir: reader.directory("static_dir"),
        };
        if files.x_sendfile && files.dir.is_none() {
            reader.refuse(
                "USE_X_SENDFILE",
                "needs a static_dir: the built-in files are inside the program, where no proxy \
                 can read them",
            );
        }
        files
    }
}
