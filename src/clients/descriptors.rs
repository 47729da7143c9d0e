//! This process's file descriptors: how many there may be and are, and the closing of those that
//! are connections.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{Shutdown, getpeername, getsockname, shutdown, sockopt};
use rustix::process::{
    PidfdFlags, PidfdGetfdFlags, Resource, getpid, getrlimit, pidfd_getfd, pidfd_open, setrlimit,
};

use super::connections::Overdue;
use super::requests::canonical;

const OWN: &str = "/proc/self/fd";

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

/// How many there are.
pub fn count() -> io::Result<usize> {
    // Linux 6.2 and later tell it without being asked for each.
    match fs::metadata(OWN)?.len() {
        0 => Ok(fs::read_dir(OWN)?.count()),
        count => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
    }
}

/// Closes connections from outside of what serves them, which then finds them at their end.
pub struct Closer {
    this_process: OwnedFd,
    port: u16,
}

impl Closer {
    /// For the connections that were accepted on `port`.
    ///
    /// # Errors
    /// Where the system does not let a process duplicate its own descriptors by their numbers.
    pub fn open(port: u16) -> Result<Self, Errno> {
        let this_process = pidfd_open(getpid(), PidfdFlags::empty())?;
        let own = this_process.as_fd().as_raw_fd();
        pidfd_getfd(&this_process, own, PidfdGetfdFlags::empty())?;
        Ok(Self { this_process, port })
    }

    /// Closes these; gives how many there were still.
    pub fn close(&self, overdue: &[Overdue]) -> io::Result<usize> {
        let wanted: HashMap<u32, &Overdue> =
            overdue.iter().map(|overdue| (overdue.inode, overdue)).collect();
        let mut closed = 0;
        for entry in fs::read_dir(OWN)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.parse().ok());
            let target = fs::read_link(format!("{OWN}/{}", name.display())).ok();
            let inode = target.as_deref().and_then(|target| {
                target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
            });
            let overdue = inode.and_then(|inode: u32| wanted.get(&inode));
            if let (Some(number), Some(overdue)) = (number, overdue) {
                closed += usize::from(self.close_one(number, overdue).is_ok());
            }
        }
        Ok(closed)
    }

    fn close_one(&self, number: i32, overdue: &Overdue) -> Result<(), Errno> {
        let socket = pidfd_getfd(&self.this_process, number, PidfdGetfdFlags::empty())?;
        // By now the number may be another's, so it is asked of what is in hand.
        let peer = getpeername(&socket)?.ok_or(Errno::NOTCONN)?;
        let address = |address| SocketAddr::try_from(address);
        if canonical(address(peer)?) != overdue.peer
            || address(getsockname(&socket)?)?.port() != self.port
        {
            return Err(Errno::NOTCONN);
        }
        if overdue.sending {
            // The kernel would keep the rest of the answer, and try on, for minutes.
            sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        }
        shutdown(&socket, Shutdown::Both)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    fn inode(socket: impl AsFd) -> u32 {
        let path = format!("{OWN}/{}", socket.as_fd().as_raw_fd());
        let target = fs::read_link(path).unwrap().display().to_string();
        target.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
    }

    #[test]
    fn only_an_accepted_connection_of_the_port_and_the_peer_is_closed() {
        let listen = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            (listener, port)
        };
        let ((listener, port), (database, elsewhere)) = (listen(), listen());
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (accepted, peer) = listener.accept().unwrap();
        let outgoing = TcpStream::connect(("127.0.0.1", elsewhere)).unwrap();
        let (mut its_end, _) = database.accept().unwrap();
        its_end.set_nonblocking(true).unwrap();
        client.set_nonblocking(true).unwrap();

        let closer = Closer::open(port).unwrap();
        let overdue = |inode, peer| Overdue { inode, peer, sending: false };
        let strangers = [
            overdue(inode(&outgoing), outgoing.peer_addr().unwrap()),
            overdue(inode(&accepted), outgoing.peer_addr().unwrap()),
            overdue(inode(&listener), peer),
        ];
        for stranger in strangers {
            assert_eq!(closer.close(&[stranger]).unwrap(), 0, "{stranger:?}");
        }
        let is_open = |end: &mut TcpStream| end.read(&mut [0]).is_err();
        assert!(is_open(&mut its_end) && is_open(&mut client));
        assert_eq!(closer.close(&[overdue(inode(&accepted), peer)]).unwrap(), 1);
        client.set_nonblocking(false).unwrap();
        assert!(!is_open(&mut client) && is_open(&mut its_end));
    }
}
