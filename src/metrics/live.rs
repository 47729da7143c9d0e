//! How many sessions are live.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use rocket::tokio::time::timeout;

use crate::session::Sessions;

/// How long a count is told again before they are counted anew.
const EVERY: Duration = Duration::from_secs(15);
/// How long whoever reads the metrics waits for a count.
const LIMIT: Duration = Duration::from_secs(1);

/// The count, as it was a little while ago, where the store can tell.
#[derive(Clone, Debug)]
pub struct LiveSessions {
    sessions: Sessions,
    counted: Arc<Mutex<Counted>>,
}

#[derive(Debug, Default)]
struct Counted {
    at: Option<Instant>,
    live: Option<u64>,
}

impl LiveSessions {
    /// A count of the sessions in the store of `sessions`.
    pub fn of(sessions: &Sessions) -> Self {
        Self { sessions: sessions.clone(), counted: Arc::default() }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has them counted, unless somebody did lately.
    pub(super) async fn renew(&self) {
        {
            let mut counted = self.counted();
            if counted.at.is_some_and(|at| at.elapsed() < EVERY) {
                return;
            }
            counted.at = Some(Instant::now());
        }
        let Ok(Some(store)) = self.sessions.store() else { return };
        let live = timeout(LIMIT, store.live()).await;
        // A store that fails is told of by its own metrics.
        self.counted().live = live.ok().and_then(Result::ok).flatten();
    }
}

impl Collector for LiveSessions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(live) = self.counted().live else { return Ok(()) };
        let gauge = ConstGauge::new(i64::try_from(live).unwrap_or(i64::MAX));
        let help = "Sessions that have not expired, counted every 15 s at most.";
        let kind = gauge.metric_type();
        gauge.encode(encoder.encode_descriptor("dewar_active_sessions", help, None, kind)?)
    }
}
