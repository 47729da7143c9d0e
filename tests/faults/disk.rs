//! Disks that are full or read-only.

use std::time::{Duration, Instant};

use crate::harness::load::Load;
use crate::harness::mount::{Ext4, Tmpfs};
use crate::harness::row::Row;
use crate::harness::{assert_sound, cookie_of, run, sign_in, site_in, times};
use crate::support::{Browser, has, wait_for};

/// How soon after a fault all must be right.
const BACK: Duration = Duration::from_secs(5);

#[test]
fn a_full_disk_is_503_for_writes_and_nobody_is_signed_out_or_in_by_it() {
    let test = "a_full_disk_is_503_for_writes_and_nobody_is_signed_out_or_in_by_it";
    let Some(disk) = Tmpfs::new("8m", test) else { return };
    let mut row = Row::new(6, "disk full (tmpfs of 8 MB), without a reserve");
    let site = site_in(disk.path(), "DATABASE_RESERVE = 0");
    let server = site.serve();
    for _ in 0..times(2, 20) {
        let (stays, leaves) = (server.signed_in(), server.signed_in());
        let ballast = disk.fill();
        // The log may have room left in pages it owns already; signing in uses it up.
        wait_for("a write to fail", || (sign_in(&server) == 503).then_some(()));

        assert!(stays.is_signed_in(), "reading goes on");
        let cookie = cookie_of(&leaves);
        let answer = leaves.post("/logout", &[]);
        let again = Browser::with_cookie(server.port, &cookie);
        match answer.status {
            303 => assert!(!again.is_signed_in(), "a logout was pretended"),
            503 => {
                assert_eq!(answer.header("Set-Cookie"), None);
                let refused = again.get("/brief_introduction").status;
                assert!(matches!(refused, 303 | 503), "the session goes on: {refused}");
                assert_ne!(again.post("/logout", &[]).status, 200);
            }
            other => panic!("logout answered {other}"),
        }

        std::fs::remove_file(ballast).unwrap();
        let freed = Instant::now();
        wait_for("signing in to work again", || (sign_in(&server) == 303).then_some(()));
        assert!(freed.elapsed() < BACK, "right after {:?}", freed.elapsed());
        assert!(stays.is_signed_in());
        assert!(!Browser::with_cookie(server.port, &cookie).is_signed_in());
        row.rounds += 1;
        row.acknowledged += 3;
    }
    drop(server);
    assert_sound(&disk.path().join("dewar.db"));
}

#[test]
fn with_a_reserve_everybody_can_sign_out_on_a_full_disk() {
    let test = "with_a_reserve_everybody_can_sign_out_on_a_full_disk";
    let Some(disk) = Tmpfs::new("8m", test) else { return };
    let mut row = Row::new(7, "disk full, with the reserve");
    let file = disk.path().join("dewar.db");
    let as_in_flask =
        format!("SESSION_TYPE = 'sqlalchemy'\nSESSION_SQLALCHEMY = 'sqlite:///{}'", file.display());
    for settings in ["", "SESSION_ROTATE_AFTER = '1 day'", &as_in_flask] {
        all_sign_out_on_a_full_disk(&disk, settings, &mut row);
    }
    row.tell("signed out 100 of 100 in each round");
}

fn all_sign_out_on_a_full_disk(disk: &Tmpfs, settings: &str, row: &mut Row) {
    let site = site_in(disk.path(), settings);
    let server = site.serve();
    let reserve = disk.path().join("dewar.db-reserve");
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 1024 * 1024);
    for _ in 0..times(1, 5) {
        let visitors: Vec<_> = (0..101).map(|_| server.signed_in()).collect();
        let ballast = disk.fill();
        wait_for("a write to fail", || (sign_in(&server) == 503).then_some(()));
        for visitor in &visitors[1..] {
            let cookie = cookie_of(visitor);
            assert_eq!(visitor.post("/logout", &[]).status, 303);
            assert!(!Browser::with_cookie(server.port, &cookie).is_signed_in());
            row.acknowledged += 1;
        }
        // What the sign-outs needed is not for anybody else.
        assert_eq!(sign_in(&server), 503);
        assert!(visitors[0].is_signed_in());
        assert_eq!(server.browser().get("/healthz").status, 200);
        std::fs::remove_file(ballast).unwrap();
        let freed = Instant::now();
        wait_for("signing in to work again", || (sign_in(&server) == 303).then_some(()));
        assert!(freed.elapsed() < BACK, "right after {:?}", freed.elapsed());
        assert!(reserve.exists(), "the reserve is there again");
        row.rounds += 1;
    }
    drop(server);
    assert_sound(&disk.path().join("dewar.db"));
    for name in ["dewar.db", "dewar.db-reserve"] {
        let _ = std::fs::remove_file(disk.path().join(name));
    }
}

#[test]
fn the_reserve_is_private_can_be_turned_off_and_stays_out_of_small_disks() {
    use std::os::unix::fs::PermissionsExt;
    let site = crate::support::Site::empty("DATABASE_RESERVE = 5000");
    let file = site.path().join("dewar.db-reserve");
    drop(site.serve());
    let metadata = std::fs::metadata(&file).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (5000, 0o600));
    site.configure("DATABASE_RESERVE = 0");
    drop(site.serve());
    assert!(!file.exists());
    site.configure("DATABASE_RESERVE = 1_000_000_000_000_000");
    let server = site.serve();
    assert!(!file.exists());
    server.wait_for_log("too little space for DATABASE_RESERVE");
}

#[test]
fn a_disk_that_breaks_down_is_503_for_writes_until_it_is_mended() {
    let test = "a_disk_that_breaks_down_is_503_for_writes_until_it_is_mended";
    let Some(mut disk) = Ext4::new(test) else { return };
    let mut row = Row::new(8, "file system turned read-only under load");
    let site = site_in(&disk.path(), "");
    let server = site.serve();
    for _ in 0..times(1, 10) {
        let stays = server.signed_in();
        let load = Load::on(server.port).under_way();
        std::thread::sleep(Duration::from_millis(500));
        load.peek(|ledger| ledger.freeze());
        if !has(disk.break_down(), "ext4's trigger_fs_error", test) {
            return;
        }
        let ledger = load.stop();
        assert_eq!(sign_in(&server), 503);
        assert!(stays.is_signed_in(), "reading goes on");
        let cookie = cookie_of(&stays);
        let answer = stays.post("/logout", &[]);
        assert_eq!((answer.status, answer.header("Set-Cookie")), (503, None));
        disk.mend();
        let mended = Instant::now();
        wait_for("signing in to work again", || (sign_in(&server) == 303).then_some(()));
        assert!(mended.elapsed() < BACK, "right after {:?}", mended.elapsed());
        assert!(!Browser::with_cookie(server.port, &cookie).is_signed_in());
        let found = ledger.replay(server.port);
        row.rounds += 1;
        row.acknowledged += ledger.acknowledged();
        row.holds(found.lost, found.revived);
    }
    drop(server);
    assert_sound(&disk.path().join("dewar.db"));
}

#[test]
fn a_start_on_a_read_only_disk_stops_with_one_line() {
    let test = "a_start_on_a_read_only_disk_stops_with_one_line";
    let Some(disk) = Tmpfs::new("2m", test) else { return };
    let mut row = Row::new(8, "start on read-only data");
    let site = site_in(disk.path(), "DATABASE_RESERVE = 0");
    assert!(run("mount", &["-o", "remount,ro", disk.text()]));
    let (status, error) = site.fail(&["serve"], b"");
    assert_eq!((status, error.lines().count()), (1, 1), "{error}");
    assert!(error.contains("read-only"), "{error}");
    assert!(run("mount", &["-o", "remount,rw", disk.text()]));
    site.serve().signed_in();
    row.rounds += 1;
    row.tell("status 1 and one line that names the file");
}
