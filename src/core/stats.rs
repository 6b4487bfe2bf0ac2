//! What is counted, and how the shards' numbers become the pool's.
//!
//! Counters start at 0 when a shard is loaded. The numbers of containers are exact at the time of the answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::{FailureClass, StartFailure};
use super::id::ShardIndex;
use super::outcome::{Outcome, Reason, RefusalCode};
use super::plan::{CodeVersion, Fingerprint, Plan, PlanVersion};
use super::shard::Shard;
use super::sorted::Map;
use crate::config::resolved::{Millis, Pool, PoolName};

/// What happened in one shard since it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counters {
    /// Answers with a container, by outcome.
    pub outcomes: Map<Outcome, u64>,
    /// Of those, by reason, where there was one.
    pub reasons: Map<Reason, u64>,
    /// Answers without a container.
    pub refusals: Map<RefusalCode, u64>,
    /// Starts that ended with a ready container.
    pub starts_ready: u64,
    /// How long those took together, from the first asking to ready, in ms.
    pub starts_ready_millis: u64,
    /// Starts that ended without one, by what went wrong.
    pub starts_failed: Map<FailureClass, u64>,
    /// Times that a start was asked for again because the answer proved nothing.
    pub starts_retried: u64,
    /// Warm containers given to siblings.
    pub lent: u64,
}

impl Counters {
    pub(super) fn acquired(&mut self, outcome: Outcome, reason: Option<Reason>) {
        *self.outcomes.entry(outcome).or_default() += 1;
        if let Some(reason) = reason {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    pub(super) fn refused(&mut self, code: RefusalCode) {
        *self.refusals.entry(code).or_default() += 1;
    }

    pub(super) fn started(&mut self, took: Millis) {
        self.starts_ready += 1;
        self.starts_ready_millis += took.0;
    }

    pub(super) fn start_failed(&mut self, failure: &StartFailure) {
        *self.starts_failed.entry(failure.class).or_default() += 1;
    }

    pub(super) fn lent(&mut self) {
        self.lent += 1;
    }

    pub(super) fn start_retried(&mut self) {
        self.starts_retried += 1;
    }

    fn add(&mut self, other: &Self) {
        let Self {
            outcomes,
            reasons,
            refusals,
            starts_ready,
            starts_ready_millis,
            starts_failed,
            starts_retried,
            lent,
        } = other;
        add_all(&mut self.outcomes, outcomes);
        add_all(&mut self.reasons, reasons);
        add_all(&mut self.refusals, refusals);
        add_all(&mut self.starts_failed, starts_failed);
        self.starts_ready += starts_ready;
        self.starts_ready_millis += starts_ready_millis;
        self.starts_retried += starts_retried;
        self.lent += lent;
    }
}

fn add_all<K: Ord + Copy>(sum: &mut Map<K, u64>, other: &Map<K, u64>) {
    for (&key, count) in other {
        *sum.entry(key).or_default() += count;
    }
}

/// Containers by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What happened since it was loaded.
    #[serde(flatten)]
    pub counters: Counters,
}

impl ShardStats {
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
            counters: self.counters().clone(),
        }
    }
}

/// What the shards of a pool say together. The pool's name and configuration stand beside it in the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MergedStats {
    /// The pool's containers.
    #[serde(flatten)]
    pub counts: Counts,
    /// Callers that wait.
    pub waiting: u32,
    /// What happened since the shards were loaded.
    #[serde(flatten)]
    pub counters: Counters,
    /// How many times the average the shard has that has the most assigned containers: 1 when all have the same. None when
    /// there are none.
    pub imbalance: Option<f64>,
    /// Of the ids that got a container since the shards were loaded, the part (0 to 1) for which it was borrowed. None when there
    /// were none.
    pub borrow_rate: Option<f64>,
    /// Whether every shard answered. The numbers leave out those that did not.
    pub complete: bool,
    /// Shards that did not answer.
    pub missing: Vec<ShardIndex>,
    /// Each shard that did.
    pub shards: Vec<ShardStats>,
}

impl MergedStats {
    /// The numbers beside the pool's name and configuration, as the admin API and clients have them.
    ///
    /// # Errors
    ///
    /// None in practice: every number can be told.
    pub fn document(&self, name: &PoolName, pool: &Pool) -> Result<serde_json::Map<String, Value>, serde_json::Error> {
        let mut document: serde_json::Map<String, Value> = serde_json::from_str(&serde_json::to_string(self)?)?;
        document.insert("name".to_owned(), name.as_str().into());
        document.insert("config".to_owned(), pool.to_stats_json());
        document.insert("maxInstances".to_owned(), pool.max_instances.into());
        Ok(document)
    }
}

/// Merges the answers of a pool's shards, of which `missing` gave none.
pub fn merge(shards: Vec<ShardStats>, missing: Vec<ShardIndex>) -> MergedStats {
    let mut counts = Counts::default();
    let mut counters = Counters::default();
    let mut waiting = 0;
    for shard in &shards {
        counts.add(&shard.counts);
        counters.add(&shard.counters);
        waiting += shard.waiting;
    }
    let imbalance = imbalance(&shards);
    let borrow_rate = borrow_rate(&counters);
    MergedStats { counts, waiting, counters, imbalance, borrow_rate, complete: missing.is_empty(), missing, shards }
}

fn imbalance(shards: &[ShardStats]) -> Option<f64> {
    let assigned = shards.iter().map(|shard| shard.counts.assigned);
    let (most, sum) = (assigned.clone().max()?, assigned.map(u64::from).sum::<u64>());
    (sum > 0).then(|| f64::from(most) * shards.len() as f64 / sum as f64)
}

fn borrow_rate(counters: &Counters) -> Option<f64> {
    let count = |outcome: Outcome| counters.outcomes.get(&outcome).copied().unwrap_or_default();
    let (borrowed, others) = (count(Outcome::Borrowed), count(Outcome::Warm) + count(Outcome::Cold));
    (borrowed + others > 0).then(|| borrowed as f64 / (borrowed + others) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::ShardId;
    use crate::core::shard::Rows;

    fn shard(index: u32, assigned: u32, outcomes: &[(Outcome, u64)]) -> ShardStats {
        let id = ShardId { pool: "p".to_owned().try_into().unwrap(), index: ShardIndex(index) };
        let stats = Shard::load(id, Rows::default(), Millis(0)).stats(Millis(0));
        let counters = Counters { outcomes: outcomes.iter().copied().collect(), ..Counters::default() };
        ShardStats { counts: Counts { assigned, ..Counts::default() }, counters, ..stats }
    }

    #[test]
    fn the_pool_says_how_uneven_its_shards_are_and_how_much_they_borrow() {
        let shards = vec![
            shard(0, 30, &[(Outcome::Sticky, 500), (Outcome::Warm, 5), (Outcome::Cold, 1)]),
            shard(1, 10, &[(Outcome::Borrowed, 2)]),
        ];
        let merged = merge(shards, Vec::new());
        assert_eq!((merged.imbalance, merged.borrow_rate), (Some(1.5), Some(0.25)));
        let nothing = merge(vec![shard(0, 0, &[])], Vec::new());
        assert_eq!((nothing.imbalance, nothing.borrow_rate), (None, None));
    }
}
