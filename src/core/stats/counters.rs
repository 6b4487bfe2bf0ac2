//! What a shard counts from its beginning on, and keeps in a row: it never goes back in what has been told.

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use crate::config::resolved::Millis;
use crate::core::failure::FailureClass;
use crate::core::outcome::{Outcome, Reason, RefusalCode};
use crate::core::sorted::Map;

/// What has happened in one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    pub(super) fn add(&mut self, other: &Self) {
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

    /// How much has happened: each event counts.
    pub(super) fn sum(&self) -> u64 {
        let Self { outcomes, refusals, starts_ready, starts_failed, starts_retried, lent, .. } = self;
        let answers: u64 = outcomes.values().chain(refusals.values()).sum();
        answers + starts_failed.values().sum::<u64>() + starts_ready + starts_retried + lent
    }
}

/// What a shard counts in more detail. In its answer it is apart, so that the pool's numbers have it once and not per shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Detail {
    /// Answers with a container that had a reason, by outcome and reason.
    pub because: Map<Outcome, Map<Reason, u64>>,
    /// From the question to the answer with a container, by outcome.
    pub acquire: Map<Outcome, Histogram>,
    /// From the first asking for a start to ready.
    pub start: Histogram,
    /// The last start that failed of each class.
    pub last_errors: Map<FailureClass, LastError>,
    /// How long containers were in each state, together, in ms.
    pub container_millis: ByState<u64>,
    /// Up to when these are, by the shard's clock.
    pub until: Millis,
}

impl Detail {
    pub(super) fn add(&mut self, other: &Self) {
        let Self { because, acquire, start, last_errors: _, container_millis, until } = other;
        for (outcome, reasons) in because {
            add_all(self.because.entry(*outcome).or_default(), reasons);
        }
        for (outcome, histogram) in acquire {
            self.acquire.entry(*outcome).or_default().add(histogram);
        }
        self.start.add(start);
        self.container_millis = self.container_millis.with(container_millis, |sum, other| sum + other);
        self.until = self.until.max(*until);
    }

    /// The same, but for what grows by itself while there are containers.
    pub(super) fn same_events(&self, other: &Self) -> bool {
        let Self { because, acquire, start, last_errors, container_millis: _, until: _ } = self;
        (because, acquire, start, last_errors) == (&other.because, &other.acquire, &other.start, &other.last_errors)
    }
}

/// A start that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// What happened, for people.
    pub message: String,
    /// When, by the shard's clock.
    pub at: Millis,
}

/// All that a shard keeps of what it has counted: one row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CountersRow {
    /// In sum.
    pub counters: Counters,
    /// In detail.
    pub detail: Detail,
}

/// One number for each state of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(inline))]
#[serde(rename_all = "camelCase", default)]
pub struct ByState<T: Default> {
    /// Being started.
    pub starting: T,
    /// Ready for an id.
    pub warm: T,
    /// Serving an id.
    pub assigned: T,
    /// On their way out.
    pub draining: T,
    /// On their way to another shard, which may count them already.
    pub moving: T,
}

impl<T: Copy + Default> ByState<T> {
    pub(super) fn with<U: Copy + Default, V: Default>(
        &self,
        other: &ByState<U>,
        join: impl Fn(T, U) -> V,
    ) -> ByState<V> {
        ByState {
            starting: join(self.starting, other.starting),
            warm: join(self.warm, other.warm),
            assigned: join(self.assigned, other.assigned),
            draining: join(self.draining, other.draining),
            moving: join(self.moving, other.moving),
        }
    }
}

impl ByState<u64> {
    /// All states together.
    pub(super) fn sum(&self) -> u64 {
        let Self { starting, warm, assigned, draining, moving } = self;
        starting + warm + assigned + draining + moving
    }
}

pub(super) fn add_all<K: Ord + Copy>(sum: &mut Map<K, u64>, other: &Map<K, u64>) {
    for (&key, count) in other {
        *sum.entry(key).or_default() += count;
    }
}
