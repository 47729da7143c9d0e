//! More sign-ins at once than there is memory to hash their passwords in.

use super::siege::{Siege, right_pair};
use super::wire::{FORM, Wire, urlencoded};

/// The most memory that the process has had, in MiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn five_hundred_sign_ins_at_once_take_a_bounded_memory() {
    let siege = Siege::new();
    let port = siege.port();
    let attempts: Vec<_> = (0..500)
        .map(|i| {
            std::thread::spawn(move || {
                let name = format!("nobody{i}");
                let form = urlencoded(&[("username", &*name), ("password", "wrong")]);
                Wire::post("/login", FORM, form).send(port).status
            })
        })
        .collect();
    let statuses: Vec<_> = attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect();
    for status in &statuses {
        assert!(matches!(status, 200 | 429 | 503), "{status}");
    }
    assert!(statuses.contains(&200));
    // 500 hashes of 19 MiB would take more than 9 GiB.
    let peak = peak(siege.server.child.id());
    assert!(peak < 400, "{peak} MiB");
    let answer = Wire::post("/login", FORM, right_pair()).send(port);
    assert!(matches!(answer.status, 303 | 429), "{answer:?}");
}
