//! How long things took, by fixed bounds, so that the shards' histograms add up.
//!
//! A bucket counts what took longer than the bound before it and at most its own; the last one has no bound.

use serde::{Deserialize, Serialize};

use crate::config::resolved::Millis;

/// The upper bounds of the buckets but the last, in seconds.
pub const BOUNDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// How long things took, as shards keep and tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Histogram {
    /// How long all took together, in ms.
    pub sum_millis: u64,
    /// How many fell into each bucket, up to the last that has any.
    pub buckets: Vec<u64>,
}

impl Histogram {
    /// So many took so long each.
    pub(super) fn note(&mut self, took: Millis, count: u64) {
        let secs = took.0 as f64 / 1_000.0;
        let bucket = BOUNDS.iter().position(|&bound| secs <= bound).unwrap_or(BOUNDS.len());
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            *bucket += count;
        }
        self.sum_millis += took.0 * count;
    }

    pub(super) fn add(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (sum, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += count;
        }
        self.sum_millis += other.sum_millis;
    }

    /// The same for people and metrics.
    pub(super) fn summary(&self) -> Summary {
        let mut buckets = self.buckets.clone();
        // Should newer code have had more bounds, its last buckets are in none of these.
        let beyond: u64 = self.buckets.iter().skip(BOUNDS.len()).sum();
        buckets.resize(BOUNDS.len() + 1, 0);
        if let Some(last) = buckets.last_mut() {
            *last = beyond;
        }
        let count = buckets.iter().sum();
        let quantile = |q| quantile(&buckets, count, q);
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(quantile);
        Summary { count, sum: self.sum_millis as f64 / 1_000.0, p50, p95, p99, buckets }
    }
}

/// What `q` (0 to 1) of all did not exceed, in seconds: as if those of a bucket were spread evenly over it. The last bucket has
/// no end, so of it only the beginning is told. None when there are none.
fn quantile(buckets: &[u64], count: u64, q: f64) -> Option<f64> {
    let rank = q * count as f64;
    let (mut below, mut start) = (0.0, 0.0);
    for (&size, &end) in buckets.iter().zip(&BOUNDS) {
        let size = size as f64;
        if size > 0.0 && below + size >= rank {
            return Some(start + (end - start) * (rank - below) / size);
        }
        below += size;
        start = end;
    }
    (count > 0).then_some(start)
}

/// How long things took; times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Histogram"))]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// How many things.
    pub count: u64,
    /// How long all took together.
    pub sum: f64,
    /// What half of them did not exceed; none when there are none, as the next two.
    pub p50: Option<f64>,
    /// What 95 % did not exceed.
    pub p95: Option<f64>,
    /// What 99 % did not exceed.
    pub p99: Option<f64>,
    /// How many took at most each of the [`BOUNDS`] and more than the one before; last, how many took longer than all.
    pub buckets: Vec<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[(u64, u64)]) -> Histogram {
        let mut histogram = Histogram::default();
        for &(took, count) in times {
            histogram.note(Millis(took), count);
        }
        histogram
    }

    #[test]
    fn a_time_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let summary = of(&[(0, 2), (5, 1), (6, 1), (60_000, 1), (60_001, 3)]).summary();
        assert_eq!(summary.buckets, [3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3]);
        assert_eq!((summary.count, summary.sum), (8, (5 + 6 + 60_000 + 3 * 60_001) as f64 / 1_000.0));
    }

    #[test]
    fn quantiles_lie_inside_their_bucket_and_nothing_has_none() {
        let summary = of(&[(700, 100)]).summary();
        assert_eq!((summary.p50, summary.p95), (Some(0.75), Some(0.975)));
        let summary = of(&[(90_000, 4)]).summary();
        assert_eq!(summary.p50, Some(60.0), "of what is beyond all bounds only that is known");
        let summary = of(&[]).summary();
        assert_eq!((summary.count, summary.p50, summary.p99), (0, None, None));
        assert_eq!(summary.buckets, [0; 14]);
    }

    #[test]
    fn histograms_of_shards_add_up() {
        let mut sum = of(&[(1, 1)]);
        sum.add(&of(&[(1, 2), (2_000, 1)]));
        sum.add(&of(&[]));
        assert_eq!(sum, of(&[(1, 3), (2_000, 1)]));
    }
}
