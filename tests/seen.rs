//! What a failure inside the server looks like from outside: one answer, and nobody else's.

mod support;

use std::process::{Command, Stdio};
use std::sync::Arc;

use dewar::session::store::SqliteStore;
use dewar::session::{Error, Session, Sessions};
use rocket::http::Status;
use rocket::local::asynchronous::{Client, LocalRequest};
use rocket::{get, routes};
use support::{Browser, PASSWORD, Server, Site, USER, has, wait_for};

#[get("/count")]
async fn count(session: &Session) -> Result<String, Error> {
    session.modify("count", |count: &mut u64| *count += 1)?;
    session.save().await?;
    Ok(session.get::<u64>("count")?.unwrap_or_default().to_string())
}

#[get("/while-changing")]
fn while_changing(session: &Session) -> Result<String, Error> {
    session.modify("count", |_: &mut u64| panic!("while the session is locked"))?;
    Ok(String::new())
}

#[get("/afterwards")]
fn afterwards(session: &Session) -> Result<String, Error> {
    session.insert("changed", &true)?;
    panic!("with a change that is not saved yet")
}

/// Panics when it is run again, in the thread that writes to the store.
#[get("/while-writing")]
async fn while_writing(session: &Session) -> Result<String, Error> {
    let runs = std::sync::atomic::AtomicU32::new(0);
    session.modify("count", move |count: &mut u64| {
        *count += 1;
        assert_eq!(runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "in the store");
    })?;
    session.save().await?;
    Ok(String::new())
}

async fn client(dir: &tempfile::TempDir) -> Client {
    let store = SqliteStore::open(&dir.path().join("sessions.db")).unwrap();
    let rocket = rocket::build()
        .attach(Sessions::with_store(Arc::new(store)))
        .mount("/", routes![count, while_changing, afterwards, while_writing]);
    Client::untracked(rocket).await.unwrap()
}

fn with_cookie<'c>(client: &'c Client, path: &'c str, cookie: &str) -> LocalRequest<'c> {
    client.get(path).header(rocket::http::Header::new("Cookie", cookie.to_owned()))
}

#[rocket::async_test]
async fn a_panic_in_a_handler_is_one_500_and_the_next_thousand_answers_are_right() {
    let dir = tempfile::tempdir().unwrap();
    let client = client(&dir).await;
    let first = client.get("/count").dispatch().await;
    let cookie = first.headers().get_one("Set-Cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    for i in 0..1000_u64 {
        if i % 10 == 0 {
            for path in ["/while-changing", "/afterwards", "/while-writing"] {
                let status = with_cookie(&client, path, &cookie).dispatch().await.status();
                assert!(status.code >= 500, "{path}: {status}");
                if path != "/while-writing" {
                    assert_eq!(status, Status::InternalServerError, "{path}");
                }
            }
        }
        let answer = with_cookie(&client, "/count", &cookie).dispatch().await;
        assert_eq!(answer.into_string().await.unwrap(), (i + 2).to_string());
    }
}

#[test]
fn a_release_unwinds_so_that_a_panic_ends_one_request_alone() {
    let manifest = include_str!("../Cargo.toml");
    assert!(!manifest.lines().any(|line| line.trim_start().starts_with("panic")));
}

fn sign_in(browser: &Browser) -> (u16, bool) {
    let answer = browser.post("/login", &[("username", USER), ("password", PASSWORD)]);
    (answer.status, answer.header("Set-Cookie").is_some())
}

fn strace(arguments: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=getrandom", "-e", "inject=getrandom:error=ENOSYS"]);
    command.args(["-o", "/dev/null"]).args(arguments).stderr(Stdio::null());
    command
}

fn traces(test: &str) -> bool {
    let works = strace(&["true"]).status().is_ok_and(|status| status.success());
    has(works, "strace, and leave to use it", test)
}

#[test]
fn without_random_bytes_no_session_is_made() {
    if !traces("without_random_bytes_no_session_is_made") {
        return;
    }
    let site = Site::new("");
    let server = site.serve();
    let visitor = server.signed_in();
    let pid = server.child.id().to_string();
    let mut tracer = strace(&["-p", &pid]).spawn().unwrap();
    wait_for("a sign-in without random bytes", || {
        let (status, cookie) = sign_in(&server.browser());
        assert_eq!(cookie, status == 303, "{status}");
        (status == 503).then_some(())
    });
    for _ in 0..5 {
        assert_eq!(sign_in(&server.browser()), (503, false));
    }
    // Who has a session needs none.
    assert!(visitor.is_signed_in());
    server.wait_for_log("the operating system gave no random bytes");
    let told = server.log().matches("signed in from").count();
    Command::new("kill").arg(tracer.id().to_string()).status().unwrap();
    tracer.wait().unwrap();
    assert_eq!(sign_in(&server.browser()), (303, true));
    wait_for("the line of the last alone", || {
        (server.log().matches("signed in from").count() == told + 1).then_some(())
    });
}

#[test]
fn without_random_bytes_no_key_and_no_account_is_made() {
    if !traces("without_random_bytes_no_key_and_no_account_is_made") {
        return;
    }
    let site = Site::new("");
    // The system call is gone, and so is the device that stands in for it.
    let hidden = |arguments: &str| {
        let binary = env!("CARGO_BIN_EXE_dewar");
        let script = format!(
            "mount --bind /dev/null /dev/urandom && mount --bind /dev/null /dev/random && \
             exec strace -f -qq -o /dev/null -e inject=getrandom:error=ENOSYS {binary} {arguments}"
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).current_dir(site.path());
        support::output_of(command, PASSWORD.as_bytes())
    };
    let mounts = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !has(
        mounts.is_ok_and(|status| status.success()),
        "leave to mount",
        "without_random_bytes_no_key_and_no_account_is_made",
    ) {
        return;
    }
    for arguments in ["key", "user add another --password-stdin"] {
        let output = hidden(arguments);
        assert!(!output.status.success(), "{arguments}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments}: {output:?}");
    }
    assert!(!site.run(&["user", "list"]).contains("another"));
}

#[test]
fn another_source_of_random_bytes_is_as_good() {
    if !traces("another_source_of_random_bytes_is_as_good") {
        return;
    }
    // Old kernels have /dev/urandom alone.
    let site = Site::new("");
    let mut command = strace(&[env!("CARGO_BIN_EXE_dewar"), "serve"]);
    command.current_dir(site.path());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    command.env("ROCKET_PORT", port.to_string());
    let server = Server::start_on(command, port);
    assert_eq!(sign_in(&server.browser()), (303, true));
    let children = format!("/proc/{0}/task/{0}/children", server.child.id());
    let children = std::fs::read_to_string(children).unwrap_or_default();
    for child in children.split_whitespace() {
        Command::new("kill").arg(child).status().unwrap();
    }
}
