//! `dewar check`: what would be in force, where it comes from, and what is unsafe about it.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::{Context, Failure, terminal};
use crate::config::{self, Config};
use crate::session::SameSite;
use crate::session::codec::Format;
use crate::session::settings::{FileHash, FileSettings, Origin, Oversize, Reader, StoreSettings};

pub fn run(context: &Context) -> Result<(), Failure> {
    let figment = context.figment()?;
    let checked = Config::from_figment(&figment)?;
    let rocket = config::rocket_config(&figment)?;
    let reader = Reader::new(&figment);
    let mut rows: Vec<(String, String, Origin)> = config::keys()
        .map(|(key, _)| ((*key).to_owned(), effective(key, &checked), reader.origin(key)))
        .collect();
    for (key, value) in [
        ("address", rocket.address.to_string()),
        ("port", rocket.port.to_string()),
        ("workers", rocket.workers.to_string()),
        (
            "ip_header",
            rocket.ip_header.as_ref().map_or_else(|| "false".into(), ToString::to_string),
        ),
        (
            "template_dir",
            checked.template_dir.as_ref().map_or_else(String::new, |dir| dir.display().to_string()),
        ),
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

fn effective(key: &str, config: &Config) -> String {
    let sessions = &config.sessions;
    let cookie = &sessions.cookie;
    let text = |text: &str| format!("{text:?}");
    let secret = |set: bool| if set { "(set, not shown)".into() } else { "(not set)".into() };
    let of_files = |show: &dyn Fn(&FileSettings) -> String| match &sessions.store {
        StoreSettings::Filesystem(files) => show(files),
        _ => "(not used)".into(),
    };
    match key {
        "SECRET_KEY" => secret(sessions.secret_key.is_some()),
        "SECRET_KEY_FALLBACKS" => secret(!sessions.fallbacks.is_empty()),
        "SESSION_TYPE" => text(match sessions.store {
            StoreSettings::Cookie => "cookie",
            StoreSettings::Filesystem(_) => "filesystem",
            StoreSettings::Sqlite { .. } => "sqlite",
        }),
        "SESSION_SQLITE_PATH" => match &sessions.store {
            StoreSettings::Sqlite { path } => text(&path.display().to_string()),
            _ => "(not used)".into(),
        },
        "SESSION_FILE_DIR" => of_files(&|files| text(&files.dir.display().to_string())),
        "SESSION_FILE_THRESHOLD" => of_files(&|files| format!("{} files", files.threshold)),
        "SESSION_FILE_MODE" => of_files(&|files| format!("0o{:o}", files.mode)),
        "SESSION_FILE_HASH" => of_files(&|files| {
            text(match files.hash {
                FileHash::Sha256 => "sha256",
                FileHash::Md5 => "md5",
            })
        }),
        "SESSION_SERIALIZATION_FORMAT" => text(match sessions.format {
            Format::MessagePack => "msgpack",
            Format::Json => "json",
            Format::Pickle => "pickle",
        }),
        "MAX_COOKIE_SIZE" => format!("{} bytes", sessions.max_cookie_size),
        "SESSION_COOKIE_OVERSIZE" => text(match sessions.oversize {
            Oversize::Warn => "warn",
            Oversize::Error => "error",
        }),
        "SESSION_COOKIE_NAME" => text(&cookie.name),
        "SESSION_COOKIE_DOMAIN" => cookie.domain.as_deref().map_or_else(|| "(none)".into(), text),
        "SESSION_COOKIE_PATH" | "APPLICATION_ROOT" => text(&cookie.path),
        "SESSION_COOKIE_HTTPONLY" => cookie.http_only.to_string(),
        "SESSION_COOKIE_SECURE" => cookie.secure.to_string(),
        "SESSION_COOKIE_SAMESITE" => text(cookie.same_site.map_or("", SameSite::as_str)),
        "SESSION_COOKIE_PARTITIONED" => cookie.partitioned.to_string(),
        "SESSION_PERMANENT" => sessions.permanent.to_string(),
        "PERMANENT_SESSION_LIFETIME" => format!("{} seconds", sessions.lifetime.as_secs_f64()),
        "SESSION_REFRESH_EACH_REQUEST" => sessions.refresh_each_request.to_string(),
        "SESSION_TOUCH_INTERVAL" => format!("{} seconds", sessions.touch_interval.as_secs_f64()),
        "SESSION_KEY_PREFIX" => text(&sessions.key_prefix),
        "SESSION_ID_LENGTH" => format!("{} bytes", sessions.id_length),
        "SESSION_USE_SIGNER" => sessions.use_signer.to_string(),
        "SESSION_HASH_IDS" => sessions.hash_ids.to_string(),
        "DATABASE" => text(&config.database.display().to_string()),
        "MAX_CONTENT_LENGTH" => format!("{} bytes", config.max_content_length),
        "TRUSTED_ORIGINS" => format!("{:?}", config.trusted_origins),
        "GENDER_LABELS" => format!("{:?}", config.gender_labels),
        "TEMPLATES_AUTO_RELOAD" => config.templates_auto_reload.to_string(),
        _ => String::new(),
    }
}

fn warnings(config: &Config, rocket: &rocket::Config, reader: &Reader) -> Vec<String> {
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
    warn(
        open && rocket.ip_header.is_some(),
        "ip_header is believed from anyone who reaches the port; listen on 127.0.0.1 behind the proxy",
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
    let short = config.sessions.secret_key.as_ref().is_some_and(|key| key.expose().len() < 32);
    warn(short, "SECRET_KEY is shorter than 32 characters; `dewar key` prints a good one");
    warn(
        rocket.profile == rocket::Config::DEBUG_PROFILE && !cfg!(debug_assertions),
        "this is the debug profile",
    );
    if let Origin::File(path, _) = reader.origin("SECRET_KEY")
        && let Ok(metadata) = std::fs::metadata(&path)
        && metadata.permissions().mode() & 0o077 != 0
    {
        warnings.push(format!(
            "{} holds SECRET_KEY and can be read by others; chmod 600 it, or use a credential",
            path.display()
        ));
    }
    warnings
}
