//! What the platform has no room for.
//!
//! A shard that was told so by the platform starts no more for a while, by its own doing. The other shards of the class would
//! only find out the same: they start nothing either, for as long as it believes it. When it starts one again, or forgets, so do
//! they. Nothing of it is durable, and it ends by itself.

use super::Coordinator;
use super::outbox::Lane;
use crate::config::resolved::{BindingName, Millis};
use crate::core::id::ShardId;
use crate::core::sorted::Map;

/// The longest that a shard is told to start nothing.
pub const MAX_HOLD: Millis = Millis::from_secs(30);

/// The shards that believe that there is no room, by class.
pub(super) type NoRoom = Map<BindingName, Map<ShardId, Belief>>;

/// That there is no room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belief {
    /// Since when, without a break.
    since: Millis,
    /// When it was last heard.
    heard: Millis,
    until: Millis,
}

impl Belief {
    /// The clock may have gone back.
    fn holds(&self, now: Millis) -> bool {
        self.heard <= now && now < self.until
    }
}

impl Coordinator {
    /// For how long a shard is to start nothing; 0 for the one that tries.
    pub(super) fn hold_of(&self, shard: &ShardId) -> Millis {
        let class = self.registry.pools.get(&shard.pool).and_then(|pool| self.no_room.get(&pool.container));
        let believed = || class.into_iter().flatten().filter(|(_, belief)| belief.holds(self.now));
        let tries = believed().min_by_key(|(_, belief)| belief.since).map(|(shard, _)| shard);
        if tries.is_none_or(|tries| tries == shard) {
            return Millis(0);
        }
        let others = believed().filter(|(other, _)| *other != shard);
        others.map(|(_, belief)| belief.until - self.now).max().unwrap_or_default().min(MAX_HOLD)
    }

    /// Takes what a shard says of the platform's room, and has others told whom it matters to.
    pub(super) fn note_room(&mut self, shard: &ShardId, no_room_for: Option<Millis>) {
        let now = self.now;
        let Some(class) = self.registry.pools.get(&shard.pool).map(|pool| pool.container.clone()) else { return };
        let beliefs = self.no_room.entry(class.clone()).or_default();
        beliefs.retain(|_, belief| belief.holds(now));
        let was_believed = beliefs.contains_key(shard);
        match no_room_for.filter(|&pause| pause > Millis(0)) {
            Some(pause) => {
                let until = now + pause.min(MAX_HOLD);
                let since = beliefs.get(shard).map_or(now, |belief| belief.since);
                beliefs.insert(shard.clone(), Belief { since, heard: now, until });
                if !was_believed {
                    self.tell_class(&class, Self::would_start);
                }
            }
            None => {
                beliefs.remove(shard);
                if was_believed {
                    self.tell_class(&class, Self::is_held);
                }
            }
        }
    }

    fn tell_class(&mut self, class: &BindingName, whom: impl Fn(&Self, &ShardId) -> bool) {
        let pools = self.classes.get(class).map(|class| class.pools.as_slice()).unwrap_or_default();
        let told: Vec<ShardId> = self.seen(pools).filter(|shard| whom(self, shard)).collect();
        for shard in told {
            self.owe(&shard, Lane::Ask);
        }
    }

    fn would_start(&self, shard: &ShardId) -> bool {
        self.heard_lately(shard).is_some_and(|heard| {
            let standing = &heard.standing;
            standing.counts.starting > 0 || standing.waiting > 0 || standing.lacking > 0 || standing.stock_lacking > 0
        })
    }

    fn is_held(&self, shard: &ShardId) -> bool {
        self.shard_view(shard).and_then(|view| view.held_until).is_some_and(|until| until > self.now)
    }
}
