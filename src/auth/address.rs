//! Who a request comes from, behind proxies too.
//!
//! What a header says of that counts only when the other end of the connection is one of
//! `TRUSTED_PROXIES`: anybody else could name whom they like.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use rocket::Request;
use rocket::http::HeaderMap;

/// `TRUSTED_PROXIES`: addresses and networks whose word on the client counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads addresses (`10.0.0.1`, `::1`) and networks (`10.0.0.0/8`).
    ///
    /// # Errors
    /// The first entry that is neither.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let network = |entry: &String| {
            let address =
                entry.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
            address.or_else(|_| entry.parse()).map_err(|_| entry.clone())
        };
        entries.iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none, so that no header is believed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a whole address family is trusted, which is everybody.
    pub fn is_everybody(&self) -> bool {
        self.0.iter().any(|network| network.prefix_len() == 0)
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<_> = self.0.iter().map(IpNet::to_string).collect();
        write!(formatter, "{entries:?}")
    }
}

/// What the connection and trusted proxies tell of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Its address, IPv4 where IPv6 only wraps it; `None` for a request made in process.
    pub address: Option<IpAddr>,
    /// Whether it speaks https with the proxy, when a trusted one tells.
    pub https: Option<bool>,
    /// Whether a trusted proxy passed the request on.
    pub proxied: bool,
}

impl Forwarded {
    /// What the connection and, from a trusted proxy, the headers tell.
    ///
    /// The client is the right-most entry of `X-Forwarded-For` that is no trusted proxy itself, or
    /// else `X-Real-IP`. Where a proxy sets one of the two and passes the other on as it came, they
    /// differ for those who make one up, and then neither is believed.
    pub fn behind(
        proxies: &TrustedProxies,
        peer: Option<SocketAddr>,
        headers: &HeaderMap<'_>,
    ) -> Self {
        let Some(peer) = peer.map(|peer| peer.ip().to_canonical()) else { return Self::default() };
        if !proxies.trust(peer) {
            return Self { address: Some(peer), https: None, proxied: false };
        }
        let forwarded = forwarded_for(proxies, headers);
        let real =
            sole(headers, "X-Real-IP").and_then(address).filter(|real| !proxies.trust(*real));
        let address = match (forwarded, real) {
            (Some(forwarded), Some(real)) if forwarded != real => peer,
            (forwarded, real) => forwarded.or(real).unwrap_or(peer),
        };
        let https = sole(headers, "X-Forwarded-Proto").and_then(|scheme| match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => Some(true),
            _ if scheme.eq_ignore_ascii_case("http") => Some(false),
            _ => None,
        });
        Self { address: Some(address), https, proxied: true }
    }

    /// What was found out about a request's client when it came in; for one that nobody looked at
    /// yet, what the connection alone tells.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        let nobody = TrustedProxies::default();
        request.local_cache(|| Self::behind(&nobody, request.remote(), request.headers()))
    }
}

/// The right-most entry of `X-Forwarded-For` that is no trusted proxy: what stands left of it is
/// the client's own invention.
fn forwarded_for(proxies: &TrustedProxies, headers: &HeaderMap<'_>) -> Option<IpAddr> {
    let lines: Vec<_> = headers.get("X-Forwarded-For").collect();
    let entries = lines.iter().rev().flat_map(|line| line.rsplit(','));
    let mut addresses = entries.map_while(|entry| address(entry.trim()));
    addresses.find(|address| !proxies.trust(*address))
}

/// The value of a header that is there once.
fn sole<'h>(headers: &'h HeaderMap<'_>, name: &str) -> Option<&'h str> {
    let mut values = headers.get(name);
    values.next().filter(|_| values.next().is_none()).map(str::trim)
}

/// An address, with a port behind it or without.
fn address(text: &str) -> Option<IpAddr> {
    let plain = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = plain.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use rocket::http::Header;

    use super::*;

    fn proxies(entries: &[&str]) -> TrustedProxies {
        let entries: Vec<_> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        TrustedProxies::parse(&entries).unwrap()
    }

    fn client(peer: &str, headers: &[(&'static str, &'static str)]) -> Forwarded {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.add(Header::new(*name, *value)));
        let trusted = proxies(&["192.0.2.1", "10.0.0.0/8", "2001:db8:1::/48"]);
        let peer = SocketAddr::new(peer.parse().unwrap(), 1234);
        Forwarded::behind(&trusted, Some(peer), &map)
    }

    fn address_of(peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        client(peer, headers).address.unwrap().to_string()
    }

    const FOR: &str = "X-Forwarded-For";
    const REAL: &str = "X-Real-IP";

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let headers = [(REAL, "203.0.113.9"), (FOR, "203.0.113.9"), ("X-Forwarded-Proto", "https")];
        let stranger = client("198.51.100.1", &headers);
        assert_eq!(stranger.address.unwrap().to_string(), "198.51.100.1");
        assert_eq!((stranger.https, stranger.proxied), (None, false));
        for peer in ["192.0.2.1", "10.9.8.7", "2001:db8:1:2::3", "::ffff:10.1.1.1"] {
            let proxied = client(peer, &headers);
            assert_eq!(proxied.address.unwrap().to_string(), "203.0.113.9", "{peer}");
            assert_eq!((proxied.https, proxied.proxied), (Some(true), true), "{peer}");
        }
    }

    #[test]
    fn the_right_most_entry_that_is_no_proxy_is_the_client() {
        for (value, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("1.1.1.1, 203.0.113.9", "203.0.113.9"),
            ("1.1.1.1,203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("10.0.0.3, 203.0.113.9, 10.0.0.2, 192.0.2.1", "203.0.113.9"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("[2001:db8::5]:4711", "2001:db8::5"),
            ("[2001:db8::5]", "2001:db8::5"),
            ("2001:db8::5", "2001:db8::5"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            // Nobody to believe: what is left of it was not added by a proxy.
            ("203.0.113.9, unknown", "192.0.2.1"),
            ("203.0.113.9, ", "192.0.2.1"),
            ("203.0.113.9, 10.0.0.256", "192.0.2.1"),
            ("", "192.0.2.1"),
            ("10.0.0.2, 10.0.0.3", "192.0.2.1"),
        ] {
            assert_eq!(address_of("192.0.2.1", &[(FOR, value)]), expected, "{value:?}");
        }
        let lines = [(FOR, "1.1.1.1"), (FOR, "203.0.113.9, 10.0.0.2")];
        assert_eq!(address_of("192.0.2.1", &lines), "203.0.113.9");
    }

    #[test]
    fn a_header_that_the_proxy_only_passes_on_helps_nobody() {
        let peer = "192.0.2.1";
        assert_eq!(address_of(peer, &[(REAL, "203.0.113.9")]), "203.0.113.9");
        assert_eq!(address_of(peer, &[(REAL, "203.0.113.9"), (FOR, "203.0.113.9")]), "203.0.113.9");
        // One of the two is made up, and nobody can tell which.
        assert_eq!(address_of(peer, &[(REAL, "1.1.1.1"), (FOR, "203.0.113.9")]), peer);
        assert_eq!(address_of(peer, &[(REAL, "1.1.1.1"), (REAL, "203.0.113.9")]), peer);
        // The inner of two proxies names the outer one.
        let chain = [(REAL, "10.0.0.2"), (FOR, "203.0.113.9, 10.0.0.2")];
        assert_eq!(address_of(peer, &chain), "203.0.113.9");
    }

    #[test]
    fn the_scheme_is_taken_when_it_is_clear() {
        let scheme = |values: &[&'static str]| {
            let headers: Vec<_> =
                values.iter().map(|value| ("X-Forwarded-Proto", *value)).collect();
            client("192.0.2.1", &headers).https
        };
        assert_eq!(scheme(&["https"]), Some(true));
        assert_eq!(scheme(&["HTTP"]), Some(false));
        for unclear in [&[][..], &[""], &["ftp"], &["https, http"], &["https", "http"]] {
            assert_eq!(scheme(unclear), None, "{unclear:?}");
        }
    }

    #[test]
    fn what_is_no_address_or_network_is_named() {
        for bad in ["", "proxy.example", "10.0.0.0/33", "10.0.0", "10.0.0.1:80", "*"] {
            assert_eq!(TrustedProxies::parse(&[bad.to_owned()]), Err(bad.to_owned()));
        }
        assert!(proxies(&["0.0.0.0/0"]).is_everybody() && proxies(&["::/0"]).is_everybody());
        assert!(!proxies(&["127.0.0.1", "fd00::/8"]).is_everybody());
    }
}
