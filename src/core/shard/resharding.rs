//! Ids that move to other shards because there are more of them, or fewer.
//!
//! By a plan with `from` an id may have a new owner. The former one gives it nothing more, and hands over what there is of it: at
//! once when the new owner asks, all else in the background. The new owner gives an id nothing before the former one has said
//! that there is nothing of it, which it says only when it works by that plan itself. A shard that is no more hands
//! everything over that it has.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::message::{Action, Answer, Effects, WaiterId};
use super::parcel::PullReply;
use super::slot::State;
use super::{Shard, Timer};
use crate::config::resolved::Millis;
use crate::core::id::{ContainerId, SessionId, ShardIndex};
use crate::core::mutants::{self, Mutant};
use crate::core::outcome::RefusalCode;
use crate::core::plan::Plan;

/// The most containers that are on their way to one sibling at once, but for those it asks for, which go behind them.
const BATCH: usize = 16;
/// How long a caller waits who only wants to know.
const LOCATE_TIMEOUT: Millis = Millis::from_secs(10);
/// How long until a sibling is asked again that has not answered, or whose containers have not come.
const ASK_AGAIN_AFTER: Millis = Millis::from_secs(6);
/// The first pause after a question that failed; each further one doubles it.
const QUESTION_BACKOFF: Millis = Millis(250);
/// The longest such pause.
const MAX_QUESTION_BACKOFF: Millis = Millis::from_secs(5);

/// What moves.
#[derive(Debug, Default)]
pub(super) struct Resharding {
    /// Containers that belong elsewhere, by where.
    foreign: BTreeMap<ShardIndex, BTreeSet<ContainerId>>,
    /// Ids of which a sibling may have something, and somebody wants to know.
    open: BTreeMap<SessionId, Question>,
    /// Siblings that have nothing left for this shard.
    drained: BTreeSet<ShardIndex>,
}

/// A question for what there is of an id.
#[derive(Debug)]
struct Question {
    to: ShardIndex,
    /// When it is asked again.
    again_at: Millis,
    failures: u32,
    /// Callers that only want to know, and until when they wait.
    locators: Vec<(WaiterId, Millis)>,
}

impl Resharding {
    /// When the next question is due, or a caller's time is up.
    fn next_due(&self) -> Option<Millis> {
        let of = |question: &Question| {
            let deadlines = question.locators.iter().map(|&(_, deadline)| deadline);
            deadlines.chain([question.again_at]).min()
        };
        self.open.values().filter_map(of).min()
    }
}

impl Shard {
    /// Whether nothing is known here of an id of which a sibling may have something.
    pub fn must_ask(&self, id: &SessionId) -> bool {
        self.former_owner(id).is_some()
    }

    /// The sibling to ask before the id may be given anything.
    fn former_owner(&self, id: &SessionId) -> Option<ShardIndex> {
        if self.by_id.contains_key(id) || self.blocked_by.contains_key(id) || mutants::on(Mutant::FormerOwnerNotAsked) {
            return None;
        }
        self.owner_before(id).filter(|former| !self.resharding.drained.contains(former))
    }

    /// The sibling that owned an id of this shard before, while ids move.
    fn owner_before(&self, id: &SessionId) -> Option<ShardIndex> {
        let plan = self.plan.as_ref()?;
        let is_own = plan.owner_of(&self.me.pool, id) == self.me.index;
        plan.former_owner_of(&self.me.pool, id).filter(|_| is_own)
    }

    /// Where a container belongs, if not here.
    fn belongs_to(&self, container: ContainerId) -> Option<ShardIndex> {
        let plan = self.plan.as_ref()?;
        let owner = match &self.slots.get(&container)?.row.state {
            State::Assigned { id, .. } | State::Draining { blocks: Some(id), .. } => plan.owner_of(&self.me.pool, id),
            State::Moving { .. } => return None,
            State::Starting | State::Warm { .. } | State::Draining { blocks: None, .. } if !self.is_removed() => {
                return None;
            }
            State::Starting | State::Warm { .. } | State::Draining { blocks: None, .. } => {
                ShardIndex(self.me.index.0 % plan.pool.shards.get())
            }
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
        let all: Vec<ContainerId> = self.slots.keys().copied().collect();
        for container in all {
            self.note_if_foreign(container);
        }
    }

    /// How many containers still have to go elsewhere.
    pub(super) fn to_move(&self) -> usize {
        let foreign: usize = self.resharding.foreign.values().map(BTreeSet::len).sum();
        let of_an_id = |container: &&ContainerId| {
            let state = self.slots.get(container).map(|slot| &slot.row.state);
            let Some(State::Moving { was, .. }) = state else { return false };
            matches!(**was, State::Assigned { .. } | State::Draining { blocks: Some(_), .. })
        };
        let moving = self.outbox.values().flat_map(|outbox| outbox.parcels.values());
        foreign + moving.filter(|container| self.is_removed() || of_an_id(container)).count()
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
                && let Some(container) = self.resharding.foreign.get_mut(&to).and_then(BTreeSet::pop_first)
            {
                // It may have gone, or changed, since.
                if self.belongs_to(container) == Some(to) {
                    self.hand_over(now, container, to, fx);
                    count += 1;
                } else {
                    self.note_if_foreign(container);
                }
            }
            if self.resharding.foreign.get(&to).is_some_and(BTreeSet::is_empty) {
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
            fx.answer = Some(Answer::Pull(PullReply::Outdated));
            return;
        }
        let here = [self.by_id.get(id), self.blocked_by.get(id)].into_iter().flatten().copied().collect::<Vec<_>>();
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
        let of_id = |container: &ContainerId| {
            let state = self.slots.get(container).map(|slot| &slot.row.state);
            let Some(State::Moving { was, .. }) = state else { return false };
            matches!(&**was, State::Assigned { id: of, .. } | State::Draining { blocks: Some(of), .. } if of == id)
        };
        self.outbox.get(&to).is_some_and(|outbox| outbox.parcels.values().any(of_id))
    }

    /// A caller wants to know the container of an id of which a sibling may have something.
    pub(super) fn locate(&mut self, now: Millis, waiter: WaiterId, id: SessionId, fx: &mut Effects<'_>) {
        let answer = match (self.lookup(&id), self.not_here(&id, None)) {
            (Some(assignment), _) => Ok(Some(assignment)),
            (None, Some(refusal)) => Err(refusal),
            (None, None) => {
                if let Some(former) = self.former_owner(&id) {
                    let question = self.ask_former_owner(now, id, former, fx);
                    question.locators.push((waiter, now + LOCATE_TIMEOUT));
                    return;
                }
                Ok(None)
            }
        };
        fx.actions.push(Action::Located(waiter, answer));
    }

    /// Has the former owner of an id asked, if that must be. Returns whether it must.
    pub(super) fn resolve(&mut self, now: Millis, id: &SessionId, fx: &mut Effects<'_>) -> bool {
        let former = self.former_owner(id);
        if let Some(former) = former {
            self.ask_former_owner(now, id.clone(), former, fx);
        }
        former.is_some()
    }

    fn ask_former_owner(
        &mut self,
        now: Millis,
        id: SessionId,
        former: ShardIndex,
        fx: &mut Effects<'_>,
    ) -> &mut Question {
        let plan = self.plan.as_ref().map(|plan| Box::new(plan.of_sibling(former)));
        match self.resharding.open.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                if let Some(plan) = plan {
                    fx.actions.push(Action::Pull { from: former, id: entry.key().clone(), plan });
                }
                let again_at = now + ASK_AGAIN_AFTER;
                entry.insert(Question { to: former, again_at, failures: 0, locators: Vec::new() })
            }
        }
    }

    /// A sibling has said what there is of an id, or failed to.
    pub(super) fn pulled(
        &mut self,
        now: Millis,
        from: ShardIndex,
        id: SessionId,
        reply: Option<PullReply>,
        fx: &mut Effects<'_>,
    ) {
        if let Some(PullReply::Nothing { plan, drained }) = reply {
            // By an earlier plan it says nothing: the question has been asked anew since.
            let is_current = self.plan.as_ref().is_some_and(|has| plan >= has.version);
            if is_current && self.owner_before(&id) == Some(from) {
                if drained {
                    self.resharding.drained.insert(from);
                }
                return self.resolved(&id, fx);
            }
        }
        let Some(question) = self.resharding.open.get_mut(&id).filter(|question| question.to == from) else { return };
        match reply {
            // It comes by a delivery, which is repeated until it has come.
            Some(PullReply::Coming | PullReply::Nothing { .. }) => {}
            Some(PullReply::Outdated) | None => {
                question.failures = question.failures.saturating_add(1);
                let pause = QUESTION_BACKOFF.doubled(question.failures - 1, MAX_QUESTION_BACKOFF);
                question.again_at = Millis(now.0 + pause.0 / 2 + fx.entropy.jitter(pause.0) + 1);
                if reply.is_some() {
                    fx.actions.push(Action::Report);
                }
            }
        }
    }

    /// All there is of an id is here, or there is nothing.
    pub(super) fn resolved(&mut self, id: &SessionId, fx: &mut Effects<'_>) {
        let question = self.resharding.open.remove(id);
        let found = self.lookup(id);
        for (waiter, _) in question.into_iter().flat_map(|question| question.locators) {
            fx.actions.push(Action::Located(waiter, Ok(found.clone())));
        }
        if let Some(assignment) = found {
            for waiter in self.queue.take(id) {
                self.counters.acquired(assignment.outcome, None);
                fx.actions.push(Action::Reply(waiter, Ok(assignment.clone())));
            }
        } else if !self.blocked_by.contains_key(id) {
            self.queue.let_go(id);
        }
    }

    /// Asks again what has not been answered, and tells callers whose time is up.
    pub(super) fn resolve_due(&mut self, now: Millis, fx: &mut Effects<'_>) {
        let Some(plan) = self.plan.clone() else { return };
        let mut late = Vec::new();
        let queue = &self.queue;
        self.resharding.open.retain(|id, question| {
            question.locators.retain(|&(waiter, deadline)| {
                if deadline <= now {
                    late.push(waiter);
                }
                deadline > now
            });
            let is_wanted = queue.contains(id) || !question.locators.is_empty();
            if is_wanted && question.again_at <= now {
                let plan = Box::new(plan.of_sibling(question.to));
                fx.actions.push(Action::Pull { from: question.to, id: id.clone(), plan });
            }
            if question.again_at <= now {
                question.again_at = now + ASK_AGAIN_AFTER;
            }
            is_wanted
        });
        for waiter in late {
            let message = "the shard that had the id before could not be asked for it";
            let refusal = self.retry_later(RefusalCode::Timeout, message);
            fx.actions.push(Action::Located(waiter, Err(refusal)));
        }
    }

    /// By a new plan, whoever waits may be in the wrong place, or must wait for a sibling first.
    pub(super) fn reroute(&mut self, now: Millis, fx: &mut Effects<'_>) {
        self.sort_out();
        let open = std::mem::take(&mut self.resharding.open);
        let ids: Vec<SessionId> = self.queue.ids().cloned().collect();
        for id in ids {
            if let Some(refusal) = self.not_here(&id, None) {
                for waiter in self.queue.take(&id) {
                    self.refuse(waiter, refusal.clone(), fx);
                }
            } else if self.resolve(now, &id, fx) {
                self.queue.hold(&id);
            } else if !self.blocked_by.contains_key(&id) {
                self.queue.let_go(&id);
            }
        }
        for (id, question) in open {
            for (waiter, _) in question.locators {
                self.locate(now, waiter, id.clone(), fx);
            }
        }
    }

    /// When a question is due.
    pub(super) fn arm_questions(&mut self) {
        match self.resharding.next_due() {
            Some(at) => self.timers.set(Timer::Resolve, at),
            None => self.timers.stop(Timer::Resolve),
        }
    }
}
