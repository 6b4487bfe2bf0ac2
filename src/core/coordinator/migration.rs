//! Changes of a pool's shard count.
//!
//! A migration is over when every shard of the former count and of the new one has said, by a plan that names both, that nothing
//! is left to hand over; what a shard said by an earlier plan proves nothing. Shards that have nothing to do do not report by
//! themselves, so all are asked, again and again, until they have said so. Then a version without the former count goes to
//! all of them, and a change that was asked for meanwhile starts.

use serde::{Deserialize, Serialize};

use super::Coordinator;
use super::outbox::Lane;
use super::registry::{Resharding, shards_of};
use crate::config::resolved::{Millis, PoolName, ShardCount};
use crate::core::id::ShardId;
use crate::core::mutants::{self, Mutant};
use crate::core::plan::PlanVersion;
use crate::core::sorted::Map;

/// How long after a shard was heard of, or asked, it is asked whether it has anything left to hand over.
pub const ASK_AGAIN: Millis = Millis::from_secs(2);

/// How far a migration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Migration {
    /// How many shards there were before.
    pub from: ShardCount,
    /// How many there are now.
    pub to: ShardCount,
    /// Containers that have to go to another shard, as far as has been heard.
    pub remaining: u32,
    /// Shards that have not said yet that they have none.
    pub open_shards: u32,
}

impl Coordinator {
    /// Pools whose ids are moving to other shards: how many shards there were before.
    pub fn moving_from(&self) -> Map<PoolName, ShardCount> {
        self.registry.migrations.iter().map(|(pool, resharding)| (pool.clone(), resharding.from)).collect()
    }

    /// How far the migration of a pool is; none when nothing moves.
    pub fn migration(&self, pool: &PoolName) -> Option<Migration> {
        let Resharding { from, since } = *self.registry.migrations.get(pool)?;
        let to = self.registry.pools.get(pool)?.shards;
        let view = self.views.get(pool);
        let heard = view.into_iter().flat_map(|view| view.shards.values()).filter_map(|shard| shard.heard.as_ref());
        let to_move = heard.filter(|heard| heard.plan.version >= since).map(|heard| heard.standing.to_move);
        let remaining = to_move.fold(0, u32::saturating_add);
        let done = view.map_or(0, |view| u32::try_from(view.done.len()).unwrap_or(u32::MAX));
        Some(Migration { from, to, remaining, open_shards: self.registry.taking_part(pool).saturating_sub(done) })
    }

    /// A shard that works by `plan` has so many containers to hand over. Ends the migration when that was the last.
    pub(super) fn note_progress(&mut self, shard: &ShardId, plan: PlanVersion, to_move: u32) {
        let Some(resharding) = self.registry.migrations.get(&shard.pool) else { return };
        let knows = plan.version >= resharding.since || mutants::on(Mutant::OldWordBelieved);
        let is_done = knows && (to_move == 0 || mutants::on(Mutant::MigrationClosedTooEarly));
        let taking_part = self.registry.taking_part(&shard.pool);
        if shard.index.0 >= taking_part {
            return;
        }
        let done = &mut self.pool_view_mut(&shard.pool).done;
        if is_done {
            done.insert(shard.index);
        } else {
            done.remove(&shard.index);
        }
        if done.len() >= taking_part as usize {
            self.registry.close(&shard.pool);
            self.put_in_force();
        }
    }

    /// A shard has the plan by which ids move: it is asked how far it is.
    pub(super) fn ask_if_moving(&mut self, shard: &ShardId) {
        let is_open = |resharding: &Resharding| self.works_by(shard, resharding.since) && !self.is_done(shard);
        if self.registry.migrations.get(&shard.pool).is_some_and(is_open) && !mutants::on(Mutant::NobodyAskedToMove) {
            self.outbox.want(shard.clone(), Lane::Ask);
        }
    }

    /// Asks everybody who has not been heard of for a while and may have something left to hand over.
    pub(super) fn ask_all_that_move(&mut self) {
        let now = self.now;
        let is_due = |shard: &ShardId| {
            let contact = self.shard_view(shard).and_then(|view| view.contact);
            !self.outbox.is_busy(shard) && contact.is_none_or(|at| at > now || now - at >= ASK_AGAIN)
        };
        let pools = self.registry.migrations.keys();
        let all = pools.flat_map(|pool| shards_of(pool, self.registry.taking_part(pool)));
        let due: Vec<ShardId> = all.filter(is_due).collect();
        for shard in due {
            self.ask_if_moving(&shard);
        }
    }

    fn works_by(&self, shard: &ShardId, version: u64) -> bool {
        self.acknowledged.get(shard).is_some_and(|has| has.version >= version)
    }

    fn is_done(&self, shard: &ShardId) -> bool {
        self.views.get(&shard.pool).is_some_and(|view| view.done.contains(&shard.index))
    }
}
