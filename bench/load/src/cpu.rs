//! What processes have run, from `/proc`.

use std::collections::HashMap;
use std::fs;

/// Linux counts in these wherever it tells user space.
const TICKS_IN_A_SECOND: u64 = 100;

struct Process {
    parent: u32,
    ticks: u64,
}

/// User and system time in microseconds of a process and all it started, those that have ended
/// included once they were waited for.
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
    let ticks: u64 =
        processes.iter().filter(|(pid, _)| below(pid)).map(|(_, process)| process.ticks).sum();
    Ok(ticks * (1_000_000 / TICKS_IN_A_SECOND))
}

/// This process's own, in the same unit.
pub fn own() -> u64 {
    read(std::process::id()).map_or(0, |own| own.ticks * (1_000_000 / TICKS_IN_A_SECOND))
}

fn read(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, blanks and parentheses included.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    // utime, stime, cutime, cstime
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Some(Process { parent: number(1)?.try_into().ok()?, ticks })
}
