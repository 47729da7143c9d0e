//! A control group with little memory, whose processes the kernel kills when they want more.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::under;

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A group of its own, removed when dropped. Its processes have to be gone by then.
pub struct Group {
    dir: PathBuf,
    limit: &'static str,
}

impl Group {
    /// `None` where there can be no group of version 1 or 2.
    pub fn new() -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let both = [(root.join("memory"), "memory.limit_in_bytes"), (root.into(), "memory.max")];
        both.into_iter().find_map(|(parent, limit)| {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let dir = parent.join(format!("dewar-faults-{}-{number}", std::process::id()));
            std::fs::create_dir(&dir).ok()?;
            let group = Self { dir, limit };
            group.dir.join(limit).exists().then_some(group)
        })
    }

    /// The command, run in the group.
    pub fn command(&self, command: &Command) -> Command {
        let processes = self.dir.join("cgroup.procs");
        let join = "echo $$ >\"$0\" && exec \"$@\"";
        under("sh", &["-c", join, processes.to_str().unwrap()], command)
    }

    /// Allows so much; false where the kernel cannot take away enough of what is in use.
    pub fn allow(&self, bytes: u64) -> bool {
        std::fs::write(self.dir.join(self.limit), bytes.to_string()).is_ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.dir);
    }
}
