//! How long clients are waited for.

use std::time::Duration;

use crate::session::settings::Reader;

/// These settings, with what each does in a line.
pub const KEYS: &[(&str, &str)] = &[
    ("REQUEST_TIMEOUT", "how long a client may take to send a request; 0 waits for ever"),
    ("SEND_TIMEOUT", "how long an answer may wait for a client to read on; 0 waits for ever"),
];

/// Rocket's `keep_alive`, in seconds, where it is not set.
pub const KEEP_ALIVE: u32 = 30;
const REQUEST: Duration = Duration::from_secs(30);
const SEND: Duration = Duration::from_secs(30);

/// How long clients are waited for; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// `REQUEST_TIMEOUT`: from the first byte of a request, or from connecting, to its last.
    pub request: Option<Duration>,
    /// `keep_alive`, which is Rocket's: from an answer to the next request. (Rocket itself only
    /// looks whether it is 0, and then has each connection serve one request.)
    pub keep_alive: Option<Duration>,
    /// `SEND_TIMEOUT`: for as much of an answer as an honest client reads in that time.
    pub send: Option<Duration>,
}

impl Patience {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let mut span = |key, default| {
            let span = reader.duration(key).unwrap_or(default);
            (!span.is_zero()).then_some(span)
        };
        let (request, send) = (span("REQUEST_TIMEOUT", REQUEST), span("SEND_TIMEOUT", SEND));
        let keep_alive = reader.integer("keep_alive").unwrap_or(KEEP_ALIVE.into());
        let keep_alive = (keep_alive > 0).then(|| Duration::from_secs(keep_alive));
        Self { request, keep_alive, send }
    }

    /// Whether anything but an idle connection has a limit. Who has a proxy to see to slow clients
    /// may well set none.
    pub fn is_limited(&self) -> bool {
        self.request.is_some() || self.send.is_some()
    }

    /// The shortest of the spans; `None` where nothing ever ends.
    pub fn shortest(&self) -> Option<Duration> {
        [self.request, self.keep_alive, self.send].into_iter().flatten().min()
    }
}
