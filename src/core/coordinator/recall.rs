//! Getting credits back for those who lack them, or because a limit was lowered.
//!
//! Only a shard itself can tell whether a credit is unused, so it is asked to return what is spare. No more shards are asked than
//! seem to be needed, those with the most first: one that keeps its credits can start containers without asking. Where all
//! that is believed to be spare is not enough, everybody is asked who may have some; and if ids wait, also those who use all of
//! theirs now, so that they return what becomes free. Believing wrongly costs a question.

use std::cmp::Reverse;

use super::Coordinator;
use super::credits::{Free, Unmet, split};
use super::outbox::Lane;
use super::registry::shards_of;
use crate::config::resolved::{Millis, PoolName};
use crate::core::id::ShardId;
use crate::core::mutants::{self, Mutant};
use crate::core::sorted::Map;

/// For how many refresh intervals of the pool a shard that is asked returns what is spare.
pub const RECALL_FOR: u64 = 2;
/// How long after it was asked a shard is asked again that still seems to have some.
pub const RECALL_AGAIN: Millis = Millis::from_secs(1);
/// So many times what is lacking is called back, should some have been used meanwhile.
const RECALL_FACTOR: i128 = 2;

/// A shard that may have spare credits.
#[derive(Debug)]
struct Holder {
    shard: ShardId,
    /// How many it seems to have.
    spare: i128,
    /// Whether it was heard of lately.
    is_known: bool,
}

/// How badly credits are lacking.
#[derive(Clone, Copy, Debug, Default)]
struct Shortage {
    count: i128,
    /// Whether ids wait for them, or the limit was lowered.
    is_urgent: bool,
    /// Whether the limit was lowered.
    is_over: bool,
}

impl Shortage {
    fn new(over: i128, unmet: Unmet) -> Self {
        let over = over.max(0);
        let count = over + i128::from(unmet.ids) + i128::from(unmet.stock);
        Self { count, is_urgent: over > 0 || unmet.ids > 0, is_over: over > 0 }
    }
}

impl Coordinator {
    /// For how long a shard is to return what is spare; 0 when it may keep it.
    pub(super) fn recall_for(&self, shard: &ShardId) -> Millis {
        let is_recalled = self.shard_view(shard).is_some_and(|view| view.is_recalled);
        let pause = Millis(self.refresh_interval(&shard.pool).0.saturating_mul(RECALL_FOR));
        if is_recalled { pause } else { Millis(0) }
    }

    /// Calls back what is lacking in the pools of a class, and has what is beyond a lowered limit let go.
    pub(super) fn call_back(&mut self, pools: &[PoolName], free: &Free, unmet: &Map<PoolName, Unmet>) {
        let unmet_of = |pool: &PoolName| unmet.get(pool).copied().unwrap_or_default();
        let mut of_class = Unmet::default();
        let mut of_pools = Vec::new();
        for (pool, &free_of_pool) in &free.pools {
            let unmet = unmet_of(pool);
            if free_of_pool > 0 {
                of_class.ids += unmet.ids;
                of_class.stock += unmet.stock;
            } else {
                // What others return is of no use to it.
                of_pools.push((pool.clone(), Shortage::new(-free_of_pool, unmet)));
            }
        }
        let of_class = Shortage::new(-free.class, of_class);
        of_pools.retain(|(_, shortage)| shortage.count > 0);
        let is_short = of_class.count > 0 || !of_pools.is_empty();
        let was_short = |pool: &PoolName| self.views.get(pool).is_some_and(|view| view.is_short);
        if !is_short && !pools.iter().any(was_short) {
            return;
        }
        self.keep_all(pools);
        for pool in pools {
            self.pool_view_mut(pool).is_short = is_short;
        }
        if mutants::on(Mutant::CreditsNeverCalledBack) {
            return;
        }
        for (pool, shortage) in &of_pools {
            self.recall(std::slice::from_ref(pool), *shortage);
        }
        self.recall(pools, of_class);
        for (pool, _) in &of_pools {
            let over = -free.pools.get(pool).copied().unwrap_or_default();
            self.let_go(std::slice::from_ref(pool), over);
        }
        self.let_go(pools, -free.class);
    }

    /// Calls nothing back from the shards of these pools.
    pub(super) fn keep_all(&mut self, pools: &[PoolName]) {
        for pool in pools {
            let Some(view) = self.views.get_mut(pool).filter(|view| view.is_short) else { continue };
            view.is_short = false;
            for shard in view.shards.values_mut() {
                (shard.is_recalled, shard.is_over, shard.excess) = (false, false, 0);
            }
        }
    }

    /// Marks those whose credits are called back, and has them told.
    fn recall(&mut self, pools: &[PoolName], Shortage { count, is_urgent, is_over }: Shortage) {
        if count <= 0 {
            return;
        }
        let holders = pools.iter().flat_map(|pool| self.holders_of(pool));
        let holders: Map<_, _> =
            holders.map(|holder| ((Reverse(holder.spare), holder.shard.clone()), holder)).collect();
        let is_enough = holders.values().map(|holder| holder.spare).sum::<i128>() >= count;
        let mut expected = 0;
        for Holder { shard, spare, is_known } in holders.into_values() {
            let has_some = spare > 0 && expected < count * RECALL_FACTOR;
            let may_have_some = !is_enough && (is_urgent || !is_known || spare > 0);
            if has_some || may_have_some {
                expected += spare;
                let view = self.shard_view_mut(&shard);
                view.is_recalled = true;
                view.is_over |= is_over;
                self.tell_of_recall(&shard, spare, is_known);
            }
        }
    }

    /// The shards of a pool that may have credits.
    fn holders_of(&self, pool: &PoolName) -> Vec<Holder> {
        let Some(terms) = self.terms_of(pool) else { return Vec::new() };
        let holder = |shard: ShardId| {
            let row = self.ledger.row(&shard);
            let heard = self.heard(&shard);
            let spare = match heard.and_then(|heard| Some((heard, heard.credits(terms.generation)?))) {
                None => self.leased(&shard, terms).max(0),
                Some((heard, credits)) => {
                    let unheard = row.given.saturating_sub(credits.given);
                    let lacking = u64::from(heard.standing.lacking) + u64::from(heard.standing.stock_lacking);
                    if unheard == 0 && self.is_empty(&shard) {
                        return None;
                    }
                    i128::from(credits.spare) + i128::from(unheard.saturating_sub(lacking))
                }
            };
            let is_known = self.heard_lately(&shard).is_some();
            Some(Holder { shard, spare, is_known })
        };
        shards_of(pool, self.registry.ever(pool)).filter_map(holder).collect()
    }

    /// Has a shard told that its spare credits are called back, unless it was told lately.
    fn tell_of_recall(&mut self, shard: &ShardId, spare: i128, is_known: bool) {
        let now = self.now;
        let lasts = self.recall_for(shard);
        let told = self.shard_view(shard).and_then(|view| view.recalled_at).filter(|&at| at <= now);
        let again = told.map(|at| if spare > 0 || !is_known { at + RECALL_AGAIN } else { at + lasts });
        match again {
            Some(at) if at > now => {
                if spare > 0 {
                    self.recall_again = Some(self.recall_again.map_or(at, |has| has.min(at)));
                }
            }
            Some(_) | None => self.owe(shard, Lane::Ask),
        }
    }

    /// Has warm containers let go, so many as are beyond a lowered limit and will not come back otherwise.
    fn let_go(&mut self, pools: &[PoolName], over: i128) {
        if over <= 0 {
            return;
        }
        let (mut coming, mut stocks) = (0, Vec::new());
        for shard in self.seen(pools) {
            let Some(heard) = self.heard_lately(&shard) else { continue };
            let told = self.shard_view(&shard).map_or(0, |view| view.excess.saturating_add(view.excess_told));
            let spare = heard.standing.credits.map_or(0, |credits| credits.spare);
            coming += i128::from(spare) + i128::from(heard.standing.counts.draining) + i128::from(told);
            stocks.push((shard.clone(), u64::from(heard.stock().saturating_sub(told))));
        }
        let weights: Vec<u64> = stocks.iter().map(|&(_, stock)| stock).collect();
        for ((shard, _), part) in stocks.into_iter().zip(split(over - coming, &weights)) {
            if part > 0 {
                self.shard_view_mut(&shard).excess += part;
                self.owe(&shard, Lane::Ask);
            }
        }
    }
}
