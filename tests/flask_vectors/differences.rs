//! Where the layer answers otherwise than Flask on purpose, and what it answers. `docs/flask.md`
//! tells users.

use dewar::session::signing;
use serde_json::Value as Json;

use super::text;

/// What a request was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    pub status: u16,
    pub set_cookie: Vec<String>,
    pub vary: Vec<String>,
}

impl Answered {
    /// With the payloads of compressed cookies in place of their values, as the compressed bytes
    /// depend on the zlib.
    pub fn with_plain_cookies(&self) -> Self {
        let plain = |header: &String| {
            let value = header.split([';', '=']).nth(1).unwrap_or_default();
            match signing::peek(value) {
                Some((payload, timestamp)) if value.starts_with('.') => {
                    header.replace(value, &format!("{}@{timestamp}", payload.escape_ascii()))
                }
                _ => header.clone(),
            }
        };
        Self { set_cookie: self.set_cookie.iter().map(plain).collect(), ..self.clone() }
    }
}

/// The setting that stops the launch. Flask takes it and fails, or loses every session, when
/// requests come.
pub fn refused_at_launch(case: &Json) -> Option<&'static str> {
    let config = &case["config"];
    let secure = config["SESSION_COOKIE_SECURE"] == true;
    let partitioned = config["SESSION_COOKIE_PARTITIONED"] == true;
    match config["SESSION_COOKIE_SAMESITE"].as_str().map(str::to_lowercase).as_deref() {
        None | Some("" | "lax" | "strict") => {}
        // Browsers take it with Secure alone.
        Some("none") if secure || partitioned => {}
        // Flask raises at each request that sets the cookie.
        Some(_) => return Some("SESSION_COOKIE_SAMESITE"),
    }
    // Every cookie would be too old at once, every record gone or there for ever.
    if config["PERMANENT_SESSION_LIFETIME"].as_f64().is_some_and(|seconds| seconds < 1.0) {
        return Some("PERMANENT_SESSION_LIFETIME");
    }
    // Browsers drop a cookie of such a name that is not secure, or not this host's alone.
    let setting = |key: &str| config[key].as_str().filter(|text| !text.is_empty());
    let host_alone = setting("SESSION_COOKIE_NAME").is_some_and(|name| name.starts_with("__Host-"));
    let path = setting("SESSION_COOKIE_PATH").or(setting("APPLICATION_ROOT")).unwrap_or("/");
    let wide = setting("SESSION_COOKIE_DOMAIN").is_some() || path != "/";
    (host_alone && (wide || !(secure || partitioned))).then_some("SESSION_COOKIE_NAME")
}

/// What stands for an id that was made while the request ran.
pub const NEW_ID: &str = "NEWSID";

/// What the case expects of Flask, changed where the layer means to differ.
pub fn expected(case: &Json) -> Answered {
    let texts = |key: &str| {
        let texts = case[key].as_array().unwrap().iter();
        texts.map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut set_cookie = texts("set_cookie");
    if text(case, "interface") == "flask-session" {
        set_cookie.iter_mut().for_each(|header| *header = with_all_attributes(header, case));
        // Which of the ids that were made it is does not matter: `NEWSID2` is `NEWSID`.
        set_cookie.iter_mut().for_each(|header| {
            if let Some((before, numbered)) = header.split_once(NEW_ID) {
                let after = numbered.trim_start_matches(|c: char| c.is_ascii_digit());
                *header = format!("{before}{NEW_ID}{after}");
            }
        });
    }
    let status = case["status"].as_u64().unwrap().try_into().unwrap();
    Answered { status, set_cookie, vary: texts("vary") }
}

/// Flask-Session removes the cookie without HttpOnly, Secure and SameSite, which browsers refuse in
/// another site's frame, and does not know `SESSION_COOKIE_PARTITIONED`. Flask itself does both
/// right, and so does the layer wherever sessions live.
fn with_all_attributes(header: &str, case: &Json) -> String {
    let config = &case["config"];
    let partitioned = config["SESSION_COOKIE_PARTITIONED"] == true;
    let secure = config["SESSION_COOKIE_SECURE"] == true || partitioned;
    let same_site = config["SESSION_COOKIE_SAMESITE"].as_str().filter(|text| !text.is_empty());
    let path = header.split("; ").find(|part| part.starts_with("Path=")).unwrap();
    let before_path: Vec<_> = header
        .split("; ")
        .take_while(|part| !matches!(*part, "Secure" | "HttpOnly") && !part.starts_with("Path="))
        .collect();
    let mut parts = before_path;
    parts.extend(secure.then_some("Secure"));
    parts.extend((config["SESSION_COOKIE_HTTPONLY"] != false).then_some("HttpOnly"));
    parts.push(path);
    let same_site = same_site.map(|text| {
        let (first, rest) = text.split_at(1);
        format!("SameSite={}{}", first.to_uppercase(), rest.to_lowercase())
    });
    parts.extend(same_site.as_deref());
    parts.extend(partitioned.then_some("Partitioned"));
    parts.join("; ")
}
