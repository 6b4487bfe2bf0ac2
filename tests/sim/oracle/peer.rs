//! Whether `cf-container-warm-pool` keeps the promises: it made none of them, and has neither shards nor epochs, so this looks
//! at what its callers are told and at what runs.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::ContainerId;

use super::Oracle;
use super::books::Owner;

/// What is known of the peer's pools.
#[derive(Debug, Default)]
pub struct PeerTruth {
    tracked: BTreeMap<u32, BTreeSet<ContainerId>>,
    /// What each id was last told, and when.
    told: BTreeMap<Owner, (ContainerId, Millis)>,
    /// Containers that the pool told to stop.
    stopped: BTreeSet<ContainerId>,
    /// Containers whose last check was not answered.
    unanswered: BTreeSet<ContainerId>,
    /// Containers that ended at least once: a stub may have brought them back since.
    ended: BTreeSet<ContainerId>,
}

impl PeerTruth {
    pub fn process_ended(&mut self, container: ContainerId) {
        self.ended.insert(container);
    }
}

impl Oracle {
    /// The pool has stored what it tracks.
    pub fn peer_saved(&mut self, pool: u32, containers: &[ContainerId]) {
        self.peer.tracked.insert(pool, containers.iter().copied().collect());
    }

    /// The pool tells a container to stop.
    pub fn peer_stops(&mut self, container: ContainerId) {
        self.peer.stopped.insert(container);
    }

    /// The pool has asked a container for its state.
    pub fn peer_saw(&mut self, container: ContainerId, unanswered: bool) {
        if unanswered {
            self.peer.unanswered.insert(container);
        } else {
            self.peer.unanswered.remove(&container);
        }
    }

    /// The pool tells a caller, who has waited since `since`, which container an id has.
    pub fn peer_replied(&mut self, now: Millis, owner: Owner, container: ContainerId, since: Millis) {
        let told = self.peer.told.insert(owner.clone(), (container, now));
        let Some((before, at)) = told.filter(|(before, _)| *before != container) else { return };
        let lives = self.running.contains(&before)
            && !self.peer.stopped.contains(&before)
            && !self.peer.ended.contains(&before);
        if !lives {
            return;
        }
        let promise = if at >= since {
            // Both had asked before either was told.
            "single"
        } else if self.peer.unanswered.contains(&before) {
            "unknown-is-not-dead"
        } else {
            "sticky"
        };
        self.broken(now, promise, format!("{owner:?} was told {before}, which runs, and now {container}"));
    }

    /// Containers that run for the first time, and that the pool does not track.
    pub fn peer_untracked(&self) -> Vec<ContainerId> {
        let tracked = |container: &ContainerId| self.peer.tracked.values().any(|of_pool| of_pool.contains(container));
        let first_time = |container: &ContainerId| !self.peer.ended.contains(container);
        self.running.iter().filter(|container| first_time(container) && !tracked(container)).copied().collect()
    }
}
