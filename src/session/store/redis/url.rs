//! `SESSION_REDIS`: where Redis is and how to sign in there.

use std::fmt;

use rocket::http::RawStr;

use super::error::Failure;

/// A server: a name or an IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "[{}]:{}", self.host, self.port),
            false => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

/// How to sign in. Never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Login {
    pub user: Option<String>,
    pub password: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Login(…)")
    }
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub address: Address,
    pub tls: bool,
    pub login: Login,
    pub database: u32,
    /// Whether it is a Sentinel, which may want the same login or none.
    pub sentinel: bool,
}

/// A primary that Sentinels watch over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    pub sentinels: Vec<Address>,
    pub name: String,
    pub login: Login,
    pub database: u32,
}

/// Some nodes of a Cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    pub seeds: Vec<Address>,
    pub tls: bool,
    pub login: Login,
}

/// What the URL names.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    One(Place),
    Sentinel(Watched),
    Cluster(Nodes),
}

impl Target {
    /// Takes the URL apart. An error says which part is wrong and never shows it, as a part of a
    /// URL that is wrong may be a password.
    pub fn parse(url: &str) -> Result<Self, Failure> {
        let (scheme, rest) = url.split_once("://").ok_or(Failure::Url("is no URL"))?;
        if rest.contains(['?', '#']) {
            return Err(Failure::Url(
                "takes no options after ? or #; in a password they are written %3F and %23",
            ));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (read_login(login)?, hosts),
            None => (Login::default(), authority),
        };
        let tls = scheme.starts_with("rediss");
        match scheme {
            "redis" | "rediss" => {
                let address = match &*addresses(hosts, 6379)? {
                    [address] => address.clone(),
                    _ => return Err(Failure::Url("names several servers, and must name one")),
                };
                let database = read_database(path)?;
                Ok(Self::One(Place { address, tls, login, database, sentinel: false }))
            }
            "redis+sentinel" => {
                let (name, database) = path.split_once('/').unwrap_or((path, ""));
                if name.is_empty() {
                    return Err(Failure::Url(
                        "must end with the name that the Sentinels know the primary by, as in \
                         redis+sentinel://host:26379/mymaster/0",
                    ));
                }
                let sentinels = addresses(hosts, 26379)?;
                let (name, database) = (decoded(name)?, read_database(database)?);
                Ok(Self::Sentinel(Watched { sentinels, name, login, database }))
            }
            "redis+cluster" | "rediss+cluster" => {
                if read_database(path)? != 0 {
                    return Err(Failure::Url("must name no database: a Cluster has only number 0"));
                }
                Ok(Self::Cluster(Nodes { seeds: addresses(hosts, 6379)?, tls, login }))
            }
            _ => Err(Failure::Url(
                "must begin with redis://, rediss://, redis+sentinel://, redis+cluster:// or \
                 rediss+cluster://",
            )),
        }
    }
}

fn read_login(text: &str) -> Result<Login, Failure> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(decoded(password)?)),
        None => (text, None),
    };
    if password.is_none() && !user.is_empty() {
        return Err(Failure::Url("has a user and no password; a password alone is :password@"));
    }
    let user = Some(decoded(user)?).filter(|user| !user.is_empty());
    Ok(Login { user, password: password.filter(|password| !password.is_empty()) })
}

fn decoded(text: &str) -> Result<String, Failure> {
    let decoded = RawStr::new(text).percent_decode();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| Failure::Url("holds %-codes that are not UTF-8 text"))
}

fn read_database(path: &str) -> Result<u32, Failure> {
    match path.trim_end_matches('/') {
        "" => Ok(0),
        number => number.parse().map_err(|_| {
            Failure::Url(
                "must end with the host, or with the number of a database, as in /0; in a \
                 password / is written %2F",
            )
        }),
    }
}

fn addresses(hosts: &str, default: u16) -> Result<Vec<Address>, Failure> {
    hosts.split(',').map(|host| address(host, default)).collect()
}

fn address(text: &str, default: u16) -> Result<Address, Failure> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) =
                rest.split_once(']').ok_or(Failure::Url("has a [ without a ] in its host"))?;
            (host, port.strip_prefix(':').unwrap_or(port))
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let port = match port {
        "" => default,
        port => port.parse().ok().filter(|port| *port != 0).ok_or(Failure::Url(
            "has a port that is no number from 1 to 65535; in a password : is written %3A, and \
             / %2F",
        ))?,
    };
    if host.is_empty() {
        return Err(Failure::Url("names no host"));
    }
    Ok(Address { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.into(), port }
    }

    fn login(user: Option<&str>, password: &str) -> Login {
        Login { user: user.map(Into::into), password: Some(password.into()) }
    }

    #[test]
    fn every_kind_of_url_is_read() {
        let one = |address, tls, login, database| {
            Target::One(Place { address, tls, login, database, sentinel: false })
        };
        let nobody = Login::default;
        for (url, target) in [
            ("redis://localhost", one(at("localhost", 6379), false, nobody(), 0)),
            ("redis://127.0.0.1:7000/", one(at("127.0.0.1", 7000), false, nobody(), 0)),
            ("rediss://:p%40ss@db:1/12", one(at("db", 1), true, login(None, "p@ss"), 12)),
            ("redis://u:p:w@[::1]:7/1", one(at("::1", 7), false, login(Some("u"), "p:w"), 1)),
            ("redis://[::1]", one(at("::1", 6379), false, nobody(), 0)),
            ("redis://u:p@ss@db", one(at("db", 6379), false, login(Some("u"), "p@ss"), 0)),
        ] {
            assert_eq!(Target::parse(url).unwrap(), target, "{url}");
        }
        let watched = Watched {
            sentinels: vec![at("a", 1), at("b", 26379)],
            name: "mymaster".into(),
            login: login(None, "x"),
            database: 3,
        };
        let url = "redis+sentinel://:x@a:1,b/mymaster/3";
        assert_eq!(Target::parse(url).unwrap(), Target::Sentinel(watched));
        for (url, tls) in [("redis+cluster://a:1,b:2", false), ("rediss+cluster://a:1,b:2/0", true)]
        {
            let nodes = Nodes { seeds: vec![at("a", 1), at("b", 2)], tls, login: nobody() };
            assert_eq!(Target::parse(url).unwrap(), Target::Cluster(nodes), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (url, about) in [
            ("redis:/:hunter2@h", "no URL"),
            ("http://:hunter2@h", "must begin with"),
            ("redis://:hunter2@", "no host"),
            ("redis://:hunter2@h:0", "port"),
            ("redis://:hunter2@h:hunter2", "port"),
            ("redis://:hunter2/x@h/0", "%2F"),
            ("redis://h:1/hunter2", "%2F"),
            ("redis://:hunter2?x@h", "%3F"),
            ("redis://hunter2@h", ":password@"),
            ("redis://:hunter2@[::1", "]"),
            ("redis://:hunter2%ff@h", "UTF-8"),
            ("redis://:hunter2@a,b", "several"),
            ("redis+sentinel://:hunter2@a:1", "mymaster"),
            ("redis+cluster://:hunter2@a:1/1", "database"),
        ] {
            let shown = format!("{0} {0:?}", Target::parse(url).unwrap_err());
            assert!(shown.contains(about), "{url}: {shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let shown = format!("{:?}", Target::parse("redis://u:hunter2@h").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
