//! Each shard's share of the warm target.
//!
//! Always true of a pool in the configuration: the shares sum to its target, and a shard beyond the count in force has none. Stock
//! that is spread thin meets less of the demand, and siblings borrow: so a few shards hold it, in proportion to what was asked
//! of them lately. Moving stock costs a start for each container, so that the shares stay until they are clearly wrong.

use std::cmp::Reverse;

use super::Coordinator;
use super::outbox::Lane;
use super::registry::shards_of;
use crate::config::resolved::{Millis, Pool, PoolName};
use crate::core::id::{ShardId, ShardIndex};
use crate::core::mutants::{self, Mutant};
use crate::core::share::{even, largest_remainder};
use crate::core::sorted::Set;

/// So many containers at least, on average, are kept warm by a shard that keeps any; more of larger pools, see `heap`.
pub const MIN_STOCK: u32 = 8;
/// With so little demand over all shards, in ids per 1,000 s, shares stay as they are: what is left of it says nothing.
pub const MIN_DEMAND: u64 = 100;
/// How many refresh intervals after the first report demand is taken to be known.
pub const DEMAND_KNOWN_AFTER: u64 = 2;
/// Shares are changed when one would by this part of itself, or of the average, whichever is more.
const CHANGE: u32 = 4;
/// A shard without demand counts as this part of the average, and so many ids per 1,000 s.
const BASE_WEIGHT: u64 = 10;
const BASE_DEMAND: u64 = 20;
/// How much more demand, in halves, it takes to replace a shard that keeps stock: half as much again.
const REPLACED_AT: u64 = 3;

/// How many containers a shard is to keep warm, if any, in a pool that keeps `total`. What is warm of it at any time, while the rest
/// is being replaced, varies with the square root; a sibling that comes to borrow must find some. (By simulation: at 10 ids a
/// second, starts of 3 s and 42 warm, four shards of 64 with 10 each have 98 % of warm hits; with 8 each it is 97 %, with 4 it is 92 %, and
/// with the stock spread over all, 75 %. The factor keeps that up to 420 warm.)
fn heap(total: u32) -> u32 {
    (total.isqrt() * 3 / 2).max(MIN_STOCK)
}

impl Coordinator {
    /// How many containers a shard is to keep warm.
    pub(super) fn warm_target_of(&self, shard: &ShardId) -> u32 {
        self.ledger.row(shard).warm_target
    }

    /// Whether the shares are what they must be.
    pub(super) fn shares_fit(&self) -> bool {
        self.registry.pools.keys().all(|pool| self.fits(pool))
    }

    /// Shares out the stock of these pools, and of all whose shares do not sum to their target.
    pub(super) fn share_out(&mut self, changed: &Set<PoolName>) {
        let is_due = |pool: &&PoolName| changed.contains(*pool) || !self.fits(pool);
        let due: Vec<PoolName> = self.registry.pools.keys().filter(is_due).cloned().collect();
        for pool in due {
            let shares = self.shares_by_demand(&pool);
            self.set_shares(&pool, &shares);
        }
        // A sibling that hands on a plan knows of no share but the even one.
        let differs = |shard: &ShardId| {
            let count = self.registry.pools.get(&shard.pool).map(|pool| pool.shards);
            let even = count.map(|count| even(self.total_of(&shard.pool), count, shard.index));
            even != Some(self.warm_target_of(shard))
        };
        for shard in self.registry.shards().filter(differs).collect::<Vec<_>>() {
            self.ledger.update(&shard, |row| row.untold = true);
        }
    }

    /// Looks whether the shares still go with the demand, once per refresh interval.
    pub(super) fn reweigh(&mut self, pool: &PoolName) {
        let (now, every) = (self.now, self.refresh_interval(pool));
        let first = now + Millis(every.0.saturating_mul(DEMAND_KNOWN_AFTER));
        let view = self.pool_view_mut(pool);
        // The clock may have gone back.
        let at = view.reweigh_at.map_or(first, |at| at.min(first));
        view.reweigh_at = Some(if at <= now { now + every } else { at });
        if at > now || self.demand_of(pool).iter().fold(0, |sum: u64, demand| sum.saturating_add(*demand)) < MIN_DEMAND
        {
            return;
        }
        let (shares, former) = (self.shares_by_demand(pool), self.shares_of(pool));
        let average = self.total_of(pool) / self.holders_wanted(pool).max(1);
        let differs = |(new, old): (&u32, &u32)| new.abs_diff(*old) >= (*old).max(average).div_ceil(CHANGE).max(1);
        if !shares.iter().zip(&former).any(differs) {
            return;
        }
        self.set_shares(pool, &shares);
        // Those that have been heard of will report again, and are told by the reply.
        let is_owed = |(shard, former): &(ShardId, u32)| {
            self.warm_target_of(shard) != *former && self.heard_lately(shard).is_none()
        };
        let owed: Vec<(ShardId, u32)> = self.shards_in_force(pool).zip(former).filter(is_owed).collect();
        for (shard, _) in owed {
            self.owe(&shard, Lane::Ask);
        }
    }

    fn fits(&self, pool: &PoolName) -> bool {
        let count = self.count(pool);
        let (within, beyond): (Vec<_>, Vec<_>) = self.ledger.warm_targets(pool).partition(|(index, _)| index.0 < count);
        let sum = |shares: Vec<(ShardIndex, u32)>| shares.into_iter().map(|(_, share)| u64::from(share)).sum::<u64>();
        sum(within) == u64::from(self.total_of(pool)) && sum(beyond) == 0
    }

    /// Containers that all shards of a pool keep warm together: none once it is not in the configuration.
    fn total_of(&self, pool: &PoolName) -> u32 {
        let is_kept = self.registry.is_active(pool) || mutants::on(Mutant::RetiredStaysWarm);
        self.registry.pools.get(pool).filter(|_| is_kept).map_or(0, |pool| pool.warm_target)
    }

    fn count(&self, pool: &PoolName) -> u32 {
        self.registry.pools.get(pool).map_or(0, |pool: &Pool| pool.shards.get())
    }

    fn shards_in_force<'a>(&self, pool: &'a PoolName) -> impl Iterator<Item = ShardId> + use<'a> {
        shards_of(pool, self.count(pool))
    }

    fn shares_of(&self, pool: &PoolName) -> Vec<u32> {
        self.shards_in_force(pool).map(|shard| self.warm_target_of(&shard)).collect()
    }

    fn demand_of(&self, pool: &PoolName) -> Vec<u64> {
        self.shards_in_force(pool)
            .map(|shard| self.heard_lately(&shard).map_or(0, |heard| heard.standing.demand))
            .collect()
    }

    /// How many shards are to hold the stock.
    fn holders_wanted(&self, pool: &PoolName) -> u32 {
        let total = self.total_of(pool);
        (total / heap(total)).clamp(1, self.count(pool).max(1))
    }

    /// The shares by what was asked of each shard lately; of equal ones, those that hold stock already, then the first.
    fn shares_by_demand(&self, pool: &PoolName) -> Vec<u32> {
        let (demand, former) = (self.demand_of(pool), self.shares_of(pool));
        let sum: u64 = demand.iter().fold(0, |sum, demand| sum.saturating_add(*demand));
        let base = BASE_DEMAND + sum / (BASE_WEIGHT * demand.len().max(1) as u64);
        let weights: Vec<u64> = demand.into_iter().map(|demand| demand.saturating_add(base)).collect();
        let ranked: Set<(Reverse<u128>, usize)> = weights
            .iter()
            .zip(&former)
            .map(|(weight, former)| weight.saturating_mul(if *former > 0 { REPLACED_AT } else { 2 }))
            .map(|rank| Reverse(rank.into()))
            .zip(0..)
            .collect();
        let wanted = self.holders_wanted(pool) as usize;
        let holders: Set<usize> = ranked.into_iter().take(wanted).map(|(_, index)| index).collect();
        let mut shares = vec![0; weights.len()];
        let of_holders: Vec<u64> = holders.iter().filter_map(|&index| weights.get(index).copied()).collect();
        for (index, part) in holders.into_iter().zip(largest_remainder(self.total_of(pool), &of_holders)) {
            if let Some(share) = shares.get_mut(index) {
                *share = part;
            }
        }
        shares
    }

    fn set_shares(&mut self, pool: &PoolName, shares: &[u32]) {
        let all = shards_of(pool, self.registry.ever(pool));
        for (shard, share) in all.zip(shares.iter().copied().chain(std::iter::repeat(0))) {
            self.ledger.update(&shard, |row| row.warm_target = share);
        }
    }
}
