//! Another place for sessions than the configured one: where they are moved from, or to.

use figment::value::{Dict, Value};

use super::{Origin, Reader, Settings, SettingsError, StoreSettings};

pub(super) const MIGRATE_FROM: &str = "SESSION_MIGRATE_FROM";

impl Settings {
    /// The settings in force, but with the sessions elsewhere: at a store's URL, or at the
    /// configured place of another `SESSION_TYPE`, and with other `settings` besides.
    ///
    /// # Errors
    /// Every problem found, as of [`from_figment`](Self::from_figment).
    pub fn elsewhere(
        figment: &figment::Figment,
        place: &str,
        settings: &[(String, Value)],
    ) -> Result<Self, SettingsError> {
        let reader = Reader::new(figment);
        let mut overrides = named(place);
        overrides.extend(settings.iter().cloned());
        let mut reader = reader.with(overrides);
        let settings = Self::read(&mut reader);
        reader.finish(settings)
    }
}

/// `SESSION_MIGRATE_FROM`: a store's URL, a `SESSION_TYPE`, or a table of settings.
pub(super) fn read_migrate_from(
    reader: &mut Reader,
    to: &StoreSettings,
    key_prefix: &str,
) -> Option<Box<Settings>> {
    let overrides = match reader.value(MIGRATE_FROM)? {
        Value::String(_, place) if place.is_empty() => return None,
        Value::String(_, place) => named(&place),
        Value::Dict(_, table) => beside_the_file(reader, table),
        _ => {
            reader.refuse(
                MIGRATE_FROM,
                "must be a SESSION_TYPE, a store's URL, or a table such as \
                 { SESSION_TYPE = \"redis\", SESSION_HASH_IDS = false }",
            );
            return None;
        }
    };
    if *to == StoreSettings::Cookie {
        reader.refuse(MIGRATE_FROM, "moves sessions into a store; SESSION_TYPE is \"cookie\"");
        return None;
    }
    let mut inner = reader.with(overrides);
    let settings = Settings::read(&mut inner);
    match inner.finish(settings) {
        Ok(settings) if settings.store == *to && overlap(&settings.key_prefix, key_prefix) => {
            reader.refuse(
                MIGRATE_FROM,
                "names the same store under the same keys, where nobody could tell which have \
                 moved; give one side another SESSION_KEY_PREFIX, neither beginning with the other",
            );
            None
        }
        Ok(settings) => Some(Box::new(settings)),
        Err(error) => {
            for problem in error.problems {
                reader.refuse(MIGRATE_FROM, format!("is wrong: {problem}"));
            }
            None
        }
    }
}

/// Whether keys of one prefix may be taken for keys of the other. In one store a hashed key could
/// then be looked up as if it were a plain id, and would sign in whoever reads the store.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The settings that a store's URL or a `SESSION_TYPE` stands for.
fn named(place: &str) -> Dict {
    let scheme = place.split_once("://").map(|(scheme, _)| scheme);
    let (kind, setting) = match scheme {
        None => return Dict::from([("SESSION_TYPE".into(), place.into())]),
        Some(scheme) if scheme.starts_with("redis") => ("redis", "SESSION_REDIS"),
        Some(scheme) if scheme.starts_with("mongodb") => ("mongodb", "SESSION_MONGODB"),
        Some("memcached") => ("memcached", "SESSION_MEMCACHED"),
        Some(_) => ("sqlalchemy", "SESSION_SQLALCHEMY"),
    };
    let location = match setting {
        "SESSION_MEMCACHED" => place.trim_start_matches("memcached://").trim_end_matches('/'),
        _ => place,
    };
    Dict::from([("SESSION_TYPE".into(), kind.into()), (setting.into(), location.into())])
}

/// Paths in the table count from the file that holds it.
fn beside_the_file(reader: &Reader, mut table: Dict) -> Dict {
    let Origin::File(file, _) = reader.origin(MIGRATE_FROM) else { return table };
    let Some(dir) = file.parent() else { return table };
    for key in ["SESSION_FILE_DIR", "SESSION_SQLITE_PATH"] {
        if let Some(path) = table.get(key).and_then(Value::as_str) {
            let path = dir.join(path).display().to_string();
            table.insert(key.into(), path.into());
        }
    }
    table
}
