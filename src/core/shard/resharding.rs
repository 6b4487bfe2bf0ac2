//! Ids that move to other shards because there are more of them, or fewer.
//!
//! By a plan with `from` an id may have a new owner. The former one gives it nothing more, and hands over what there is of it: at
//! once when the new owner asks, all else in the background. The new owner gives an id nothing before the former one has said
//! that there is nothing of it, which it says only when it works by that plan itself. A shard that is no more hands
//! everything over that it has.

use super::Shard;
use super::message::{Answer, Effects};
use super::parcel::PullReply;
use super::queue::Caller;
use super::slot::{ContainerRow, State};
use crate::config::resolved::Millis;
use crate::core::id::{ContainerId, SessionId, ShardIndex};
use crate::core::mutants::{self, Mutant};
use crate::core::plan::Plan;
use crate::core::sorted::{Map, Set};

/// The most containers that are on their way to one sibling at once, but for those it asks for, which go behind them.
const BATCH: usize = 16;

/// What moves.
#[derive(Debug, Default)]
pub(super) struct Resharding {
    /// Containers that belong elsewhere, by where.
    foreign: Map<ShardIndex, Set<ContainerId>>,
    /// Siblings that have nothing left for this shard.
    pub drained: Set<ShardIndex>,
}

impl Shard {
    /// Whether nothing is known here of an id of which a sibling may have something.
    pub fn must_ask(&self, id: &SessionId) -> bool {
        self.former_owner(id).is_some()
    }

    /// The sibling to ask before the id may be given anything.
    pub(super) fn former_owner(&self, id: &SessionId) -> Option<ShardIndex> {
        let former = self.owner_before(id).filter(|former| !self.resharding.drained.contains(former))?;
        let is_known = self.books.of_id(id).is_some() || self.blocked_by.contains_key(id);
        (!is_known && !mutants::on(Mutant::FormerOwnerNotAsked)).then_some(former)
    }

    /// The sibling that owned an id of this shard before, while ids move.
    pub(super) fn owner_before(&self, id: &SessionId) -> Option<ShardIndex> {
        let plan = self.plan.as_ref()?;
        let former = plan.former_owner_of(&self.me.pool, id)?;
        (plan.owner_of(&self.me.pool, id) == self.me.index).then_some(former)
    }

    /// Where a container belongs, if not here.
    fn belongs_to(&self, container: ContainerId) -> Option<ShardIndex> {
        self.belongs_in(&self.books.get(container)?.row.state)
    }

    /// Where a container in this state belongs, if not here.
    fn belongs_in(&self, state: &State) -> Option<ShardIndex> {
        let plan = self.plan.as_ref()?;
        let owner = match state.concerns() {
            Some(id) => plan.owner_of(&self.me.pool, id),
            None if matches!(state, State::Moving { .. }) || !self.is_removed() => return None,
            None => ShardIndex(self.me.index.0 % plan.pool.shards.get()),
        };
        (owner != self.me.index).then_some(owner)
    }

    pub(super) fn belongs_elsewhere(&self, container: ContainerId) -> bool {
        self.belongs_to(container).is_some()
    }

    /// Whether the shard is none of those in force.
    pub(super) fn is_removed(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| self.me.index.0 >= plan.pool.shards.get())
    }

    pub(super) fn note_if_foreign(&mut self, container: ContainerId) {
        if let Some(to) = self.belongs_to(container) {
            self.resharding.foreign.entry(to).or_default().insert(container);
        }
    }

    /// Works out anew what belongs elsewhere.
    pub(super) fn sort_out(&mut self) {
        self.resharding.foreign.clear();
        self.resharding.drained.clear();
        let foreign = |row: &ContainerRow| Some((self.belongs_in(&row.state)?, row.container));
        let all: Vec<(ShardIndex, ContainerId)> = self.books.rows().filter_map(foreign).collect();
        for (to, container) in all {
            self.resharding.foreign.entry(to).or_default().insert(container);
        }
    }

    /// How many containers still have to go elsewhere.
    pub(super) fn to_move(&self) -> usize {
        let foreign: usize = self.resharding.foreign.values().map(Set::len).sum();
        let moving = self.outbox.values().flat_map(|outbox| outbox.parcels.values());
        foreign + moving.filter(|container| self.is_removed() || self.moves_for(container).is_some()).count()
    }

    /// The id that a container has which is being handed over.
    fn moves_for(&self, container: &ContainerId) -> Option<&SessionId> {
        match &self.books.get(*container)?.row.state {
            State::Moving { was, .. } => was.concerns(),
            State::Starting | State::Warm { .. } | State::Assigned { .. } | State::Draining { .. } => None,
        }
    }

    /// Hands over what belongs elsewhere, a batch at a time to each sibling.
    pub(super) fn hand_over_foreign(&mut self, now: Millis, fx: &mut Effects<'_>) {
        if self.resharding.foreign.is_empty() || mutants::on(Mutant::NothingPushed) {
            return;
        }
        let idle = |to: &&ShardIndex| self.outbox.get(to).is_none_or(|outbox| outbox.parcels.is_empty());
        let receivers: Vec<ShardIndex> = self.resharding.foreign.keys().filter(idle).copied().collect();
        for to in receivers {
            let mut count = 0;
            while count < BATCH
                && let Some(container) = self.resharding.foreign.get_mut(&to).and_then(Set::pop_first)
            {
                // It may have gone, or changed, since.
                if self.belongs_to(container) == Some(to) {
                    self.hand_over(now, container, to, fx);
                    count += 1;
                } else {
                    self.note_if_foreign(container);
                }
            }
            if self.resharding.foreign.get(&to).is_some_and(Set::is_empty) {
                self.resharding.foreign.remove(&to);
            }
            if count > 0 {
                self.deliver(now, to, fx);
            }
        }
    }

    /// A sibling owns an id by its plan, and asks for all there is of it.
    pub(super) fn pull_asked(&mut self, now: Millis, id: &SessionId, to: ShardIndex, plan: Plan, fx: &mut Effects<'_>) {
        self.configure(now, plan, fx);
        let owner = self.plan.as_ref().map(|plan| plan.owner_of(&self.me.pool, id));
        if owner != Some(to) || to == self.me.index {
            let plan = self.plan.as_ref().map(|plan| Box::new(plan.of_sibling(to)));
            fx.answer = Some(Answer::Pull(PullReply::Outdated { plan }));
            return;
        }
        let assigned = self.books.of_id(id).map(|slot| slot.row.container);
        let here: Vec<_> = [assigned, self.blocked_by.get(id).copied()].into_iter().flatten().collect();
        let is_coming = !here.is_empty() || self.is_moving(id, to);
        for container in here {
            self.hand_over(now, container, to, fx);
        }
        if is_coming {
            self.deliver(now, to, fx);
        }
        let has_more = self.resharding.foreign.contains_key(&to) || self.outbox.contains_key(&to);
        fx.answer = Some(Answer::Pull(if is_coming {
            PullReply::Coming
        } else {
            let plan = self.plan.as_ref().map(|plan| plan.version).unwrap_or_default();
            PullReply::Nothing { plan, drained: !has_more }
        }));
    }

    fn is_moving(&self, id: &SessionId, to: ShardIndex) -> bool {
        let of_id = |container| self.moves_for(container) == Some(id);
        self.outbox.get(&to).is_some_and(|outbox| outbox.parcels.values().any(of_id))
    }

    /// By a new plan, whoever waits may be in the wrong place, or must wait for a sibling first.
    pub(super) fn reroute(&mut self, now: Millis, fx: &mut Effects<'_>) {
        self.sort_out();
        let locators = self.questions.take_locators();
        let ids: Vec<SessionId> = self.queue.ids().cloned().collect();
        for id in ids {
            if let Some(refusal) = self.not_here(&id, None) {
                for Caller { waiter, .. } in self.queue.take(&id) {
                    self.refuse(waiter, refusal.clone(), fx);
                }
            } else if self.resolve(now, &id, fx) {
                self.queue.hold(&id);
            } else if !self.blocked_by.contains_key(&id) {
                self.queue.let_go(&id);
            }
        }
        for (waiter, id) in locators {
            self.locate(now, waiter, id, fx);
        }
    }
}
