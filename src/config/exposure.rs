//! What others could read: files with too open permissions or in a directory that is sent to
//! anybody, and links that are not encrypted.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Config;
use crate::db::Location;
use crate::session::settings::{Origin, Reader, SECRETS};
use crate::session::settings::{Settings, StoreSettings};
use crate::sql::{Url, without_password};

/// Refuses a `static_dir` with something private in it.
pub(super) fn refuse_private_files(reader: &mut Reader, config: &Config) {
    let Some(public) = config.files.dir.as_deref().map(real) else { return };
    let data = data_files(config).into_iter();
    let others = reader.files().into_iter().chain(secret_files(reader).into_values());
    if let Some(private) = data.chain(others).find(|path| real(path).starts_with(&public)) {
        let problem = format!(
            "holds {}, which everybody could then read; give files that are to be sent a \
             directory of their own",
            private.display()
        );
        reader.refuse("static_dir", problem);
    }
}

/// One line for each thing that others can read, or could on its way.
pub fn warnings(reader: &Reader, config: &Config) -> Vec<String> {
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (key, path) in secret_files(reader) {
        files.entry(path).or_insert(key);
    }
    for path in data_files(config) {
        files.entry(path).or_insert_with(|| "data".into());
    }
    let mut warnings = Vec::new();
    for (path, what) in files {
        let mode = std::fs::metadata(&path).map_or(0, |metadata| metadata.permissions().mode());
        if mode & 0o077 != 0 {
            let (path, right) = (path.display(), if path.is_dir() { "700" } else { "600" });
            warnings.push(format!("{path} holds {what} and is open to others; chmod {right} it"));
        }
    }
    for (key, place) in plain_links(config) {
        warnings.push(format!(
            "{key} leads to {place} without TLS: whoever is on the way can read and change sessions"
        ));
    }
    warnings
}

/// The files that settings with a secret in them come from, under the setting's name.
fn secret_files(reader: &Reader) -> BTreeMap<String, PathBuf> {
    let mut files = BTreeMap::new();
    for key in SECRETS {
        if let Origin::File(path, _) = reader.origin(key)
            && reader.value(key).is_some_and(|value| match value.as_str() {
                Some(text) if text.contains("://") => holds_password(text),
                Some(text) => *key != "DATABASE" && !text.is_empty(),
                None => true,
            })
        {
            files.insert((*key).to_owned(), path);
        }
    }
    files.extend(reader.secret_files());
    files
}

fn holds_password(url: &str) -> bool {
    let Some(parsed) = Url::parse(url) else { return false };
    let user = parsed.place.rsplit_once('@').map_or("", |(user, _)| user);
    let parameter = parsed.parameters.iter().any(|(name, _)| name == "password");
    parameter || user.split_once(':').is_some_and(|(_, password)| !password.is_empty())
}

/// Where accounts, students and sessions are, as far as that is on this machine's disk.
fn data_files(config: &Config) -> Vec<PathBuf> {
    let stores =
        std::iter::successors(Some(&config.sessions), |settings| settings.migrate_from.as_deref());
    stores.filter_map(store_file).chain(config.database.file().cloned()).collect()
}

fn store_file(settings: &Settings) -> Option<PathBuf> {
    match &settings.store {
        StoreSettings::Sqlite { path } => Some(path.clone()),
        StoreSettings::Filesystem(files) => Some(files.dir.clone()),
        StoreSettings::Sqlalchemy { url, .. } => {
            let url = Url::parse(url.expose()).filter(|url| url.dialect == "sqlite")?;
            Some(url.place.strip_prefix('/').unwrap_or(url.place).into())
        }
        _ => None,
    }
}

/// The servers on other machines that are spoken to in plain text, with the setting that says so.
fn plain_links(config: &Config) -> Vec<(&'static str, String)> {
    let mut links = Vec::new();
    if let Location::Postgresql(url) = &config.database
        && is_plain(url)
    {
        links.push(("DATABASE", without_password(url)));
    }
    let stores =
        std::iter::successors(Some(&config.sessions), |settings| settings.migrate_from.as_deref());
    for settings in stores {
        let (key, urls) = match &settings.store {
            StoreSettings::Redis { url } => ("SESSION_REDIS", vec![url.expose().to_owned()]),
            StoreSettings::Mongodb { url, .. } => {
                ("SESSION_MONGODB", vec![url.expose().to_owned()])
            }
            StoreSettings::Sqlalchemy { url, .. } => {
                ("SESSION_SQLALCHEMY", vec![url.expose().to_owned()])
            }
            StoreSettings::Memcached { servers } => {
                let urls = servers.iter().map(|server| format!("memcached://{server}"));
                ("SESSION_MEMCACHED", urls.collect())
            }
            _ => continue,
        };
        let plain = urls.into_iter().filter(|url| is_plain(url));
        links.extend(plain.map(|url| (key, without_password(&url))));
    }
    links
}

/// Whether a URL leads to another machine and does not insist on TLS.
fn is_plain(url: &str) -> bool {
    let Some(parsed) = Url::parse(url) else { return false };
    let asks = |(name, value): &(String, String)| match &**name {
        "sslmode" | "ssl_mode" => {
            let mode = value.to_lowercase().replace('_', "-");
            mode == "require" || mode == "required" || mode.starts_with("verify")
        }
        "tls" | "ssl" => value == "true",
        _ => false,
    };
    let encrypted = parsed.dialect == "rediss" || parsed.parameters.iter().any(asks);
    // A socket in the file system stands in the parameters, or for the host in percent signs.
    let elsewhere =
        |host: &str| !host.is_empty() && !host.starts_with("%2F") && !is_own_machine(host);
    !encrypted && parsed.address().split(',').map(without_port).any(elsewhere)
}

fn without_port(address: &str) -> &str {
    match address.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => address.rsplit_once(':').map_or(address, |(host, _)| host),
    }
}

/// Whether a host, an IPv6 address without its brackets, is this machine itself.
pub fn is_own_machine(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// The path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
    for ancestor in absolute.ancestors() {
        if let Ok(found) = ancestor.canonicalize() {
            let rest = absolute.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { found } else { found.join(rest) };
        }
    }
    absolute
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_a_link_to_another_machine_wants_tls() {
        for plain in [
            "redis://:password@10.0.0.5:6379/0",
            "redis+sentinel://127.0.0.1:1,cache.example:2/main",
            "redis+cluster://cache.example:6379",
            "memcached://cache.example:11211",
            "mongodb://a.example:27017,localhost:27017/?replicaSet=x",
            "mongodb://u:p@a.example/?tls=false",
            "postgresql://dewar:p@db.example/dewar",
            "postgresql://db.example/dewar?sslmode=prefer",
            "mysql+pymysql://u:p@[2001:db8::1]:3306/d?ssl_mode=PREFERRED",
        ] {
            assert!(is_plain(plain), "{plain}");
        }
        for fine in [
            "redis://127.0.0.1:6379/0",
            "redis://localhost",
            "rediss://cache.example:6380",
            "rediss+cluster://cache.example:6379",
            "memcached://[::1]:11211",
            "mongodb://a.example:27017/?tls=true",
            "postgresql://dewar:p@db.example/dewar?sslmode=verify-full",
            "postgresql://db.example/dewar?sslmode=require",
            "postgresql://dewar@/dewar?host=/run/postgresql",
            "postgresql://%2Frun%2Fpostgresql/dewar",
            "mysql://db.example/d?ssl_mode=VERIFY_IDENTITY",
            "sqlite:///sessions.db",
            "dewar.db",
        ] {
            assert!(!is_plain(fine), "{fine}");
        }
    }
}
