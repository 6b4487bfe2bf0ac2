//! Questions to the former owners of ids, while ids move to other shards.
//!
//! Each is asked until it is answered, or nobody wants to know any more; only so many are under way at once, and the others wait
//! their turn. An id of which nothing is known stays held in the queue meanwhile.

use std::collections::VecDeque;

use super::acquire::MAX_CALLERS;
use super::message::{Action, Effects, WaiterId};
use super::parcel::PullReply;
use super::queue::Caller;
use super::{Shard, Timer};
use crate::config::resolved::Millis;
use crate::core::id::{SessionId, ShardIndex};
use crate::core::outcome::RefusalCode;
use crate::core::sorted::{Map, Set};

/// The most questions under way at once: each takes the plan along.
const MAX_UNDER_WAY: usize = 64;
/// How long a caller waits who only wants to know.
const LOCATE_TIMEOUT: Millis = Millis::from_secs(10);
/// How long until a sibling is asked again that has not answered, or whose containers have not come.
const ASK_AGAIN_AFTER: Millis = Millis::from_secs(6);
/// The first pause after a question that failed; each further one doubles it.
const BACKOFF: Millis = Millis(250);
/// The longest such pause.
const MAX_BACKOFF: Millis = Millis::from_secs(5);

/// Ids of which a sibling may have something, and somebody wants to know.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: Map<SessionId, Question>,
    /// Those that have been asked and not answered.
    under_way: Set<SessionId>,
    /// Those that have not been asked, for too many are under way.
    later: VecDeque<SessionId>,
    /// When which is asked again, as its question says.
    again: Set<(Millis, SessionId)>,
    /// Callers that only want to know, and until when they wait.
    deadlines: Set<(Millis, WaiterId, SessionId)>,
}

/// A question for what there is of an id.
#[derive(Debug)]
struct Question {
    to: ShardIndex,
    /// When it is asked again; none while it has not been asked.
    again_at: Option<Millis>,
    failures: u32,
    /// Callers that only want to know.
    locators: Vec<(WaiterId, Millis)>,
}

impl Questions {
    /// Forgets all questions; who only wanted to know has to be told otherwise.
    pub fn take_locators(&mut self) -> Vec<(WaiterId, SessionId)> {
        let Self { deadlines, .. } = std::mem::take(self);
        deadlines.into_iter().map(|(_, waiter, id)| (waiter, id)).collect()
    }

    fn next_due(&self) -> Option<Millis> {
        let again = self.again.first().map(|&(at, _)| at);
        let deadline = self.deadlines.first().map(|&(at, _, _)| at);
        [again, deadline].into_iter().flatten().min()
    }

    fn set_again(&mut self, id: &SessionId, at: Millis) {
        let Some(question) = self.open.get_mut(id) else { return };
        if let Some(before) = question.again_at.replace(at) {
            self.again.remove(&(before, id.clone()));
        }
        self.again.insert((at, id.clone()));
    }

    fn remove(&mut self, id: &SessionId) -> Vec<WaiterId> {
        let Some(question) = self.open.remove(id) else { return Vec::new() };
        self.under_way.remove(id);
        if let Some(at) = question.again_at {
            self.again.remove(&(at, id.clone()));
        }
        for &(waiter, deadline) in &question.locators {
            self.deadlines.remove(&(deadline, waiter, id.clone()));
        }
        question.locators.into_iter().map(|(waiter, _)| waiter).collect()
    }
}

impl Shard {
    /// A caller wants to know the container of an id of which a sibling may have something.
    pub(super) fn locate(&mut self, now: Millis, waiter: WaiterId, id: SessionId, fx: &mut Effects<'_>) {
        let answer = match (self.lookup(&id), self.not_here(&id, None)) {
            (Some(assignment), _) => Ok(Some(assignment)),
            (None, Some(refusal)) => Err(refusal),
            (None, None) if self.questions.deadlines.len() >= MAX_CALLERS => {
                let message = format!("{MAX_CALLERS} callers already wait to know of an id");
                Err(self.retry_later(RefusalCode::Overloaded, message))
            }
            (None, None) => {
                if self.resolve(now, &id, fx) {
                    let deadline = now + LOCATE_TIMEOUT;
                    if let Some(question) = self.questions.open.get_mut(&id) {
                        question.locators.push((waiter, deadline));
                        self.questions.deadlines.insert((deadline, waiter, id));
                    }
                    return;
                }
                Ok(None)
            }
        };
        fx.actions.push(Action::Located(waiter, answer));
    }

    /// Has the former owner of an id asked, if that must be. Returns whether it must.
    pub(super) fn resolve(&mut self, now: Millis, id: &SessionId, fx: &mut Effects<'_>) -> bool {
        let Some(former) = self.former_owner(id) else { return false };
        if !self.questions.open.contains_key(id) {
            let question = Question { to: former, again_at: None, failures: 0, locators: Vec::new() };
            self.questions.open.insert(id.clone(), question);
            self.ask_or_wait(now, id, fx);
        }
        true
    }

    fn ask_or_wait(&mut self, now: Millis, id: &SessionId, fx: &mut Effects<'_>) {
        if self.questions.under_way.len() >= MAX_UNDER_WAY {
            return self.questions.later.push_back(id.clone());
        }
        let (Some(question), Some(plan)) = (self.questions.open.get(id), &self.plan) else { return };
        let (from, plan) = (question.to, Box::new(plan.of_sibling(question.to)));
        fx.actions.push(Action::Pull { from, id: id.clone(), plan });
        self.questions.under_way.insert(id.clone());
        self.questions.set_again(id, now + ASK_AGAIN_AFTER);
    }

    /// Asks those that had to wait their turn.
    fn ask_later_ones(&mut self, now: Millis, fx: &mut Effects<'_>) {
        while self.questions.under_way.len() < MAX_UNDER_WAY
            && let Some(id) = self.questions.later.pop_front()
        {
            if self.questions.open.get(&id).is_some_and(|question| question.again_at.is_none()) {
                self.ask_if_wanted(now, &id, fx);
            }
        }
    }

    fn ask_if_wanted(&mut self, now: Millis, id: &SessionId, fx: &mut Effects<'_>) {
        let is_asked_for = self.questions.open.get(id).is_some_and(|question| !question.locators.is_empty());
        if is_asked_for || self.queue.contains(id) {
            self.ask_or_wait(now, id, fx);
        } else {
            self.questions.remove(id);
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
        let is_open = self.questions.open.get(&id).is_some_and(|question| question.to == from);
        if is_open {
            self.questions.under_way.remove(&id);
        }
        match reply {
            // By an earlier plan it says nothing: the question has been asked anew since.
            Some(PullReply::Nothing { plan, drained }) => {
                let is_current = self.plan.as_ref().is_some_and(|has| plan >= has.version);
                if is_current && self.owner_before(&id) == Some(from) {
                    if drained {
                        self.resharding.drained.insert(from);
                    }
                    self.resolved(&id, fx);
                }
            }
            // It comes by a delivery, which is repeated until it has come.
            Some(PullReply::Coming) => {}
            Some(PullReply::Outdated { plan }) => {
                self.ask_again(now, &id, is_open, fx);
                if let Some(plan) = plan {
                    self.configure(now, *plan, fx);
                }
            }
            None => self.ask_again(now, &id, is_open, fx),
        }
        self.ask_later_ones(now, fx);
    }

    /// A question was not answered well.
    fn ask_again(&mut self, now: Millis, id: &SessionId, is_open: bool, fx: &mut Effects<'_>) {
        let Some(question) = self.questions.open.get_mut(id).filter(|_| is_open) else { return };
        question.failures = question.failures.saturating_add(1);
        let pause = BACKOFF.doubled(question.failures - 1, MAX_BACKOFF);
        self.questions.set_again(id, fx.entropy.around(now, pause));
    }

    /// All there is of an id is here, or there is nothing.
    pub(super) fn resolved(&mut self, id: &SessionId, fx: &mut Effects<'_>) {
        let locators = self.questions.remove(id);
        let found = self.lookup(id);
        for waiter in locators {
            fx.actions.push(Action::Located(waiter, Ok(found.clone())));
        }
        if let Some(assignment) = found {
            for Caller { waiter, since } in self.queue.take(id) {
                self.tally.acquired(assignment.outcome, None, since);
                fx.actions.push(Action::Reply(waiter, Ok(assignment.clone())));
            }
        } else if !self.blocked_by.contains_key(id) {
            self.queue.let_go(id);
        }
    }

    /// A sibling has sent what has come before: it may be what it said was coming.
    pub(super) fn ask_again_soon(&mut self, now: Millis, from: ShardIndex) {
        let waits = |(id, question): (&SessionId, &Question)| {
            let is_coming =
                question.to == from && question.again_at.is_some() && !self.questions.under_way.contains(id);
            is_coming.then(|| id.clone())
        };
        let ids: Vec<SessionId> = self.questions.open.iter().filter_map(waits).collect();
        for id in ids {
            self.questions.set_again(&id, now);
        }
    }

    /// Asks again what has not been answered, and tells callers whose time is up.
    pub(super) fn resolve_due(&mut self, now: Millis, fx: &mut Effects<'_>) {
        while let Some((deadline, waiter, id)) = self.questions.deadlines.first().cloned()
            && deadline <= now
        {
            self.questions.deadlines.pop_first();
            if let Some(question) = self.questions.open.get_mut(&id) {
                question.locators.retain(|&(other, _)| other != waiter);
            }
            let message = "the shard that had the id before could not be asked for it";
            let refusal = self.retry_later(RefusalCode::Timeout, message);
            fx.actions.push(Action::Located(waiter, Err(refusal)));
        }
        while let Some((at, id)) = self.questions.again.first().cloned()
            && at <= now
        {
            self.questions.again.pop_first();
            // Asked already, it counts as lost.
            self.questions.under_way.remove(&id);
            if let Some(question) = self.questions.open.get_mut(&id) {
                question.again_at = None;
            }
            self.ask_if_wanted(now, &id, fx);
        }
        self.ask_later_ones(now, fx);
    }

    /// When a question is due.
    pub(super) fn arm_questions(&mut self) {
        match self.questions.next_due() {
            Some(at) => self.timers.set(Timer::Resolve, at),
            None => self.timers.stop(Timer::Resolve),
        }
    }
}
