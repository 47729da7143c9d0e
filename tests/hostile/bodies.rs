use super::{Victim, raw};

const MULTIPART: &str = "Content-Type: multipart/form-data; boundary=x\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn with_length(victim: &Victim, kind: &str, body: &[u8]) -> String {
    let head =
        format!("POST /login HTTP/1.1\r\nHost: a\r\n{kind}Content-Length: {}\r\n\r\n", body.len());
    raw::exchange(victim.port(), &[head.as_bytes(), body].concat())
}

fn in_chunks(victim: &Victim, kind: &str, body: &[u8]) -> String {
    let mut request =
        format!("POST /login HTTP/1.1\r\nHost: a\r\n{kind}Transfer-Encoding: chunked\r\n\r\n")
            .into_bytes();
    for chunk in body.chunks(8192) {
        request.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    raw::exchange(victim.port(), &request)
}

fn part(name: &str, value: &str) -> String {
    format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

#[test]
fn a_body_over_the_limit_is_413_in_every_form() {
    let victim = Victim::with("MAX_CONTENT_LENGTH = 10000");
    let large = "x".repeat(20_000);
    let form = format!("username=gkf&password={large}");
    let multipart = part("username", "gkf") + &part("password", &large) + "--x--\r\n";
    for (answer, what) in [
        (with_length(&victim, FORM, form.as_bytes()), "form"),
        (with_length(&victim, MULTIPART, multipart.as_bytes()), "multipart"),
        (in_chunks(&victim, FORM, form.as_bytes()), "form in chunks"),
        (in_chunks(&victim, MULTIPART, multipart.as_bytes()), "multipart in chunks"),
    ] {
        assert_eq!(raw::status(&answer), 413, "{what}: {answer}");
    }
    victim.is_unharmed();
}

#[test]
fn bodies_that_are_no_form_get_a_clear_4xx() {
    let victim = Victim::new();
    for (kind, body) in [
        (FORM, &b""[..]),
        (FORM, b"\xff\xfe\xff"),
        (FORM, b"username=%ff%fe&password=%ff"),
        (FORM, b"username&password"),
        (FORM, b"username=gkf"),
        (FORM, b"password=123"),
        (FORM, b"username.x=1&username[0]=2&password[a.b]=3"),
        (FORM, b"&&&&===="),
        (MULTIPART, b""),
        (MULTIPART, b"--x"),
        (MULTIPART, b"--y\r\n\r\n--y--"),
        (MULTIPART, b"--x\r\nContent-Disposition: form-data\r\n\r\nv\r\n--x--"),
        (
            MULTIPART,
            b"--x\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\n\xff\xff\r\n--x--",
        ),
        ("Content-Type: multipart/form-data\r\n", b"--x--"),
        ("Content-Type: application/json\r\n", b"{\"username\":\"gkf\"}"),
        ("Content-Type: text/plain\r\n", b"username=gkf&password=123"),
        ("Content-Type: é\r\n", b"username=gkf&password=123"),
        ("", b"username=gkf&password=123"),
    ] {
        let answer = with_length(&victim, kind, body);
        let status = raw::status(&answer);
        // Undecodable escapes may become a name that nobody has.
        let no_user = answer.contains("Account or password error");
        assert!((400..500).contains(&status) || no_user, "{kind} {body:?}: {answer}");
        assert!(!answer.to_lowercase().contains("set-cookie"), "{body:?}");
    }
    victim.is_unharmed();
}

#[test]
fn a_great_many_fields_cost_little() {
    let victim = Victim::new();
    let fields = "a=b&".repeat(30_000);
    let parts = part("a", "b").repeat(1_500) + "--x--\r\n";
    let deep = format!("{}=1", "a.".repeat(50_000));
    let brackets = format!("a{}=1", "[x]".repeat(30_000));
    for (kind, body) in [(FORM, &fields), (MULTIPART, &parts), (FORM, &deep), (FORM, &brackets)] {
        let status = raw::status(&with_length(&victim, kind, body.as_bytes()));
        assert!((400..500).contains(&status), "{}: {status}", &body[..10]);
    }
    victim.is_unharmed();
}

#[test]
fn a_long_password_is_compared_like_any_other() {
    let victim = Victim::new();
    for length in [100, 1_000, 30_000, 90_000] {
        let form = format!("username=gkf&password={}", "p".repeat(length));
        let answer = with_length(&victim, FORM, form.as_bytes());
        assert!(answer.contains("Account or password error"), "{length}: {answer}");
    }
}
