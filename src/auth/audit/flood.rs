//! How much of what strangers do is written down.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Actor, Event, Note};
use crate::session::unix_now;

/// Entries a minute for failures at accounts that exist, and as many for other names, so that noise
/// on these does not hide what is aimed at those.
const EACH_MINUTE: u32 = 60;
/// Of them, for one account or one network.
const EACH_SOURCE: u32 = 10;

/// What one minute's entries are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Account(Event, i64),
    Network(Event, IpAddr),
}

/// What is written of the current minute, and what is not. Never more than a few hundred entries
/// large.
#[derive(Debug, Default)]
pub struct Flood {
    /// Since 1970.
    minute: i64,
    sources: HashMap<Source, u32>,
    /// By whether the account exists.
    written: HashMap<(Event, bool), u32>,
    left_out: HashMap<Event, u64>,
}

/// What to write of a failure.
pub struct Admitted {
    /// Whether the failure itself is written.
    pub is_written: bool,
    /// What was left out of minutes that are over.
    pub summaries: Vec<Note>,
}

impl Flood {
    /// Counts a failure at `now`, in seconds since 1970.
    pub fn admit(
        &mut self,
        event: Event,
        account: Option<i64>,
        network: IpAddr,
        now: i64,
    ) -> Admitted {
        let summaries = self.settle(now);
        let source = match account {
            Some(id) => Source::Account(event, id),
            None => Source::Network(event, network),
        };
        let written = self.written.entry((event, account.is_some())).or_default();
        let is_written = *written < EACH_MINUTE && {
            let of_source = self.sources.entry(source).or_default();
            *of_source += 1;
            *of_source <= EACH_SOURCE
        };
        match is_written {
            true => *written += 1,
            false => *self.left_out.entry(event).or_default() += 1,
        }
        Admitted { is_written, summaries }
    }

    /// What was left out, if the minute of it is over.
    pub fn settle(&mut self, now: i64) -> Vec<Note> {
        let minute = now.div_euclid(60);
        if minute == self.minute {
            return Vec::new();
        }
        let left_out = std::mem::take(&mut self.left_out);
        *self = Self { minute, ..Self::default() };
        let summary = |(event, count)| Note {
            actor: Actor::Server,
            at: now.min(unix_now()),
            ..Note::by_operator(event).with(format!("{count} more within a minute"))
        };
        left_out.into_iter().map(summary).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn a_flood_leaves_a_bounded_number_of_entries_and_one_that_counts_the_rest() {
        let mut flood = Flood::default();
        let now = 6_000_000;
        let failed = Event::FailedSignIn;
        let one = (0..1000).filter(|_| flood.admit(failed, None, network(1), now).is_written);
        assert_eq!(one.count(), 10);
        let many = (0..100_000_u32).filter(|i| {
            let spread = IpAddr::from((u128::from(*i) << 64).to_be_bytes());
            flood.admit(failed, None, spread, now).is_written
        });
        assert_eq!(many.count(), 50);
        assert!(flood.sources.len() <= 100, "{}", flood.sources.len());
        // What is aimed at an account is seen all the same.
        assert!(flood.admit(failed, Some(7), network(1), now).is_written);

        let next = flood.admit(failed, None, network(1), now + 60);
        assert!(next.is_written);
        let details: Vec<_> =
            next.summaries.iter().map(|note| note.detail.clone().unwrap()).collect();
        assert_eq!(details, ["100940 more within a minute"]);
        assert!(flood.settle(now + 120).is_empty());
    }
}
