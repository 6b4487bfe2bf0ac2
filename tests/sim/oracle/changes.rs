//! What is in force, and how it changes: versions only grow, and one change of a shard count is over before the next begins.

use std::collections::BTreeMap;

use cf_warm_pools::config::Config;
use cf_warm_pools::config::resolved::{PoolName, ShardCount};
use cf_warm_pools::core::coordinator::Registry;
use cf_warm_pools::core::id::ShardIndex;
use cf_warm_pools::core::plan::PlanVersion;
use cf_warm_pools::core::route::shard_of;
use cf_warm_pools::core::shard::State;
use cf_warm_pools::core::sorted::Map;

use super::books::{Books, Broken};
use crate::world::message::{Addr, pool_number};

/// What the coordinator has written down, and what follows from it.
#[derive(Clone, Copy)]
pub struct InForce<'a> {
    /// The version before its last step.
    pub before: PlanVersion,
    pub version: PlanVersion,
    pub registry: &'a Registry,
    pub config: &'a Config,
    pub moving_from: &'a Map<PoolName, ShardCount>,
}

/// What was in force last.
#[derive(Debug, Default)]
pub struct Changes {
    deploy_stamp: u64,
    version: u64,
    /// Whether an administrator has set a configuration.
    is_overridden: bool,
    shards: BTreeMap<PoolName, Shards>,
    begun: u64,
    closed: u64,
}

/// The shard counts of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shards {
    from: Option<ShardCount>,
    to: ShardCount,
    /// Since which version this is so.
    since: PlanVersion,
}

impl Changes {
    /// How many changes of a shard count have begun, and how many of them are over.
    pub fn migrations(&self) -> (u64, u64) {
        (self.begun, self.closed)
    }

    /// The coordinator has taken a step.
    pub fn step(&mut self, now: &InForce<'_>, drops_override: bool, books: &Books, broken: &mut Vec<Broken>) {
        let registry = now.registry;
        if now.version < now.before {
            broken.push(("all-or-nothing", format!("from {:?} back to {:?}", now.before, now.version)));
        }
        let is_overridden = registry.admin.is_some();
        if std::mem::replace(&mut self.is_overridden, is_overridden) && !is_overridden && !drops_override {
            broken.push(("all-or-nothing", "what an administrator set is gone, and nobody dropped it".to_owned()));
        }
        if registry.version < self.version {
            broken.push(("all-or-nothing", format!("version {} after {}", registry.version, self.version)));
        }
        self.version = registry.version;
        let stamp = registry.deployed.as_ref().map_or(0, |deployed| deployed.stamp);
        if stamp < self.deploy_stamp {
            broken.push(("all-or-nothing", format!("the deploy of {stamp} replaces that of {}", self.deploy_stamp)));
        }
        self.deploy_stamp = stamp;
        for (name, pool) in &registry.pools {
            let from = now.moving_from.get(name).copied();
            let is = Shards { from, to: pool.shards, since: now.version };
            let Some(was) = self.shards.get(name).copied() else {
                if from.is_some() {
                    broken.push(("all-or-nothing", format!("{name} is new and moves from {from:?}")));
                }
                self.shards.insert(name.clone(), is);
                continue;
            };
            if (was.from, was.to) == (is.from, is.to) {
                continue;
            }
            if now.version <= was.since {
                broken.push(("all-or-nothing", format!("{name} goes from {was:?} to {is:?} without a new version")));
            }
            match (was.from, is.from) {
                (None, Some(from)) if from == was.to && is.to != was.to => self.begun += 1,
                // One that has waited begins as soon as the other is over.
                (Some(_), Some(from)) if from == was.to && is.to != was.to => {
                    self.closed += 1;
                    self.begun += 1;
                    closes(name, was, books, broken);
                }
                (Some(_), None) if is.to == was.to => {
                    self.closed += 1;
                    closes(name, was, books, broken);
                }
                (_, _) => broken.push(("all-or-nothing", format!("{name} goes from {was:?} to {is:?}"))),
            }
            self.shards.insert(name.clone(), is);
        }
    }
}

/// A change of a shard count is over: no shard has anything that belongs to another, and none will come to have it.
fn closes(name: &PoolName, was: Shards, books: &Books, broken: &mut Vec<Broken>) {
    let (pool, to) = (pool_number(name), was.to);
    let mut stays = |what: String| {
        broken.push(("sticky", format!("{name} is done moving from {:?} to {:?}, and {what}", was.from, was.to)));
    };
    let of_pool = |addr: Addr| match addr {
        Addr::Shard { pool: of, index } if of == pool => Some(ShardIndex(index)),
        _ => None,
    };
    let owner = |state: &State| match state {
        State::Assigned { id, .. } | State::Draining { blocks: Some(id), .. } => Some(shard_of(name, id, to)),
        State::Starting | State::Warm { .. } | State::Draining { blocks: None, .. } | State::Moving { .. } => None,
    };
    for (shard, row) in books.rows_of_pool(pool) {
        let Some(index) = of_pool(shard) else { continue };
        let belongs = owner(&row.state).map_or(index.0 < to.get(), |owner| owner == index);
        if !belongs {
            stays(format!("{shard:?} has {} in {:?}", row.container, row.state));
        }
    }
    for (container, gift) in books.moves().all_open() {
        // Warm ones may be lent at any time.
        if of_pool(gift.giver).is_some() && owner(&gift.was).is_some() {
            stays(format!("{container} is on its way from {:?} to {:?}", gift.giver, gift.to));
        }
    }
    let most = was.from.map_or(0, ShardCount::get).max(to.get());
    for index in 0..most {
        match books.plans().get(&Addr::Shard { pool, index }) {
            Some(plan) if plan.version >= was.since => {}
            plan => stays(format!("shard {index} works by {:?}", plan.map(|plan| plan.version))),
        }
    }
}
