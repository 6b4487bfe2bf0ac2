//! What a shard works by: its pool's configuration, its version, and its share.

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::allotment::CreditTerms;
use super::id::{SessionId, ShardIndex};
use super::mutants::{self, Mutant};
use super::route::shard_of;
use super::share;
use crate::config::resolved::{Pool, PoolName, ShardCount};

/// Orders configurations: by the coordinator's version, then by when the deploy that brought it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlanVersion {
    /// Counted up by the coordinator with every change; 0 before it has spoken.
    pub version: u64,
    /// When the bundled configuration was made, in ms since 1970.
    pub stamp: u64,
}

/// Tells the settings of pools that are configured by code apart: equal for equal settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of settings, whatever their form.
    pub fn of(settings: &str) -> Self {
        Self(format!("{:016x}", XxHash64::oneshot(0, settings.as_bytes())))
    }
}

/// The settings by which code wants a pool to work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CodeVersion {
    /// When the deploy was made that the code is of, in ms since 1970.
    pub stamp: u64,
    /// Which settings.
    pub fingerprint: Fingerprint,
}

impl CodeVersion {
    /// Whether there is nothing to tell a shard that works by the plan `version`, and by settings with this fingerprint: they are
    /// these, or those of a later deploy, or of a configuration, over which code has no say.
    pub fn is_heeded(&self, version: PlanVersion, fingerprint: Option<&Fingerprint>) -> bool {
        let PlanVersion { version, stamp } = version;
        version > 0 || stamp > self.stamp || (stamp == self.stamp && fingerprint == Some(&self.fingerprint))
    }

    /// Whether a shard has nothing to work by that is of this deploy, so that it is to be told even by who only looks.
    pub fn is_missing(&self, version: PlanVersion, fingerprint: Option<&Fingerprint>) -> bool {
        let PlanVersion { version, stamp } = version;
        version == 0 && (stamp < self.stamp || (stamp == self.stamp && fingerprint.is_none()))
    }
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
    /// While ids move to other shards: how many there were before.
    #[serde(default)]
    pub from: Option<ShardCount>,
    /// The credits with which the shards began; none without a limit.
    #[serde(default)]
    pub credits: Option<CreditTerms>,
    /// This shard's part of the pool's totals.
    pub share: Share,
    /// Of a pool that is configured by code: which settings these are.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
    /// What the code that wrote it knew of plans: [`PLAN_FORMAT`] of its time, 0 before there was any.
    #[serde(default)]
    pub format: u32,
}

/// Grows when plans get something that older code drops when it writes them down: newer code then takes the same plan once more.
pub const PLAN_FORMAT: u32 = 1;

/// A shard's part of the pool's totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Containers to keep warm.
    pub warm_target: u32,
    /// The credits with which the shard began: the most containers in any state, until credits have moved. None means no
    /// limit but the platform's.
    pub max_instances: Option<u32>,
}

impl Plan {
    /// The plan of a shard that splits the totals evenly with its siblings, which takes no coordination. `limit` is the most
    /// containers that the pool may have.
    pub fn fixed(version: PlanVersion, pool: Pool, limit: Option<u32>, index: ShardIndex) -> Self {
        let credits = limit.map(|total| CreditTerms { generation: 0, total, shards: pool.shards });
        let share = Share::of(&pool, credits, index);
        let (from, fingerprint) = (None, None);
        Self { version, pool, active: true, pinned: false, from, credits, share, fingerprint, format: PLAN_FORMAT }
    }

    /// The plan of a shard of a pool that is configured by code, in which the shards share evenly.
    pub fn by_code(code: CodeVersion, pool: Pool, index: ShardIndex) -> Self {
        let limit = pool.max_instances;
        let fixed = Self::fixed(PlanVersion { version: 0, stamp: code.stamp }, pool, limit, index);
        Self { fingerprint: Some(code.fingerprint), ..fixed }
    }

    /// What a shard that works by `has` makes of this plan before it takes it: of two plans by code alone the first one's shard count
    /// stays, for without a coordinator nobody would move the ids. None when the rest does not go with that.
    pub fn over_count_of(self, has: Option<&Self>, index: ShardIndex) -> Option<Self> {
        let fixed = |plan: &&Self| plan.version.version == 0 && plan.pool.shards != self.pool.shards;
        let Some(has) = has.filter(fixed).filter(|_| self.version.version == 0) else { return Some(self) };
        let pool = self.pool.with_shards(has.pool.shards)?;
        let fixed = Self::fixed(self.version, pool, self.credits.map(|terms| terms.total), index);
        Some(Self { fingerprint: self.fingerprint, active: self.active, ..fixed })
    }

    /// Which settings by code these are, as long as the pool is there.
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        self.fingerprint.as_ref().filter(|_| self.active)
    }

    /// Whether code with these settings has nothing to tell whoever works by this plan.
    pub fn heeds(&self, code: &CodeVersion) -> bool {
        code.is_heeded(self.version, self.fingerprint())
    }

    /// The plan of a sibling.
    #[must_use]
    pub fn of_sibling(&self, index: ShardIndex) -> Self {
        let share = Share::of(&self.pool, self.credits, index);
        let warm_target = if self.active { share.warm_target } else { 0 };
        Self { share: Share { warm_target, ..share }, ..self.clone() }
    }

    /// The plan after a deploy that bundles `bundled` (with its limit), made at `stamp`, while the coordinator has not spoken: the
    /// shard count in force stays, and a pool that does not go with it is not taken. None when `self` stays in force.
    pub fn deployed(&self, bundled: Option<(&Pool, Option<u32>)>, stamp: u64, index: ShardIndex) -> Option<Self> {
        if self.pinned || stamp <= self.version.stamp {
            return None;
        }
        let version = PlanVersion { version: self.version.version, stamp };
        Some(match bundled {
            Some((pool, limit)) => {
                let fixed = Self::fixed(version, pool.with_shards(self.pool.shards)?, limit, index);
                // Terms that the coordinator has set stay: it alone knows what has moved since.
                let kept = self.credits.filter(|terms| terms.generation > 0 && fixed.credits.is_some());
                let credits = kept.or(fixed.credits);
                let share = Share::of(&fixed.pool, credits, index);
                Self { from: self.from, credits, share, ..fixed }
            }
            None => self.clone().retired(version),
        })
    }

    /// Whether it has all that this code knows of plans.
    pub fn is_complete(&self) -> bool {
        self.format >= PLAN_FORMAT
    }

    /// How many shards may have containers of the pool: those in force, and while ids move those of before.
    pub fn taking_part(&self) -> u32 {
        self.pool.shards.max(self.from.unwrap_or(self.pool.shards)).get()
    }

    /// The shard that owns an id.
    pub fn owner_of(&self, pool: &PoolName, id: &SessionId) -> ShardIndex {
        shard_of(pool, id, self.pool.shards)
    }

    /// The shard that owned an id before, and may still have what the owner by now has not got yet; none when nothing moves.
    pub fn former_owner_of(&self, pool: &PoolName, id: &SessionId) -> Option<ShardIndex> {
        let former = shard_of(pool, id, self.from?);
        (former != self.owner_of(pool, id)).then_some(former)
    }

    /// Whether a shard that works by `other` takes this one. Of two plans by code alone (version 0, which the coordinator
    /// never gives) from one deploy, the one that came last wins; and such a plan revives a pool that was taken out of
    /// the file.
    pub fn supersedes(&self, other: &Self) -> bool {
        let by_code = self.version.version == 0;
        let differs = self.pool != other.pool || self.fingerprint != other.fingerprint;
        let same_deploy = self.version == other.version && differs;
        let revives = !other.active && self.version.stamp >= other.version.stamp;
        let completes = self.version == other.version && self.format > other.format;
        let newer = self.version > other.version || completes || mutants::on(Mutant::OlderPlanWins);
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
    /// An even part of the pool's warm target, none for a shard beyond the count in force; and the credits with which the shard
    /// began.
    pub fn of(pool: &Pool, credits: Option<CreditTerms>, index: ShardIndex) -> Self {
        Self {
            warm_target: share::even(pool.warm_target, pool.shards, index),
            max_instances: credits.map(|terms| terms.base(index)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(stamp: u64, settings: &str) -> CodeVersion {
        CodeVersion { stamp, fingerprint: Fingerprint::of(settings) }
    }

    fn at(version: u64, stamp: u64) -> PlanVersion {
        PlanVersion { version, stamp }
    }

    #[test]
    fn code_is_heeded_by_its_own_settings_a_later_deploy_and_a_configuration() {
        let (asks, other) = (code(5, "a"), Fingerprint::of("b"));
        assert!(asks.is_heeded(at(0, 5), Some(&asks.fingerprint)));
        assert!(!asks.is_heeded(at(0, 5), Some(&other)));
        assert!(!asks.is_heeded(at(0, 5), None));
        assert!(!asks.is_heeded(at(0, 4), Some(&asks.fingerprint)), "an older deploy could come back");
        assert!(asks.is_heeded(at(0, 6), Some(&other)));
        assert!(asks.is_heeded(at(1, 0), None));
    }

    #[test]
    fn who_only_looks_tells_a_shard_that_has_nothing_and_no_other() {
        let (looks, other) = (code(5, "a"), Fingerprint::of("b"));
        assert!(looks.is_missing(at(0, 0), None));
        assert!(looks.is_missing(at(0, 4), Some(&looks.fingerprint)));
        assert!(!looks.is_missing(at(0, 5), Some(&other)));
        assert!(!looks.is_missing(at(3, 4), None));
    }
}
