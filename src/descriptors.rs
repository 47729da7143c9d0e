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

    use rustix::fs::{FileType, fstat};
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

        /// Another descriptor for the socket that a number stands for by now.
        ///
        /// Never one for a file: to close it would give up every lock that this process has on the
        /// file (fcntl(2)), SQLite's among them.
        ///
        /// # Errors
        /// When it is no socket, or has been closed.
        pub fn socket(&self, number: i32) -> Result<OwnedFd, Errno> {
            self.socket_inode(number).ok_or(Errno::NOTSOCK)?;
            let found = self.duplicate(number)?;
            let mode = fstat(&found).map(|found| FileType::from_raw_mode(found.st_mode));
            if mode == Ok(FileType::Socket) {
                return Ok(found);
            }
            // Another's meanwhile, so it stays open.
            std::mem::forget(found);
            Err(Errno::NOTSOCK)
        }

        fn duplicate(&self, number: i32) -> Result<OwnedFd, Errno> {
            pidfd_getfd(&self.0, number, PidfdGetfdFlags::empty())
        }
    }

    #[cfg(test)]
    mod tests {
        use std::net::TcpListener;
        use std::os::unix::fs::MetadataExt;

        use super::*;

        #[test]
        fn sockets_are_found_and_a_locked_file_stays_locked() {
            let file = tempfile::NamedTempFile::new().unwrap();
            let connection = rusqlite::Connection::open(file.path()).unwrap();
            connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let inode = file.path().metadata().unwrap().ino();
            let locks = || {
                let all = fs::read_to_string("/proc/locks").unwrap();
                all.lines().filter(|line| line.contains(&format!(":{inode} "))).count()
            };
            let before = locks();
            assert!(before > 0);
            let own = Own::open().unwrap();
            let numbers: Vec<_> = own.numbers().unwrap().collect();
            let sockets = numbers.iter().filter(|number| own.socket(**number).is_ok()).count();
            assert!(sockets > 0 && sockets < numbers.len());
            assert!(own.socket(listener.as_raw_fd()).is_ok());
            assert_eq!(locks(), before);
        }
    }
}
