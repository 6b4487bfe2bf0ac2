//! Sending plans to the shards that have not heard of the version in force.

use super::{Coordinator, Effects, Write, take_due};
use crate::config::resolved::Millis;
use crate::core::id::ShardId;
use crate::core::mutants::{self, Mutant};
use crate::core::plan::PlanVersion;
use crate::core::sorted::Set;

/// How long until pushes that failed are tried again.
pub const PUSH_RETRY: Millis = Millis::from_secs(5);
/// How many pushes are under way at once.
pub const CONCURRENT_PUSHES: usize = 16;

/// Which shards are behind, and what is being done about it.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    /// Those that have not acknowledged what they are to know.
    behind: Set<ShardId>,
    under_way: Set<ShardId>,
    /// Pushes that failed, to be tried again at `retry_at`.
    failed: Set<ShardId>,
    retry_at: Option<Millis>,
}

impl Pushes {
    pub fn failed(&mut self, shard: ShardId, now: Millis) {
        self.under_way.remove(&shard);
        self.failed.insert(shard);
        self.retry_at.get_or_insert(now + PUSH_RETRY);
    }

    /// When pushes are tried again.
    pub fn retry_at(&self) -> Option<Millis> {
        self.retry_at
    }
}

impl Coordinator {
    /// Works out anew who is behind, and tries everybody again.
    pub(super) fn restart_pushes(&mut self) {
        let behind = |shard: &ShardId| self.registry.is_behind(shard, self.acknowledged.get(shard).copied());
        self.pushes.behind = self.registry.all_shards().filter(behind).collect();
        self.pushes.failed.clear();
        self.pushes.retry_at = None;
    }

    /// Pushes that were under way before the coordinator was loaded are taken up by the first step.
    pub(super) fn resume_pushes(&mut self) {
        self.restart_pushes();
        self.pushes.retry_at = (!self.pushes.behind.is_empty()).then_some(Millis(0));
    }

    /// A shard works by this version.
    pub(super) fn acknowledge(&mut self, shard: &ShardId, version: PlanVersion, fx: &mut Effects) {
        if !self.registry.knows(shard) {
            return;
        }
        if self.acknowledged.get(shard) != Some(&version) {
            fx.writes.push(Write::PutAcknowledged(shard.clone(), version));
            self.acknowledged.insert(shard.clone(), version);
        }
        if self.registry.is_behind(shard, Some(version)) {
            self.pushes.behind.insert(shard.clone());
        } else {
            self.pushes.behind.remove(shard);
            self.pushes.failed.remove(shard);
        }
    }

    /// A push has ended well.
    pub(super) fn pushed(&mut self, shard: &ShardId) {
        self.pushes.under_way.remove(shard);
    }

    /// Sends what is to be sent, as far as not too much is under way.
    pub(super) fn push(&mut self, fx: &mut Effects) {
        let now = self.now;
        if self.registry.overtaken_by > 0 {
            self.pushes.retry_at = None;
            return;
        }
        if take_due(&mut self.pushes.retry_at, now, PUSH_RETRY) && !mutants::on(Mutant::PushNotRetried) {
            self.pushes.failed.clear();
        }
        let Pushes { behind, under_way, failed, .. } = &self.pushes;
        let free = CONCURRENT_PUSHES.saturating_sub(under_way.len());
        let idle = |shard: &&ShardId| !under_way.contains(shard) && !failed.contains(shard);
        let next: Vec<ShardId> = behind.iter().filter(idle).take(free).cloned().collect();
        for shard in next {
            if let Some(plan) = self.plan_of(&shard) {
                fx.pushes.push((shard.clone(), plan));
                self.pushes.under_way.insert(shard);
            }
        }
        if self.pushes.under_way.is_empty() && self.pushes.failed.is_empty() {
            self.pushes.retry_at = None;
        } else {
            // Also while pushes are under way: should the object be lost with them, its alarm brings it back.
            self.pushes.retry_at.get_or_insert(now + PUSH_RETRY);
        }
    }
}
