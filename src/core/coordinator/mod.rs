//! Which configuration is in force, and which shard has not heard of it yet.
//!
//! Always true between steps:
//! - the version only grows; a configuration in force was accepted whole;
//! - what the admin API set outranks what is deployed; of two deploys the later made wins, whichever code runs, so that
//!   old code that still runs beside new code never flips the configuration back;
//! - a pool's shard count never changes once a pool of this name was in force, because ids would move and lose their
//!   containers;
//! - every shard in force either has acknowledged the version in force, or a push to it is under way or timed.
//!
//! Never on the path of a request: shards and gateways go on with what they have when it does not answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::resolved::{Config, Millis, Pool, PoolName, ShardCount};
use crate::core::id::{ShardId, ShardIndex};
use crate::core::mutants::{self, Mutant};
use crate::core::plan::{Plan, PlanVersion};

/// How long until pushes that failed are tried again.
pub const PUSH_RETRY: Millis = Millis::from_secs(5);
/// How many pushes are under way at once.
pub const CONCURRENT_PUSHES: usize = 16;

/// Where a configuration came from, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigSource {
    /// The file the Worker was built with.
    Bundled,
    /// The `POOLS_CONFIG` variable.
    Var,
    /// `PUT /_warm/v1/config`.
    Admin,
}

/// What a deploy brings along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// When it was made, in ms since 1970.
    pub stamp: u64,
    /// File or variable.
    pub source: ConfigSource,
    /// The configuration.
    pub config: Config,
}

/// The coordinator's durable state, but for the acknowledgements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// Counts the changes of what is in force.
    pub version: u64,
    /// The latest deploy known.
    pub deployed: Option<Deployed>,
    /// What the admin API set.
    pub admin: Option<Config>,
    /// Every pool that was ever in force, as it was last. Its `shards` is the count in force.
    pub pools: BTreeMap<PoolName, Pool>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing but that time has passed.
    Woken,
    /// Code runs that was deployed with this.
    Deployed(Box<Deployed>),
    /// The admin API sets this configuration. Check it with [`Coordinator::objections`] first.
    Put(Box<Config>),
    /// The admin API drops what it set.
    DropOverride,
    /// A shard works by this version.
    Acknowledged(ShardId, PlanVersion),
    /// A push did not arrive, or whether it did is not known.
    PushFailed(ShardId),
}

/// What a step wants done.
#[derive(Debug, Default)]
pub struct Effects {
    /// Rows to write, in one transaction.
    pub writes: Vec<Write>,
    /// Plans to send once they are written; each ends with `Acknowledged` or `PushFailed`.
    pub pushes: Vec<(ShardId, Plan)>,
}

/// A row to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Replace the registry.
    PutRegistry(Box<Registry>),
    /// Insert or replace what a shard has acknowledged.
    PutAcknowledged(ShardId, PlanVersion),
}

/// A pool whose configuration cannot be put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// The pool.
    pub pool: PoolName,
    /// Its shard count in force.
    pub shards: ShardCount,
    /// The one that was asked for.
    pub asked: ShardCount,
}

/// The coordinator machine.
#[derive(Debug)]
pub struct Coordinator {
    registry: Registry,
    acknowledged: BTreeMap<ShardId, PlanVersion>,
    under_way: BTreeSet<ShardId>,
    /// Pushes that failed, to be tried again at `retry_at`.
    failed: BTreeSet<ShardId>,
    retry_at: Option<Millis>,
}

impl Coordinator {
    /// The coordinator whose rows are these.
    pub fn load(registry: Registry, acknowledged: BTreeMap<ShardId, PlanVersion>) -> Self {
        let (under_way, failed) = (BTreeSet::new(), BTreeSet::new());
        let mut machine = Self { registry, acknowledged, under_way, failed, retry_at: None };
        // Pushes that were under way before are taken up by the first step.
        let is_behind = machine.behind().next().is_some();
        machine.retry_at = is_behind.then_some(Millis(0));
        machine
    }

    /// The one entry.
    pub fn step(&mut self, now: Millis, input: Input, fx: &mut Effects) {
        match input {
            Input::Woken => {}
            Input::Deployed(deployed) => self.deployed(*deployed, fx),
            Input::Put(config) => {
                self.registry.admin = Some(*config);
                self.put_in_force(fx);
            }
            Input::DropOverride => {
                if self.registry.admin.take().is_some() {
                    self.put_in_force(fx);
                }
            }
            Input::Acknowledged(shard, version) => self.acknowledge(shard, version, fx),
            Input::PushFailed(shard) => {
                self.under_way.remove(&shard);
                self.failed.insert(shard);
                self.retry_at.get_or_insert(now + PUSH_RETRY);
            }
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            if !mutants::on(Mutant::PushNotRetried) {
                self.failed.clear();
            }
        }
        self.push(fx);
        if self.under_way.is_empty() && self.failed.is_empty() {
            self.retry_at = None;
        } else {
            // Also while pushes are under way: should the object be lost with them, its alarm brings it back.
            self.retry_at.get_or_insert(now + PUSH_RETRY);
        }
    }

    /// When to step next, if nothing comes in before.
    pub fn next_timeout(&self) -> Option<Millis> {
        self.retry_at
    }

    /// The version in force.
    pub fn version(&self) -> PlanVersion {
        let stamp = self.registry.deployed.as_ref().map_or(0, |deployed| deployed.stamp);
        PlanVersion { version: self.registry.version, stamp }
    }

    /// Where the configuration in force came from.
    pub fn source(&self) -> ConfigSource {
        match (&self.registry.admin, &self.registry.deployed) {
            (Some(_), _) => ConfigSource::Admin,
            (None, Some(deployed)) => deployed.source,
            (None, None) => ConfigSource::Bundled,
        }
    }

    /// The configuration in force, with the shard counts in force.
    pub fn config(&self) -> Config {
        let mut config = self.asked_for().cloned().unwrap_or_default();
        for (name, pool) in &mut config.pools {
            let in_force = self.registry.pools.get(name).filter(|_| !mutants::on(Mutant::ShardCountChanges));
            if let Some(in_force) = in_force {
                // One that does not go with the shard count in force is refused whole: the former one stays.
                *pool = pool.with_shards(in_force.shards).unwrap_or_else(|| in_force.clone());
            }
        }
        config
    }

    /// Why a configuration may not be put in force: pools whose shard count it would change.
    pub fn objections(&self, config: &Config) -> Vec<Objection> {
        let changed = |(name, pool): (&PoolName, &Pool)| {
            let in_force = self.registry.pools.get(name)?.shards;
            let objects = in_force != pool.shards && !mutants::on(Mutant::ObjectionsIgnored);
            objects.then(|| Objection { pool: name.clone(), shards: in_force, asked: pool.shards })
        };
        config.pools.iter().filter_map(changed).collect()
    }

    /// The plan in force of a shard; none when no pool of this name was ever in force.
    pub fn plan_of(&self, shard: &ShardId) -> Option<Plan> {
        let pool = self.registry.pools.get(&shard.pool)?;
        let plan = Plan::fixed(self.version(), pool.clone(), shard.index);
        let plan = Plan { pinned: self.registry.admin.is_some(), ..plan };
        Some(if self.is_active(&shard.pool) { plan } else { plan.retired(self.version()) })
    }

    fn asked_for(&self) -> Option<&Config> {
        let deployed = self.registry.deployed.as_ref().map(|deployed| &deployed.config);
        self.registry.admin.as_ref().or(deployed)
    }

    fn is_active(&self, pool: &PoolName) -> bool {
        self.asked_for().is_some_and(|config| config.pools.contains_key(pool))
    }

    fn deployed(&mut self, deployed: Deployed, fx: &mut Effects) {
        let newer = self.registry.deployed.as_ref().is_none_or(|has| {
            // With equal stamps the same build runs with another variable.
            deployed.stamp > has.stamp
                || ((deployed.stamp == has.stamp || mutants::on(Mutant::OlderDeployWins)) && deployed != *has)
        });
        if newer {
            self.registry.deployed = Some(deployed);
            if mutants::on(Mutant::AdminLostOnDeploy) {
                self.registry.admin = None;
            }
            self.put_in_force(fx);
        }
    }

    fn put_in_force(&mut self, fx: &mut Effects) {
        self.registry.version += u64::from(!mutants::on(Mutant::VersionStandsStill));
        self.registry.pools.extend(self.config().pools);
        if !mutants::on(Mutant::RegistryNotWritten) {
            fx.writes.push(Write::PutRegistry(Box::new(self.registry.clone())));
        }
        self.failed.clear();
        self.retry_at = None;
    }

    fn acknowledge(&mut self, shard: ShardId, version: PlanVersion, fx: &mut Effects) {
        self.under_way.remove(&shard);
        // Somebody may name shards that never were: they are not kept.
        if self.shards().any(|known| known == shard) && self.acknowledged.get(&shard) != Some(&version) {
            fx.writes.push(Write::PutAcknowledged(shard.clone(), version));
            self.acknowledged.insert(shard, version);
        }
    }

    fn push(&mut self, fx: &mut Effects) {
        let behind: Vec<ShardId> = self
            .behind()
            .filter(|shard| !self.under_way.contains(shard) && !self.failed.contains(shard))
            .take(CONCURRENT_PUSHES.saturating_sub(self.under_way.len()))
            .collect();
        for shard in behind {
            if let Some(plan) = self.plan_of(&shard) {
                fx.pushes.push((shard.clone(), plan));
                self.under_way.insert(shard);
            }
        }
    }

    /// The shards that have not acknowledged the version in force.
    fn behind(&self) -> impl Iterator<Item = ShardId> + '_ {
        let version = self.version();
        self.shards().filter(move |shard| self.acknowledged.get(shard).is_none_or(|has| *has < version))
    }

    /// Every shard of every pool that was ever in force.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.registry.pools.iter().flat_map(|(name, pool)| {
            (0..pool.shards.get()).map(move |index| ShardId { pool: name.clone(), index: ShardIndex(index) })
        })
    }
}
