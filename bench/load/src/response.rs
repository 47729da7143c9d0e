//! HTTP/1.1 answers, as far as a load generator looks.

use memchr::memmem;

/// A whole answer at the start of a buffer.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Where it ends.
    pub length: usize,
    /// Whether the server closes the connection after it.
    pub closes: bool,
    /// Name and value of each cookie it sets; no value for one it removes.
    pub cookies: Vec<(String, Option<String>)>,
}

/// The answer that `bytes` begin with, or `None` while it is incomplete.
pub fn parse(bytes: &[u8]) -> Result<Option<Answer>, String> {
    let Some(head) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let body = head + 4;
    let head = std::str::from_utf8(&bytes[..head]).map_err(|_| "the head is no text")?;
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status: u16 = first
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| format!("no answer of HTTP/1.1: {first:?}"))?;
    let (mut length, mut chunked, mut closes) = (None, false, false);
    let mut cookies = Vec::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse::<usize>().map_err(|_| "a bad content-length")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("set-cookie") {
            cookies.extend(cookie(value));
        }
    }
    let end = match (chunked, length, status) {
        (true, ..) => end_of_chunks(&bytes[body..])?.map(|length| body + length),
        (false, Some(length), _) => Some(body + length),
        (false, None, 204 | 304) => Some(body),
        (false, None, _) => return Err("an answer without a length".into()),
    };
    let whole = end.filter(|end| *end <= bytes.len());
    Ok(whole.map(|length| Answer { status, length, closes, cookies }))
}

fn cookie(value: &str) -> Option<(String, Option<String>)> {
    let (pair, attributes) = value.split_once(';').unwrap_or((value, ""));
    let (name, value) = pair.split_once('=')?;
    let removed = value.is_empty()
        || attributes.split(';').any(|part| part.trim().eq_ignore_ascii_case("max-age=0"));
    Some((name.to_owned(), (!removed).then(|| value.to_owned())))
}

/// How long a chunked body is in the buffer.
fn end_of_chunks(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut at = 0;
    loop {
        let Some(line) = memmem::find(&bytes[at..], b"\r\n") else { return Ok(None) };
        let digits = std::str::from_utf8(&bytes[at..at + line]).map_err(|_| "a bad chunk")?;
        let digits = digits.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).map_err(|_| "a bad chunk")?;
        at += line + 2 + size + 2;
        if at > bytes.len() {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_last_byte_is_there() {
        let plain = "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 2\r\n\r\nok";
        let chunked = "HTTP/1.1 303 See Other\r\ntransfer-encoding: chunked\r\n\
                       Connection: close\r\nset-cookie: a=; Max-Age=0\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        for text in [plain, chunked] {
            for end in 0..text.len() {
                assert_eq!(parse(&text.as_bytes()[..end]), Ok(None), "{end}");
            }
        }
        let answer = parse(format!("{plain}HTTP").as_bytes()).unwrap().unwrap();
        assert_eq!((answer.status, answer.length, answer.closes), (200, plain.len(), false));
        assert_eq!(answer.cookies, [("a".into(), Some("b".into()))]);
        let answer = parse(chunked.as_bytes()).unwrap().unwrap();
        assert_eq!((answer.status, answer.length, answer.closes), (303, chunked.len(), true));
        assert_eq!(answer.cookies, [("a".into(), None)]);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        assert!(parse(b"HTTP/1.0 200 OK\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\nwithout a length").is_err());
    }
}
