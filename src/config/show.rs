//! The settings in force, for people.

use std::time::Duration;

use super::{Config, LogFormat};
use crate::session::SameSite;
use crate::session::codec::Format;
use crate::session::settings::{self, FileHash, Oversize, StoreSettings};
use crate::sql::without_password;

impl Config {
    /// What is in force for a setting, in words; a secret's value is not told.
    pub fn effective(&self, key: &str) -> String {
        let sessions = &self.sessions;
        let cookie = &sessions.cookie;
        let text = |text: &str| format!("{text:?}");
        let secret = |set: bool| if set { "(set, not shown)".into() } else { "(not set)".into() };
        match key {
            "SECRET_KEY" => secret(sessions.secret_key.is_some()),
            "SECRET_KEY_FALLBACKS" => secret(!sessions.fallbacks.is_empty()),
            "SESSION_TYPE" => text(sessions.store.name()),
            "SESSION_MIGRATE_FROM" => {
                let from = sessions.migrate_from.as_ref();
                or(from.map(|from| text(from.store.name())), "(not set)")
            }
            "SESSION_STORE_TIMEOUT" => seconds(sessions.store_timeout),
            "SESSION_CLEANUP_N_REQUESTS" => {
                or(sessions.cleanup_n_requests.map(|n| n.to_string()), "(not set)")
            }
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
            "SESSION_COOKIE_DOMAIN" => or(cookie.domain.as_deref().map(text), "(none)"),
            "SESSION_COOKIE_PATH" => text(&cookie.path),
            "APPLICATION_ROOT" => text(&self.urls.root),
            "SESSION_COOKIE_HTTPONLY" => cookie.http_only.to_string(),
            "SESSION_COOKIE_SECURE" => cookie.secure.to_string(),
            "SESSION_COOKIE_SAMESITE" => text(cookie.same_site.map_or("", SameSite::as_str)),
            "SESSION_COOKIE_PARTITIONED" => cookie.partitioned.to_string(),
            "SESSION_PERMANENT" => sessions.permanent.to_string(),
            "PERMANENT_SESSION_LIFETIME" => seconds(sessions.lifetime),
            "SESSION_IDLE_LIFETIME" => or(sessions.idle_lifetime.map(seconds), "(no limit)"),
            "SESSION_ABSOLUTE_LIFETIME" => {
                or(sessions.absolute_lifetime.map(seconds), "(no limit)")
            }
            "SESSION_ROTATE_AFTER" | "SESSION_ROTATE_GRACE"
                if sessions.store == StoreSettings::Cookie =>
            {
                "(not used)".into()
            }
            "SESSION_ROTATE_AFTER" => or(sessions.rotate_after.map(seconds), "(never)"),
            "SESSION_ROTATE_GRACE" => seconds(sessions.rotate_grace),
            "SESSION_REFRESH_EACH_REQUEST" => sessions.refresh_each_request.to_string(),
            "SESSION_EAGER" => sessions.eager.to_string(),
            "SESSION_TOUCH_INTERVAL" => seconds(sessions.touch_interval),
            "SESSION_KEY_PREFIX" => text(&sessions.key_prefix),
            "SESSION_ID_LENGTH" => format!("{} bytes", sessions.id_length),
            "SESSION_USE_SIGNER" => sessions.use_signer.to_string(),
            "SESSION_HASH_IDS" => sessions.hash_ids.to_string(),
            "DATABASE" => text(&self.database.to_string()),
            "GENDER_LABELS" => format!("{:?}", self.gender_labels),
            "PASSWORD_MIN_LENGTH" => format!("{} characters", self.accounts.password_min_length),
            "SESSION_RECORD_CLIENT" => self.accounts.record_client.to_string(),
            "AUDIT_LIFETIME" => seconds(self.accounts.audit_lifetime),
            "MAX_CONTENT_LENGTH" => format!("{} bytes", self.requests.max_content_length),
            "MAX_FORM_MEMORY_SIZE" => format!("{} bytes", self.requests.max_form_memory_size),
            "MAX_FORM_PARTS" => self.requests.max_form_parts.to_string(),
            "TRUSTED_HOSTS" => {
                let hosts = self.requests.trusted_hosts.as_ref();
                let names = |hosts: &Vec<_>| hosts.iter().map(ToString::to_string).collect();
                or(hosts.map(names).map(|names: Vec<String>| format!("{names:?}")), "(any)")
            }
            "TRUSTED_ORIGINS" => format!("{:?}", self.requests.trusted_origins),
            "TRUSTED_PROXIES" => self.requests.trusted_proxies.to_string(),
            "PROVIDE_AUTOMATIC_OPTIONS" => self.requests.automatic_options.to_string(),
            "TRAP_BAD_REQUEST_ERRORS" => self.requests.explain_bad_requests.to_string(),
            "REQUEST_TIMEOUT" => or(self.patience.request.map(seconds), "(for ever)"),
            "SEND_TIMEOUT" => or(self.patience.send.map(seconds), "(for ever)"),
            "SERVER_NAME" => or(self.urls.server_name.as_deref().map(text), "(not set)"),
            "PREFERRED_URL_SCHEME" => text(&self.urls.scheme),
            "SEND_FILE_MAX_AGE_DEFAULT" => {
                or(self.files.max_age.map(seconds), "(browsers ask each time)")
            }
            "USE_X_SENDFILE" => self.files.x_sendfile.to_string(),
            "JSON_AS_ASCII" => self.json.ascii.to_string(),
            "JSON_SORT_KEYS" => self.json.sort_keys.to_string(),
            "JSONIFY_PRETTYPRINT_REGULAR" => self.json.pretty.to_string(),
            "JSONIFY_MIMETYPE" => text(&self.json.content_type.to_string()),
            "TEMPLATES_AUTO_RELOAD" => self.templates.auto_reload.to_string(),
            "EXPLAIN_TEMPLATE_LOADING" => self.templates.explain_loading.to_string(),
            "DEBUG" => self.log.verbose.to_string(),
            "LOGGER_NAME" => or(self.log.name.as_deref().map(text), "(none)"),
            "LOG_FORMAT" => text(match self.log.format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            }),
            "LOG_REQUESTS" => self.log.requests.to_string(),
            "LOG_CLIENT_ADDRESS" => self.log.client_address.to_string(),
            "METRICS_ADDRESS" => or(self.metrics.address.map(|at| text(&at.to_string())), "(none)"),
            "METRICS_REMOTE" => self.metrics.remote.to_string(),
            "LOGGER_HANDLER_POLICY" => text(if self.log.silent { "never" } else { "always" }),
            _ => or(self.of_the_store(key), "(no effect)"),
        }
    }
}

impl Config {
    /// The settings of one store alone; those of the others are not used.
    fn of_the_store(&self, key: &str) -> Option<String> {
        let text = |text: &str| format!("{text:?}");
        let value = match (key, &self.sessions.store) {
            ("SESSION_SQLITE_PATH", StoreSettings::Sqlite { path }) => {
                text(&path.display().to_string())
            }
            ("SESSION_FILE_DIR", StoreSettings::Filesystem(files)) => {
                text(&files.dir.display().to_string())
            }
            ("SESSION_FILE_THRESHOLD", StoreSettings::Filesystem(files)) => {
                format!("{} files", files.threshold)
            }
            ("SESSION_FILE_MODE", StoreSettings::Filesystem(files)) => {
                format!("0o{:o}", files.mode)
            }
            ("SESSION_FILE_HASH", StoreSettings::Filesystem(files)) => text(match files.hash {
                FileHash::Sha256 => "sha256",
                FileHash::Md5 => "md5",
            }),
            ("SESSION_REDIS", StoreSettings::Redis { url })
            | ("SESSION_MONGODB", StoreSettings::Mongodb { url, .. })
            | (
                "SESSION_SQLALCHEMY" | "SQLALCHEMY_DATABASE_URI",
                StoreSettings::Sqlalchemy { url, .. },
            ) => text(&without_password(url.expose())),
            ("SESSION_MEMCACHED", StoreSettings::Memcached { servers }) => format!("{servers:?}"),
            ("SESSION_MONGODB_DB", StoreSettings::Mongodb { database, .. }) => text(database),
            ("SESSION_MONGODB_COLLECT", StoreSettings::Mongodb { collection, .. }) => {
                text(collection)
            }
            ("SESSION_SQLALCHEMY_TABLE", StoreSettings::Sqlalchemy { table, .. }) => text(table),
            ("SESSION_SQLALCHEMY_SCHEMA", StoreSettings::Sqlalchemy { schema, .. }) => {
                or(schema.as_deref().map(text), "(the database's default)")
            }
            _ if settings::keys().any(|(known, _)| *known == key) => "(not used)".into(),
            _ => return None,
        };
        Some(value)
    }
}

fn or(value: Option<String>, otherwise: &str) -> String {
    value.unwrap_or_else(|| otherwise.into())
}

fn seconds(span: Duration) -> String {
    format!("{} seconds", span.as_secs_f64())
}
