//! What a shard is allotted: worked out when it is told, of what is known then.

use std::cmp::Reverse;

use super::Coordinator;
use super::ledger::LedgerRow;
use super::outbox::Lane;
use crate::config::resolved::{Millis, PoolName};
use crate::core::allotment::{Allotment, Grant, Standing, Stocked};
use crate::core::id::ShardId;
use crate::core::plan::PlanVersion;
use crate::core::sorted::Map;

/// How long after a shard was told what it has, and has not been heard to know it, it is told again.
pub const TELL_AGAIN: Millis = Millis::from_secs(10);
/// Whether a shard answers the coordinator, or reports by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Yes,
    No,
}

/// How many siblings a shard is told of that have stock.
pub const MAX_STOCKED: usize = 8;

impl Coordinator {
    /// What a shard is allotted as of the last step; none when no pool of this name was ever in force.
    pub fn allotment_of(&self, shard: &ShardId) -> Option<Allotment> {
        self.registry.pools.get(&shard.pool)?;
        let row = self.ledger.row(shard);
        let credits = self.terms_of(&shard.pool).map(|terms| {
            let LedgerRow { given, returned, .. } = row;
            Grant { generation: terms.generation, given, returned }
        });
        Some(Allotment {
            plan: self.version(),
            warm_target: row.warm_target,
            credits,
            recall: self.recall_for(shard),
            over: self.shard_view(shard).is_some_and(|view| view.is_recalled && view.is_over),
            excess: self.shard_view(shard).map_or(0, |view| view.excess),
            hold: self.hold_of(shard),
            stocked: self.stocked(shard),
        })
    }

    /// Notes whether a shard goes by what it is allotted. What it says by itself may be older than its last answer, for a report can
    /// be long on its way: then only that it does not counts.
    pub(super) fn note_told(&mut self, shard: &ShardId, plan: PlanVersion, standing: &Standing, asked: Asked) {
        let row = self.ledger.row(shard);
        let given = self.terms_of(&shard.pool).map_or(Some(row.given), |terms| {
            standing.credits.filter(|credits| credits.generation == terms.generation).map(|credits| credits.given)
        });
        let is_current = !self.registry.is_behind(shard, Some(plan));
        let knows = given == Some(row.given) && standing.warm_target == row.warm_target;
        let counts = !knows || asked == Asked::Yes;
        if is_current && row.untold == knows && counts {
            self.ledger.update(shard, |row| row.untold = !knows);
        }
    }

    /// Tells those again that have not been heard to know what they have. One that is idle does not report by itself.
    pub(super) fn tell_again(&mut self) {
        let now = self.now;
        let is_due = |shard: &&ShardId| {
            let contact = self.shard_view(shard).and_then(|view| view.contact);
            self.registry.knows(shard) && contact.is_none_or(|at| at > now || now - at >= TELL_AGAIN)
        };
        let due: Vec<ShardId> = self.ledger.untold().iter().filter(is_due).cloned().collect();
        for shard in due {
            self.owe(&shard, Lane::Ask);
        }
    }

    /// Notes that a shard was told what it is allotted, whether it arrives or not.
    pub(super) fn told(&mut self, shard: &ShardId) {
        let (now, hold) = (self.now, self.hold_of(shard));
        let view = self.shard_view_mut(shard);
        view.contact = Some(now);
        if view.is_recalled {
            view.recalled_at = Some(now);
        }
        // Told twice, it would let go twice as many.
        view.excess_told = view.excess_told.saturating_add(view.excess);
        view.excess = 0;
        view.held_until = (hold > Millis(0)).then_some(now + hold);
    }

    /// Siblings that have stock, most first; equal ones in another order for each that asks, so that not all go to the same.
    fn stocked(&self, shard: &ShardId) -> Vec<Stocked> {
        let ever = self.registry.ever(&shard.pool).max(1);
        let after_asker = |sibling: &Stocked| (sibling.shard.0 + ever - shard.index.0 % ever) % ever;
        let others = self.all_stocked(&shard.pool).into_iter().filter(|sibling| sibling.shard != shard.index);
        let ranked: Map<_, _> =
            others.map(|sibling| ((Reverse(sibling.warm), after_asker(&sibling)), sibling)).collect();
        ranked.into_values().take(MAX_STOCKED).collect()
    }

    fn all_stocked(&self, pool: &PoolName) -> Vec<Stocked> {
        let stocked = |shard: ShardId| {
            let warm = self.heard_lately(&shard).map_or(0, |heard| heard.standing.counts.warm);
            let target = self.warm_target_of(&shard);
            (warm > 0 || target > 0).then_some(Stocked { shard: shard.index, warm, target })
        };
        super::registry::shards_of(pool, self.registry.ever(pool)).filter_map(stocked).collect()
    }
}
