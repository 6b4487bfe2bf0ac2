//! Whether containers live: leases, checks, and what their answers prove.
//!
//! An error proves nothing. A mapping ends by [`NEGATIVES`] definite negatives in a row, by the container's own word (an
//! agent that is stopping serves nobody any more), by its destruction, or when it has not answered for a whole lease and no
//! lease can be left (a class without a fence: for `unreachable_timeout`). The silence is counted from the first call that
//! was not answered: that nobody asked proves nothing either.

use super::message::{Action, Call, DrainCause, Effects, Finding, LeaseReply};
use super::slot::{Pending, State};
use super::{Shard, Timer};
use crate::config::resolved::Millis;
use crate::core::id::{ContainerId, Epoch, SessionId, ShardId, ShardIndex};
use crate::core::mutants::{self, Mutant};
use crate::core::stats::Due;

/// Definite negatives in a row that end a mapping.
pub const NEGATIVES: u32 = 2;
/// Unanswered checks in a row before a container is given up, once its time is up too.
pub const UNKNOWNS: u32 = 3;
/// Assigned containers that are checked per refresh; the next refresh goes on after them.
pub const CHECKS_PER_REFRESH: usize = 64;
/// The same for warm ones, whose check also keeps them from sleeping: with the default intervals a shard keeps 30 times as
/// many awake.
pub const WARM_CHECKS_PER_REFRESH: usize = 256;
/// Added to a lease before it is held to have run out: an agent's clock stands still while it computes.
pub const LEASE_MARGIN: Millis = Millis(1_000);

/// How soon a definite negative is confirmed.
const CONFIRM_AFTER: Millis = Millis(500);
/// The first pause after an unanswered check; each further one doubles it.
const RECHECK_BACKOFF: Millis = Millis(1_000);
/// The longest such pause.
const MAX_RECHECK_BACKOFF: Millis = Millis::from_secs(15);

impl Shard {
    /// An agent asks whether it may serve an id. Granted: for so long from when it asked. Nothing durable changes.
    pub fn confirm(&mut self, now: Millis, container: ContainerId, id: &SessionId, epoch: Epoch) -> LeaseReply {
        let serves =
            |state: &State| matches!(state, State::Assigned { id: has, epoch: at, .. } if has == id && *at == epoch);
        match self.books.get(container).map(|slot| (&slot.row.state, slot.lease_until)) {
            None => return self.confirmed_elsewhere(id),
            // Not beyond what could be granted when it was handed over: its receiver counts on that.
            Some((State::Moving { to, was, .. }, lease_until)) => {
                return match serves(was) {
                    true if now < lease_until => LeaseReply::Granted(lease_until - now),
                    true => self.elsewhere(*to),
                    false => self.confirmed_elsewhere(id),
                };
            }
            Some(_) => {}
        }
        let Some(slot) = self.books.get_mut(container) else { return LeaseReply::Denied };
        if !serves(&slot.row.state) && !mutants::on(Mutant::ConfirmForAnyone) {
            return LeaseReply::Denied;
        }
        let Some(spec) = self.specs.get(&slot.row.spec) else { return LeaseReply::Denied };
        let ttl = spec.lease_ttl;
        slot.contact();
        if !mutants::on(Mutant::LeaseNotNoted) {
            slot.lease_until = slot.lease_until.max(now + ttl);
        }
        LeaseReply::Granted(ttl)
    }

    /// What an agent is told whose container is not on these books: the owner of the id may have it.
    fn confirmed_elsewhere(&self, id: &SessionId) -> LeaseReply {
        let owner = self.plan.as_ref().map(|plan| plan.owner_of(&self.me.pool, id));
        owner.filter(|&owner| owner != self.me.index).map_or(LeaseReply::Denied, |owner| self.elsewhere(owner))
    }

    fn elsewhere(&self, index: ShardIndex) -> LeaseReply {
        LeaseReply::Elsewhere(ShardId { pool: self.me.pool.clone(), index })
    }

    /// Once per refresh interval: checks, surplus, the report.
    pub(super) fn refresh(&mut self, now: Millis, fx: &mut Effects<'_>) {
        self.trim_surplus(now, fx);
        let (warm, warm_cursor) = self.warm.after(self.warm_cursor, WARM_CHECKS_PER_REFRESH);
        let (assigned, cursor) = self.books.assigned_after(self.cursor, CHECKS_PER_REFRESH);
        (self.warm_cursor, self.cursor) = (warm_cursor, cursor);
        for container in warm.into_iter().chain(assigned).filter(|_| !mutants::on(Mutant::NoPeriodicChecks)) {
            self.check(now, container, fx);
        }
        self.tally.due(Due::Refresh);
        fx.report();
    }

    /// Has a container checked in the same step, unless that is under way.
    pub(super) fn check_soon(&mut self, now: Millis, container: ContainerId) {
        if self.books.get(container).is_some_and(|slot| slot.pending.is_none()) {
            self.timers.set_earlier(Timer::Slot(container), now);
        }
    }

    fn check(&mut self, now: Millis, container: ContainerId, fx: &mut Effects<'_>) {
        if self.books.get(container).is_some_and(|slot| slot.pending.is_none()) {
            self.call(now, container, Pending::Check, Call::Check, fx);
        }
    }

    /// The timer of a container rang.
    pub(super) fn slot_due(&mut self, now: Millis, container: ContainerId, fx: &mut Effects<'_>) {
        let Some(slot) = self.books.get_mut(container) else { return };
        match slot.row.state {
            State::Starting => self.start_due(now, container, fx),
            State::Warm { .. } | State::Assigned { .. } => {
                // A check that is still open by now is lost.
                slot.pending = None;
                self.check(now, container, fx);
                self.doubts.touch(container);
            }
            State::Draining { .. } => self.drain_next(now, container, fx),
            State::Moving { .. } => {}
        }
    }

    pub(super) fn check_done(&mut self, now: Millis, container: ContainerId, finding: Finding, fx: &mut Effects<'_>) {
        let Some(slot) = self.books.get_mut(container) else { return };
        if slot.pending != Some(Pending::Check) {
            // The answer to a call that was thought lost: good news all the same.
            if finding == Finding::Running {
                slot.contact();
            }
            return;
        }
        slot.pending = None;
        self.timers.stop(Timer::Slot(container));
        self.doubts.touch(container);
        match slot.row.state {
            State::Starting => {}
            State::Warm { .. } => self.warm_checked(now, container, finding, fx),
            State::Assigned { .. } => self.assigned_checked(now, container, finding, fx),
            State::Draining { .. } => self.drain_checked(now, container, finding == Finding::Stopped, fx),
            State::Moving { .. } => {}
        }
    }

    /// Nobody has a warm container yet, so that it is let go on the first doubt.
    fn warm_checked(&mut self, now: Millis, container: ContainerId, finding: Finding, fx: &mut Effects<'_>) {
        match finding {
            Finding::Running => {
                let Some(slot) = self.books.get_mut(container) else { return };
                slot.contact();
                if let Some(binding) = self.binding_of(container).cloned() {
                    fx.actions.push(Action::Call { container, binding, call: Call::Renew });
                }
            }
            Finding::Stopping | Finding::Stopped => self.drain(now, container, DrainCause::Stopped, fx),
            Finding::Unknown if self.missed(now, container) >= UNKNOWNS => {
                self.drain(now, container, DrainCause::Unreachable, fx);
            }
            Finding::Unknown => self.recheck(now, container),
        }
    }

    fn assigned_checked(&mut self, now: Millis, container: ContainerId, finding: Finding, fx: &mut Effects<'_>) {
        match finding {
            Finding::Running => {
                let Some(slot) = self.books.get_mut(container) else { return };
                slot.contact();
                slot.negatives = 0;
            }
            Finding::Stopping => {
                let Some(slot) = self.books.get_mut(container) else { return };
                slot.contact();
                if slot.is_fenced() {
                    self.drain(now, container, DrainCause::Ending, fx);
                } else {
                    // Of a class it is what it stored last: the next refresh asks again.
                    slot.negatives = 0;
                }
            }
            Finding::Stopped => {
                let Some(slot) = self.books.get_mut(container) else { return };
                slot.contact();
                slot.negatives += 1;
                if slot.negatives >= NEGATIVES || mutants::on(Mutant::OneNegativeIsDead) {
                    self.drain(now, container, DrainCause::Stopped, fx);
                } else {
                    self.timers.set(Timer::Slot(container), now + CONFIRM_AFTER);
                }
            }
            Finding::Unknown => {
                let unanswered = self.missed(now, container);
                let lapsed = self.may_be_given_up(now, container) || mutants::on(Mutant::GivenUpTooSoon);
                if (unanswered >= UNKNOWNS && lapsed) || mutants::on(Mutant::UnknownIsDead) {
                    self.drain(now, container, DrainCause::Unreachable, fx);
                } else {
                    self.recheck(now, container);
                }
            }
        }
    }

    /// Whether an assigned container has not answered for as long as a lease lasts, and can have none left.
    fn may_be_given_up(&self, now: Millis, container: ContainerId) -> bool {
        let Some(slot) = self.books.get(container) else { return false };
        let Some(silent_since) = slot.silent_since else { return false };
        if slot.is_fenced() {
            let ttl = self.specs.get(&slot.row.spec).map_or(Millis(0), |spec| spec.lease_ttl);
            now >= silent_since + ttl && now >= self.fence_end(now, slot)
        } else {
            now >= silent_since + self.unreachable_timeout()
        }
    }

    /// Counts an unanswered check; returns how many there were in a row.
    fn missed(&mut self, now: Millis, container: ContainerId) -> u32 {
        self.books.get_mut(container).map_or(0, |slot| slot.missed(now))
    }

    fn recheck(&mut self, now: Millis, container: ContainerId) {
        let Some(slot) = self.books.get(container) else { return };
        let pause = RECHECK_BACKOFF.doubled(slot.failures.saturating_sub(1), MAX_RECHECK_BACKOFF);
        self.timers.set(Timer::Slot(container), now + pause);
    }
}
