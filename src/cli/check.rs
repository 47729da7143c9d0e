//! `dewar check`: what would be in force, where it comes from, and what is unsafe about it.

use std::path::Path;

use serde_json::json;

use super::{Context, Failure, terminal};
use crate::clients;
use crate::config::{self, Config};
use crate::session::settings::{Origin, Reader};

pub fn run(context: &Context) -> Result<(), Failure> {
    let figment = context.figment()?;
    let checked = Config::from_figment(&figment)?;
    let rocket = config::rocket_config(&figment)?;
    let reader = Reader::new(&figment);
    let mut rows: Vec<(String, String, Origin)> = config::keys()
        .map(|(key, _)| ((*key).to_owned(), checked.effective(key), reader.origin(key)))
        .collect();
    for (key, value) in [
        ("address", rocket.address.to_string()),
        ("port", rocket.port.to_string()),
        ("workers", rocket.workers.to_string()),
        ("keep_alive", rocket.keep_alive.to_string()),
        ("template_dir", directory(checked.templates.dir.as_deref())),
        ("static_dir", directory(checked.files.dir.as_deref())),
    ] {
        let origin = match reader.origin(key) {
            Origin::Other(words) if words.contains("rocket::Config") => Origin::Default,
            origin => origin,
        };
        rows.push((key.into(), value, origin));
    }
    let warnings = warnings(&checked, &rocket, &reader);
    if context.json {
        let settings: Vec<_> = rows
            .iter()
            .map(|(key, value, origin)| json!({ "key": key, "value": value, "origin": origin.to_string() }))
            .collect();
        return terminal::print_json(&json!({
            "profile": rocket.profile.to_string(), "settings": settings, "warnings": warnings,
        }));
    }
    let rows: Vec<_> =
        rows.into_iter().map(|(key, value, origin)| [key, value, origin.to_string()]).collect();
    terminal::print_table(["SETTING", "VALUE", "FROM"], &rows)?;
    for warning in &warnings {
        terminal::note(&format!("warning: {warning}"));
    }
    terminal::note(&format!("the configuration is valid (profile {})", rocket.profile));
    Ok(())
}

fn directory(dir: Option<&Path>) -> String {
    dir.map_or_else(|| "(none)".into(), |dir| dir.display().to_string())
}

/// What is unsafe in production, a line for each.
pub(super) fn warnings(config: &Config, rocket: &rocket::Config, reader: &Reader) -> Vec<String> {
    let cookie = &config.sessions.cookie;
    let open = !rocket.address.is_loopback();
    let mut warnings = Vec::new();
    let mut warn = |when: bool, text: &str| {
        if when {
            warnings.push(text.to_owned());
        }
    };
    warn(
        open && !cookie.secure,
        "the server listens beyond this machine without SESSION_COOKIE_SECURE: anyone on the way \
         can take a session; put a proxy that speaks https in front and set it",
    );
    let proxies = &config.requests.trusted_proxies;
    warn(
        proxies.is_everybody(),
        "TRUSTED_PROXIES trusts everybody: whoever reaches the port says who they are; name the \
         proxy's own address",
    );
    warn(
        open && proxies.is_empty() && cookie.secure,
        "the server listens beyond this machine and speaks no https itself; name the proxy that \
         does in TRUSTED_PROXIES, or all visitors count as one address, the proxy's",
    );
    warn(
        config.metrics.address.is_some_and(|address| !address.ip().is_loopback()),
        "METRICS_ADDRESS can be reached from other machines, and asks nobody for a password",
    );
    warn(
        cookie.secure
            && !cookie.name.starts_with("__Host-")
            && cookie.domain.is_none()
            && cookie.path == "/",
        "SESSION_COOKIE_NAME = \"__Host-session\" would keep other hosts of the domain from planting cookies",
    );
    warn(!cookie.http_only, "without SESSION_COOKIE_HTTPONLY a script can read the session cookie");
    warn(
        cookie.same_site.is_none(),
        "without SESSION_COOKIE_SAMESITE other sites' requests carry the cookie",
    );
    warn(
        !config.sessions.hash_ids,
        "without SESSION_HASH_IDS a copy of the store signs its reader in",
    );
    let short = config.sessions.fallbacks.iter().any(|key| key.expose().len() < 32);
    warn(short, "a key in SECRET_KEY_FALLBACKS is shorter than 32 bytes; let it go soon");
    warn(
        rocket.profile == rocket::Config::DEBUG_PROFILE && !cfg!(debug_assertions),
        "this is the debug profile",
    );
    warn(config.log.verbose, "DEBUG is for development: it logs more and reads each template anew");
    warn(
        config.log.silent,
        "LOGGER_HANDLER_POLICY keeps everything out of the log, failures included",
    );
    warn(
        config.urls.scheme == "http" && config.urls.server_name.is_some() && cookie.secure,
        "SESSION_COOKIE_SECURE asks for https; set PREFERRED_URL_SCHEME = \"https\" as well",
    );
    warnings.extend(clients::obstacle((rocket.address, rocket.port).into(), &config.patience));
    warnings.extend(config.without_effect.iter().cloned());
    warnings.extend(config::exposed(reader, config));
    warnings
}
