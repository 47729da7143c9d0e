//! The clients of servers that Flask-Session is given, such as `redis.from_url("redis://…")`: what
//! Dewar needs of them is the server's URL.

use super::literal::{Reason, evaluate};
use super::scope::Scope;
use super::statement::{arguments, path};
use super::token::{Kind, Token};
use crate::cli::flask_config::value::Value;

/// The client that `tokens` make, if that is what they do.
pub fn client(tokens: &[Token<'_>], scope: &mut Scope) -> Option<Result<Value, Reason>> {
    if let [name] = tokens {
        return Some(Ok(scope.client(name.text)?));
    }
    let (names, rest) = path(tokens)?;
    let arguments = arguments(rest)?;
    let url = match *names.last()? {
        "Redis" | "StrictRedis" => redis(&arguments, scope),
        "from_url" | "MongoClient" => match arguments[..] {
            [url] => match evaluate(url, scope) {
                Ok(Value::Text(url)) if url.contains("://") => Ok(url),
                _ => Err("is not made from a literal URL"),
            },
            _ => Err("is made from more than a URL"),
        },
        _ => return None,
    };
    Some(url.map(Value::Client))
}

/// `Redis(host=…, port=…, db=…, password=…)` as a URL, with redis-py's defaults and order.
fn redis(arguments: &[&[Token<'_>]], scope: &mut Scope) -> Result<String, Reason> {
    const NAMES: [&str; 4] = ["host", "port", "db", "password"];
    let (mut host, mut port, mut db) = ("localhost".to_owned(), 6379, 0);
    let (mut user, mut password, mut scheme) = (String::new(), String::new(), "redis");
    for (position, argument) in arguments.iter().enumerate() {
        let (name, value) = match argument {
            [name, equals, value @ ..] if name.kind == Kind::Name && equals.is("=") => {
                (name.text, value)
            }
            value => (NAMES.get(position).copied().unwrap_or_default(), *value),
        };
        match (name, evaluate(value, scope)?) {
            ("host", Value::Text(text)) => host = text,
            ("port", Value::Int(number)) => port = number,
            ("db", Value::Int(number)) => db = number,
            ("password", Value::Text(text)) => password = text,
            ("username", Value::Text(text)) => user = text,
            ("password" | "username", Value::None) => {}
            ("ssl", Value::Bool(tls)) => scheme = if tls { "rediss" } else { "redis" },
            _ => return Err("is a Redis client with options that no URL has here"),
        }
    }
    let plain = host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:".contains(c));
    if host.is_empty() || !plain {
        return Err("is a Redis client whose host is no host name");
    }
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let credentials = match (user.is_empty(), password.is_empty()) {
        (true, true) => String::new(),
        _ => format!("{}:{}@", encode(&user), encode(&password)),
    };
    Ok(format!("{scheme}://{credentials}{host}:{port}/{db}"))
}

/// Percent-encodes what may not stand in a URL's user information.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::token::tokenize;
    use super::*;

    fn url(source: &str) -> Option<Result<String, Reason>> {
        let client = client(&tokenize(source).unwrap().all, &mut Scope::default())?;
        Some(client.map(|client| match client {
            Value::Client(url) => url,
            other => panic!("{source}: {other:?}"),
        }))
    }

    #[test]
    fn a_client_is_its_servers_url() {
        for (source, expected) in [
            ("redis.from_url('redis://h:1/2')", "redis://h:1/2"),
            ("redis.Redis.from_url('rediss://u:p@h')", "rediss://u:p@h"),
            ("MongoClient('mongodb://h')", "mongodb://h"),
            ("Redis()", "redis://localhost:6379/0"),
            ("redis.StrictRedis('h', 1, 2)", "redis://h:1/2"),
            (
                "redis.Redis(host='h', port=1, db=2, password='p@ss/:', username=\"u\", ssl=True)",
                "rediss://u:p%40ss%2F%3A@h:1/2",
            ),
            ("Redis(host='::1', password=None)", "redis://[::1]:6379/0"),
        ] {
            assert_eq!(url(source), Some(Ok(expected.into())), "{source}");
        }
    }

    #[test]
    fn a_client_that_no_url_tells_of_is_refused() {
        for source in [
            "from_url(URL)",
            "from_url('h')",
            "from_url('redis://h', decode_responses=True)",
            "Redis(unix_socket_path='/run/redis')",
            "Redis(host=HOST)",
            "Redis(host='a b')",
            "Redis(**options)",
            "Redis('h', 1, 2, 'p', 5)",
        ] {
            assert!(matches!(url(source), Some(Err(_))), "{source}");
        }
        for source in ["get('https://vault')", "'redis://h'", "Redis", "Redis()(1)", "f().Redis()"]
        {
            assert_eq!(url(source), None, "{source}");
        }
    }
}
