//! Text that another language would take for its own: SQL in fields, markup in the tables.

use super::siege::{Siege, is_private, set_cookies};
use super::support::{PASSWORD, encode};
use super::wire::{FORM, Wire, urlencoded};

const SQL: &[&str] = &[
    "1' OR '1'='1",
    "1 OR 1=1",
    "1; DROP TABLE students; --",
    "' UNION SELECT 1, password_hash FROM accounts --",
    "\"; DELETE FROM accounts; --",
    "1/**/OR/**/1=1",
    "gkf'--",
    "gkf' /*",
    "\\' OR 1=1 --",
    "%' OR name LIKE '%",
    "\" OR \"\" = \"",
    "1) OR (1=1",
    "name MATCH 'a*'",
    "'||(SELECT password_hash FROM accounts)||'",
    "\u{2bc} OR 1=1 --",
];

#[test]
fn sql_in_any_field_changes_nothing_and_finds_nobody() {
    let siege = Siege::new();
    let roster = siege.site.run(&["students", "export"]);
    let accounts = siege.site.run(&["user", "list", "--json"]);
    for sql in SQL {
        let text = encode(sql);
        let details = siege.as_insider(Wire::get(format!("/detailed?id={text}")));
        assert_eq!(details.status, 400, "{sql}");
        let list = siege.as_insider(Wire::get(format!("/brief_introduction?q={text}&page={text}")));
        assert_eq!(list.status, 200, "{sql}");
        assert!(!is_private(&details) && !is_private(&list), "{sql}");
        assert!(!list.body.contains("argon2") && !details.body.contains("argon2"), "{sql}");
        assert_eq!(siege.with_cookie_bytes(format!("session={sql}")).status, 303, "{sql}");
    }
    // Fewer, for each costs a password hash and counts as a guess.
    for sql in SQL.iter().take(8) {
        let fields = [("username", *sql), ("password", sql), ("next", sql), ("remember", sql)];
        let answer = Wire::post("/login", FORM, urlencoded(&fields)).send(siege.port());
        assert_eq!((answer.status, set_cookies(&answer).len()), (200, 0), "{sql}");
    }
    assert_eq!(siege.site.run(&["students", "export"]), roster);
    assert_eq!(siege.site.run(&["user", "list", "--json"]), accounts);
}

#[test]
fn names_of_students_and_accounts_are_text_wherever_they_stand() {
    let siege = Siege::new();
    let names = [
        "<script>alert('student')</script>",
        "\"><img src=x onerror=alert(1)>",
        "javascript:alert(1)",
        "{{ 7*191 }}{% raw %}",
        "</title></td></a><svg onload=alert(1)>",
    ];
    for (id, name) in (10..).zip(names) {
        let id = id.to_string();
        siege.site.run(&["students", "add", name, "--id", &id, "--gender", "<b>bold</b>"]);
    }
    let account = "<script>\"'&gt;";
    siege.add_account(account, PASSWORD);
    let browser = siege.server.browser();
    let form = [("username", account), ("password", PASSWORD)];
    assert_eq!(browser.post("/login", &form).status, 303);
    let mut pages = vec![browser.get("/brief_introduction"), browser.get("/detailed?id=x")];
    pages.extend((10..15).map(|id| browser.get(&format!("/detailed?id={id}"))));
    pages.extend(names.map(|name| browser.get(&format!("/brief_introduction?q={}", encode(name)))));
    for page in pages {
        for raw in ["<script", "<img src=x", "<svg onload", "<b>bold", "1337", "href=\"javascript"]
        {
            assert!(!page.body.contains(raw), "{raw}: {}", page.body);
        }
        assert!(page.body.contains("&lt;script&gt;"), "{}", page.body);
    }
}
