//! Host names as settings and requests tell them.

/// A host without its port, in ASCII: what is beyond it in punycode, as browsers have it. `None`
/// for what is no host.
pub(crate) fn host_in_ascii(text: &str) -> Option<String> {
    if let Some(bracketed) = text.strip_prefix('[') {
        return host_in_ascii(bracketed.split(']').next()?);
    }
    // Several colons are an IPv6 address, one is before a port.
    let host = match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => text,
    };
    let ascii = match host.is_ascii() {
        true => host.to_owned(),
        false => idna::domain_to_ascii(host).ok()?,
    };
    let part = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    (!ascii.is_empty() && ascii.bytes().all(part)).then_some(ascii)
}
