//! What processes have run: user and system time, as `/proc` tells it but to the nanosecond.

use std::collections::HashMap;
use std::fs;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Linux counts the time of children that have ended in these.
const TICKS_IN_A_SECOND: u64 = 100;

struct Process {
    parent: u32,
    microseconds: u64,
}

/// Microseconds of a process and all it started, those that have ended included once they were
/// waited for.
pub fn of_tree(root: u32) -> Result<u64, String> {
    let mut processes = HashMap::new();
    for entry in fs::read_dir("/proc").map_err(|error| error.to_string())?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Some(process) = read(pid) {
            processes.insert(pid, process);
        }
    }
    if !processes.contains_key(&root) {
        return Err(format!("the server, process {root}, is gone"));
    }
    let below = |pid: &u32| {
        let mut pid = *pid;
        while pid != root {
            match processes.get(&pid) {
                Some(process) => pid = process.parent,
                None => return false,
            }
        }
        true
    };
    let tree = processes.iter().filter(|(pid, _)| below(pid));
    Ok(tree.map(|(_, process)| process.microseconds).sum())
}

/// This process's own.
pub fn own() -> u64 {
    run_by(std::process::id()).unwrap_or(0)
}

fn read(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, blanks and parentheses included.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    // cutime and cstime
    let ended = (number(13)? + number(14)?) * (1_000_000 / TICKS_IN_A_SECOND);
    Some(Process { parent: number(1)?.try_into().ok()?, microseconds: run_by(pid)? + ended })
}

/// Of all threads of one process, those that have ended too.
fn run_by(pid: u32) -> Option<u64> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into().ok()?)).ok()?;
    let time = clock_gettime(clock).ok()?;
    let (seconds, nanoseconds) = (time.tv_sec(), time.tv_nsec());
    u64::try_from(seconds * 1_000_000 + nanoseconds / 1000).ok()
}
