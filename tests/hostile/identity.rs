//! Which cookies are a session: the server's own, whole and exact, and nothing else.

use super::Victim;
use super::siege::{Siege, id_in, is_private, right_pair, set_cookies};
use super::support::{Browser, Site};
use super::wire::{FORM, Wire};

#[test]
fn an_id_has_no_part_that_stays_the_same_from_one_to_the_next() {
    let victim = Victim::new();
    let ids: Vec<String> = (0..12)
        .map(|_| {
            let browser = victim.server.signed_in();
            id_in(browser.cookie.borrow().as_deref().unwrap()).to_owned()
        })
        .collect();
    for id in &ids {
        // 43 characters of six bits are more than the 128 bits that a session id needs.
        assert_eq!(id.len(), 43, "{id}");
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{id}");
    }
    // A name, a time, an address or a counter in any encoding would keep some place constant.
    for place in 0..43 {
        let constant = ids.iter().all(|id| id.as_bytes()[place] == ids[0].as_bytes()[place]);
        assert!(!constant, "place {place} of {ids:?}");
    }
}

#[test]
fn an_id_of_the_clients_choosing_is_never_adopted() {
    let siege = Siege::new();
    let long = "a".repeat(255);
    for chosen in
        ["1", "admin", "0b6e1d1e-6fb0-4a0c-9a8f-2a58a3a0c7c1", &"A".repeat(43), &long, "a.b.c"]
    {
        let cookie = format!("session={chosen}");
        let visited = siege.with_cookie_bytes(&cookie);
        assert_eq!((visited.status, set_cookies(&visited).len()), (303, 0), "{chosen}");
        let signed_in =
            Wire::post("/login", FORM, right_pair()).header("Cookie", &cookie).send(siege.port());
        let fresh = id_in(set_cookies(&signed_in)[0]).to_owned();
        assert_eq!((signed_in.status, fresh.len()), (303, 43), "{chosen}");
        assert_ne!(fresh, chosen);
        assert!(!siege.signed_in_with(&cookie), "{chosen} was adopted");
    }
}

#[test]
fn an_id_counts_nowhere_but_in_the_cookie_header() {
    let siege = Siege::new();
    let (id, pair) = (siege.id(), siege.cookie());
    for target in [
        format!("/brief_introduction?{pair}"),
        format!("/brief_introduction?sid={id}&session_id={id}&id={id}"),
        format!("/brief_introduction;{pair}"),
        format!("/brief_introduction;jsessionid={id}"),
        format!("/brief_introduction/{id}"),
        format!("/{id}/brief_introduction"),
        format!("/brief_introduction#{pair}"),
    ] {
        assert!(!is_private(&Wire::get(&target).send(siege.port())), "{target}");
    }
    for name in
        ["Authorization", "X-Session", "Session", "Cookie2", "Set-Cookie", "X-Cookie", "Cookie-"]
    {
        for value in [&id, &pair, &format!("Bearer {id}")] {
            let answer = Wire::get("/brief_introduction").header(name, value).send(siege.port());
            assert!(!is_private(&answer), "{name}: {value}");
        }
    }
    let body = Wire::get("/brief_introduction").header("Content-Type", FORM).body(&pair);
    assert!(!is_private(&body.send(siege.port())));
}

#[test]
fn an_id_stands_in_no_page_no_address_and_no_error() {
    let siege = Siege::new();
    let id = siege.id();
    for request in [
        Wire::get("/"),
        Wire::get("/brief_introduction?q=x"),
        Wire::get("/detailed?id=1"),
        Wire::get("/detailed?id=x"),
        Wire::get("/login?next=/"),
        Wire::get("/nowhere"),
        Wire::get("/static/style.css"),
        Wire::get("/healthz"),
        Wire::get("/login").header("Host", "another"),
        Wire::post("/login", FORM, "username=x&password=y"),
        Wire::post("/login", FORM, ""),
        Wire::post("/logout", FORM, "").header("Origin", "null"),
    ] {
        let answer = siege.as_insider(request);
        assert!(!answer.body.contains(&id), "{answer:?}");
        // The cookie itself may come back, with a new expiry.
        let named = answer.headers.iter().filter(|(name, _)| name != "set-cookie");
        assert!(!named.into_iter().any(|(_, value)| value.contains(&id)), "{answer:?}");
    }
}

#[test]
fn a_cookie_without_the_form_of_an_id_costs_no_question_to_the_store() {
    let site = Site::new("SESSION_SQLITE_PATH = \"sessions.db\"");
    let server = site.serve();
    // Where each question to the store is a 503, whoever gets another answer asked nothing.
    let sessions = rusqlite::Connection::open(site.path().join("sessions.db")).unwrap();
    let table: String = sessions
        .query_row("SELECT name FROM sqlite_schema WHERE type = 'table' LIMIT 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    sessions.execute_batch(&format!("DROP TABLE \"{table}\"")).unwrap();
    let ask = |value: &str| {
        let request = Wire::get("/brief_introduction").header("Cookie", format!("session={value}"));
        request.send(server.port).status
    };
    assert_eq!(ask("well-formed"), 503);
    let long = "a".repeat(256);
    for junk in ["", "\"\"", "a.b", "a b", "\"a b\"", "a%00", "../x", "a=", "é", "*", "a:b", &long]
    {
        assert_eq!(ask(junk), 303, "{junk:?}");
    }
}

#[test]
fn only_the_exact_id_finds_a_session() {
    let siege = Siege::new();
    let id = siege.id();
    let swapped: String = id
        .chars()
        .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let (head, tail) = id.split_at(1);
    let first = head.as_bytes()[0];
    for other in [
        swapped,
        id.to_lowercase(),
        id.to_uppercase(),
        tail.to_owned(),
        id[..42].to_owned(),
        format!("{id}A"),
        format!("{id}="),
        format!("{id}%00"),
        format!("{id},"),
        format!("\"{id} \""),
        format!("\" {id}\""),
        format!("\"{id}\\000\""),
        format!("\"{id}\\012\""),
        format!("%{first:02x}{tail}"),
        format!("{}%", &id[..42]),
        format!("{}_", &id[..42]),
        format!("{}*", &id[..42]),
        format!("{}?", &id[..42]),
        format!("session:{id}"),
        format!("{head}\u{200b}{tail}"),
        format!("{head}\u{301}{tail}"),
        "%".into(),
        "*".into(),
        "' OR 1=1 --".into(),
    ] {
        let answer = siege.with_cookie_bytes(format!("session={other}"));
        assert_eq!(answer.status, 303, "{other:?}");
    }
}

#[test]
fn an_id_with_any_one_character_changed_finds_nothing() {
    let siege = Siege::new();
    let id = siege.id();
    for place in 0..id.len() {
        let mut changed = id.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(!siege.signed_in_with(&format!("session={changed}")), "place {place}");
    }
}

#[test]
fn a_signed_cookie_that_is_not_whole_and_ours_is_no_session() {
    let site = Site::new(
        "SESSION_TYPE = \"cookie\"\nSECRET_KEY = \"0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978\"",
    );
    let server = site.serve();
    let browser = server.signed_in();
    let own = browser.cookie.borrow().clone().unwrap();
    let value = id_in(&own).to_owned();
    let signed_in =
        |value: &str| Browser::with_cookie(server.port, &format!("session={value}")).is_signed_in();
    assert!(signed_in(&value));
    let bytes = value.as_bytes();
    for place in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        assert!(!signed_in(std::str::from_utf8(&changed).unwrap()), "place {place}");
    }
    let parts: Vec<_> = value.split('.').collect();
    let (data, stamp, signature) = (parts[0], parts[1], parts[2]);
    // Nesting that would end a careless reader's stack.
    let deep = "W1tbW1tbW1tb".repeat(300);
    for forged in [
        data.to_owned(),
        format!("{data}."),
        format!("{data}..{signature}"),
        format!("{data}.{stamp}"),
        format!("{data}.{stamp}."),
        format!("{data}.{stamp}.{signature}="),
        format!("{data}=.{stamp}.{signature}"),
        format!("{data}.{signature}.{stamp}"),
        format!(".{value}"),
        format!("{value}."),
        format!("{value}.{signature}"),
        format!("{deep}.{stamp}.{signature}"),
        "...".into(),
        ".".repeat(60_000),
    ] {
        assert!(!signed_in(&forged), "{}", &forged[..forged.len().min(80)]);
    }
    assert!(browser.is_signed_in());
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
