//! A database's URL as SQLAlchemy writes it.

use rocket::http::RawStr;

use super::Error;

/// `dialect+driver://user:password@host:port/database?parameter=value`, in parts.
pub(crate) struct Url<'u> {
    pub dialect: &'u str,
    /// What is between the scheme and the parameters.
    pub place: &'u str,
    /// The parameters, decoded.
    pub parameters: Vec<(String, String)>,
}

impl<'u> Url<'u> {
    /// The driver is Python's affair.
    pub fn parse(url: &'u str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let dialect = scheme.split('+').next()?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let decode = |text: &str| RawStr::new(text).url_decode_lossy().into_owned();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let parameters = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Some(Self { dialect, place, parameters: parameters.collect() })
    }

    /// `host:port`, for messages: nothing of the user or the password.
    pub fn address(&self) -> &str {
        // A password may hold a slash, and none of it may be shown.
        let after = self.place.rsplit('@').next().unwrap_or("");
        after.split('/').next().unwrap_or("")
    }
}

/// A parameter that cannot be used. Its value may be secret.
pub(crate) fn refused(parameter: &str, why: &str) -> Error {
    Error::Connection(format!("the URL's parameter {parameter:?} {why}"))
}

/// A URL, its password replaced by `…`.
#[cfg(feature = "app")]
pub(crate) fn without_password(url: &str) -> String {
    let hidden = || {
        let (scheme, rest) = url.split_once("://")?;
        let (user, place) = rest.rsplit_once('@')?;
        let user = user.split(':').next()?;
        Some(format!("{scheme}://{user}:…@{place}"))
    };
    let url = hidden().unwrap_or_else(|| url.to_owned());
    // Some clients take the password after the question mark.
    url.split('?').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_nothing_of_the_password() {
        let address = |url| Url::parse(url).unwrap().address().to_owned();
        assert_eq!(address("postgresql://u:p@h:1/d"), "h:1");
        assert_eq!(address("postgresql://h/d?x=1"), "h");
        assert_eq!(address("postgresql://u:pa/ss@h/d"), "h");
        assert_eq!(address("postgresql://u:p@ss@h/d"), "h");
        assert_eq!(address("sqlite:////var/lib/dewar.db"), "");
    }
}
