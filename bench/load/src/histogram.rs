//! Latencies, counted in buckets at most one part in 128 wide.

use std::time::Duration;

const BITS: u32 = 7;
const IN_EACH_POWER: usize = 1 << BITS;

pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    largest: u64,
}

impl Histogram {
    pub fn new() -> Self {
        let powers = 64 - BITS as usize + 1;
        Self { buckets: vec![0; powers * IN_EACH_POWER], count: 0, largest: 0 }
    }

    pub fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanoseconds)] += 1;
        self.count += 1;
        self.largest = self.largest.max(nanoseconds);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn largest(&self) -> f64 {
        self.largest as f64 / 1000.0
    }

    /// The latency in microseconds that this part of all do not exceed.
    pub fn quantile(&self, part: f64) -> f64 {
        let wanted = (self.count as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= wanted {
                return end_of(index).min(self.largest) as f64 / 1000.0;
            }
        }
        0.0
    }
}

fn bucket(value: u64) -> usize {
    let power = value.max(1).ilog2().saturating_sub(BITS);
    let within = (value >> power) as usize;
    power as usize * IN_EACH_POWER + within
}

/// The largest value of a bucket.
fn end_of(index: usize) -> u64 {
    let power = (index / IN_EACH_POWER).saturating_sub(1);
    let within = (index - power * IN_EACH_POWER) as u64;
    ((within + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_less_than_a_hundredth_above_what_it_holds() {
        for value in (0..10_000).chain([65_535, 65_536, 1_000_003, u64::from(u32::MAX)]) {
            let end = end_of(bucket(value));
            assert!(end >= value && end <= value + value / 100 + 1, "{value}: {end}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut histogram = Histogram::new();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        assert!((histogram.quantile(0.5) - 500.0).abs() < 5.0);
        assert!((histogram.quantile(0.99) - 990.0).abs() < 10.0);
        assert_eq!(histogram.quantile(1.0), 1000.0);
    }
}
