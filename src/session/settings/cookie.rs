//! The `SESSION_COOKIE_*` settings and what contradicts what among them.

use super::{Reader, host_in_ascii};
use crate::session::cookie::{CookieSettings, SameSite};

pub(super) fn read(reader: &mut Reader) -> CookieSettings {
    let name = reader.text("SESSION_COOKIE_NAME").unwrap_or_else(|| "session".into());
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(token) {
        reader.refuse(
            "SESSION_COOKIE_NAME",
            "must be 1 to 128 letters, digits or any of !#$%&'*+-.^_`|~",
        );
    }

    let domain = reader.text("SESSION_COOKIE_DOMAIN").filter(|domain| !domain.is_empty());
    let ascii = domain.as_deref().map(|domain| host_in_ascii(domain.trim_start_matches('.')));
    if ascii == Some(None) {
        let remedy = "must be a host name, such as \"example.org\"";
        reader.refuse("SESSION_COOKIE_DOMAIN", remedy);
    }
    let domain = ascii.flatten();

    let (path_key, path) = ["SESSION_COOKIE_PATH", "APPLICATION_ROOT"]
        .into_iter()
        .find_map(|key| Some((key, reader.text(key).filter(|path| !path.is_empty())?)))
        .unwrap_or(("APPLICATION_ROOT", "/".into()));
    if !path.starts_with('/') || path.chars().any(char::is_control) {
        reader.refuse(path_key, "must begin with / and hold no control characters");
    }

    let partitioned = reader.bool("SESSION_COOKIE_PARTITIONED").unwrap_or(false);
    let secure = reader.bool("SESSION_COOKIE_SECURE").unwrap_or(false) || partitioned;
    let same_site = match reader.text("SESSION_COOKIE_SAMESITE") {
        None => Some(SameSite::Lax),
        Some(text) => match text.to_lowercase().as_str() {
            "" => None,
            "strict" => Some(SameSite::Strict),
            "lax" => Some(SameSite::Lax),
            "none" => Some(SameSite::None),
            _ => {
                let remedy =
                    "must be \"Strict\", \"Lax\" or \"None\", or \"\" to leave the attribute out";
                reader.refuse("SESSION_COOKIE_SAMESITE", remedy);
                None
            }
        },
    };
    if same_site == Some(SameSite::None) && !secure {
        reader.refuse(
            "SESSION_COOKIE_SAMESITE",
            "is \"None\", which browsers take only with SESSION_COOKIE_SECURE = true",
        );
    }

    let lower = name.to_lowercase();
    let host_prefixed = lower.starts_with("__host-");
    if (host_prefixed || lower.starts_with("__secure-")) && !secure {
        reader.refuse(
            "SESSION_COOKIE_NAME",
            "has a prefix that asks for SESSION_COOKIE_SECURE = true",
        );
    }
    if host_prefixed && domain.is_some() {
        reader.refuse(
            "SESSION_COOKIE_NAME",
            "has the prefix __Host-, which allows no SESSION_COOKIE_DOMAIN",
        );
    }
    if host_prefixed && path != "/" {
        reader.refuse(
            "SESSION_COOKIE_NAME",
            format!("has the prefix __Host-, which asks for {path_key} = \"/\""),
        );
    }

    CookieSettings {
        name,
        domain,
        path,
        http_only: reader.bool("SESSION_COOKIE_HTTPONLY").unwrap_or(true),
        secure,
        same_site,
        partitioned,
    }
}
