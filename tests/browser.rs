//! The pages in a real browser, headless: what visitors see, type, click and go back to.

mod support;
#[path = "support/webdriver.rs"]
mod webdriver;

use std::time::{Duration, SystemTime};

use serde_json::Value;
use support::{Browser, PASSWORD, Server, Site, USER, has};
use webdriver::{Chromium, ENTER, SHIFT, TAB, program};

const STUDENTS: [&str; 3] = ["Steel Eggs", "Iron Egg", "maidservant"];

/// A browser, and the site that it visits.
struct Visit {
    browser: Chromium,
    server: Server,
    site: Site,
}

impl Visit {
    /// Nothing where there is no browser, which `test` needs.
    fn start(test: &str) -> Option<Self> {
        Self::with(test, Chromium::visiting)
    }

    fn with(test: &str, open: impl FnOnce(u16) -> Chromium) -> Option<Self> {
        let present = program("chromedriver").is_some() && program("chromium").is_some();
        has(present, "chromium and chromium-driver", test).then(|| {
            let site = Site::new("");
            let server = site.serve();
            Self { browser: open(server.port), server, site }
        })
    }
}

/// Types into the form in which the keyboard is already in the account field.
#[track_caller]
fn type_in(browser: &Chromium, name: &str, password: &str) {
    browser.has_focus_on("textbox Account");
    browser.press(name);
    browser.press(TAB);
    browser.press(password);
    browser.press(ENTER);
}

#[track_caller]
fn sign_in(browser: &Chromium) {
    browser.open("/login");
    type_in(browser, USER, PASSWORD);
    browser.is_at("/brief_introduction");
}

/// The names in the list, in its order.
fn listed(browser: &Chromium) -> Vec<String> {
    let names = browser.run("return [...document.querySelectorAll('td a')].map(a => a.innerText)");
    serde_json::from_value(names).unwrap()
}

/// Every page and every way between them, by mouse and keyboard as it comes.
#[track_caller]
fn use_everything(browser: &Chromium) {
    browser.open("/");
    type_in(browser, USER, "wrong");
    browser.says("Account or password error");
    browser.press(PASSWORD);
    browser.press(ENTER);
    browser.is_at("/brief_introduction");
    assert_eq!(listed(browser), STUDENTS);
    browser.find("input[type=search]").click();
    browser.press("iron");
    browser.find(".search button").click();
    browser.is_at("/brief_introduction?q=iron");
    assert_eq!(listed(browser), ["Iron Egg"]);
    browser.link("Iron Egg").click();
    browser.is_at("/detailed?id=2");
    browser.says("Gender");
    browser.link("All students").click();
    browser.is_at("/brief_introduction");
    browser.find("a.who").click();
    browser.is_at("/account/sessions");
    browser.says("Where you are signed in");
    browser.link("Password").click();
    browser.is_at("/account/password");
    browser.find(".account button").click();
    browser.is_at("/login");
    browser.says("Keep me signed in");
}

#[test]
fn a_visitor_types_name_and_password_and_presses_enter() {
    let Some(visit) = Visit::start("signing in") else { return };
    let browser = &visit.browser;
    browser.open("/");
    browser.is_at("/login?next=%2Fbrief_introduction");
    assert_eq!(browser.title(), "Sign in · Dewar");
    type_in(browser, USER, PASSWORD);
    browser.is_at("/brief_introduction");
    browser.says(USER);
    assert_eq!(listed(browser), STUDENTS);
}

#[test]
fn a_wrong_password_keeps_the_name_and_asks_for_the_password_again() {
    let Some(visit) = Visit::start("a wrong password") else { return };
    let browser = &visit.browser;
    browser.open("/login");
    type_in(browser, "Gkf", "wrong");
    browser.says("Account or password error");
    browser.has_focus_on("textbox Password");
    assert_eq!(browser.find("#username").property("value"), "Gkf");
    assert_eq!(browser.find("#password").property("value"), "");
    assert!(browser.cookies().is_empty());
    browser.press(PASSWORD);
    browser.press(ENTER);
    browser.is_at("/brief_introduction");
}

#[test]
fn the_list_leads_to_each_student_and_back() {
    let Some(visit) = Visit::start("the list") else { return };
    let browser = &visit.browser;
    sign_in(browser);
    let details = ["1\nName\nSteel Eggs\nAge\n17\nGender\nUnknown", "Iron Egg\nAge\n19", "female"];
    for (index, (name, detail)) in STUDENTS.iter().zip(details).enumerate() {
        browser.link(name).click();
        browser.is_at(&format!("/detailed?id={}", index + 1));
        browser.says(detail);
        browser.link("All students").click();
        browser.is_at("/brief_introduction");
    }
    // The whole row leads there, and the browser's own way back works too.
    browser.find("tbody tr:last-child td").click_on_its_place();
    browser.is_at("/detailed?id=3");
    browser.back();
    browser.is_at("/brief_introduction");
    assert_eq!(listed(browser), STUDENTS);
}

#[test]
fn a_search_shows_what_matches_and_can_be_cleared() {
    let Some(visit) = Visit::start("the search") else { return };
    let browser = &visit.browser;
    sign_in(browser);
    for (typed, address, found) in [
        ("egg", "/brief_introduction?q=egg", &STUDENTS[..2]),
        ("MAID", "/brief_introduction?q=MAID", &STUDENTS[2..]),
        ("<b>&\"", "/brief_introduction?q=%3Cb%3E%26%22", &[]),
    ] {
        browser.find("input[type=search]").click();
        browser.press(typed);
        browser.press(ENTER);
        browser.is_at(address);
        assert_eq!(listed(browser), found);
        assert_eq!(browser.find("input[type=search]").property("value"), typed);
        browser.link("Clear search").click();
        browser.is_at("/brief_introduction");
        assert_eq!(listed(browser), STUDENTS);
    }
}

#[test]
fn after_signing_out_the_way_back_shows_nothing() {
    let Some(visit) = Visit::start("signing out") else { return };
    let browser = &visit.browser;
    let sign_out = || {
        browser.find(".account button").click();
        browser.is_at("/login");
        assert_eq!(session_cookie(browser), None);
    };
    // The first page after signing in is a case of its own: Chromium keeps pages in memory, even
    // with `no-store`, until the cookie changes, and this one came together with such a change.
    sign_in(browser);
    sign_out();
    goes_back_to_the_form(browser, "%2Fbrief_introduction");

    sign_in(browser);
    browser.link("Iron Egg").click();
    browser.is_at("/detailed?id=2");
    let cookie = session_cookie(browser).unwrap();
    sign_out();
    goes_back_to_the_form(browser, "%2Fdetailed%3Fid%3D2");
    goes_back_to_the_form(browser, "%2Fbrief_introduction");

    // Nor does a copy of the cookie help.
    let pair = format!("session={}", cookie["value"].as_str().unwrap());
    assert!(!Browser::with_cookie(visit.server.port, &pair).is_signed_in());
}

fn session_cookie(browser: &Chromium) -> Option<Value> {
    browser.cookies().into_iter().find(|cookie| cookie["name"] == "session")
}

#[track_caller]
fn goes_back_to_the_form(browser: &Chromium, wanted: &str) {
    browser.back();
    let (address, words) = (browser.address(), browser.words());
    let private = STUDENTS.iter().any(|name| words.contains(name)) || words.contains("Signed in");
    assert!(!private, "signed out, and back at {address}: {words}");
    browser.is_at(&format!("/login?next={wanted}"));
}

#[test]
fn one_browser_ends_the_session_of_another() {
    let Some(visit) = Visit::start("two browsers") else { return };
    let (here, there) = (&visit.browser, visit.browser.another());
    sign_in(here);
    sign_in(&there);
    here.find("a.who").click();
    here.is_at("/account/sessions");
    here.says("This session");
    here.says("Headless Chrome on Linux");
    here.find(".sessions form button").click();
    here.is_at("/account/sessions");
    here.says("The session has ended.");
    there.open("/detailed?id=2");
    there.is_at("/login?next=%2Fdetailed%3Fid%3D2");

    there.open("/login");
    type_in(&there, USER, PASSWORD);
    there.is_at("/brief_introduction");
    here.link("Password").click();
    here.has_focus_on("textbox Current password");
    here.press(PASSWORD);
    for field in ["textbox New password", "textbox New password once more"] {
        assert_eq!(tab(here), field);
        here.press("wet otter pays the tram");
    }
    here.press(ENTER);
    here.is_at("/account/sessions");
    here.says("Your password is changed, and all other sessions have ended.");
    assert_eq!(here.run("return document.querySelectorAll('.sessions li').length"), 1);
    there.open("/brief_introduction");
    there.is_at("/login?next=%2Fbrief_introduction");
    here.open("/brief_introduction");
    assert_eq!(listed(here), STUDENTS);
}

#[test]
fn signing_in_leads_to_the_page_that_was_wanted() {
    let Some(visit) = Visit::start("the wanted page") else { return };
    let browser = &visit.browser;
    browser.open("/detailed?id=3");
    browser.is_at("/login?next=%2Fdetailed%3Fid%3D3");
    // A slip on the way there does not lose it.
    type_in(browser, USER, "wrong");
    browser.says("Account or password error");
    browser.press(PASSWORD);
    browser.press(ENTER);
    browser.is_at("/detailed?id=3");
    browser.says("maidservant");
}

#[test]
fn keep_me_signed_in_gives_a_cookie_that_outlives_the_browser() {
    let Some(visit) = Visit::start("the cookie") else { return };
    let browser = &visit.browser;
    for keep in [true, false] {
        browser.forget_cookies();
        browser.open("/login");
        if keep {
            browser.find(".check").click();
            browser.find("#username").click();
        }
        type_in(browser, USER, PASSWORD);
        browser.is_at("/brief_introduction");
        let cookies = browser.cookies();
        let [cookie] = &cookies[..] else { panic!("{cookies:?}") };
        assert_eq!(cookie["name"], "session");
        assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&true.into(), &"Lax".into()));
        assert_eq!(browser.run("return document.cookie"), "", "scripts cannot read it");
        let days = days_left(cookie);
        match keep {
            true => assert!(days.is_some_and(|days| (30..=31).contains(&days)), "{days:?}"),
            false => assert_eq!(days, None),
        }
    }
}

/// Until a cookie expires, if it does so at all.
fn days_left(cookie: &Value) -> Option<u64> {
    let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(cookie["expiry"].as_u64()?);
    Some(expiry.duration_since(SystemTime::now()).unwrap().as_secs() / 86_400)
}

/// Moves on to the next thing that takes the keyboard and tells what it is.
#[track_caller]
fn tab(browser: &Chromium) -> String {
    browser.press(TAB);
    let focus = browser.focus();
    let ring = "const ring = style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
        const active = document.activeElement;
        return ring(getComputedStyle(active)) || ring(getComputedStyle(active, '::after'));";
    assert_eq!(browser.run(ring), true, "one sees that the keyboard is on {focus:?}");
    focus
}

#[track_caller]
fn tab_to(browser: &Chromium, wanted: &str) {
    let passed: Vec<_> =
        (0..20).map(|_| tab(browser)).take_while(|focus| focus != wanted).collect();
    assert!(passed.len() < 20, "no way to {wanted:?}, only to {passed:?}");
}

#[test]
fn the_keyboard_alone_does_everything() {
    let Some(visit) = Visit::start("the keyboard") else { return };
    let browser = &visit.browser;
    browser.open("/login");
    browser.has_focus_on("textbox Account");
    browser.press(USER);
    assert_eq!(tab(browser), "textbox Password");
    browser.press(PASSWORD);
    assert_eq!(tab(browser), "checkbox Keep me signed in");
    browser.press(" ");
    assert_eq!(browser.active().property("checked"), true);
    assert_eq!(tab(browser), "button Sign in");
    browser.press(ENTER);
    browser.is_at("/brief_introduction");

    let order: Vec<_> = (0..9).map(|_| tab(browser)).collect();
    let expected = [
        "link Skip to content",
        "link Student directory",
        "link Signed in as gkf",
        "button Sign out",
        "searchbox Search students",
        "button Search",
        "link Steel Eggs",
        "link Iron Egg",
        "link maidservant",
    ];
    assert_eq!(order, expected);
    browser.press(&format!("{SHIFT}{TAB}"));
    browser.has_focus_on("link Iron Egg");
    browser.press(ENTER);
    browser.is_at("/detailed?id=2");
    tab_to(browser, "link All students");
    browser.press(ENTER);
    browser.is_at("/brief_introduction");

    // The way past the header, which is seen while it has the focus.
    assert_eq!(tab(browser), "link Skip to content");
    assert_eq!(browser.run("return getComputedStyle(document.activeElement).clipPath"), "none");
    browser.press(ENTER);
    assert_eq!(tab(browser), "searchbox Search students");
    browser.press("maid");
    browser.press(ENTER);
    browser.is_at("/brief_introduction?q=maid");
    tab_to(browser, "link Clear search");
    browser.press(ENTER);
    browser.is_at("/brief_introduction");
    tab_to(browser, "button Sign out");
    browser.press(" ");
    browser.is_at("/login");
}

#[test]
fn no_page_scrolls_sideways_at_320_pixels() {
    let Some(visit) = Visit::start("narrow pages") else { return };
    // What people enter has words longer than such a line, and more digits.
    let long = "Wolfeschlegelsteinhausenbergerdorff".repeat(3);
    let csv = format!("id,name,age,gender\n9223372036854775807,{long},19,{long}\n");
    visit.site.run_with_input(&["students", "import", "-"], &csv);
    let name = "a".repeat(60);
    visit.site.run_with_input(&["user", "add", &name, "--password-stdin"], PASSWORD);
    let browser = &visit.browser;
    browser.resize(320, 640);
    browser.open("/login");
    fits(browser);
    type_in(browser, &name, "wrong");
    browser.says("Account or password error");
    fits(browser);
    browser.press(PASSWORD);
    browser.press(ENTER);
    browser.is_at("/brief_introduction");
    for path in [
        "/brief_introduction",
        &format!("/brief_introduction?q={}", &long[..60]),
        &format!("/brief_introduction?q={}", "x".repeat(60)),
        "/brief_introduction?page=2",
        "/account/sessions",
        "/account/password",
        "/detailed?id=1",
        "/detailed?id=9223372036854775807",
        "/detailed?id=4",
        "/nowhere",
    ] {
        browser.open(path);
        fits(browser);
    }
    let csv: String = (10..200).map(|id| format!("{id},Student {id},,\n")).collect();
    visit.site.run_with_input(&["students", "import", "-"], &format!("id,name,age,gender\n{csv}"));
    browser.open("/brief_introduction?page=2");
    browser.says("Page 2 of 4");
    fits(browser);
}

/// Whether the page, and each element that is not hidden on purpose, is within the window.
#[track_caller]
fn fits(browser: &Chromium) {
    let outside = browser.run(
        "const { scrollWidth, clientWidth } = document.documentElement;
        const outside = [...document.querySelectorAll('body *')].filter(element => {
            const { left, right } = element.getBoundingClientRect();
            return !element.closest('.vh') && (left < 0 || right > clientWidth);
        }).map(element => element.outerHTML);
        return scrollWidth > clientWidth ? [scrollWidth, ...outside] : outside;",
    );
    assert_eq!(outside, Value::Array(Vec::new()), "at {}", browser.address());
}

#[test]
fn every_text_is_readable_in_the_light_and_in_the_dark() {
    let Some(visit) = Visit::start("the colours") else { return };
    let browser = &visit.browser;
    let grounds = ["light", "dark"].map(|scheme| {
        browser.prefer(scheme);
        browser.resize(1100, 700);
        browser.forget_cookies();
        browser.open("/login");
        is_readable(browser);
        type_in(browser, USER, "wrong");
        browser.says("Account or password error");
        is_readable(browser);
        browser.press(PASSWORD);
        browser.press(ENTER);
        browser.is_at("/brief_introduction");
        for (path, picture) in [
            ("/brief_introduction?q=egg", None),
            ("/brief_introduction?q=nobody", None),
            ("/detailed?id=4", None),
            ("/nowhere", None),
            ("/account/sessions", Some("sessions")),
            ("/account/password", Some("password")),
            ("/detailed?id=1", Some("details")),
            ("/brief_introduction", Some("list")),
        ] {
            browser.open(path);
            is_readable(browser);
            if let Some(picture) = picture {
                keep_picture(browser, &format!("{picture}-{scheme}"));
            }
        }
        browser.resize(360, 740);
        keep_picture(browser, &format!("list-narrow-{scheme}"));
        for (path, picture) in
            [("/account/sessions", "sessions"), ("/account/password", "password")]
        {
            browser.open(path);
            keep_picture(browser, &format!("{picture}-narrow-{scheme}"));
        }
        browser.open("/brief_introduction");
        if scheme == "light" {
            // The README's, `docs/images/students.png`.
            browser.resize(900, 560);
            keep_picture(browser, "students");
        }
        browser.run("return getComputedStyle(document.body).backgroundColor").to_string()
    });
    assert_ne!(grounds[0], grounds[1]);
}

/// Keeps what the browser shows in the directory that `DEWAR_SCREENSHOTS` names, if it does.
fn keep_picture(browser: &Chromium, name: &str) {
    if let Some(dir) = std::env::var_os("DEWAR_SCREENSHOTS") {
        std::fs::create_dir_all(&dir).unwrap();
        let file = std::path::Path::new(&dir).join(name).with_extension("png");
        std::fs::write(file, browser.picture()).unwrap();
    }
}

/// Whether text stands out from its ground by 4.5:1, and the edge of each field by 3:1: WCAG 2.2,
/// 1.4.3 and 1.4.11.
#[track_caller]
fn is_readable(browser: &Chromium) {
    let seen = browser.run(
        "const ground = element => {
            for (; element; element = element.parentElement) {
                const colour = getComputedStyle(element).backgroundColor;
                if (colour !== 'rgba(0, 0, 0, 0)') return colour;
            }
            return 'no ground';
        };
        const hasText = element => element.matches('input:not([type=hidden])')
            || [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        const texts = [...document.querySelectorAll('body *')].filter(hasText)
            .map(element => [element.outerHTML, getComputedStyle(element).color, ground(element), 4.5]);
        const placeholders = [...document.querySelectorAll('[placeholder]')].map(element =>
            ['placeholder', getComputedStyle(element, '::placeholder').color, ground(element), 4.5]);
        const edges = [...document.querySelectorAll('input:not([type=hidden]):not([type=checkbox])')]
            .map(element => ['edge of ' + element.outerHTML, getComputedStyle(element).borderTopColor,
                ground(element.parentElement), 3]);
        return [...texts, ...placeholders, ...edges];",
    );
    let seen: Vec<(String, String, String, f64)> = serde_json::from_value(seen).unwrap();
    assert!(seen.len() > 3, "{seen:?}");
    for (what, colour, ground, least) in seen {
        let contrast = contrast(&colour, &ground);
        assert!(contrast >= least, "{contrast:.2}:1 of {colour} on {ground}: {what}");
    }
}

/// WCAG 2.2's contrast ratio of two opaque colours.
fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(colour: &str) -> f64 {
    let parts = colour.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')'));
    let parts = parts.unwrap_or_else(|| panic!("{colour} is not opaque"));
    let linear = |part: &str| {
        let part = part.trim().parse::<f64>().unwrap() / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    parts.split(',').zip([0.2126, 0.7152, 0.0722]).map(|(part, weight)| linear(part) * weight).sum()
}

#[test]
fn nothing_of_a_page_is_refused_by_its_own_policy() {
    let Some(visit) = Visit::start("the console") else { return };
    let browser = &visit.browser;
    use_everything(browser);
    assert!(browser.console().is_empty(), "{:?}", browser.console());
    // Error pages are told of as such, and of nothing else.
    sign_in(browser);
    for path in ["/detailed?id=4", "/nowhere"] {
        browser.open(path);
        let console = browser.console();
        assert!(console.iter().all(|line| line.contains("status of 404")), "{console:?}");
    }
    // The console does tell of what is refused.
    browser.run("document.body.append(Object.assign(document.createElement('style'), { textContent: 'p {}' }))");
    let console = browser.console();
    assert!(console.iter().any(|line| line.contains("Content Security Policy")), "{console:?}");
}

#[test]
fn without_javascript_nothing_is_missing() {
    let Some(visit) = Visit::with("no JavaScript", Chromium::without_javascript) else { return };
    let browser = &visit.browser;
    browser.open_elsewhere("data:text/html,<title>off</title><script>document.title='on'</script>");
    assert_eq!(browser.title(), "off");
    use_everything(browser);
}

#[test]
fn a_form_of_another_site_signs_nobody_out() {
    let Some(visit) = Visit::start("another site") else { return };
    let browser = &visit.browser;
    sign_in(browser);
    let target = format!("http://127.0.0.1:{}/logout", visit.server.port);
    browser.open_elsewhere(&format!(
        "data:text/html,<form method=post action={target}><button>Win a prize</button></form>"
    ));
    browser.find("button").click();
    browser.is_at("/logout");
    browser.says("This did not come from a page of this site");
    browser.open("/brief_introduction");
    assert_eq!(listed(browser), STUDENTS);
}
