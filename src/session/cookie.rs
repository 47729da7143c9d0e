//! The `Set-Cookie` header as Werkzeug writes it, and the `Cookie` header as Werkzeug reads it.
//!
//! Rocket's own jar percent-decodes and trims names, which lets `%5F%5FHost-session` pass for
//! `__Host-session`, and takes the last of two cookies. So neither direction goes through it.

use std::borrow::Cow;
use std::time::SystemTime;

use rocket::http::HeaderMap;

use super::date::{PYTHON_DATES, http_date};

/// `SESSION_COOKIE_SAMESITE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Sent with requests from the site itself only.
    Strict,
    /// Sent with the site's own requests and when a link leads to it.
    Lax,
    /// Sent with every request. Browsers ask for `Secure` beside it.
    None,
}

impl SameSite {
    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// How the session cookie is named and where it is sent: the `SESSION_COOKIE_*` settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSettings {
    /// `SESSION_COOKIE_NAME`.
    pub name: String,
    /// `SESSION_COOKIE_DOMAIN`; without it the cookie goes to this host alone.
    pub domain: Option<String>,
    /// `SESSION_COOKIE_PATH`, or else `APPLICATION_ROOT`.
    pub path: String,
    /// `SESSION_COOKIE_HTTPONLY`.
    pub http_only: bool,
    /// `SESSION_COOKIE_SECURE`, or `SESSION_COOKIE_PARTITIONED`.
    pub secure: bool,
    /// `SESSION_COOKIE_SAMESITE`; `None` leaves the attribute out.
    pub same_site: Option<SameSite>,
    /// `SESSION_COOKIE_PARTITIONED`.
    pub partitioned: bool,
}

impl CookieSettings {
    /// The header value that sets the cookie, expiring at `expires` or with the browser.
    pub fn set(&self, value: &str, expires: Option<SystemTime>) -> String {
        self.header(value, expires.map(self::expires).as_deref(), false)
    }

    /// The header value that removes the cookie: the same attributes, so that browsers find it.
    pub fn remove(&self) -> String {
        self.header("", Some("Thu, 01 Jan 1970 00:00:00 GMT"), true)
    }

    /// Werkzeug's order of attributes.
    fn header(&self, value: &str, expires: Option<&str>, is_over: bool) -> String {
        let path = encode_path(&self.path);
        let attributes = [
            self.domain.as_deref().map(|domain| ("; Domain=", domain)),
            expires.map(|expires| ("; Expires=", expires)),
            is_over.then_some(("; Max-Age=", "0")),
            self.secure.then_some(("; Secure", "")),
            self.http_only.then_some(("; HttpOnly", "")),
            Some(("; Path=", &*path)),
            self.same_site.map(|same_site| ("; SameSite=", same_site.as_str())),
            self.partitioned.then_some(("; Partitioned", "")),
        ];
        let parts = attributes.iter().flatten().flat_map(|(name, value)| [*name, *value]);
        [&*self.name, "=", value].into_iter().chain(parts).collect()
    }
}

/// A time as the `Expires` attribute tells it, fractions dropped; past the year 9999, that year's
/// end.
fn expires(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    http_date(i64::try_from(since).unwrap_or(i64::MAX).min(*PYTHON_DATES.end()))
}

/// Percent-encodes what may not stand in a `Path` attribute.
fn encode_path(path: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-~%!$&'()*+,/:=@".contains(&byte);
    if path.bytes().all(plain) {
        return path.into();
    }
    path.bytes()
        .map(|byte| match plain(byte) {
            true => (byte as char).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect::<String>()
        .into()
}

/// What a request's `Cookie` headers say of one name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent<'a> {
    /// There is no such cookie, or it is empty.
    Nothing,
    /// One value, however often.
    One(Cow<'a, str>),
    /// Several values. Which of them is ours cannot be told: a sibling domain may have planted
    /// the other, so none counts (RFC 6265bis, sections 4.2.2 and 8.6).
    Conflict,
}

/// Looks one cookie up in a request's headers; the name must match byte for byte.
pub(super) fn find<'r>(headers: &'r HeaderMap<'_>, name: &str) -> Sent<'r> {
    let mut found = Sent::Nothing;
    let values = headers
        .get("Cookie")
        .flat_map(parse)
        .filter(|(key, value)| *key == name && !value.is_empty());
    for (_, value) in values {
        found = match found {
            Sent::Nothing => Sent::One(value),
            Sent::One(first) if first == value => Sent::One(first),
            Sent::One(_) | Sent::Conflict => return Sent::Conflict,
        };
    }
    found
}

/// The names and values of a `Cookie` header, by Werkzeug's rules: items end at a `;` outside
/// quotes, blanks around name and value do not count, quoted values are unescaped, nothing is
/// percent-decoded, and what does not fit is passed over.
pub fn parse(header: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = header;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches([' ', '\t', ';']);
            if rest.is_empty() {
                return None;
            }
            let (item, after) = parse_item(rest);
            rest = after;
            if item.is_some() {
                return item;
            }
        }
    })
}

/// One item and what follows it.
fn parse_item(text: &str) -> (Option<(&str, Cow<'_, str>)>, &str) {
    const BLANK: [char; 2] = [' ', '\t'];
    let after_bad = || text.find(';').map_or("", |at| &text[at..]);
    let name_end = text.find([' ', '\t', '=', '"', ';']).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    let rest = rest.trim_start_matches(BLANK);
    if name.is_empty() {
        return (None, after_bad());
    }
    if rest.is_empty() || rest.starts_with(';') {
        return (Some((name, Cow::Borrowed(""))), rest);
    }
    let Some(rest) = rest.strip_prefix('=') else {
        return (None, after_bad());
    };
    let rest = rest.trim_start_matches(BLANK);
    let (value, rest) = match rest.strip_prefix('"').and_then(split_quoted) {
        Some((quoted, rest)) => (unescape(quoted), rest),
        None => {
            let end = rest.find([' ', '\t', '"', ';']).unwrap_or(rest.len());
            (Cow::Borrowed(&rest[..end]), &rest[end..])
        }
    };
    let rest = rest.trim_start_matches(BLANK);
    match rest.is_empty() || rest.starts_with(';') {
        true => (Some((name, value)), rest),
        false => (None, after_bad()),
    }
}

/// Splits at the closing quote, the opening one being already off.
fn split_quoted(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// Undoes `\ooo` and `\x`; what is not UTF-8 afterwards is replaced.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), after)
            }
            (b'\\', [escaped, after @ ..]) => (*escaped, after),
            (plain, after) => (*plain, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rocket::http::Header;

    use super::*;

    fn settings() -> CookieSettings {
        CookieSettings {
            name: "session".into(),
            domain: None,
            path: "/".into(),
            http_only: true,
            secure: false,
            same_site: Some(SameSite::Lax),
            partitioned: false,
        }
    }

    fn headers(cookies: &[&'static str]) -> HeaderMap<'static> {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.add(Header::new("Cookie", *cookie));
        }
        headers
    }

    #[test]
    fn attributes_stand_in_werkzeugs_order() {
        let all = CookieSettings {
            domain: Some("example.org".into()),
            path: "/a b;c".into(),
            secure: true,
            same_site: Some(SameSite::None),
            partitioned: true,
            ..settings()
        };
        let expires = SystemTime::UNIX_EPOCH + Duration::from_millis(1_714_979_289_900);
        assert_eq!(
            all.set("v", Some(expires)),
            "session=v; Domain=example.org; Expires=Mon, 06 May 2024 07:08:09 GMT; Secure; \
             HttpOnly; Path=/a%20b%3Bc; SameSite=None; Partitioned"
        );
        assert_eq!(
            settings().remove(),
            "session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Path=/; \
             SameSite=Lax"
        );
    }

    #[test]
    fn only_the_exact_name_is_found() {
        for other in [
            "%73ession=x",
            "\u{2000}session=x",
            "Session=x",
            "session[]=x",
            "=session=x",
            "xsession=x",
            "session%20=x",
        ] {
            assert_eq!(find(&headers(&[other]), "session"), Sent::Nothing, "{other}");
        }
        for own in
            ["session=x", " session = x ;", "a=b; session=x", "a;session=\"x\"", "a\"b; session=x"]
        {
            assert_eq!(find(&headers(&[own]), "session"), Sent::One("x".into()), "{own}");
        }
    }

    #[test]
    fn two_different_values_are_no_session_in_either_order() {
        assert_eq!(find(&headers(&["session=a; session=b"]), "session"), Sent::Conflict);
        assert_eq!(find(&headers(&["session=b", "session=a"]), "session"), Sent::Conflict);
        assert_eq!(find(&headers(&["session=a; session=a"]), "session"), Sent::One("a".into()));
    }

    #[test]
    fn escapes_are_undone_inside_quotes_only() {
        let parsed: Vec<_> = parse(r#"a="x\"\073\303\251"; b=\073"#).collect();
        assert_eq!(parsed, [("a", "x\";é".into()), ("b", r"\073".into())]);
    }
}
