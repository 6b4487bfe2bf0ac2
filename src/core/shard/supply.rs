//! Keeping the stock: what to start, and what of the stock to let go.

use std::hash::Hasher;

use twox_hash::XxHash64;

use super::message::{Call, ContainerKind, DrainCause, Effects, Event, Spec, SpecId, Write};
use super::slot::{ContainerRow, Pending, Slot, State};
use super::{GateRow, Shard, Timer};
use crate::config::resolved::{Millis, Pool};
use crate::core::failure::{FailureClass, StartFailure};
use crate::core::id::ContainerId;
use crate::core::mutants::{self, Mutant};
use crate::core::plan::Plan;

/// What a start may take beyond its own timeouts: the platform's scheduling, and the calls.
pub const START_SLACK: Millis = Millis::from_secs(30);
/// The first pause before a start that proved nothing is asked for again; each further one doubles it.
const RESTART_BACKOFF: Millis = Millis(500);
/// The longest such pause.
const MAX_RESTART_BACKOFF: Millis = Millis::from_secs(5);

impl Spec {
    /// What the pool's containers are started as.
    pub fn of(pool: &Pool) -> Self {
        Self {
            binding: pool.container.clone(),
            start: pool.start.clone(),
            sleep_after: pool.sleep_after,
            lease_ttl: pool.lease_ttl,
            drain_timeout: pool.drain_timeout,
        }
    }

    /// Its name.
    pub fn id(&self) -> SpecId {
        let mut hasher = XxHash64::with_seed(0);
        // A spec has no map keys but strings, so that this cannot fail; were it to, all specs would count as one.
        hasher.write(&serde_json::to_vec(self).unwrap_or_default());
        SpecId(hasher.finish())
    }

    /// How long a start of it may take before it has failed.
    pub fn start_timeout(&self) -> Millis {
        let setup = self.start.setup.as_ref().map_or(Millis(0), |setup| setup.timeout);
        self.start.ready.timeout + setup + START_SLACK
    }
}

impl Shard {
    pub(super) fn configure(&mut self, now: Millis, plan: Plan, fx: &mut Effects<'_>) {
        let Some(plan) = plan.over_count_of(self.plan.as_ref(), self.me.index) else { return };
        if self.plan.as_ref().is_some_and(|has| !plan.supersedes(has)) {
            return;
        }
        let spec = Spec::of(&plan.pool);
        let id = spec.id();
        if self.current_spec != Some(id) {
            // What failed may have been mended.
            self.gate = GateRow::default();
            self.gate_changed = true;
            if let Some(former) = self.current_spec.replace(id) {
                self.forget_unused_spec(former);
            }
        }
        self.keep_spec(id, &spec);
        let mut stock = std::mem::take(&mut self.warm);
        stock.sort(|container| self.is_outdated(container));
        self.warm = stock;
        self.warm_cursor = None;
        self.filled = false;
        fx.writes.push(Write::PutPlan(Box::new(plan.clone())));
        fx.events.push(Event::Configured(Box::new(plan.clone())));
        self.timers.set_earlier(Timer::Refresh, now);
        self.raise_epochs(plan.version, fx);
        let is_active = plan.active;
        if let Some(terms) = plan.credits {
            let is_first = self.credits.is_none();
            let changed = self.credits.get_or_insert_default().begin(terms, self.me.index);
            self.credits_changed |= changed || is_first;
        }
        self.plan = Some(plan);
        self.surplus = usize::MAX;
        if !is_active {
            self.refuse_retired(fx);
        }
        self.reroute(now, fx);
    }

    fn is_outdated(&self, container: ContainerId) -> bool {
        self.books.get(container).map(|slot| slot.row.spec) != self.current_spec
    }

    /// Starts what is missing: one for each id that waits, and the stock up to its target, as far as capacity and the
    /// gate allow.
    pub(super) fn replenish(&mut self, now: Millis, fx: &mut Effects<'_>) {
        let Some(plan) = &self.plan else { return };
        let max_starts = plan.pool.max_concurrent_starts;
        let target = self.warm_target() as usize;
        let current = self.warm.current();
        if current >= target {
            self.filled = true;
        }
        let counts_on = |container: &ContainerId| {
            let is_late = self.is_borrowed(*container) && !self.is_arriving(now, *container);
            !self.is_outdated(*container) && !is_late
        };
        let coming = self.starting.iter().filter(|container| counts_on(container)).count();
        let coming = if mutants::on(Mutant::InFlightStartedAgain) { 0 } else { coming };
        let coming = coming + self.borrowing.expected();
        let missing = (self.queue.ready() + target.saturating_sub(current)).saturating_sub(coming);
        if missing == 0 {
            self.timers.stop(Timer::Gate);
            return self.note_lacking(now, 0, 0, fx);
        }
        if self.room(now) == 0 && self.gate.ceiling(now).is_none() && !self.advice.holds(now) {
            self.make_room(now, fx);
        }
        let own_starts = self.starting.iter().filter(|&&container| !self.is_borrowed(container)).count();
        let allowed = (self.gate.concurrency(now, max_starts) as usize).saturating_sub(own_starts);
        let count = missing.min(allowed).min(self.room(now) as usize);
        for _ in 0..count {
            self.start_one(now, fx);
        }
        match [self.gate.next_change(now), self.advice.held_until(now)].into_iter().flatten().min() {
            Some(at) if count < missing => self.timers.set(Timer::Gate, at),
            _ => self.timers.stop(Timer::Gate),
        }
        // Of those that are not started, the ones for which there is no credit, first for ids that wait.
        let out_of_credit = self.limit().is_some_and(|limit| limit <= self.count());
        let lacking = if out_of_credit { missing - count } else { 0 };
        let for_ids = lacking.min(self.queue.ready().saturating_sub(coming));
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        self.note_lacking(now, number(for_ids), number(lacking - for_ids), fx);
    }

    fn start_one(&mut self, now: Millis, fx: &mut Effects<'_>) {
        let Some(spec_id) = self.current_spec else { return };
        let Some(spec) = self.specs.get(&spec_id).cloned() else { return };
        let container = ContainerId::from_random(fx.entropy.unique());
        if self.books.get(container).is_some() {
            return;
        }
        self.fill_epoch_reserve(fx);
        let row = ContainerRow { container, spec: spec_id, created: now, kind: None, state: State::Starting };
        self.books.put(Slot::new(row, now, now));
        *self.spec_users.entry(spec_id).or_default() += 1;
        self.starting.insert(container);
        if !mutants::on(Mutant::StartNotWritten) {
            self.dirty.insert(container);
        }
        fx.events.push(Event::Starting(container));
        self.ask_to_start(now, container, spec, fx);
    }

    fn ask_to_start(&mut self, now: Millis, container: ContainerId, spec: Spec, fx: &mut Effects<'_>) {
        let deadline = self.start_deadline(container).unwrap_or(now);
        self.timers.set(Timer::Slot(container), deadline.max(Millis(now.0 + 1)));
        self.call(now, container, Pending::Start, Call::Start(Box::new(spec)), fx);
    }

    /// Counted from when the shard first asked, or was loaded.
    fn start_deadline(&self, container: ContainerId) -> Option<Millis> {
        let slot = self.books.get(container)?;
        let spec = self.specs.get(&slot.row.spec)?;
        Some(slot.known_since + spec.start_timeout())
    }

    /// The timer of a starting container: it has had its time, or is asked again.
    pub(super) fn start_due(&mut self, now: Millis, container: ContainerId, fx: &mut Effects<'_>) {
        if self.start_deadline(container).is_none_or(|deadline| now >= deadline) {
            let last_error = self.books.get(container).and_then(|slot| slot.last_error.as_deref());
            let message = match last_error {
                Some(error) => format!("the start did not end in time; the last error was: {}", error.message),
                None => "the start did not end in time".to_owned(),
            };
            let failure = StartFailure::new(FailureClass::Unknown, message);
            return self.start_failed_for_good(now, container, failure, fx);
        }
        if self.belongs_elsewhere(container) {
            // Its new owner asks. It is still here only because what went there before is still on its way.
            return self.timers.set(Timer::Slot(container), now + MAX_RESTART_BACKOFF);
        }
        let Some(slot) = self.books.get(container) else { return };
        if slot.pending.is_none()
            && let Some(spec) = self.specs.get(&slot.row.spec).cloned()
        {
            self.ask_to_start(now, container, spec, fx);
        }
    }

    pub(super) fn start_done(
        &mut self,
        now: Millis,
        container: ContainerId,
        result: Result<ContainerKind, StartFailure>,
        fx: &mut Effects<'_>,
    ) {
        let Some(slot) = self.books.get_mut(container) else { return };
        match &slot.row.state {
            State::Starting => {}
            // It was told that it has a new owner.
            State::Assigned { .. } => {
                match result {
                    Ok(_) => slot.contact(),
                    Err(failure) if failure.class == FailureClass::Exited => self.check_soon(now, container),
                    Err(_) => {}
                }
                return;
            }
            // Given up meanwhile, and being destroyed, started or not; or a sibling's by now.
            State::Warm { .. } | State::Draining { .. } | State::Moving { .. } => return,
        }
        slot.pending = None;
        match result {
            Ok(kind) => {
                slot.contact();
                slot.row.state = State::Warm { since: now };
                let took = Some(now - slot.row.created).filter(|_| !slot.borrowed);
                self.books.know(container, kind);
                self.starting.remove(&container);
                self.warm.put((self.is_outdated(container), now, container));
                self.timers.stop(Timer::Slot(container));
                self.dirty.insert(container);
                if self.gate.ceiling.is_some() {
                    self.gate_changed |= self.gate.has_room_for(self.running());
                }
                if let Some(took) = took {
                    self.gate_changed |= self.gate.succeeded();
                    self.tally.started(took);
                }
                fx.events.push(Event::Ready(container));
            }
            Err(failure) if mutants::on(Mutant::FailedStartForgotten) => self.forget_start(now, container, failure, fx),
            Err(failure) => self.start_answered_badly(now, container, failure, fx),
        }
    }

    fn start_answered_badly(
        &mut self,
        now: Millis,
        container: ContainerId,
        failure: StartFailure,
        fx: &mut Effects<'_>,
    ) {
        match failure.class {
            // It may be running: the same container is asked again, until its time is up.
            FailureClass::Unknown | FailureClass::Transient => {
                let Some(slot) = self.books.get_mut(container) else { return };
                slot.failures = slot.failures.saturating_add(1);
                slot.last_error = Some(Box::new(failure));
                let backoff = RESTART_BACKOFF.doubled(slot.failures - 1, MAX_RESTART_BACKOFF);
                self.timers.set(Timer::Slot(container), fx.entropy.around(now, backoff));
                self.tally.start_retried();
            }
            FailureClass::Capacity | FailureClass::Permanent | FailureClass::NotReady | FailureClass::Exited => {
                self.start_failed_for_good(now, container, failure, fx);
            }
        }
    }

    pub(super) fn start_failed_for_good(
        &mut self,
        now: Millis,
        container: ContainerId,
        failure: StartFailure,
        fx: &mut Effects<'_>,
    ) {
        // One that has been ready before says nothing about the next start.
        if !self.is_borrowed(container) {
            self.note_failure(now, container, failure, fx);
        }
        self.drain(now, container, DrainCause::StartFailed, fx);
    }

    /// The start of a container could not even be asked for: it comes off the books if nothing can run.
    pub(super) fn start_unsent(
        &mut self,
        now: Millis,
        container: ContainerId,
        failure: StartFailure,
        fx: &mut Effects<'_>,
    ) {
        let is_new = |slot: &Slot| slot.row.state == State::Starting && slot.last_error.is_none() && !slot.may_run;
        if self.books.get(container).is_some_and(is_new) {
            self.forget_start(now, container, failure, fx);
        } else {
            // An earlier attempt may have arrived.
            self.start_done(now, container, Err(failure), fx);
        }
    }

    /// Takes the container off the books of a start that has come to nothing.
    fn forget_start(&mut self, now: Millis, container: ContainerId, failure: StartFailure, fx: &mut Effects<'_>) {
        self.note_failure(now, container, failure, fx);
        self.unindex(container);
        self.forget(container, fx);
    }

    fn note_failure(&mut self, now: Millis, container: ContainerId, failure: StartFailure, fx: &mut Effects<'_>) {
        self.tally.start_failed(&failure);
        let running = self.running();
        self.gate.failed(now, failure.clone(), running, fx.entropy);
        self.gate_changed |= !mutants::on(Mutant::GateNotWritten);
        fx.events.push(Event::StartFailed(container, failure));
    }

    /// How many certainly run. Of those that start or failed to, none may.
    fn running(&self) -> u32 {
        u32::try_from(self.books.known()).unwrap_or(u32::MAX)
    }

    /// Lets outdated stock go once there is enough without it, so that a change of the configuration rolls through the
    /// stock instead of emptying it.
    pub(super) fn trim_outdated(&mut self, now: Millis, fx: &mut Effects<'_>) {
        let target = self.warm_target() as usize;
        while self.warm.len() > target {
            let Some((true, _, container)) = self.warm.last() else { break };
            self.drain(now, container, DrainCause::Outdated, fx);
        }
    }

    /// At capacity, an outdated container makes room for its successor.
    fn make_room(&mut self, now: Millis, fx: &mut Effects<'_>) {
        if self.draining() > 0 {
            return;
        }
        if let Some((true, _, container)) = self.warm.last() {
            self.drain(now, container, DrainCause::Outdated, fx);
        }
    }

    /// Lets go what is warm beyond the target, or beyond a lowered limit.
    pub(super) fn trim_surplus(&mut self, now: Millis, fx: &mut Effects<'_>) {
        let Some(plan) = self.plan.as_ref().filter(|_| !mutants::on(Mutant::SurplusKept)) else { return };
        if plan.active && self.is_removed() {
            // Its stock goes to the others.
            return;
        }
        let target = self.warm_target() as usize;
        let limit = self.limit().map_or(usize::MAX, |limit| limit as usize);
        let living = self.books.len() - self.draining() - self.moving();
        let over_limit = living.saturating_sub(limit).max(self.advice.take_excess());
        // What is over the target has to be so twice in a row: a borrowed container that came late may yet be of use.
        let over_target = self.warm.len().saturating_sub(target);
        let lasting = over_target.min(std::mem::replace(&mut self.surplus, over_target));
        let surplus = lasting.max(over_limit.min(self.warm.len()));
        // Outdated ones first, then the youngest: the oldest are next in line to be handed out.
        let last: Vec<ContainerId> = self.warm.iter().rev().take(surplus).collect();
        for container in last {
            self.drain(now, container, DrainCause::Surplus, fx);
        }
    }

    pub(super) fn shutdown_prewarmed(&mut self, now: Millis, fx: &mut Effects<'_>) {
        let unneeded = self.starting.len().saturating_sub(self.queue.ready());
        let starting = self.starting.iter().rev().take(unneeded).copied();
        let mut all: Vec<ContainerId> = self.warm.iter().chain(starting).collect();
        if mutants::on(Mutant::ShutdownTakesAssigned) {
            let is_assigned = |row: &&ContainerRow| row.state.assigned_to().is_some();
            all.extend(self.books.rows().filter(is_assigned).map(|row| row.container));
        }
        for container in all {
            self.drain(now, container, DrainCause::Shutdown, fx);
        }
    }

    /// Keeps a spec that something is, or will be, started as.
    pub(super) fn keep_spec(&mut self, id: SpecId, spec: &Spec) {
        if !self.specs.contains_key(&id) {
            self.specs.insert(id, spec.clone());
            self.dirty_specs.insert(id);
        }
    }

    /// A container that was started as this is off the books.
    pub(super) fn release_spec(&mut self, spec: SpecId) {
        if let Some(users) = self.spec_users.get_mut(&spec) {
            *users = users.saturating_sub(1);
        }
        self.forget_unused_spec(spec);
    }

    pub(super) fn forget_unused_spec(&mut self, spec: SpecId) {
        let in_use = self.spec_users.get(&spec).is_some_and(|&users| users > 0);
        let in_use = in_use && !mutants::on(Mutant::SpecForgottenInUse);
        if !in_use && self.current_spec != Some(spec) && self.specs.remove(&spec).is_some() {
            self.spec_users.remove(&spec);
            self.dirty_specs.insert(spec);
        }
    }
}
