//! The way out: SIGTERM, a deadline, destruction as often as it takes, and only then off the books.
//!
//! While a draining container might still serve its id, the id's next container waits: `blocks` names the id until
//! the container has taken the stop (which revokes its lease), is gone, or has run out of any lease it could hold.

use super::message::{Call, DrainCause, Effects, Event};
use super::slot::{DrainPhase, Pending, Slot, State};
use super::{LEASE_MARGIN, Shard, Timer};
use crate::config::resolved::Millis;
use crate::core::failure::{FailureClass, StartFailure};
use crate::core::id::{ContainerId, SessionId};
use crate::core::journal::SessionHash;
use crate::core::mutants::{self, Mutant};
use crate::core::outcome::Reason;

/// How long until a stop that did not arrive is tried again, and how often a class is asked whether it has stopped.
const STOP_POLL: Millis = Millis(1_000);
/// The first pause between attempts to destroy; each further one doubles it.
const DESTROY_BACKOFF: Millis = Millis(1_000);
/// The longest such pause.
const MAX_DESTROY_BACKOFF: Millis = Millis::from_secs(60);

impl Shard {
    pub(super) fn release(&mut self, now: Millis, id: &SessionId, fx: &mut Effects<'_>) {
        if let Some(container) = self.books.of_id(id).map(|slot| slot.row.container) {
            self.drain(now, container, DrainCause::Released, fx);
        }
    }

    /// A container has stopped: its word, or proof.
    pub(super) fn stopped(&mut self, now: Millis, container: ContainerId, fx: &mut Effects<'_>) {
        let Some(slot) = self.books.get(container) else { return };
        match slot.row.state {
            State::Starting => {
                let failure = StartFailure::new(FailureClass::Exited, "the container stopped while it was starting");
                self.start_failed_for_good(now, container, failure, fx);
            }
            State::Warm { .. } | State::Assigned { .. } => self.drain(now, container, DrainCause::Stopped, fx),
            State::Draining { phase: DrainPhase::Stopping { .. }, .. } => {
                self.unblock(container);
                self.destroy(now, container, fx);
            }
            State::Draining { phase: DrainPhase::Destroying, .. } => self.unblock(container),
            State::Moving { .. } => {}
        }
    }

    /// Puts a container that is not draining yet on its way out.
    pub(super) fn drain(&mut self, now: Millis, container: ContainerId, cause: DrainCause, fx: &mut Effects<'_>) {
        let epoch = self.books.get(container).and_then(|slot| match slot.row.state {
            State::Assigned { epoch, .. } => Some(epoch),
            State::Starting | State::Warm { .. } | State::Draining { .. } | State::Moving { .. } => None,
        });
        let id = self.unindex(container);
        let session = id.as_ref().map(|id| SessionHash::of(&self.me.pool, id));
        let drain_timeout = self.drain_timeout(container);
        let Some(slot) = self.books.get_mut(container) else { return };
        let gently = match cause {
            DrainCause::Released
            | DrainCause::Surplus
            | DrainCause::Outdated
            | DrainCause::Shutdown
            | DrainCause::Ending => true,
            // It does not run, never ran right, or cannot be talked to.
            DrainCause::Stopped | DrainCause::StartFailed | DrainCause::Unreachable => false,
        };
        let phase =
            if gently { DrainPhase::Stopping { deadline: now + drain_timeout } } else { DrainPhase::Destroying };
        // One that is ending by itself has given up its lease.
        let blocks = if cause == DrainCause::Released { id.clone() } else { None };
        slot.row.state = State::Draining { blocks: blocks.clone(), cause, phase };
        if mutants::on(Mutant::ReleasedIsStock) && cause == DrainCause::Released {
            slot.row.state = State::Warm { since: now };
        }
        slot.failures = 0;
        slot.negatives = 0;
        slot.stop_arrived = cause == DrainCause::Ending;
        if cause == DrainCause::StartFailed {
            self.failed_starts.insert(container);
        }
        self.dirty.insert(container);
        fx.events.push(Event::Draining(container, cause, session.zip(epoch)));
        if let Some(id) = blocks {
            self.blocked_by.insert(id, container);
            if let Some(end) = self.books.get(container).map(|slot| self.fence_end(now, slot)) {
                self.timers.set(Timer::Fence(container), end);
            }
        } else if let Some(id) = id {
            self.remember_loss(id, cause);
        }
        self.drain_next(now, container, fx);
    }

    /// Takes a container out of the index of its state, and returns the id it was assigned to.
    pub(super) fn unindex(&mut self, container: ContainerId) -> Option<SessionId> {
        self.timers.stop(Timer::Slot(container));
        let slot = self.books.get(container)?;
        match &slot.row.state {
            State::Starting => {
                self.starting.remove(&container);
                None
            }
            State::Warm { since } => {
                let since = *since;
                self.warm.remove(since, container);
                None
            }
            State::Assigned { .. } => {
                self.doubts.touch(container);
                self.books.unassign(container)
            }
            State::Draining { .. } | State::Moving { .. } => None,
        }
    }

    /// The next call of a draining container, at its begin or when its timer rang.
    pub(super) fn drain_next(&mut self, now: Millis, container: ContainerId, fx: &mut Effects<'_>) {
        let Some(slot) = self.books.get(container) else { return };
        let State::Draining { blocks, phase, .. } = &slot.row.state else { return };
        match *phase {
            DrainPhase::Stopping { deadline } if now < deadline => {
                self.timers.set(Timer::Slot(container), deadline);
                match slot.pending {
                    Some(Pending::Stop | Pending::Destroy) => {}
                    // Once the stop has arrived, nothing is blocked and only its effect is waited for.
                    Some(Pending::Check | Pending::Start) | None if blocks.is_some() || !slot.stop_arrived => {
                        self.call(now, container, Pending::Stop, Call::Stop, fx);
                    }
                    Some(Pending::Check | Pending::Start) | None => {
                        self.call(now, container, Pending::Check, Call::Check, fx);
                        self.timers.set_earlier(Timer::Slot(container), deadline);
                    }
                }
            }
            DrainPhase::Stopping { .. } if mutants::on(Mutant::NeverDestroys) => {}
            DrainPhase::Stopping { .. } => self.destroy(now, container, fx),
            // A call that is still open by now is lost.
            DrainPhase::Destroying => self.call(now, container, Pending::Destroy, Call::Destroy, fx),
        }
    }

    fn destroy(&mut self, now: Millis, container: ContainerId, fx: &mut Effects<'_>) {
        let Some(slot) = self.books.get_mut(container) else { return };
        if let State::Draining { phase, .. } = &mut slot.row.state {
            *phase = DrainPhase::Destroying;
            slot.failures = 0;
            self.dirty.insert(container);
            self.call(now, container, Pending::Destroy, Call::Destroy, fx);
        }
    }

    pub(super) fn stop_done(&mut self, now: Millis, container: ContainerId, arrived: bool) {
        let Some(slot) = self.books.get_mut(container) else { return };
        if slot.pending != Some(Pending::Stop) {
            return;
        }
        slot.pending = None;
        let State::Draining { phase: DrainPhase::Stopping { deadline }, .. } = slot.row.state else { return };
        let poll = !arrived || !slot.is_fenced();
        // An agent reports its end; a class has to be asked.
        if arrived || mutants::on(Mutant::LostStopUnblocks) {
            slot.stop_arrived = true;
            self.unblock(container);
        }
        let at = if poll { deadline.min(now + STOP_POLL) } else { deadline };
        self.timers.set(Timer::Slot(container), at.max(Millis(now.0 + 1)));
    }

    /// What a check of a draining container found.
    pub(super) fn drain_checked(&mut self, now: Millis, container: ContainerId, stopped: bool, fx: &mut Effects<'_>) {
        let Some(slot) = self.books.get(container) else { return };
        let State::Draining { phase: DrainPhase::Stopping { deadline }, .. } = slot.row.state else { return };
        if stopped {
            self.destroy(now, container, fx);
        } else {
            self.timers.set(Timer::Slot(container), deadline.min(now + STOP_POLL).max(Millis(now.0 + 1)));
        }
    }

    pub(super) fn destroy_done(&mut self, now: Millis, container: ContainerId, gone: bool, fx: &mut Effects<'_>) {
        let Some(slot) = self.books.get_mut(container) else { return };
        if slot.pending != Some(Pending::Destroy) {
            return;
        }
        slot.pending = None;
        if gone || mutants::on(Mutant::LostDestroyIsGone) {
            return self.forget(container, fx);
        }
        if mutants::on(Mutant::DestroyNotRetried) {
            return self.timers.stop(Timer::Slot(container));
        }
        slot.failures = slot.failures.saturating_add(1);
        let backoff = DESTROY_BACKOFF.doubled(slot.failures - 1, MAX_DESTROY_BACKOFF);
        let at = Millis(now.0 + backoff.0 / 2 + fx.entropy.jitter(backoff.0 / 2) + 1);
        self.timers.set(Timer::Slot(container), at);
    }

    pub(super) fn forget(&mut self, container: ContainerId, fx: &mut Effects<'_>) {
        self.unblock(container);
        self.timers.stop(Timer::Slot(container));
        let Some(slot) = self.books.remove(container) else { return };
        self.failed_starts.remove(&container);
        self.dirty.insert(container);
        self.release_spec(slot.row.spec);
        fx.events.push(Event::Gone(container));
    }

    /// The container cannot serve its former id any more: the id may have another.
    pub(super) fn unblock(&mut self, container: ContainerId) {
        self.timers.stop(Timer::Fence(container));
        let Some(slot) = self.books.get_mut(container) else { return };
        if let State::Draining { blocks, .. } = &mut slot.row.state
            && let Some(id) = blocks.take()
        {
            self.dirty.insert(container);
            if !mutants::on(Mutant::ReleasedIdStaysHeld) {
                self.blocked_by.remove(&id);
            }
            self.queue.let_go(&id);
        }
    }

    /// When a container that cannot be reached has certainly stopped serving its id: when no lease can be left, or,
    /// for a class that has none, when it is given up.
    pub(super) fn fence_end(&self, now: Millis, slot: &Slot) -> Millis {
        if slot.is_fenced() { slot.lease_until + LEASE_MARGIN } else { now + self.unreachable_timeout() }
    }

    /// How long a container without a fence may be silent.
    pub(super) fn unreachable_timeout(&self) -> Millis {
        self.plan.as_ref().map_or(Millis::from_secs(60), |plan| plan.pool.unreachable_timeout)
    }

    fn drain_timeout(&self, container: ContainerId) -> Millis {
        let spec = self.books.get(container).and_then(|slot| self.specs.get(&slot.row.spec));
        spec.map_or(Millis(0), |spec| spec.drain_timeout)
    }

    fn remember_loss(&mut self, id: SessionId, cause: DrainCause) {
        let reason = match cause {
            DrainCause::Stopped | DrainCause::Ending => Reason::ContainerStopped,
            DrainCause::Unreachable => Reason::ContainerUnreachable,
            DrainCause::Released
            | DrainCause::Surplus
            | DrainCause::Outdated
            | DrainCause::Shutdown
            | DrainCause::StartFailed => return,
        };
        self.losses.remember(id, reason);
    }
}
