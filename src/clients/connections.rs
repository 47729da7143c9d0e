//! How long each connection has been waited for, and which for too long. Pure: the kernel's numbers
//! and the requests in progress go in, and what is to be closed comes out.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::netlink::Seen;
use super::requests::Stage;
use crate::config::Patience;

/// What a client must read, in bytes a second, for its answer to go on.
const SLOWEST_READER: f64 = 1024.0;
/// The length of `HTTP/1.1 100 Continue`, which is sent amid a request. Every answer is longer.
const CONTINUE: u64 = 25;

/// The connections there are.
#[derive(Default)]
pub struct Connections {
    known: HashMap<u64, Connection>,
    look: u64,
}

struct Connection {
    inode: u32,
    peer: SocketAddr,
    state: State,
    /// The last look at which it was there.
    look: u64,
}

#[derive(Clone, Copy)]
enum State {
    /// The application has a request.
    Busy,
    /// The client is to send a request.
    Waiting {
        since: Instant,
        /// When some of the request was there, if some is.
        begun: Option<Instant>,
        acked: u64,
        received: u64,
    },
    /// The client is to read an answer.
    Sending {
        since: Instant,
        acked: u64,
        /// What it will have acknowledged when all is sent that was queued at first.
        all: u64,
    },
}

/// A connection to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    pub inode: u32,
    pub peer: SocketAddr,
    /// Whether an answer lies unread: it is given up with the connection.
    pub unread: bool,
}

impl Connections {
    /// Takes in how things are, and gives what has been waited for too long.
    pub fn look(
        &mut self,
        now: Instant,
        seen: &[Seen],
        stage: impl Fn(SocketAddr) -> Stage,
        patience: &Patience,
    ) -> Vec<Overdue> {
        self.look += 1;
        let mut overdue = Vec::new();
        for seen in seen {
            let stage = stage(seen.peer);
            let connection = self.known.entry(seen.cookie).or_insert_with(|| Connection {
                inode: seen.inode,
                peer: seen.peer,
                state: State::first(now, seen),
                look: 0,
            });
            connection.look = self.look;
            connection.state = connection.state.next(now, seen, stage, patience);
            if connection.state.is_overdue(now, patience) {
                overdue.push(connection.overdue());
            }
        }
        // The kernel may pass one over when others come and go meanwhile.
        self.known.retain(|_, connection| connection.look + 1 >= self.look);
        overdue
    }

    /// The connections on which nothing is being done, the longest first, then those whose answer
    /// makes no headway.
    pub fn dispensable(&self, at_most: usize) -> Vec<Overdue> {
        let mut found: Vec<_> = self
            .known
            .values()
            .filter(|connection| connection.look == self.look)
            .filter_map(|connection| match connection.state {
                State::Busy => None,
                State::Waiting { since, .. } => Some((false, since, connection)),
                State::Sending { since, .. } => Some((true, since, connection)),
            })
            .collect();
        found.sort_unstable_by_key(|(sending, since, _)| (*sending, *since));
        found.iter().take(at_most).map(|(.., connection)| connection.overdue()).collect()
    }
}

impl Connection {
    fn overdue(&self) -> Overdue {
        let unread = matches!(self.state, State::Sending { .. });
        Overdue { inode: self.inode, peer: self.peer, unread }
    }
}

impl State {
    /// A client that has only connected is like one whose request has begun.
    fn first(now: Instant, seen: &Seen) -> Self {
        let begun = (seen.acked <= CONTINUE).then_some(now);
        Self::Waiting { since: now, begun, acked: seen.acked, received: seen.received }
    }

    fn next(self, now: Instant, seen: &Seen, stage: Stage, patience: &Patience) -> Self {
        let Seen { acked, received, .. } = *seen;
        if u64::from(seen.unsent) > CONTINUE {
            let sending = Self::Sending { since: now, acked, all: acked + u64::from(seen.unsent) };
            return match self {
                Self::Sending { acked: before, all, .. }
                    if acked < all && acked.saturating_sub(before) < fair_share(patience) =>
                {
                    self
                }
                _ => sending,
            };
        }
        if stage == Stage::Answering {
            return Self::Busy;
        }
        let waiting = |begun| Self::Waiting { since: now, begun, acked, received };
        let arriving = (stage == Stage::Arriving).then_some(now);
        match self {
            Self::Waiting { since, begun, acked: before, received: had }
                if acked.saturating_sub(before) <= CONTINUE =>
            {
                let begun = begun.or(arriving).or((received > had).then_some(now));
                Self::Waiting { since, begun, acked: before, received: had }
            }
            _ => waiting(arriving),
        }
    }

    fn is_overdue(self, now: Instant, patience: &Patience) -> bool {
        let (since, limit) = match self {
            Self::Busy => return false,
            Self::Waiting { begun: Some(begun), .. } => (begun, patience.request),
            Self::Waiting { since, .. } => (since, patience.keep_alive),
            Self::Sending { since, .. } => (since, patience.send),
        };
        limit.is_some_and(|limit| now.saturating_duration_since(since) >= limit)
    }
}

/// How many bytes of an answer an honest client reads within `SEND_TIMEOUT`.
fn fair_share(patience: &Patience) -> u64 {
    let span = patience.send.unwrap_or(Duration::MAX).as_secs_f64();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let bytes = (span * SLOWEST_READER) as u64;
    bytes
}
