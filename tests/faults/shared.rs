//! Two processes on one database, restarted in turn.

use std::time::Duration;

use crate::harness::load::Load;
use crate::harness::row::Row;
use crate::harness::{assert_sound, site, times};
use crate::support::Server;

#[test]
fn a_rolling_restart_loses_nothing_and_refuses_nobody() {
    let mut row = Row::new(16, "two processes on one database, restarted in turn");
    let site = site("");
    let mut servers = [site.serve(), site.serve()];
    let load = Load::over(&[servers[0].port, servers[1].port], 8);
    for round in 0..times(4, 20) {
        std::thread::sleep(Duration::from_millis(400));
        let turn = round % 2;
        let old: &mut Server = &mut servers[turn];
        old.signal("-TERM");
        assert!(old.child.wait().unwrap().success());
        servers[turn] = site.serve();
        load.moved(turn, servers[turn].port);
        row.rounds += 1;
    }
    let ledger = load.stop();
    assert_eq!(ledger.count(503) + ledger.count(500), 0, "{:?}", ledger.answers);
    row.acknowledged = ledger.acknowledged();
    row.tell(format!(
        "0 answers of 5xx; connections that met a stopping server: {:?}",
        ledger.broken
    ));
    for server in &servers {
        let found = ledger.replay(server.port);
        row.holds(found.lost, found.revived);
    }
    drop(servers);
    assert_sound(&site.database());
}
