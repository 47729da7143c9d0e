//! The process itself, under the names that all exporters use.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::descriptors;
use crate::logging;

/// Looks into `/proc` when it is asked; what is not there is left out.
#[derive(Debug)]
pub struct Process {
    started: f64,
}

impl Process {
    pub fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: since.as_secs_f64() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
        };
        gauge("process_start_time", "When it started.", Some(&Unit::Seconds), self.started)?;
        if let Some(bytes) = resident_memory() {
            gauge("process_resident_memory", "Memory in use.", Some(&Unit::Bytes), bytes)?;
        }
        if let Some(open) = descriptors::count().ok().and_then(|open| u32::try_from(open).ok()) {
            gauge("process_open_fds", "Files and connections open.", None, open.into())?;
        }
        let dropped = ConstCounter::new(logging::dropped());
        let help = "Lines of the log that nobody took.";
        let name = "dewar_log_lines_dropped";
        dropped.encode(encoder.encode_descriptor(name, help, None, dropped.metric_type())?)
    }
}

fn resident_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kibibytes) * 1024.0)
}
