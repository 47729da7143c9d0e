//! A Cluster: which of its servers has a key.
//!
//! The library's own client for Clusters does a command again when a connection fails, and a write
//! that may have been done must not be; so commands are sent where they belong here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Pipeline, Value, cmd, pipe};
use rocket::futures::FutureExt;
use rocket::futures::future::{BoxFuture, Shared};
use rocket::tokio::runtime::Handle;
use rocket::tokio::task::JoinSet;
use rocket::tokio::time::timeout;

use super::error::{Failure, integer, text, unexpected};
use super::link::{Goal, Link, longest_attempt};
use super::tls::Tls;
use super::url::{Address, Nodes, Place};

/// How often a command follows the servers' directions before it is given up.
const DIRECTIONS: usize = 5;
/// How often, at most, the servers are asked where the keys are because something went wrong.
const PAUSE: Duration = Duration::from_millis(250);

/// A Cluster. Each of its servers has a [`Link`] of its own, so that one that hangs holds up only
/// its own keys.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    nodes: Nodes,
    tls: Option<Tls>,
    limit: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The primaries: the first and the last slot of each range and the server that has it.
    ranges: Vec<Range>,
    links: HashMap<Address, Link>,
    survey: Option<Survey>,
    surveyed: Option<Instant>,
}

type Range = (u16, u16, Address);
type Survey = Shared<BoxFuture<'static, Result<(), Failure>>>;

impl Cluster {
    pub fn new(nodes: Nodes, tls: Option<Tls>, limit: Duration) -> Self {
        Self(Arc::new(Inner { nodes, tls, limit, state: Mutex::default() }))
    }

    /// The answers to commands that all concern `key`. Nothing is asked of a second server but
    /// what the first said it did not do.
    pub async fn ask(&self, key: &[u8], commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        let slot = slot(key);
        let (mut address, mut link) = match self.of_slot(slot) {
            Some(found) => found,
            None => {
                self.survey()?.await?;
                self.of_slot(slot).ok_or(Failure::NoNode)?
            }
        };
        let mut asking = false;
        for _ in 0..DIRECTIONS {
            let trouble = Trouble(self);
            let answers = match asking {
                true => ask_off_turn(&link, commands).await?,
                false => link.ask(commands).await?,
            };
            let Some(direction) = direction(&answers, &address) else {
                std::mem::forget(trouble);
                return Ok(answers);
            };
            match direction {
                Direction::Down => return Ok(answers),
                Direction::Moved(to) => (address, asking) = (to, false),
                Direction::Ask(to) => (address, asking) = (to, true),
            }
            link = self.link_to(&address);
        }
        Err(Failure::NoNode)
    }

    /// Every primary by its address, in the order of the addresses.
    pub async fn primaries(&self) -> Result<Vec<(String, Link)>, Failure> {
        if self.lock().ranges.is_empty() {
            self.survey()?.await?;
        }
        let mut addresses: Vec<Address> =
            self.lock().ranges.iter().map(|(_, _, address)| address.clone()).collect();
        addresses.sort_by_key(ToString::to_string);
        addresses.dedup();
        Ok(addresses.iter().map(|at| (at.to_string(), self.link_to(at))).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of_slot(&self, slot: u16) -> Option<(Address, Link)> {
        let address = {
            let state = self.lock();
            let range = state.ranges.iter().find(|range| (range.0..=range.1).contains(&slot));
            range.map(|(_, _, address)| address.clone())
        }?;
        let link = self.link_to(&address);
        Some((address, link))
    }

    fn link_to(&self, address: &Address) -> Link {
        let link = || {
            let Nodes { tls, login, .. } = self.0.nodes.clone();
            let address = address.clone();
            let place = Place { address, tls, login, database: 0, sentinel: false };
            Link::new(Goal::Server { place, tls: self.0.tls.clone() }, self.0.limit)
        };
        self.lock().links.entry(address.clone()).or_insert_with(link).clone()
    }

    /// Asks where the keys are. All who wait, wait for the same survey.
    fn survey(&self) -> Result<Survey, Failure> {
        let mut state = self.lock();
        // One that has ended and is still here was cut short with its runtime.
        if let Some(survey) = state.survey.as_ref().filter(|survey| survey.peek().is_none()) {
            return Ok(survey.clone());
        }
        // None: the program is ending.
        let runtime = Handle::try_current().map_err(|_| Failure::Lost)?;
        let task = runtime.spawn(self.clone().run_survey());
        let survey = task.map(|ended| ended.unwrap_or(Err(Failure::Lost))).boxed().shared();
        state.survey = Some(survey.clone());
        state.surveyed = Some(Instant::now());
        Ok(survey)
    }

    async fn run_survey(self) -> Result<(), Failure> {
        let found = match timeout(longest_attempt(self.0.limit), self.find_ranges()).await {
            Ok(found) => found,
            Err(_) => Err(Failure::NoTopology("none in time".into())),
        };
        let mut state = self.lock();
        state.survey = None;
        let ranges = found?;
        let seeds = &self.0.nodes.seeds;
        let known = |at: &Address| seeds.contains(at) || ranges.iter().any(|range| range.2 == *at);
        state.links.retain(|address, _| known(address));
        state.ranges = ranges;
        Ok(())
    }

    /// Asks all servers at once, as any may hang, and takes the first answer.
    async fn find_ranges(&self) -> Result<Vec<Range>, Failure> {
        let mut addresses = self.0.nodes.seeds.clone();
        addresses.extend(self.lock().ranges.iter().map(|(_, _, address)| address.clone()));
        addresses.sort();
        addresses.dedup();
        let mut attempts = JoinSet::new();
        for address in addresses {
            attempts.spawn(ranges_of(self.link_to(&address), address));
        }
        let mut last = Failure::NoTopology("none".into());
        while let Some(ended) = attempts.join_next().await {
            match ended {
                Ok(Ok(ranges)) => return Ok(ranges),
                Ok(Err(failure)) => last = Failure::NoTopology(failure.to_string()),
                Err(_) => {}
            }
        }
        Err(last)
    }
}

/// A command that is on its way. If it ends in any way but with an answer to it, the servers are
/// asked anew where the keys are.
struct Trouble<'a>(&'a Cluster);

impl Drop for Trouble<'_> {
    fn drop(&mut self) {
        let due = self.0.lock().surveyed.is_none_or(|at| at.elapsed() >= PAUSE);
        if due {
            // It runs by itself.
            let _ = self.0.survey();
        }
    }
}

/// Where an answer sends the command.
enum Direction {
    /// The key has another server now.
    Moved(Address),
    /// The key is on another server already, the others of its slot to follow.
    Ask(Address),
    /// Nowhere: a part of the Cluster is down.
    Down,
}

fn direction(answers: &[Value], asked: &Address) -> Option<Direction> {
    answers.iter().find_map(|answer| {
        let Value::ServerError(error) = answer else { return None };
        let to = || {
            let (host, port) = error.details()?.split_whitespace().nth(1)?.rsplit_once(':')?;
            let host = if host.is_empty() { &asked.host } else { host };
            Some(Address { host: host.to_owned(), port: port.parse().ok()? })
        };
        match error.code() {
            "MOVED" => to().map(Direction::Moved),
            "ASK" => to().map(Direction::Ask),
            "CLUSTERDOWN" => Some(Direction::Down),
            _ => None,
        }
    })
}

/// Asks a server for what is on it before its turn has come.
async fn ask_off_turn(link: &Link, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
    let mut all = pipe();
    for command in commands.cmd_iter() {
        all.add_command(cmd("ASKING")).add_command(command.clone());
    }
    Ok(link.ask(&all).await?.into_iter().skip(1).step_by(2).collect())
}

/// What one server knows of the primaries.
async fn ranges_of(link: Link, asked: Address) -> Result<Vec<Range>, Failure> {
    let mut command = pipe();
    command.cmd("CLUSTER").arg("SLOTS");
    let Some(Value::Array(ranges)) = answer_of(&link, &command).await? else {
        return Err(Failure::Unexpected);
    };
    let ranges: Result<Vec<Range>, Failure> =
        ranges.into_iter().map(|range| read_range(range, &asked)).collect();
    ranges.and_then(|ranges| match ranges.is_empty() {
        true => Err(Failure::NoNode),
        false => Ok(ranges),
    })
}

async fn answer_of(link: &Link, command: &Pipeline) -> Result<Option<Value>, Failure> {
    match link.ask(command).await?.pop() {
        Some(Value::ServerError(error)) => Err(unexpected(Some(Value::ServerError(error)))),
        answer => Ok(answer),
    }
}

/// First slot, last slot, primary, replicas; each server is host, port and more. An unknown host
/// is the one that was asked.
fn read_range(range: Value, asked: &Address) -> Result<Range, Failure> {
    let Value::Array(range) = range else { return Err(Failure::Unexpected) };
    let mut range = range.into_iter();
    let number = |value| {
        integer(value).and_then(|slot| u16::try_from(slot).map_err(|_| Failure::Unexpected))
    };
    let (first, last) = (number(range.next())?, number(range.next())?);
    let Some(Value::Array(primary)) = range.next() else { return Err(Failure::Unexpected) };
    let mut primary = primary.into_iter();
    let host = match primary.next() {
        None | Some(Value::Nil) => String::new(),
        host => text(host)?,
    };
    let host = if host.is_empty() || host == "?" { asked.host.clone() } else { host };
    Ok((first, last, Address { host, port: number(primary.next())? }))
}

/// The slot of a key, or of the part in braces if there is one (`{…}`).
fn slot(key: &[u8]) -> u16 {
    let tag = || {
        let rest = &key[key.iter().position(|byte| *byte == b'{')? + 1..];
        let tag = &rest[..rest.iter().position(|byte| *byte == b'}')?];
        (!tag.is_empty()).then_some(tag)
    };
    crc16(tag().unwrap_or(key)) % 16384
}

/// CRC-16 as XMODEM has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => crc << 1 ^ 0x1021,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // From CLUSTER KEYSLOT of Redis 7.0.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, expected) in [
            ("session:", 10287),
            ("session:OLDSID", 5792),
            ("session:{tag}x", 8338),
            ("a{}b", 13694),
            ("a{b", 13340),
            ("{a}{b}", 15495),
            ("{{a}}", 10276),
            ("é", 10180),
            ("session:-56h5Ce53LwAjfkkN8UD-RgSu_QkFsoO7ZdGzgwQ8_c", 15169),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }
}
