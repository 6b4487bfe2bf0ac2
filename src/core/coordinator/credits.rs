//! Who may have how many containers.
//!
//! Always true: what is outstanding of a class (what its shards began with and were given, less what they have returned) never
//! grows beyond the class's limit, nor that of a pool beyond the pool's. A credit counts as outstanding from when it is written
//! down, which is before anybody is told, until its return has been reported. A shard that was never heard of has what it
//! began with. Of one shard less than nothing can be outstanding, because credits move along with containers; the sum is right.
//!
//! The limit of a class is the largest that any pool of it in the configuration states; of a pool, its own, else the class's.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use super::Coordinator;
use super::outbox::Lane;
use crate::config::resolved::{BindingName, Millis, Pool, PoolName};
use crate::core::allotment::{CreditReport, CreditTerms};
use crate::core::id::ShardId;
use crate::core::mutants::{self, Mutant};
use crate::core::share::largest_remainder;
use crate::core::sorted::Map;

/// The pools of a container class.
#[derive(Clone, Debug, Default)]
pub(super) struct Class {
    /// The most containers of the class; none: there is no limit.
    pub limit: Option<u32>,
    /// Every pool of it that was ever in force.
    pub pools: Vec<PoolName>,
}

/// How much of a pool's limit, and of its class's, shards have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// The most containers of the pool.
    pub limit: u32,
    /// The credits that its shards have, used or not. More than the limit only after that was lowered.
    pub leased: u32,
    /// The most containers of its class.
    pub class_limit: u32,
    /// The credits that shards of all its pools have.
    pub class_leased: u32,
}

/// What may still be given. Less than 0 when a limit was lowered.
#[derive(Debug)]
pub(super) struct Free {
    /// To shards of the class.
    pub class: i128,
    /// To those of each pool in the configuration.
    pub pools: Map<PoolName, i128>,
}

/// What a pool's shards lack and did not get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unmet {
    /// For ids that wait.
    pub ids: u64,
    /// For stock.
    pub stock: u64,
}

/// What a shard lacks.
#[derive(Debug)]
struct Want {
    shard: ShardId,
    /// When the first id that waits came, and when it was heard of.
    first: Millis,
    at: Millis,
    /// How many wait, and how many of them have got a credit.
    ids: u32,
    served: u32,
    stock: u32,
    given: u32,
}

impl Want {
    /// When the next id without a credit came, if they came evenly spaced.
    fn next_arrival(&self) -> Millis {
        let waited = (self.at - self.first).0;
        let part = u128::from(waited) * u128::from(self.served) / u128::from(self.ids.max(1));
        self.first + Millis(u64::try_from(part).unwrap_or(waited))
    }
}

impl Free {
    fn of(&self, pool: &PoolName) -> u32 {
        let pool = self.pools.get(pool).copied().unwrap_or_default();
        u32::try_from(self.class.min(pool).max(0)).unwrap_or(u32::MAX)
    }

    fn take(&mut self, pool: &PoolName, count: u32) {
        if mutants::on(Mutant::CreditGivenTwice) {
            return;
        }
        self.class -= i128::from(count);
        if let Some(pool) = self.pools.get_mut(pool) {
            *pool -= i128::from(count);
        }
    }
}

impl Coordinator {
    /// How much of its limit a pool has leased; none when it has no limit.
    pub fn capacity(&self, pool: &PoolName) -> Option<Capacity> {
        let class = self.class_of(pool)?;
        let count = |outstanding: i128| u32::try_from(outstanding.max(0)).unwrap_or(u32::MAX);
        Some(Capacity {
            limit: self.limit_of(pool)?,
            leased: count(self.outstanding(pool)),
            class_limit: class.limit?,
            class_leased: count(self.outstanding_of(&class.pools)),
        })
    }

    /// Sorts the pools by class, with the limits in force.
    pub(super) fn classify(&mut self) {
        let mut classes = Map::<BindingName, Class>::new();
        for (name, pool) in &self.registry.pools {
            let class = classes.entry(pool.container.clone()).or_default();
            class.pools.push(name.clone());
            if self.registry.is_active(name) {
                class.limit = class.limit.max(pool.max_instances);
            }
        }
        self.classes = classes;
    }

    pub(super) fn class_of(&self, pool: &PoolName) -> Option<&Class> {
        self.classes.get(&self.registry.pools.get(pool)?.container)
    }

    fn limit_of(&self, pool: &PoolName) -> Option<u32> {
        self.registry.pools.get(pool)?.max_instances.or(self.class_of(pool)?.limit)
    }

    pub(super) fn terms_of(&self, pool: &PoolName) -> Option<CreditTerms> {
        self.registry.terms.get(pool).copied()
    }

    /// The credits that a pool's shards have, as far as has been heard.
    fn outstanding(&self, pool: &PoolName) -> i128 {
        self.terms_of(pool).map_or(0, |terms| i128::from(terms.total) + self.ledger.net(pool))
    }

    fn outstanding_of(&self, pools: &[PoolName]) -> i128 {
        pools.iter().map(|pool| self.outstanding(pool)).sum()
    }

    /// The credits that a shard has, as far as has been heard, but for those that came or went with containers.
    pub(super) fn leased(&self, shard: &ShardId, terms: CreditTerms) -> i128 {
        let row = self.ledger.row(shard);
        i128::from(terms.base(shard.index)) + i128::from(row.given) - i128::from(row.returned)
    }

    /// Whether a pool that is limited has no terms: older code knew of none.
    pub(super) fn lacks_terms(&self) -> bool {
        let lacks = |(name, pool): (&PoolName, &Pool)| {
            let limit = self.classes.get(&pool.container).and_then(|class| class.limit);
            self.registry.is_active(name) && limit.is_some() && !self.registry.terms.contains_key(name)
        };
        self.registry.pools.iter().any(lacks)
    }

    /// Sets the terms of pools that have a limit for the first time, out of what nobody has yet, and ends those of pools that
    /// have none any more.
    pub(super) fn set_terms(&mut self) {
        let pools: Vec<PoolName> = self.registry.terms.keys().cloned().collect();
        for pool in pools {
            let is_limited = self.class_of(&pool).is_some_and(|class| class.limit.is_some());
            if self.registry.is_active(&pool) && !is_limited {
                self.registry.terms.remove(&pool);
            }
        }
        let classes: Vec<Class> = self.classes.values().cloned().collect();
        for Class { limit, pools } in classes {
            let Some(limit) = limit else { continue };
            let free = i128::from(limit) - self.outstanding_of(&pools);
            let free = u32::try_from(free.max(0)).unwrap_or(u32::MAX);
            let is_new = |pool: &&PoolName| self.registry.is_active(pool) && self.terms_of(pool).is_none();
            let new: Vec<PoolName> = pools.iter().filter(is_new).cloned().collect();
            let limits: Vec<u32> = new.iter().map(|pool| self.limit_of(pool).unwrap_or(limit)).collect();
            let weights: Vec<u64> = limits.iter().copied().map(u64::from).collect();
            let parts = largest_remainder(free, &weights);
            for ((pool, limit), part) in new.into_iter().zip(limits).zip(parts) {
                let Some(shards) = self.registry.pools.get(&pool).map(|pool| pool.shards) else { continue };
                let generation = self.registry.version;
                self.ledger.begin(&pool, generation);
                self.registry.terms.insert(pool, CreditTerms { generation, total: part.min(limit), shards });
            }
        }
    }

    /// Takes what a shard says of its credits. A pool that is no longer in the configuration is done when all are back.
    pub(super) fn take_credits(&mut self, shard: &ShardId, report: Option<CreditReport>) {
        let Some(terms) = self.terms_of(&shard.pool) else { return };
        if let Some(CreditReport { generation, given, returned, .. }) = report
            && generation == terms.generation
        {
            self.ledger.update(shard, |row| {
                if mutants::on(Mutant::ReturnsCountedAnew) {
                    row.returned += returned;
                } else {
                    row.returned = row.returned.max(returned);
                }
                // More than was written down: the rows are not the latest.
                row.given = row.given.max(given);
            });
        }
        if !self.registry.is_active(&shard.pool) && self.outstanding(&shard.pool) <= 0 {
            self.registry.terms.remove(&shard.pool);
            self.registry_changed = true;
        }
    }

    /// Gives what is free of a class to those who lack it, and calls back what is spare where that is not enough.
    pub(super) fn serve(&mut self, class: &BindingName) {
        let Some(Class { limit, pools }) = self.classes.get(class).cloned() else { return };
        let Some(limit) = limit else { return self.keep_all(&pools) };
        let active = pools.iter().filter(|pool| self.registry.is_active(pool));
        let free_of = |pool: &PoolName| Some((pool.clone(), i128::from(self.limit_of(pool)?) - self.outstanding(pool)));
        let by_pool = active.filter_map(free_of).collect();
        let mut free = Free { class: i128::from(limit) - self.outstanding_of(&pools), pools: by_pool };
        if mutants::on(Mutant::ClassLimitIgnored) {
            free.class = i128::from(u32::MAX);
        }
        let mut wants: Vec<Want> = pools.iter().flat_map(|pool| self.wants_of(pool)).collect();
        give_to_ids(&mut wants, &mut free);
        give_to_stock(&mut wants, &mut free);
        let mut unmet = Map::<PoolName, Unmet>::new();
        for want in wants {
            let sum = unmet.entry(want.shard.pool.clone()).or_default();
            sum.ids += u64::from(want.ids - want.served);
            sum.stock += u64::from(want.stock);
            if want.given > 0 {
                self.ledger.update(&want.shard, |row| row.given += u64::from(want.given));
                self.owe(&want.shard, Lane::Grant);
            }
        }
        self.call_back(&pools, &free, &unmet);
    }

    /// What the shards of a pool lack, as far as has been heard lately, beyond what they were given and have not heard of.
    fn wants_of(&self, pool: &PoolName) -> Vec<Want> {
        let (Some(terms), Some(view)) = (self.terms_of(pool), self.views.get(pool)) else { return Vec::new() };
        let in_force = self.registry.pools.get(pool).map_or(0, |pool| pool.shards.get());
        let is_served = self.registry.is_active(pool);
        let lacking = view.lacking.iter().filter(|index| is_served && index.0 < in_force);
        let want = |shard: ShardId| {
            let heard = self.heard_lately(&shard)?;
            let standing = &heard.standing;
            let row = self.ledger.row(&shard);
            let unheard = row.given.saturating_sub(heard.credits(terms.generation)?.given);
            let served = u32::try_from(unheard).unwrap_or(u32::MAX);
            let missing = row.warm_target.saturating_sub(heard.stock()).min(standing.stock_lacking);
            Some(Want {
                first: heard.at - standing.waiting_for,
                at: heard.at,
                ids: standing.lacking,
                served: served.min(standing.lacking),
                stock: missing.saturating_sub(served.saturating_sub(standing.lacking)),
                given: 0,
                shard,
            })
        };
        lacking.map(|&index| ShardId { pool: pool.clone(), index }).filter_map(want).collect()
    }

    /// A shard is to be told something: by the reply if it is the one that reports, else by an allotment.
    pub(super) fn owe(&mut self, shard: &ShardId, lane: Lane) {
        if self.replying.as_ref() != Some(shard) {
            self.outbox.want(shard.clone(), lane);
        }
    }
}

/// First come, first served, over all shards of the class.
fn give_to_ids(wants: &mut [Want], free: &mut Free) {
    let waits = |(at, want): (usize, &Want)| (want.served < want.ids).then(|| Reverse((want.next_arrival(), at)));
    let mut queue: BinaryHeap<Reverse<(Millis, usize)>> = wants.iter().enumerate().filter_map(waits).collect();
    while free.class > 0
        && let Some(Reverse((_, at))) = queue.pop()
    {
        let Some(want) = wants.get_mut(at) else { continue };
        if free.of(&want.shard.pool) == 0 {
            continue;
        }
        free.take(&want.shard.pool, 1);
        want.served += 1;
        want.given += 1;
        if want.served < want.ids {
            queue.push(Reverse((want.next_arrival(), at)));
        }
    }
}

/// In proportion to what each lacks.
fn give_to_stock(wants: &mut [Want], free: &mut Free) {
    let mut lacking = Map::<PoolName, u64>::new();
    for want in wants.iter().filter(|want| want.stock > 0) {
        *lacking.entry(want.shard.pool.clone()).or_default() += u64::from(want.stock);
    }
    let room: Vec<u64> = lacking.iter().map(|(pool, &lacking)| lacking.min(u64::from(free.of(pool)))).collect();
    for (pool, part) in lacking.keys().zip(split(free.class, &room)) {
        let mut of_pool: Vec<&mut Want> = wants.iter_mut().filter(|want| want.shard.pool == *pool).collect();
        let stock: Vec<u64> = of_pool.iter().map(|want| u64::from(want.stock)).collect();
        for (want, part) in of_pool.iter_mut().zip(split(i128::from(part), &stock)) {
            free.take(pool, part);
            want.stock -= part;
            want.given += part;
        }
    }
}

/// Splits what there is in proportion to what is lacking, and gives nobody more than that.
pub(super) fn split(available: i128, lacking: &[u64]) -> Vec<u32> {
    let sum: u64 = lacking.iter().fold(0, |sum, lacking| sum.saturating_add(*lacking));
    let total = available.max(0).min(i128::from(sum));
    largest_remainder(u32::try_from(total).unwrap_or(u32::MAX), if sum == 0 { &[] } else { lacking })
}
