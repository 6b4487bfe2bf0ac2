//! What a shard works by: its pool's configuration, its version, and its share.

use serde::{Deserialize, Serialize};

use super::id::ShardIndex;
use super::mutants::{self, Mutant};
use super::share;
use crate::config::resolved::Pool;

/// Orders configurations: by the coordinator's version, then by when the deploy that brought it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlanVersion {
    /// Counted up by the coordinator with every change; 0 before it has spoken.
    pub version: u64,
    /// When the bundled configuration was made, in ms since 1970.
    pub stamp: u64,
}

/// What a shard works by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The version.
    pub version: PlanVersion,
    /// The pool's configuration. Its `shards` is the count in force.
    pub pool: Pool,
    /// Whether the pool is in the configuration; one that was taken out keeps its ids until their containers end.
    pub active: bool,
    /// Whether it came from the admin API: what a deploy bundles does not replace it.
    #[serde(default)]
    pub pinned: bool,
    /// This shard's part of the pool's totals.
    pub share: Share,
}

/// A shard's part of the pool's totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Containers to keep warm.
    pub warm_target: u32,
    /// The most containers in any state; none means no limit but the platform's.
    pub max_instances: Option<u32>,
}

impl Plan {
    /// The plan of a shard that splits the totals evenly with its siblings, which takes no coordination.
    pub fn fixed(version: PlanVersion, pool: Pool, index: ShardIndex) -> Self {
        let share = Share::even(&pool, index);
        Self { version, pool, active: true, pinned: false, share }
    }

    /// The plan after a deploy that bundles `bundled`, made at `stamp`, while the coordinator has not spoken: the shard
    /// count in force stays, and a pool that does not go with it is not taken. None when `self` stays in force.
    pub fn deployed(&self, bundled: Option<&Pool>, stamp: u64, index: ShardIndex) -> Option<Self> {
        if self.pinned || stamp <= self.version.stamp {
            return None;
        }
        let version = PlanVersion { version: self.version.version, stamp };
        Some(match bundled {
            Some(pool) => Self::fixed(version, pool.with_shards(self.pool.shards)?, index),
            None => self.clone().retired(version),
        })
    }

    /// Whether a shard that works by `other` takes this one. Of two plans by code alone (version 0, which the coordinator
    /// never gives) from one deploy, the one that came last wins; and such a plan revives a pool that was taken out of
    /// the file.
    pub fn supersedes(&self, other: &Self) -> bool {
        let by_code = self.version.version == 0;
        let same_deploy = self.version == other.version && self.pool != other.pool;
        let revives = !other.active && self.version.stamp >= other.version.stamp;
        let newer = self.version > other.version || mutants::on(Mutant::OlderPlanWins);
        newer || (by_code && (same_deploy || revives))
    }

    /// The plan of a shard whose pool is gone from the configuration.
    pub fn retired(mut self, version: PlanVersion) -> Self {
        self.version = version;
        self.active = false;
        if !mutants::on(Mutant::RetiredStaysWarm) {
            self.share.warm_target = 0;
        }
        self
    }
}

impl Share {
    /// An even part of the pool's totals; a shard beyond the count in force has none.
    pub fn even(pool: &Pool, index: ShardIndex) -> Self {
        Self {
            warm_target: share::even(pool.warm_target, pool.shards, index),
            max_instances: pool.max_instances.map(|max| share::even(max, pool.shards, index)),
        }
    }
}
