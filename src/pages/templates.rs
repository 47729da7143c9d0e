//! The templates: built in, overridden by an operator's directory, escaped in every place.

use std::path::PathBuf;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};
use rocket::Request;
use rocket::fairing::Fairing;
use rocket::http::Status;
use rocket::response::{self, Responder};
use rocket_dyn_templates::{Metadata, Template, context};
use serde::Serialize;

use super::assets;
use crate::auth::form_token;
use crate::config::{Config, Live};

const BUILT_IN: [(&str, &str); 8] = [
    ("account_password.html", include_str!("../../templates/account_password.html")),
    ("account_sessions.html", include_str!("../../templates/account_sessions.html")),
    ("brief_introduction.html", include_str!("../../templates/brief_introduction.html")),
    ("detailed.html", include_str!("../../templates/detailed.html")),
    ("error.html", include_str!("../../templates/error.html")),
    ("layout.html", include_str!("../../templates/layout.html")),
    ("login.html", include_str!("../../templates/login.html")),
    ("students.html", include_str!("../../templates/students.html")),
];

/// Renders another template from files as they are now. A loaded template cannot be replaced
/// while the server runs, but one that was never loaded can be read anew each time.
const FRESH: &str = "fresh.html";

/// The fairing that holds the templates.
pub fn fairing(config: &Config) -> impl Fairing + use<> {
    let sources = Arc::new(Sources {
        dir: config.templates.dir.clone(),
        explain: config.templates.explain_loading,
        static_dir: config.files.dir.clone(),
    });
    Template::try_custom(move |engines| {
        prepare(&mut engines.minijinja, &sources);
        for (name, _) in BUILT_IN {
            engines.minijinja.get_template(name)?;
        }
        let sources = Arc::clone(&sources);
        engines.minijinja.add_function("render_fresh", move |name: String, page: Value| {
            let mut fresh = Environment::new();
            prepare(&mut fresh, &sources);
            fresh.get_template(&name)?.render(page).map(Value::from_safe_string)
        });
        engines.minijinja.add_template(FRESH, "{{ render_fresh(name, page) }}")?;
        Ok(())
    })
}

/// Where templates and the files they name are looked for.
struct Sources {
    dir: Option<PathBuf>,
    explain: bool,
    static_dir: Option<PathBuf>,
}

fn prepare(environment: &mut Environment<'static>, sources: &Arc<Sources>) {
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_trim_blocks(true);
    let files = Arc::clone(sources);
    environment.add_function("static", move |name: String| {
        assets::url(&name, files.static_dir.as_deref()).map(Value::from_safe_string).ok_or_else(
            || Error::new(ErrorKind::InvalidOperation, format!("no static file {name:?}")),
        )
    });
    let sources = Arc::clone(sources);
    environment.set_loader(move |name| sources.load(name));
}

impl Sources {
    /// The operator's template of that name, or the built-in one.
    fn load(&self, name: &str) -> Result<Option<String>, Error> {
        let plain_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if let Some(dir) = self.dir.as_ref().filter(|_| plain_name && !name.starts_with('.')) {
            let path = dir.join(name);
            match std::fs::read_to_string(&path) {
                Ok(source) => {
                    self.explain(name, format_args!("found as {}", path.display()));
                    return Ok(Some(source));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.explain(name, format_args!("not at {}", path.display()));
                }
                Err(error) => {
                    let problem = format!("cannot read {}: {error}", path.display());
                    return Err(Error::new(ErrorKind::InvalidOperation, problem));
                }
            }
        }
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
        let found = if built_in.is_some() { "found" } else { "not" };
        self.explain(name, format_args!("{found} among the built-in ones"));
        Ok(built_in.map(|(_, source)| (*source).to_owned()))
    }

    fn explain(&self, name: &str, what: std::fmt::Arguments<'_>) {
        if self.explain {
            log::info!("template {name:?}: {what}");
        }
    }
}

/// A template on its own, for a part of a page; `fresh` as `TEMPLATES_AUTO_RELOAD`. `None` when it
/// fails, which is logged.
pub fn render(
    templates: &Metadata<'_>,
    fresh: bool,
    name: &str,
    shown: impl Serialize,
) -> Option<String> {
    let rendered = match fresh {
        false => templates.render(name.to_owned(), shown),
        true => templates.render(FRESH, context! { name, page: shown }),
    };
    rendered.map(|(_, html)| html)
}

/// A template and what it shows, to which the token for the page's forms is added.
pub struct Page<T>(pub &'static str, pub T);

#[derive(Serialize)]
struct WithToken<'r, T> {
    #[serde(flatten)]
    page: T,
    csrf_token: Option<&'r str>,
}

impl<'r, T: Serialize> Responder<'r, 'static> for Page<T> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let Self(name, page) = self;
        respond(name, WithToken { page, csrf_token: form_token::shown(request) }, request)
    }
}

/// The answer that a template makes of what it shows, and of nothing else.
pub fn respond(
    name: &'static str,
    page: impl Serialize,
    request: &Request<'_>,
) -> response::Result<'static> {
    let config = request.rocket().state::<Live>().ok_or(Status::InternalServerError)?;
    match config.get().templates.auto_reload {
        false => Template::render(name, page).respond_to(request),
        true => Template::render(FRESH, context! { name, page }).respond_to(request),
    }
}

/// Whether every template, and the address of every file that they name, is the built-in one.
pub fn are_built_in(config: &Config) -> bool {
    config.templates.dir.is_none() && config.files.dir.is_none() && !config.templates.auto_reload
}
