//! This process's own file descriptors.

#[cfg(target_os = "linux")]
pub use linux::Own;

use std::{fs, io};

use rustix::process::{Resource, getrlimit, setrlimit};

const OWN: &str = "/proc/self/fd";

/// How many there are.
///
/// # Errors
/// Where `/proc` is not there, or the last descriptor is taken: to look takes one.
pub fn count() -> io::Result<usize> {
    // Linux 6.2 and later tell it without being asked for each.
    match fs::metadata(OWN)?.len() {
        // The look itself has the directory open.
        0 => Ok(fs::read_dir(OWN)?.count().saturating_sub(1)),
        count => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
    }
}

/// Lets this process open as many descriptors as it may: ten thousand connections take more than
/// the thousand that are customary, which are so few for the sake of `select` alone.
pub fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            log::debug!("the limit of open files stays as it is: {error}");
        }
    }
}

/// How many descriptors there may be.
pub fn limit() -> usize {
    getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};

    use rustix::io::Errno;
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    use super::OWN;

    /// The descriptors of this process, whoever keeps them to himself.
    pub struct Own(OwnedFd);

    impl Own {
        /// # Errors
        /// Where the system does not let a process duplicate its own descriptors by their numbers.
        pub fn open() -> Result<Self, Errno> {
            let own = Self(pidfd_open(getpid(), PidfdFlags::empty())?);
            own.duplicate(own.0.as_fd().as_raw_fd())?;
            Ok(own)
        }

        /// The numbers of those that are open.
        ///
        /// # Errors
        /// Where `/proc` is not there.
        pub fn numbers(&self) -> io::Result<impl Iterator<Item = i32>> {
            let entries = fs::read_dir(OWN)?.filter_map(Result::ok);
            Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
        }

        /// The number in the kernel's tables of the socket that a number stands for.
        pub fn socket_inode(&self, number: i32) -> Option<u32> {
            let target = fs::read_link(format!("{OWN}/{number}")).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        }

        /// Another descriptor for what a number stands for by now.
        ///
        /// # Errors
        /// When that has been closed.
        pub fn duplicate(&self, number: i32) -> Result<OwnedFd, Errno> {
            pidfd_getfd(&self.0, number, PidfdGetfdFlags::empty())
        }
    }
}
