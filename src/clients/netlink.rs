//! The connections of a port as the kernel tells them: netlink's `SOCK_DIAG`, from
//! `linux/netlink.h`, `linux/sock_diag.h`, `linux/inet_diag.h` and `linux/tcp.h`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const INET_DIAG_INFO: u16 = 2;
const IPPROTO_TCP: u8 = 6;
/// Of the states those in which the client can still be waited for.
const ESTABLISHED_AND_CLOSE_WAIT: u32 = 1 << 1 | 1 << 8;

/// An accepted connection, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Unique among all sockets since the machine started.
    pub cookie: u64,
    /// What names the socket in `/proc/self/fd`.
    pub inode: u32,
    /// The client's address, an IPv4 one in IPv6's clothes as what it is.
    pub peer: SocketAddr,
    /// Bytes that have come and that Rocket has yet to read.
    pub unread: u32,
    /// Bytes that wait to be sent or acknowledged.
    pub unsent: u32,
    /// Bytes that the client's side has acknowledged, ever.
    pub acked: u64,
    /// Bytes that came from it, ever.
    pub received: u64,
}

/// A socket to ask the kernel with.
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    pub fn open() -> Result<Self, Errno> {
        let family = AddressFamily::NETLINK;
        let protocol = Some(netlink::SOCK_DIAG);
        let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, protocol)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(5)))?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; 64 * 1024] })
    }

    /// All connections that somebody has accepted on `local`'s port, of this process or, on
    /// another address, of others.
    pub fn connections(&mut self, local: SocketAddr) -> Result<Vec<Seen>, Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        send(&self.socket, &request(local, self.sequence), SendFlags::empty())?;
        let mut found = Vec::new();
        loop {
            let (_, length) = recv(&self.socket, &mut self.buffer[..], RecvFlags::empty())?;
            let datagram = self.buffer.get(..length).ok_or(Errno::MSGSIZE)?;
            if read(datagram, self.sequence, local, &mut found)? == Progress::Done {
                return Ok(found);
            }
        }
    }
}

/// `nlmsghdr` and `inet_diag_req_v2`.
fn request(local: SocketAddr, sequence: u32) -> Vec<u8> {
    // IPv4's clients of an IPv6 socket count as IPv6's.
    let family = match local {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let mut message = Vec::with_capacity(72);
    message.extend(72_u32.to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    let family = u8::try_from(family.as_raw()).unwrap_or_default();
    message.extend([family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    message.extend(ESTABLISHED_AND_CLOSE_WAIT.to_ne_bytes());
    message.extend(local.port().to_be_bytes());
    message.resize(72, 0);
    message
}

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    More,
    Done,
}

/// Adds the connections that a datagram tells of. What is not understood is passed over.
fn read(
    mut datagram: &[u8],
    sequence: u32,
    local: SocketAddr,
    found: &mut Vec<Seen>,
) -> Result<Progress, Errno> {
    while let Some(length) = u32_at(datagram, 0) {
        let Some(message) = datagram.get(..length as usize).filter(|all| all.len() >= 16) else {
            return Err(Errno::BADMSG);
        };
        let body = &message[16..];
        // What is left of an answer that was given up is not ours any more.
        if u32_at(message, 8) == Some(sequence) {
            match u16_at(message, 4) {
                Some(NLMSG_DONE) => return Ok(Progress::Done),
                Some(NLMSG_ERROR) => {
                    let code = u32_at(body, 0).map_or(0, |code| code.cast_signed().wrapping_neg());
                    let known = (1..4096).contains(&code);
                    return Err(if known { Errno::from_raw_os_error(code) } else { Errno::BADMSG });
                }
                Some(SOCK_DIAG_BY_FAMILY) => {
                    let own = |at: SocketAddr| {
                        at.port() == local.port()
                            && (local.ip().is_unspecified() || local.ip() == at.ip())
                    };
                    found.extend(connection(body).filter(|(at, _)| own(*at)).map(|(_, seen)| seen));
                }
                _ => {}
            }
        }
        datagram = datagram.get(aligned(length as usize)..).unwrap_or_default();
    }
    Ok(Progress::More)
}

/// `inet_diag_msg` and the attribute that holds `tcp_info`: the connection, after the address here.
/// `None` for what nobody has accepted yet, too.
fn connection(body: &[u8]) -> Option<(SocketAddr, Seen)> {
    let ipv4 = i32::from(*body.first()?) == i32::from(AddressFamily::INET.as_raw());
    let address = |ip, port| {
        let ip = match ipv4 {
            true => IpAddr::from(Ipv4Addr::from(array(body, ip)?)),
            false => IpAddr::from(Ipv6Addr::from(array(body, ip)?)).to_canonical(),
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes(array(body, port)?)))
    };
    let (here, peer) = (address(8, 4)?, address(24, 6)?);
    let inode = u32_at(body, 68).filter(|inode| *inode != 0)?;
    let cookie = u64::from(u32_at(body, 44)?) | u64::from(u32_at(body, 48)?) << 32;
    let mut attributes = body.get(72..)?;
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        let attribute = attributes.get(4..length)?;
        if u16_at(attributes, 2)? == INET_DIAG_INFO {
            let seen = Seen {
                cookie,
                inode,
                peer,
                unread: u32_at(body, 56)?,
                unsent: u32_at(body, 60)?,
                acked: u64::from_ne_bytes(array(attribute, 120)?),
                received: u64::from_ne_bytes(array(attribute, 128)?),
            };
            return Some((here, seen));
        }
        attributes = attributes.get(aligned(length)..)?;
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(array(bytes, at)?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(array(bytes, at)?))
}

/// Messages and attributes begin at multiples of four bytes.
fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_kernel_tells_of_each_kind_of_address_what_came_and_went() {
        for (listen, connect) in
            [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1")]
        {
            let listener = TcpListener::bind(listen).unwrap();
            let local = listener.local_addr().unwrap();
            let mut client = TcpStream::connect((connect, local.port())).unwrap();
            let waiting = TcpStream::connect((connect, local.port())).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            client.write_all(b"12345").unwrap();
            server.write_all(b"123").unwrap();
            let mut told = Vec::new();
            for _ in 0..100 {
                told = Netlink::open().unwrap().connections(local).unwrap();
                if told.first().is_some_and(|seen| seen.acked == 3) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let [seen] = &told[..] else { panic!("{listen}: {told:?}") };
            assert_eq!(seen.peer, client.local_addr().unwrap(), "{listen}");
            assert_eq!((seen.unread, seen.received), (5, 5), "{listen}");
            assert_eq!((seen.unsent, seen.acked), (0, 3), "{listen}");
            assert_ne!(seen.inode, 0);
            drop(waiting);
        }
    }

    #[test]
    fn a_datagram_cut_anywhere_is_no_more_than_an_error() {
        let local = ([127, 0, 0, 1], 8000).into();
        let mut message = request(local, 7);
        message.extend([0; 400]);
        message[72 + 12..72 + 16].copy_from_slice(&1_u32.to_ne_bytes());
        let length = u32::try_from(message.len()).unwrap();
        message[..4].copy_from_slice(&length.to_ne_bytes());
        for attribute in [0_u16, 3, 4, 5, 100, 300, u16::MAX] {
            message[88..90].copy_from_slice(&attribute.to_ne_bytes());
            message[90..92].copy_from_slice(&INET_DIAG_INFO.to_ne_bytes());
            for length in 0..message.len() {
                let _ = read(&message[..length], 7, local, &mut Vec::new());
                let cut = u32::try_from(length).unwrap();
                let mut shorter = message[..length].to_vec();
                shorter.iter_mut().zip(cut.to_ne_bytes()).for_each(|(byte, new)| *byte = new);
                let _ = read(&shorter, 7, local, &mut Vec::new());
            }
        }
    }
}
