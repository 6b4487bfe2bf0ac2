//! What shards have said of themselves lately. None of it is durable: after a restart it is heard anew, and what is old counts
//! no more.

use super::Coordinator;
use crate::config::resolved::{Millis, PoolName};
use crate::core::allotment::{CreditReport, Standing};
use crate::core::id::{ShardId, ShardIndex};
use crate::core::plan::PlanVersion;
use crate::core::sorted::{Map, Set};
use crate::core::stats::Counts;

/// What a shard has said counts for so many refresh intervals of its pool.
pub const HEARD_FOR: u64 = 3;
/// That a shard has nothing counts for so many: it says so when it gets something, but that may be lost.
pub const HEARD_EMPTY_FOR: u64 = 30;

/// The shards of a pool.
#[derive(Debug, Default)]
pub(super) struct PoolView {
    pub shards: Map<ShardIndex, ShardView>,
    /// Those that lack credits, for ids or for stock.
    pub lacking: Set<ShardIndex>,
    /// Of a pool that moves: those that have nothing left to hand over.
    pub done: Set<ShardIndex>,
    /// When the shares of the stock are looked at again.
    pub reweigh_at: Option<Millis>,
    /// Whether credits are called back.
    pub is_short: bool,
}

/// A shard.
#[derive(Debug, Default)]
pub(super) struct ShardView {
    /// What it said last.
    pub heard: Option<Heard>,
    /// When it was last heard of, or told anything.
    pub contact: Option<Millis>,
    /// Whether its spare credits are called back.
    pub is_recalled: bool,
    /// Whether they are because a limit was lowered.
    pub is_over: bool,
    /// When it was last told so.
    pub recalled_at: Option<Millis>,
    /// Warm containers that it is to let go because the limit was lowered, and has not been told of.
    pub excess: u32,
    /// Those that it was told of since it was last heard of.
    pub excess_told: u32,
    /// Until when it was told to start nothing.
    pub held_until: Option<Millis>,
}

/// What a shard has said.
#[derive(Debug)]
pub(super) struct Heard {
    pub at: Millis,
    pub plan: PlanVersion,
    pub standing: Standing,
}

impl Heard {
    /// Its credits, if they are of this beginning.
    pub fn credits(&self, generation: u64) -> Option<CreditReport> {
        self.standing.credits.filter(|credits| credits.generation == generation)
    }

    /// Containers that it has ready, or will have soon.
    pub fn stock(&self) -> u32 {
        self.standing.counts.warm.saturating_add(self.standing.counts.starting)
    }

    /// Whether it had neither containers nor credits for any.
    fn is_empty(&self) -> bool {
        let Counts { starting, warm, assigned, draining, moving, total: _ } = self.standing.counts;
        let has_none = [starting, warm, assigned, draining, moving].iter().all(|&count| count == 0);
        has_none && self.standing.credits.is_none_or(|credits| credits.spare == 0)
    }
}

impl Coordinator {
    /// What a shard has said of itself, whenever that was.
    pub(super) fn heard(&self, shard: &ShardId) -> Option<&Heard> {
        self.shard_view(shard)?.heard.as_ref()
    }

    /// What a shard has said of itself lately.
    pub(super) fn heard_lately(&self, shard: &ShardId) -> Option<&Heard> {
        self.heard(shard).filter(|heard| self.is_within(shard, heard, HEARD_FOR))
    }

    /// Whether a shard has said that it has neither containers nor credits, and not too long ago.
    pub(super) fn is_empty(&self, shard: &ShardId) -> bool {
        self.heard(shard).is_some_and(|heard| heard.is_empty() && self.is_within(shard, heard, HEARD_EMPTY_FOR))
    }

    /// Nothing is recent that seems to come: the clock went back since.
    fn is_within(&self, shard: &ShardId, heard: &Heard, refreshes: u64) -> bool {
        let within = Millis(self.refresh_interval(&shard.pool).0.saturating_mul(refreshes));
        heard.at <= self.now && self.now - heard.at < within
    }

    /// The shards of these pools that were ever heard of, or told anything, since this was loaded.
    pub(super) fn seen<'a>(&'a self, pools: &'a [PoolName]) -> impl Iterator<Item = ShardId> + 'a {
        let of_pool = |pool: &'a PoolName| {
            let shards = self.views.get(pool).into_iter().flat_map(|view| view.shards.keys());
            shards.map(|&index| ShardId { pool: pool.clone(), index })
        };
        pools.iter().flat_map(of_pool)
    }

    pub(super) fn shard_view(&self, shard: &ShardId) -> Option<&ShardView> {
        self.views.get(&shard.pool)?.shards.get(&shard.index)
    }

    pub(super) fn shard_view_mut(&mut self, shard: &ShardId) -> &mut ShardView {
        self.pool_view_mut(&shard.pool).shards.entry(shard.index).or_default()
    }

    pub(super) fn pool_view_mut(&mut self, pool: &PoolName) -> &mut PoolView {
        self.views.entry(pool.clone()).or_default()
    }

    pub(super) fn refresh_interval(&self, pool: &PoolName) -> Millis {
        self.registry.pools.get(pool).map_or(Millis::from_secs(10), |pool| pool.refresh_interval)
    }

    /// Takes what a shard says of itself.
    pub(super) fn hear(&mut self, shard: &ShardId, plan: PlanVersion, standing: Standing) {
        let (at, lacks) = (self.now, standing.lacking > 0 || standing.stock_lacking > 0);
        let view = self.shard_view_mut(shard);
        view.heard = Some(Heard { at, plan, standing });
        view.contact = Some(at);
        // Whatever it was told by then it has done, or has not heard.
        (view.excess, view.excess_told) = (0, 0);
        let lacking = &mut self.pool_view_mut(&shard.pool).lacking;
        if lacks {
            lacking.insert(shard.index);
        } else {
            lacking.remove(&shard.index);
        }
    }

    /// A shard has nothing to say of itself: it works by no plan.
    pub(super) fn hear_nothing(&mut self, shard: &ShardId) {
        self.shard_view_mut(shard).heard = None;
        self.pool_view_mut(&shard.pool).lacking.remove(&shard.index);
    }
}
