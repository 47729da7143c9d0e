//! System calls that fail, as of a dying disk.

use std::time::Duration;

use crate::harness::load::Load;
use crate::harness::row::Row;
use crate::harness::strace::{self, Strace};
use crate::harness::{assert_sound, cookie_of, sign_in, site, times};
use crate::support::{Browser, wait_for};

#[test]
fn a_failed_sync_acknowledges_nothing_and_is_not_retried_on_the_same_connection() {
    let test = "a_failed_sync_acknowledges_nothing_and_is_not_retried_on_the_same_connection";
    if !strace::is_here(test) {
        return;
    }
    let mut row = Row::new(4, "EIO in the n-th fsync");
    let site = site("");
    let mut server = site.serve();
    let mut refused = 0;
    for n in 1..=times(5, 50) {
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={n}");
        let load = Load::on(server.port);
        let strace =
            Strace::attach(server.child.id(), &["-e", "trace=fsync,fdatasync", "-e", &inject]);
        wait_for("the fault", || (strace.injected() > 0).then_some(()));
        wait_for("a write after it", || {
            let before = load.peek(|ledger| ledger.signed_in);
            std::thread::sleep(Duration::from_millis(50));
            load.peek(|ledger| (ledger.signed_in > before).then_some(()))
        });
        drop(strace);
        let ledger = load.stop();
        refused += ledger.count(503);
        assert!(server.child.try_wait().unwrap().is_none(), "it ended");
        row.rounds += 1;
        row.acknowledged += ledger.acknowledged();
        let found = ledger.replay(server.port);
        row.holds(found.lost, found.revived);
        if n % 10 == 0 {
            server.kill();
            server = site.serve();
            let found = ledger.replay(server.port);
            row.holds(found.lost, found.revived);
        }
    }
    server.kill();
    assert_sound(&site.database());
    // A sync of the checkpoint may fail without a consequence.
    assert!(refused > 0, "no failure was told to anybody");
    row.tell(format!("{refused} requests answered with 503"));
}

#[test]
fn a_failed_read_is_503_and_never_a_sign_out() {
    let test = "a_failed_read_is_503_and_never_a_sign_out";
    if !strace::is_here(test) {
        return;
    }
    let mut row = Row::new(5, "EIO and short reads in pread64");
    let site = site("");
    let server = site.serve();
    let cookies: Vec<_> = (0..4).map(|_| cookie_of(&server.signed_in())).collect();
    let (mut refused, mut injected) = (0, 0);
    for fault in ["error=EIO", "retval=0", "retval=512"] {
        for n in 1..=times(3, 20) {
            let inject = format!("inject=pread64:{fault}:when={n}+{}", n + 3);
            let strace = Strace::attach(server.child.id(), &["-e", "trace=pread64", "-e", &inject]);
            for round in 0..times(3, 8) {
                // Another process's write makes the pages read anew.
                let other = rusqlite::Connection::open(site.database()).unwrap();
                other.execute_batch("BEGIN IMMEDIATE; UPDATE students SET age = age; COMMIT;").ok();
                let visitor = Browser::with_cookie(server.port, &cookies[round % 4]);
                for path in ["/brief_introduction", "/detailed?id=1", "/brief_introduction"] {
                    let answer = visitor.get(path);
                    assert!(matches!(answer.status, 200 | 503), "{fault} {n}: {answer:?}");
                    assert!(answer.status == 200 || answer.header("Set-Cookie").is_none());
                    refused += usize::from(answer.status == 503);
                    row.acknowledged += 1;
                }
            }
            injected += strace.injected();
            drop(strace);
            row.rounds += 1;
            let signed_in =
                |cookie: &String| Browser::with_cookie(server.port, cookie).is_signed_in();
            assert!(cookies.iter().all(signed_in), "{fault} {n}: right again at once");
        }
    }
    assert_eq!(sign_in(&server), 303);
    assert!(injected > 0, "nothing was read from the file");
    row.tell(format!(
        "{injected} faults, {refused} requests answered with 503, none with the sign-in page"
    ));
}
