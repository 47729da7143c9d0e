//! The closing of connections from outside of what serves them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{Shutdown, getpeername, getsockname, shutdown, sockopt};

use super::connections::Overdue;
use super::requests::canonical;
use crate::descriptors::Own;

/// Closes connections from outside of what serves them, which then finds them at their end.
pub struct Closer {
    own: Own,
    port: u16,
}

impl Closer {
    /// For the connections that were accepted on `port`.
    ///
    /// # Errors
    /// Where the system does not let a process duplicate its own descriptors by their numbers.
    pub fn open(port: u16) -> Result<Self, Errno> {
        Ok(Self { own: Own::open()?, port })
    }

    /// Closes these; gives how many there were still.
    pub fn close(&self, overdue: &[Overdue]) -> io::Result<usize> {
        let wanted: HashMap<u32, &Overdue> =
            overdue.iter().map(|overdue| (overdue.inode, overdue)).collect();
        let mut closed = 0;
        for number in self.own.numbers()? {
            let inode = self.own.socket_inode(number);
            if let Some(overdue) = inode.and_then(|inode| wanted.get(&inode)) {
                closed += usize::from(self.close_one(number, overdue).is_ok());
            }
        }
        Ok(closed)
    }

    fn close_one(&self, number: i32, overdue: &Overdue) -> Result<(), Errno> {
        let socket = self.own.socket(number)?;
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
    use std::os::fd::AsRawFd;

    use super::*;

    fn inode(socket: &impl AsRawFd) -> u32 {
        Own::open().unwrap().socket_inode(socket.as_raw_fd()).unwrap()
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
