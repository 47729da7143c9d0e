//! What is counted and timed, for Prometheus.
//!
//! Labels come from this program alone, never from what a visitor sends, so that there are only so
//! many.

pub mod endpoint;
mod live;
mod process;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::session::store::{Operation, Watch};
use process::Process;

pub use live::LiveSessions;

/// The counters and timers, or none of them where nobody is to see any.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Option<Arc<Registered>>);

#[derive(Debug)]
struct Registered {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Route, Histogram, Buckets>,
    sign_ins: Family<Outcome, Counter>,
    operations: Family<StoreOperation, Histogram, Buckets>,
    failures: Family<StoreOperation, Counter>,
    swept: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreOperation {
    store: &'static str,
    operation: &'static str,
}

/// How a try to sign in ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// With a new session.
    Success,
    /// With the form again: the pair is wrong.
    Failure,
    /// It was not looked at, as there were too many before it.
    Throttled,
}

impl SignIn {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Throttled => "throttled",
        }
    }
}

/// Upper bounds in seconds: of a page from memory, and of one that waits for a store that hangs.
#[derive(Clone, Debug)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        let bounds =
            [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
        Histogram::new(bounds)
    }
}

impl Metrics {
    /// Metrics that are kept.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::new()));
        let own = registry.sub_registry_with_prefix("dewar");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        own.register("build", "The program", build);
        let requests = Family::default();
        own.register("requests", "Requests answered", requests.clone());
        let durations = Family::new_with_constructor(Buckets);
        let help = "Time until the head of the answer";
        own.register_with_unit("request_duration", help, Unit::Seconds, durations.clone());
        let sign_ins = Family::<Outcome, Counter>::default();
        own.register("sign_ins", "Tries to sign in", sign_ins.clone());
        // From the start, so that the first one is a change.
        for outcome in [SignIn::Success, SignIn::Failure, SignIn::Throttled] {
            drop(sign_ins.get_or_create(&Outcome { outcome: outcome.as_str() }));
        }
        let operations = Family::new_with_constructor(Buckets);
        let help = "Time that the session store took";
        own.register_with_unit("store_operation_duration", help, Unit::Seconds, operations.clone());
        let failures = Family::default();
        own.register("store_errors", "Failures of the session store", failures.clone());
        let swept = Counter::<u64, AtomicU64>::default();
        own.register("sessions_swept", "Expired sessions removed", swept.clone());
        Self(Some(Arc::new(Registered {
            registry,
            requests,
            durations,
            sign_ins,
            operations,
            failures,
            swept,
        })))
    }

    /// Metrics that nobody keeps, at no cost.
    pub fn off() -> Self {
        Self::default()
    }

    /// Counts a request and its answer. `route` is the route's own path, parameters as it names
    /// them.
    pub fn answered(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        if let Some(metrics) = &self.0 {
            let labels = Request { route: route.into(), method, status };
            metrics.requests.get_or_create(&labels).inc();
            let labels = Route { route: route.into() };
            metrics.durations.get_or_create(&labels).observe(took.as_secs_f64());
        }
    }

    /// Counts a try to sign in.
    pub fn sign_in(&self, outcome: SignIn) {
        if let Some(metrics) = &self.0 {
            metrics.sign_ins.get_or_create(&Outcome { outcome: outcome.as_str() }).inc();
        }
    }

    /// What session stores are to tell, if anything.
    pub fn watch(&self) -> Option<Arc<dyn Watch>> {
        self.0.as_ref().map(|metrics| Arc::clone(metrics) as Arc<dyn Watch>)
    }
}

impl Registered {
    /// Everything, and what `more` has, in the text format of OpenMetrics.
    fn text(&self, more: &Registry) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode_registry(&mut text, &self.registry)?;
        text::encode_registry(&mut text, more)?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}

impl Watch for Registered {
    fn operation(&self, operation: Operation) {
        let labels = StoreOperation { store: operation.store, operation: operation.name };
        let took = operation.took.as_secs_f64();
        self.operations.get_or_create(&labels).observe(took);
        if operation.failed {
            self.failures.get_or_create(&labels).inc();
        }
    }

    fn swept(&self, removed: usize) {
        self.swept.inc_by(removed as u64);
    }
}
