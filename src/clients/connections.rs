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
    /// Whether an answer is under way, which is given up with the connection.
    pub sending: bool,
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
            if connection.state.is_overdue(now, seen, patience) {
                overdue.push(connection.overdue());
                // Once is enough, in case that it is not this process's to close.
                connection.state = State::first(now, seen);
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
        let sending = matches!(self.state, State::Sending { .. });
        Overdue { inode: self.inode, peer: self.peer, sending }
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

    fn is_overdue(self, now: Instant, seen: &Seen, patience: &Patience) -> bool {
        let (since, limit) = match self {
            Self::Busy => return false,
            // Rocket has to read on, and is as late as the machine is.
            Self::Waiting { .. } if seen.unread > 0 => return false,
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

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        request: Some(Duration::from_secs(30)),
        keep_alive: Some(Duration::from_secs(20)),
        send: Some(Duration::from_secs(40)),
    };
    const ANSWER: u64 = 500;

    /// What a client does in one second.
    #[derive(Clone, Copy, Default)]
    struct Second {
        received: u64,
        acked: u64,
        unsent: u32,
        stage: Option<Stage>,
        unread: u32,
    }

    /// The second at which a client that goes on like this is cut off, if within ten minutes.
    fn cut_off(mut client: impl FnMut(u64) -> Second) -> Option<u64> {
        let (start, mut connections) = (Instant::now(), Connections::default());
        let peer = ([127, 0, 0, 1], 5000).into();
        let mut seen =
            Seen { cookie: 1, inode: 2, peer, unread: 0, unsent: 0, acked: 0, received: 0 };
        (0..600).find(|second| {
            let now = client(*second);
            seen.acked += now.acked;
            seen.received += now.received;
            seen.unsent = now.unsent;
            seen.unread = now.unread;
            let stage = |_| now.stage.unwrap_or(Stage::None);
            let time = start + Duration::from_secs(*second);
            !connections.look(time, &[seen.clone()], stage, &PATIENCE).is_empty()
        })
    }

    #[test]
    fn only_an_answer_starts_the_time_of_a_request_anew() {
        let silent = |_| Second::default();
        assert_eq!(cut_off(silent), Some(30));
        let trickling = |_| Second { received: 1, ..Second::default() };
        assert_eq!(cut_off(trickling), Some(30));
        let in_the_body =
            |second| Second { stage: (second > 10).then_some(Stage::Arriving), ..trickling(0) };
        assert_eq!(cut_off(in_the_body), Some(30));
        let told_to_go_on = |second| Second {
            acked: if second == 10 { CONTINUE } else { 0 },
            ..in_the_body(second)
        };
        assert_eq!(cut_off(told_to_go_on), Some(30));
    }

    #[test]
    fn an_idle_connection_has_its_own_time_and_a_request_on_it_again() {
        let answered_at = |last| {
            move |second| Second {
                acked: if second <= last { ANSWER } else { 0 },
                ..Second::default()
            }
        };
        assert_eq!(cut_off(answered_at(0)), Some(20));
        assert_eq!(cut_off(answered_at(100)), Some(120));
        let then_trickling =
            |second| Second { received: u64::from(second > 110), ..answered_at(100)(second) };
        assert_eq!(cut_off(then_trickling), Some(111 + 30));
    }

    #[test]
    fn whoever_is_answered_is_left_alone() {
        let busy = |_| Second { received: 100, acked: ANSWER, ..Second::default() };
        assert_eq!(cut_off(busy), None);
        let waiting_for_a_slow_handler =
            |_| Second { stage: Some(Stage::Answering), ..Second::default() };
        assert_eq!(cut_off(waiting_for_a_slow_handler), None);
        let waiting_to_be_read = |_| Second { unread: 100, ..Second::default() };
        assert_eq!(cut_off(waiting_to_be_read), None);
        let caught_between_requests = |_| Second {
            received: 100,
            acked: ANSWER,
            stage: Some(Stage::Arriving),
            ..Second::default()
        };
        assert_eq!(cut_off(caught_between_requests), None);
        let caught_between_answers =
            |_| Second { received: 100, acked: ANSWER, unsent: 500, ..Second::default() };
        assert_eq!(cut_off(caught_between_answers), None);
    }

    #[test]
    fn a_reader_must_read_on() {
        let reading = |acked| {
            move |_| Second {
                acked,
                unsent: 2_000_000,
                stage: Some(Stage::Answering),
                ..Second::default()
            }
        };
        assert_eq!(cut_off(reading(0)), Some(40));
        assert_eq!(cut_off(reading(100)), Some(40));
        assert_eq!(cut_off(reading(1100)), None);
        let in_gulps = |second| reading(if second % 39 == 0 { 60_000 } else { 0 })(second);
        assert_eq!(cut_off(in_gulps), None);
    }

    #[test]
    fn the_longest_idle_is_given_up_first_and_the_busy_never() {
        let mut connections = Connections::default();
        let client = |n: u16, unsent| Seen {
            cookie: n.into(),
            inode: n.into(),
            peer: ([127, 0, 0, 1], n).into(),
            unread: 0,
            unsent,
            acked: 0,
            received: 0,
        };
        let busy = |peer: SocketAddr| match peer.port() {
            1 => Stage::Answering,
            _ => Stage::None,
        };
        let now = Instant::now();
        let mut seen = vec![client(1, 0), client(2, 9_000), client(3, 0)];
        connections.look(now, &seen, busy, &PATIENCE);
        seen.push(client(4, 0));
        connections.look(now + Duration::from_secs(1), &seen, busy, &PATIENCE);
        let inodes = |at_most| -> Vec<_> {
            connections.dispensable(at_most).iter().map(|overdue| overdue.inode).collect()
        };
        assert_eq!(inodes(9), [3, 4, 2]);
        assert_eq!(inodes(1), [3]);
    }
}
