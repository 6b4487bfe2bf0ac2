//! What is counted, and how the shards' numbers become the pool's.
//!
//! The numbers of containers are exact at the time of the answer. Counters go on from a row when a shard is loaded, and have never told
//! more than that row has (see `tally`).

mod cost;
mod counters;
mod histogram;
mod memory;
mod merge;
mod tally;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::failure::StartFailure;
use super::id::ShardIndex;
use super::plan::{CodeVersion, Fingerprint, Plan, PlanVersion};
use super::shard::Shard;
use crate::config::resolved::Millis;

pub use cost::Cost;
pub use counters::{ByState, Counters, CountersRow, Detail, LastError};
pub use histogram::{BOUNDS, Histogram, Summary};
pub use memory::{Heard, Memory};
pub use merge::{Acquires, Answers, LastErrorOf, Latencies, MergedStats, Terms, merge};
pub use tally::KEEP;
pub(in crate::core) use tally::{Due, Tally};

/// Containers by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Being started.
    pub starting: u32,
    /// Ready for an id.
    pub warm: u32,
    /// Serving an id.
    pub assigned: u32,
    /// On their way out.
    pub draining: u32,
    /// On their way to another shard, which may have them on its books already.
    pub moving: u32,
    /// Warm and assigned: what `cf-container-warm-pool` calls total.
    pub total: u32,
}

impl Counts {
    /// In whatever state.
    pub fn all(&self) -> u32 {
        let Self { starting, warm, assigned, draining, moving, total: _ } = *self;
        [starting, warm, assigned, draining, moving].into_iter().fold(0, u32::saturating_add)
    }

    fn add(&mut self, other: &Self) {
        let Self { starting, warm, assigned, draining, moving, total } = other;
        self.starting += starting;
        self.warm += warm;
        self.assigned += assigned;
        self.draining += draining;
        self.moving += moving;
        self.total += total;
    }
}

/// The answer of a shard's `getStats`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ShardStats {
    /// Which shard.
    pub shard: ShardIndex,
    /// The plan it works by.
    pub plan: PlanVersion,
    /// Which settings by code it works by, if it works by any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fingerprint: Option<Fingerprint>,
    /// Its containers.
    #[serde(flatten)]
    pub counts: Counts,
    /// Its share of the warm target.
    pub warm_target: u32,
    /// The credits that it has now: the most containers it may have. None without a limit.
    pub max_instances: Option<u32>,
    /// Callers that wait for a container.
    pub waiting: u32,
    /// Starts that failed in a row.
    pub failures: u32,
    /// How long until a start is tried again, in ms; 0 when nothing holds starts back.
    pub backoff_millis: u64,
    /// Whether the breaker is open: one start at a time probes.
    pub breaker_open: bool,
    /// A limit learned from the platform, while it is believed.
    pub ceiling: Option<u32>,
    /// The last start that failed.
    pub last_failure: Option<StartFailure>,
    /// What has happened since its beginning.
    #[serde(flatten)]
    pub counters: Counters,
    /// The same in detail. Only in the shard's own answer; none from one that runs older code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(skip))]
    pub detail: Option<Box<Detail>>,
}

impl ShardStats {
    /// How much it has counted: of two answers, which is the later. None of the time from one that runs older code.
    fn counted(&self) -> (Option<u64>, u64) {
        let lived = self.detail.as_ref().map(|detail| detail.container_millis.sum());
        (lived, self.counters.sum())
    }

    /// Whether the shard has no settings of this deploy, neither these nor others.
    pub fn lacks(&self, code: &CodeVersion) -> bool {
        code.is_missing(self.plan, self.fingerprint.as_ref())
    }
}

impl Shard {
    /// Its containers by state.
    pub fn counts(&self) -> Counts {
        let [starting, warm, assigned, draining, moving] =
            self.sizes().map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        Counts { starting, warm, assigned, draining, moving, total: warm.saturating_add(assigned) }
    }

    /// The shard in numbers.
    pub fn stats(&self, now: Millis) -> ShardStats {
        let counts = self.counts();
        let gate = self.gate();
        let (counters, detail) = self.counted(now);
        ShardStats {
            shard: self.id().index,
            plan: self.plan().map(|plan| plan.version).unwrap_or_default(),
            fingerprint: self.plan().and_then(Plan::fingerprint).cloned(),
            counts,
            warm_target: self.warm_target(),
            max_instances: self.limit(),
            waiting: self.waiting(),
            failures: gate.failures,
            backoff_millis: (gate.retry_at - now).0,
            breaker_open: gate.is_open_breaker(),
            ceiling: gate.ceiling(now),
            last_failure: gate.last_failure.clone(),
            counters,
            detail: Some(Box::new(detail)),
        }
    }
}
