//! Giving containers to ids.

use super::doubt::Doubter;
use super::message::{Action, Effects, Event, WaiterId, Write};
use super::queue::{Caller, Left, Why};
use super::slot::{Slot, State};
use super::{EPOCH_BLOCK, EPOCH_RESERVE, Shard};
use crate::config::resolved::Millis;
use crate::core::id::{ContainerId, Epoch, SessionId};
use crate::core::journal::SessionHash;
use crate::core::mutants::{self, Mutant};
use crate::core::outcome::{Assignment, Outcome, Reason, Refusal, RefusalCode};
use crate::core::plan::{CodeVersion, Plan, PlanVersion};

/// A shard gives two thousand million epochs, the power of two of this, by one version before they run into those of the next.
const EPOCHS_OF_A_VERSION: u32 = 31;
/// So that an epoch survives JavaScript numbers.
const LAST_VERSION: u64 = (1 << (52 - EPOCHS_OF_A_VERSION)) - 1;
/// The most callers that wait in one shard at once; more are refused rather than held in memory.
pub(super) const MAX_CALLERS: usize = 10_000;

impl Shard {
    /// The container that the id has, if it has one: what a sticky call is answered with, without a step.
    pub fn sticky(&mut self, id: &SessionId) -> Option<Assignment> {
        let assignment = self.lookup(id)?;
        self.tally.sticky();
        Some(assignment)
    }

    /// The container that the id has, if it has one. Gives it none.
    pub fn lookup(&self, id: &SessionId) -> Option<Assignment> {
        let slot = self.books.of_id(id)?;
        let State::Assigned { epoch, .. } = slot.row.state else { return None };
        Some(self.assignment(slot, epoch, Outcome::Sticky, None))
    }

    pub(super) fn acquire(
        &mut self,
        now: Millis,
        caller: Caller,
        id: SessionId,
        shards: Option<u32>,
        suspect: Option<ContainerId>,
        fx: &mut Effects<'_>,
    ) {
        let is_suspect = |suspect: &ContainerId| self.books.get(*suspect).is_some_and(|slot| slot.has(&id));
        if let Some(container) = suspect.filter(|_| self.doubts.has_room()).filter(is_suspect) {
            self.check_soon(now, container);
            self.doubts.put(container, Doubter { caller, id, shards });
            return;
        }
        if !mutants::on(Mutant::DoubtGivesAnother)
            && let Some(assignment) = self.lookup(&id)
        {
            self.tally.acquired(Outcome::Sticky, None, caller.since);
            fx.actions.push(Action::Reply(caller.waiter, Ok(assignment)));
            return;
        }
        let acquire_timeout = match self.admit(&id, shards) {
            Ok(timeout) => timeout,
            Err(refusal) => return self.refuse(caller.waiter, refusal, fx),
        };
        let deadline = now + acquire_timeout;
        if !mutants::on(Mutant::NoSingleFlight) && self.queue.join(&id, caller, deadline) {
            return;
        }
        let why = Why { cold: None, replaced: self.losses.take(&id) };
        self.demand.note(now);
        let blocked = self.blocked_by.contains_key(&id) && !mutants::on(Mutant::NoFenceWait);
        let asked = self.resolve(now, &id, fx);
        self.queue.push(now, id, caller, deadline, why, blocked || asked);
    }

    /// The refusal of an id that another shard owns; none when it is this one's.
    pub fn not_here(&self, id: &SessionId, shards: Option<u32>) -> Option<Refusal> {
        let plan = self.plan.as_ref()?;
        let in_force = plan.pool.shards;
        let owner = plan.owner_of(&self.me.pool, id);
        let elsewhere = shards.is_some_and(|shards| shards != in_force.get()) || owner != self.me.index;
        (elsewhere && !mutants::on(Mutant::WrongShardAccepted)).then(|| {
            let message = format!("of the {} shards in force, {} owns this id", in_force.get(), owner.0);
            let (plan, shards) = (Some(plan.version), Some(in_force.get()));
            Refusal { plan, shards, ..refusal(RefusalCode::WrongShard, message) }
        })
    }

    /// The refusal of a caller whose code has settings that the shard does not work by and is to be told; none when there is nothing
    /// to tell.
    pub fn not_told(&self, code: &CodeVersion) -> Option<Refusal> {
        let heeds = self.plan.as_ref().is_some_and(|plan| plan.heeds(code));
        let message = || format!("pool {:?} does not work by these settings yet", self.me.pool.as_str());
        (!heeds).then(|| refusal(RefusalCode::UnknownPool, message()))
    }

    /// Whether the id may wait here, and how long.
    fn admit(&self, id: &SessionId, shards: Option<u32>) -> Result<Millis, Refusal> {
        let taken = |plan: &&Plan| plan.active && !(mutants::on(Mutant::NeedsCoordinator) && plan.version.version == 0);
        let Some(plan) = self.plan.as_ref().filter(taken) else {
            return Err(self.unknown_pool());
        };
        if let Some(refusal) = self.not_here(id, shards) {
            return Err(refusal);
        }
        if self.queue.callers() >= MAX_CALLERS {
            let message = format!("{MAX_CALLERS} callers already wait for this shard");
            return Err(self.retry_later(RefusalCode::Overloaded, message));
        }
        Ok(plan.pool.acquire_timeout)
    }

    /// Refuses all that wait, for their pool has been taken out of the configuration.
    pub(super) fn refuse_retired(&mut self, fx: &mut Effects<'_>) {
        for waiter in self.queue.clear() {
            self.refuse(waiter, self.unknown_pool(), fx);
        }
    }

    /// Gives warm containers to those that wait, as far as they go.
    pub(super) fn serve(&mut self, now: Millis, fx: &mut Effects<'_>) {
        while let Some((_, _, container)) = self.warm.first() {
            let Some(left) = self.queue.pop() else { break };
            self.assign(now, container, left, fx);
        }
        self.queue.mark_cold(self.cold_reason(now));
    }

    fn assign(&mut self, now: Millis, container: ContainerId, left: Left, fx: &mut Effects<'_>) {
        let epoch = self.take_epoch(fx);
        let session = SessionHash::of(&self.me.pool, &left.id);
        self.unindex(container);
        self.books.assign(container, State::Assigned { id: left.id, epoch, since: now });
        if !mutants::on(Mutant::AssignmentNotWritten) {
            self.dirty.insert(container);
        }
        let Some(slot) = self.books.get(container) else { return };
        let (outcome, why_not_warm) = match left.why.cold {
            None => (Outcome::Warm, None),
            // It went to whoever waits as soon as it was here.
            Some(_) if slot.borrowed => (Outcome::Borrowed, None),
            Some(reason) => (Outcome::Cold, Some(reason)),
        };
        let assignment = self.assignment(slot, epoch, outcome, left.why.replaced.or(why_not_warm));
        for Caller { waiter, since } in left.callers {
            self.tally.acquired(outcome, assignment.reason, since);
            fx.actions.push(Action::Reply(waiter, Ok(assignment.clone())));
        }
        fx.events.push(Event::Assigned(session, assignment));
    }

    fn assignment(&self, slot: &Slot, epoch: Epoch, outcome: Outcome, reason: Option<Reason>) -> Assignment {
        // Told in any case: the caller may know another configuration, and must not fill in what its own says.
        let binding = self.specs.get(&slot.row.spec).map(|spec| spec.binding.clone());
        let (container, fenced) = (slot.row.container, slot.is_fenced());
        Assignment { container, epoch, fenced, outcome, reason, shard: self.me.index, binding }
    }

    /// Why none is warm now.
    fn cold_reason(&self, now: Millis) -> Reason {
        let target = self.warm_target();
        if self.gate.failures > 0 {
            Reason::StartsFailing
        } else if self.room(now) == 0 {
            Reason::AtCapacity
        } else if target == 0 {
            Reason::NoWarmTarget
        } else if !self.filled {
            Reason::Filling
        } else {
            Reason::Exhausted
        }
    }

    /// Refuses the callers whose time is up.
    pub(super) fn refuse_late(&mut self, now: Millis, fx: &mut Effects<'_>) {
        while let Some((waiter, held)) = self.queue.pop_late(now) {
            let refusal = if held {
                self.retry_later(
                    RefusalCode::Timeout,
                    "the id's former container, or the shard that had it, could not be reached, and may still serve it",
                )
            } else if self.room(now) == 0 && self.starting.is_empty() && !self.is_held_by_failed_starts() {
                self.retry_later(RefusalCode::AtCapacity, "every container that the pool may have is in use")
            } else if self.gate.failures > 0 {
                self.start_failed(now)
            } else {
                self.retry_later(RefusalCode::Timeout, "no container was ready in time")
            };
            self.refuse(waiter, refusal, fx);
        }
    }

    /// Whether a container that failed to start still takes up room.
    fn is_held_by_failed_starts(&self) -> bool {
        self.gate.failures > 0 && !self.failed_starts.is_empty()
    }

    /// Refuses all that wait when the breaker is open and nothing is under way that could serve them.
    pub(super) fn refuse_hopeless(&mut self, now: Millis, fx: &mut Effects<'_>) {
        if !self.gate.is_open_breaker() || !self.starting.is_empty() || now >= self.gate.retry_at {
            return;
        }
        while let Some(left) = self.queue.pop() {
            for Caller { waiter, .. } in left.callers {
                let refusal = self.start_failed(now);
                self.refuse(waiter, refusal, fx);
            }
        }
    }

    pub(super) fn refuse(&mut self, waiter: WaiterId, refusal: Refusal, fx: &mut Effects<'_>) {
        self.tally.refused(refusal.code);
        fx.actions.push(Action::Reply(waiter, Err(refusal)));
    }

    fn unknown_pool(&self) -> Refusal {
        let pool = self.me.pool.as_str();
        let message = format!("pool {pool:?} is in no configuration; add it to pools.toml and deploy");
        refusal(RefusalCode::UnknownPool, message)
    }

    fn start_failed(&self, now: Millis) -> Refusal {
        let message = match &self.gate.last_failure {
            Some(failure) => format!("containers of this pool do not start: {}", failure.message),
            None => "containers of this pool do not start".to_owned(),
        };
        let wait = self.gate.retry_at.0.saturating_sub(now.0).max(1_000);
        Refusal { retry_after_millis: Some(wait), ..refusal(RefusalCode::StartFailed, message) }
    }

    pub(super) fn retry_later(&self, code: RefusalCode, message: impl Into<String>) -> Refusal {
        let wait = self.plan.as_ref().map_or(1_000, |plan| plan.pool.refresh_interval.0.clamp(1_000, 10_000));
        Refusal { retry_after_millis: Some(wait), ..refusal(code, message) }
    }

    /// The next epoch. It is below the durable ceiling before anybody sees it.
    fn take_epoch(&mut self, fx: &mut Effects<'_>) -> Epoch {
        self.reserve_epochs(1, fx);
        let epoch = self.next_epoch;
        self.next_epoch = Epoch(epoch.0 + 1);
        epoch
    }

    /// Called at a start, which writes anyway, so that an assignment finds its epoch reserved.
    pub(super) fn fill_epoch_reserve(&mut self, fx: &mut Effects<'_>) {
        self.reserve_epochs(EPOCH_RESERVE, fx);
    }

    /// Epochs start anew, and higher, with each version: by an earlier one another shard may have owned ids that are this one's
    /// by now, and have given them epochs of its own.
    pub(super) fn raise_epochs(&mut self, plan: PlanVersion, fx: &mut Effects<'_>) {
        let first = Epoch(plan.version.min(LAST_VERSION) << EPOCHS_OF_A_VERSION);
        if self.next_epoch < first && !mutants::on(Mutant::EpochsNotRaised) {
            self.next_epoch = first;
            self.fill_epoch_reserve(fx);
        }
    }

    fn reserve_epochs(&mut self, count: u64, fx: &mut Effects<'_>) {
        if self.next_epoch.0 + count > self.epoch_ceiling.0 {
            self.epoch_ceiling = Epoch(self.next_epoch.0 + EPOCH_BLOCK);
            if !mutants::on(Mutant::EpochCeilingNotWritten) {
                fx.writes.push(Write::PutEpochCeiling(self.epoch_ceiling.0));
            }
        }
    }
}

fn refusal(code: RefusalCode, message: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into(), retry_after_millis: None, plan: None, shards: None }
}
