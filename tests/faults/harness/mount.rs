//! File systems of a test's own, gone when dropped.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::run;
use crate::support::{has, wait_for};

/// One in memory.
pub struct Tmpfs {
    dir: TempDir,
}

impl Tmpfs {
    /// `None` where mounting is not allowed. `size` is such as `2m`.
    pub fn new(size: &str, test: &str) -> Option<Self> {
        let tmpfs = Self { dir: tempfile::tempdir().unwrap() };
        let options = format!("size={size},mode=700");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", tmpfs.text()]);
        has(mounted, "the right to mount a tmpfs", test).then_some(tmpfs)
    }

    pub fn text(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves no space; the file to remove for there to be some.
    pub fn fill(&self) -> PathBuf {
        fill(self.path())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        run("umount", &["-l", self.text()]);
    }
}

/// Leaves no space in a directory's file system; the file to remove for there to be some.
fn fill(dir: &Path) -> PathBuf {
    let ballast = dir.join("ballast");
    let file = std::fs::File::create(&ballast).unwrap();
    let block = [0; 4096];
    while std::io::Write::write(&mut &file, &block).is_ok_and(|written| written > 0) {}
    ballast
}

/// One of ext4, in a file, whose power can be cut.
pub struct Ext4 {
    dir: TempDir,
    copies: usize,
}

impl Ext4 {
    /// `None` where mounting is not allowed or a tool is missing.
    pub fn new(test: &str) -> Option<Self> {
        let ext4 = Self { dir: tempfile::tempdir().unwrap(), copies: 0 };
        std::fs::create_dir(ext4.path()).unwrap();
        let made = std::fs::File::create(ext4.image())
            .and_then(|image| image.set_len(64 * 1024 * 1024))
            .is_ok()
            && run("mkfs.ext4", &["-q", "-F", ext4.image().to_str().unwrap()])
            && run("python3", &["-c", ""])
            && ext4.mount();
        has(made, "the right to mount an ext4 image, e2fsprogs and Python", test).then_some(ext4)
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join(format!("image{}", self.copies))
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn mount(&self) -> bool {
        let (image, path) = (self.image(), self.path());
        let paths = [image.to_str().unwrap(), path.to_str().unwrap()];
        run("mount", &["-o", "loop,errors=remount-ro", paths[0], paths[1]])
    }

    /// Drops everything that was not synced, as a loss of power does, and every write from then on
    /// fails.
    pub fn cut_power(&self) {
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
        let code = "import fcntl, os, struct, sys\n\
                    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";
        assert!(run("python3", &["-c", code, self.path().to_str().unwrap()]));
    }

    /// Unmounts it and mounts it again, which replays its journal as after a real loss of power.
    pub fn restore_power(&self) {
        // A program that another test is just starting has all files open for a moment.
        let path = self.path();
        wait_for("the file system to be free", || {
            run("umount", &[path.to_str().unwrap()]).then_some(())
        });
        assert!(self.mount());
    }

    /// Makes it read-only as after an error of the disk, whatever is open; false where the kernel
    /// cannot.
    pub fn break_down(&self) -> bool {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let path = self.path();
        let device = mounts.lines().find_map(|line| {
            let (device, rest) = line.split_once(' ')?;
            rest.starts_with(path.to_str()?).then(|| device.rsplit('/').next())?
        });
        let Some(device) = device else { return false };
        std::fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1").is_ok()
    }

    /// Puts a mended copy in its place, while what is open still uses the broken one.
    pub fn mend(&mut self) {
        assert!(run("sync", &[]));
        assert!(run("umount", &["-l", self.path().to_str().unwrap()]));
        let broken = self.image();
        self.copies += 1;
        // `mount` would give the same device for the same file.
        std::fs::copy(broken, self.image()).unwrap();
        // Its status 1 is for errors that were corrected.
        let _ = run("e2fsck", &["-fy", self.image().to_str().unwrap()]);
        assert!(self.mount());
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        run("umount", &["-l", self.path().to_str().unwrap()]);
    }
}
