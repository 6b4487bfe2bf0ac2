//! The machine: one entry, [`Agent::step`], besides the fast path of a request, [`Agent::admit`].
//!
//! After either, [`Agent::unsaved`] says what must be written, and [`Agent::next_alarm`] when the alarm must ring; then the
//! effects are carried out in order.

use super::boot::{Boot, Progress};
use super::fence::{Admission, Fence, LeaseKey, Refusal};
use super::io::{Caller, Destruction, Effect, Input, Reply};
use super::record::{End, Life, Orders, Record, Report};
use crate::config::resolved::{Millis, PoolName};
use crate::core::failure::{FailureClass, StartFailure};
use crate::core::mutants::{self, Mutant};
use crate::core::timers::Timers;

/// One container's agent.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    record: Option<Record>,
    saved: Saved,
    timers: Timers<Timer>,
    fence: Fence,
    boot: Boot,
    /// Requests, streams and WebSockets that have not ended.
    traffic: u32,
    /// When there was traffic or a renewal last; the record is a little behind.
    active_at: Millis,
    destroying: InFlight,
    sight: Sight,
    reporting: InFlight,
    starters: Vec<Caller>,
    destroyers: Vec<Caller>,
    told: Vec<Caller>,
}

/// What is to be written after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Save<'a> {
    /// This, in place of what was there.
    Write(&'a Record),
    /// Nothing is to be left.
    Erase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Saved {
    #[default]
    Yes,
    No,
}

/// What this object, since it was built, can know of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sight {
    /// It never saw one run, so there is none.
    #[default]
    None,
    /// It saw it run.
    Running,
    /// It was told that it ended by itself.
    Ended,
    /// It cannot see it any more. An engine may have started it again since; only a rebuilt object can see that.
    Blind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Yes,
    No,
}

/// An effect that is repeated until it succeeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct InFlight {
    under_way: bool,
    failures: u32,
}

/// What the alarm is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Readiness, or the setup, takes too long.
    Ready,
    /// The container may have been idle for long enough.
    Idle,
    /// It got SIGTERM and is still there.
    Drain,
    /// The last attempt to destroy it failed, or never ended.
    Destroy,
    /// The last attempt to tell the owner failed, or never ended.
    Report,
    /// The object is to be rebuilt, for a fresh look at the process.
    Rebuild,
    /// Nobody needs the record any more.
    Forget,
}

impl Agent {
    /// The agent of an object with this stored record; [`Input::Awoken`] must be its first input.
    pub fn new(record: Option<Record>) -> Self {
        Self { record, ..Self::default() }
    }

    /// The stored state; none for an object that was never asked anything.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// Whether the process should be running.
    pub fn expects_process(&self) -> bool {
        matches!(self.record, Some(Record { life: Life::Starting { .. } | Life::Ready, .. }))
    }

    /// The port that requests go to.
    pub fn port(&self) -> Option<u16> {
        self.orders().and_then(|orders| orders.start.ports.first().copied())
    }

    /// What must be written now, before the effects of the last steps are carried out. Asked once, it counts as written.
    pub fn unsaved(&mut self) -> Option<Save<'_>> {
        match std::mem::take(&mut self.saved) {
            Saved::Yes => None,
            Saved::No => Some(self.record.as_ref().map_or(Save::Erase, Save::Write)),
        }
    }

    /// When the alarm must ring, in ms since 1970; none when nothing is due.
    pub fn next_alarm(&self) -> Option<Millis> {
        self.timers.next()
    }

    /// Whether a request of `pool` for `key` is served. The fast path: with a lease that holds it changes nothing and asks
    /// nothing. Ids and epochs are a pool's own, so a lease of another pool says nothing about this one.
    pub fn admit(
        &mut self,
        now: Millis,
        pool: &PoolName,
        key: LeaseKey,
        caller: Caller,
        effects: &mut Vec<Effect>,
    ) -> Admission {
        match &self.record {
            Some(Record { life: Life::Ready, orders: Some(orders), .. })
                if orders.owner.pool != *pool && !mutants::on(Mutant::AgentServesAnyPool) =>
            {
                Admission::Refuse(Refusal::NotYours)
            }
            Some(Record { life: Life::Ready, orders: Some(orders), binding, .. }) => {
                self.fence.admit(now, key, caller, orders, binding.as_ref(), effects)
            }
            Some(_) | None => Admission::Refuse(Refusal::Gone),
        }
    }

    /// Takes in what happened; `effects` gets what is to be done about it.
    pub fn step(&mut self, now: Millis, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Awoken { running } => self.awoken(now, running, effects),
            Input::StartAsked { caller, orders } => self.start_asked(now, caller, *orders, effects),
            Input::StopAsked { caller } => {
                self.stop(now, effects);
                effects.push(Effect::Reply { caller, reply: Reply::Stopped });
            }
            Input::DestroyAsked { caller } => self.destroy_asked(now, caller, effects),
            Input::RenewAsked => self.active(now),
            Input::StartThrew(message) => {
                // If anything runs all the same, its destruction will tell.
                self.sight = Sight::None;
                self.fail(now, StartFailure::of_message(message), effects);
            }
            Input::Probed(found) => {
                if let Some((orders, remaining)) = self.starting(now) {
                    let progress = self.boot.probed(found, &orders.start, remaining);
                    self.progress(now, progress, effects);
                }
            }
            Input::SetUp(found) => {
                if let Some((orders, _)) = self.starting(now).filter(|_| self.boot.is_setting_up()) {
                    let progress = self.boot.set_up(found, &orders.start);
                    self.progress(now, progress, effects);
                }
            }
            Input::Exited { code, message } => {
                self.saw_end();
                self.exited(now, code, message, effects);
            }
            Input::MonitorLost(message) => self.monitor_lost(now, message, effects),
            Input::Destroyed(result) => self.destroyed(now, result, effects),
            Input::Reported(result) => self.reported(now, result, effects),
            Input::LeaseAnswered { key, asked_at, answer } => {
                if let Some(record) = self.record.as_mut().filter(|record| record.life == Life::Ready) {
                    let owner = |record: &Record| record.orders.as_ref().map(|orders| orders.owner.clone());
                    let before = (record.binding.clone(), owner(record));
                    self.fence.answered(now, &key, asked_at, answer, record, effects);
                    if (record.binding.clone(), owner(record)) != before {
                        self.saved = Saved::No;
                    }
                }
            }
            Input::FoundStopped { caller } => {
                self.exited(now, None, None, effects);
                if let Some(caller) = caller {
                    self.told.push(caller);
                    self.answer_told(effects);
                }
            }
            Input::TrafficBegan => {
                self.traffic = self.traffic.saturating_add(1);
                self.active(now);
            }
            Input::TrafficEnded => {
                self.traffic = self.traffic.saturating_sub(1);
                self.active(now);
            }
            Input::Alarm => self.alarm(now, effects),
        }
    }

    fn awoken(&mut self, now: Millis, running: bool, effects: &mut Vec<Effect>) {
        self.sight = if running { Sight::Running } else { Sight::None };
        let Some(record) = &mut self.record else {
            // Nothing stored, so nobody ordered it: it is not ours to keep.
            if running {
                self.destroy(now, effects);
            }
            return;
        };
        match record.life {
            Life::Starting { ready_by } if running => {
                self.timers.set(Timer::Ready, ready_by);
                effects.push(Effect::Monitor);
                self.boot = Boot::new();
                self.probe(now, effects);
            }
            Life::Ready if running => {
                // What is stored may be a little behind; nobody loses a container for that.
                let behind = record.orders.as_ref().map_or(Millis(0), activity_grain);
                self.active_at = later(record.active_at, behind).min(now);
                effects.push(Effect::Monitor);
                self.watch_idleness();
            }
            Life::Starting { .. } | Life::Ready => self.exited(now, None, None, effects),
            Life::Stopping { destroy_at } if running => {
                self.timers.set(Timer::Drain, destroy_at);
                effects.push(Effect::Monitor);
            }
            Life::Stopping { .. } => self.destroy(now, effects),
            Life::Stopped(End { at, report }) => {
                match report {
                    _ if running => self.destroy(now, effects),
                    Report::Owed => self.report(now, effects),
                    Report::Settled => {}
                }
                if report == Report::Settled {
                    self.timers.set(Timer::Forget, forgotten_at(at));
                }
            }
        }
    }

    fn start_asked(&mut self, now: Millis, caller: Caller, orders: Orders, effects: &mut Vec<Effect>) {
        let reply = |result| Effect::Reply { caller, reply: Reply::Started(result) };
        if mutants::on(Mutant::AgentStartsTwice) {
            self.record.take_if(|record| matches!(record.life, Life::Stopped(_)));
        }
        let Some(record) = &mut self.record else {
            if self.destroying.under_way {
                let message = "a process that nobody ordered is being ended first; use another container";
                effects.push(reply(Err(StartFailure::new(FailureClass::Transient, message))));
                return;
            }
            let ready_by = later(now, orders.start.ready.timeout);
            effects.push(Effect::Start(Box::new(orders.clone())));
            effects.push(Effect::Monitor);
            self.record = Some(Record {
                orders: Some(orders),
                life: Life::Starting { ready_by },
                since: now,
                binding: None,
                active_at: now,
                exit_code: None,
                failure: None,
            });
            self.saved = if mutants::on(Mutant::AgentStartNotWritten) { Saved::Yes } else { Saved::No };
            self.sight = Sight::Running;
            self.starters.push(caller);
            self.timers.set(Timer::Ready, ready_by);
            self.boot = Boot::new();
            self.probe(now, effects);
            return;
        };
        match record.life {
            Life::Starting { .. } | Life::Ready => {
                // A container that changes hands has a new owner, who says how long it may be idle; what it runs stays.
                let changed = record.orders.as_ref().is_none_or(|old| {
                    old.owner != orders.owner
                        || old.sleep_after != orders.sleep_after
                        || old.lease_ttl != orders.lease_ttl
                        || old.drain_timeout != orders.drain_timeout
                });
                if changed && let Some(old) = &mut record.orders {
                    *old = Orders { container: old.container, start: old.start.clone(), ..orders };
                    self.saved = Saved::No;
                }
                if record.life == Life::Ready {
                    self.active(now);
                    self.watch_idleness();
                    effects.push(reply(Ok(())));
                } else {
                    self.starters.push(caller);
                }
            }
            Life::Stopping { .. } | Life::Stopped(_) => {
                let failure = record.failure.clone().unwrap_or_else(|| {
                    StartFailure::new(
                        FailureClass::Exited,
                        "this container has stopped, and a container is started once",
                    )
                });
                effects.push(reply(Err(failure)));
            }
        }
    }

    /// SIGTERM, then patience. Does nothing to what is stopping already.
    fn stop(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        match &self.record {
            None if mutants::on(Mutant::AgentForgetsEarlyStop) => {}
            None => self.never_start(now),
            Some(Record { life: Life::Starting { .. } | Life::Ready, orders, .. }) => {
                let patience = orders.as_ref().map_or(Millis(0), |orders| orders.drain_timeout);
                self.end(now, later(now, patience), Some(stopped_while_starting()), effects);
                effects.push(Effect::Terminate);
            }
            Some(Record { life: Life::Stopping { .. } | Life::Stopped(_), .. }) => {}
        }
    }

    fn destroy_asked(&mut self, now: Millis, caller: Caller, effects: &mut Vec<Effect>) {
        match &self.record {
            None if mutants::on(Mutant::AgentForgetsEarlyStop) => {}
            None => self.never_start(now),
            Some(Record { life: Life::Starting { .. } | Life::Ready, .. }) => {
                self.end(now, now, Some(stopped_while_starting()), effects);
            }
            Some(Record { life: Life::Stopping { .. } | Life::Stopped(_), .. }) => {}
        }
        let stopped = self.record.as_ref().is_some_and(|record| matches!(record.life, Life::Stopped(_)));
        // Its timer is set from the first attempt to the one that works.
        if stopped && !self.timers.is_set(Timer::Destroy) {
            effects.push(Effect::Reply { caller, reply: Reply::Destroyed(Ok(())) });
        } else {
            self.destroyers.push(caller);
            self.destroy(now, effects);
        }
    }

    /// A stop that comes before the start must win over it, however late the start arrives.
    fn never_start(&mut self, now: Millis) {
        self.record = Some(Record {
            orders: None,
            life: Life::Stopped(End { at: now, report: Report::Settled }),
            since: now,
            binding: None,
            active_at: now,
            exit_code: None,
            failure: None,
        });
        self.saved = Saved::No;
        self.timers.set(Timer::Forget, forgotten_at(now));
    }

    fn progress(&mut self, now: Millis, progress: Progress, effects: &mut Vec<Effect>) {
        match progress {
            Progress::Waiting => {}
            Progress::Failed(failure) => self.fail(now, failure, effects),
            Progress::Next(effect) => {
                if let Effect::SetUp { setup, .. } = &effect
                    && let Some(record) = &mut self.record
                {
                    // The setup has its own time. The adapter ends it; the deadline is for one that was lost.
                    let ready_by = later(later(now, setup.timeout), GRACE);
                    record.life = Life::Starting { ready_by };
                    self.saved = Saved::No;
                    self.timers.set(Timer::Ready, ready_by);
                }
                effects.push(effect);
            }
            Progress::Ready => {
                if let Some(record) = &mut self.record {
                    record.life = Life::Ready;
                    record.since = now;
                    record.active_at = now;
                    self.saved = Saved::No;
                }
                self.active_at = now;
                self.timers.stop(Timer::Ready);
                self.watch_idleness();
                self.answer_starters(&Ok(()), effects);
            }
        }
    }

    fn probe(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if let Some((orders, remaining)) = self.starting(now) {
            let progress = self.boot.probe(&orders.start, remaining);
            self.progress(now, progress, effects);
        }
    }

    /// A start that did not work: the process is destroyed at once.
    fn fail(&mut self, now: Millis, failure: StartFailure, effects: &mut Vec<Effect>) {
        if self.record.as_ref().is_some_and(|record| matches!(record.life, Life::Starting { .. })) {
            self.end(now, now, Some(failure), effects);
            self.destroy(now, effects);
        }
    }

    /// The process ended. It is destroyed all the same: an engine may start it again behind our back.
    fn exited(&mut self, now: Millis, code: Option<i32>, message: Option<String>, effects: &mut Vec<Effect>) {
        let Some(record) = &mut self.record else { return };
        match record.life {
            Life::Stopped(_) => return,
            Life::Starting { .. } | Life::Ready | Life::Stopping { .. } => {}
        }
        // Once the process is being destroyed its exit code is our doing.
        if record.exit_code.is_none() && code.is_some() && !self.destroying.under_way {
            record.exit_code = code;
            self.saved = Saved::No;
        }
        if matches!(record.life, Life::Starting { .. } | Life::Ready) {
            self.end(now, now, Some(exited_while_starting(code, message)), effects);
        }
        self.destroy(now, effects);
    }

    fn saw_end(&mut self) {
        if self.sight == Sight::Running {
            self.sight = Sight::Ended;
        }
    }

    /// The monitor failed. That proves nothing unless the message does; but the runtime does not see the process any more, so
    /// that only a rebuilt object can tell.
    fn monitor_lost(&mut self, now: Millis, message: String, effects: &mut Vec<Effect>) {
        let Some(record) = &self.record else { return };
        let proof = match FailureClass::of_message(&message) {
            FailureClass::Unknown | FailureClass::Transient => Proof::No,
            FailureClass::Capacity | FailureClass::Permanent | FailureClass::NotReady | FailureClass::Exited => {
                Proof::Yes
            }
        };
        match record.life {
            Life::Stopped(_) => {}
            // What is being destroyed is looked at once that has ended.
            Life::Stopping { .. } if proof == Proof::No && self.destroying.under_way => {}
            Life::Starting { .. } | Life::Ready | Life::Stopping { .. }
                if proof == Proof::No && !mutants::on(Mutant::AgentBelievesLostMonitor) =>
            {
                self.rebuild(now, effects);
            }
            Life::Starting { .. } | Life::Ready | Life::Stopping { .. } => {
                self.saw_end();
                self.exited(now, None, Some(message), effects);
            }
        }
    }

    /// Has the object rebuilt if it can say nothing of the process any more: after the owner was told, and those who call
    /// because of that have been answered.
    fn look_again(&mut self, now: Millis) {
        if self.sight == Sight::Blind && !self.reporting.under_way {
            self.timers.set(Timer::Rebuild, later(now, REBUILD_AFTER));
        }
    }

    /// Has the object rebuilt, and woken soon after.
    fn rebuild(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        self.timers.set(Timer::Rebuild, later(now, WAKE_AFTER));
        effects.push(Effect::Rebuild);
    }

    /// From Starting or Ready to Stopping. `failure` is what those hear who wait for readiness.
    fn end(&mut self, now: Millis, destroy_at: Millis, failure: Option<StartFailure>, effects: &mut Vec<Effect>) {
        let Some(record) = &mut self.record else { return };
        if matches!(record.life, Life::Starting { .. }) {
            record.failure.clone_from(&failure);
        }
        record.life = Life::Stopping { destroy_at };
        record.since = now;
        self.saved = Saved::No;
        self.timers = Timers::default();
        self.timers.set(Timer::Drain, destroy_at);
        if !mutants::on(Mutant::AgentForgetsWaiters) {
            self.fence.revoke(effects);
        }
        if let Some(failure) = failure {
            self.answer_starters(&Err(failure), effects);
        }
    }

    fn destroy(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if !self.destroying.under_way {
            self.destroying.under_way = true;
            self.timers.stop(Timer::Drain);
            // In case the attempt never ends.
            self.timers.set(Timer::Destroy, later(now, ATTEMPT));
            effects.push(Effect::Destroy);
        }
    }

    fn destroyed(&mut self, now: Millis, result: Result<Destruction, String>, effects: &mut Vec<Effect>) {
        if !self.destroying.under_way {
            return;
        }
        self.destroying.under_way = false;
        // The runtime has lost sight of a process that nobody saw end: it may run, and is not told of as gone.
        let has_ended = self.record.as_ref().is_none_or(|record| matches!(record.life, Life::Stopped(_)));
        let sees = match self.sight {
            Sight::None | Sight::Ended => true,
            Sight::Running => false,
            // Before the end is known it is blind only while it waits to be rebuilt.
            Sight::Blind => has_ended,
        };
        let unseen = result == Ok(Destruction::NothingToDo) && !sees;
        let answer = match &result {
            Ok(_) if unseen => Err("the runtime has lost sight of it; it is looked at anew".to_owned()),
            Ok(_) => Ok(()),
            Err(message) => Err(message.clone()),
        };
        let reply = Reply::Destroyed(answer);
        effects.extend(self.destroyers.drain(..).map(|caller| Effect::Reply { caller, reply: reply.clone() }));
        match result {
            Ok(_) if unseen => {
                self.sight = Sight::Blind;
                effects.extend(self.told.drain(..).map(|caller| Effect::Reply { caller, reply: Reply::Told }));
                return self.rebuild(now, effects);
            }
            Ok(Destruction::Done) => self.sight = Sight::None,
            Ok(Destruction::NothingToDo) if self.sight == Sight::Ended => self.sight = Sight::Blind,
            Ok(Destruction::NothingToDo) | Err(_) => {}
        }
        if result.is_err() && !mutants::on(Mutant::AgentGivesUpDestroy) {
            let pause = backoff(self.destroying.failures, FIRST_DESTROY_PAUSE, LONGEST_DESTROY_PAUSE);
            self.destroying.failures = self.destroying.failures.saturating_add(1);
            self.timers.set(Timer::Destroy, later(now, pause));
            return;
        }
        self.destroying.failures = 0;
        self.timers.stop(Timer::Destroy);
        let Some(record) = &mut self.record else { return };
        if matches!(record.life, Life::Stopped(_)) {
            // It had been started again behind our back; now the owner may be told, if it was not.
            self.report(now, effects);
            self.look_again(now);
            return;
        }
        let report = if record.orders.is_some() { Report::Owed } else { Report::Settled };
        record.life = Life::Stopped(End { at: now, report });
        record.since = now;
        self.saved = Saved::No;
        if report == Report::Settled {
            self.timers.set(Timer::Forget, forgotten_at(now));
        }
        self.report(now, effects);
        self.look_again(now);
    }

    fn report(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let Some(Record { life: Life::Stopped(End { report: Report::Owed, .. }), orders: Some(orders), .. }) =
            &self.record
        else {
            return;
        };
        if !self.reporting.under_way {
            self.reporting.under_way = true;
            self.timers.set(Timer::Report, later(now, ATTEMPT));
            effects.push(Effect::Report { owner: orders.owner.clone(), container: orders.container });
        }
    }

    fn reported(&mut self, now: Millis, result: Result<(), String>, effects: &mut Vec<Effect>) {
        if !self.reporting.under_way {
            return;
        }
        self.reporting.under_way = false;
        let Some(Record { life: Life::Stopped(end), .. }) = &mut self.record else { return };
        // An owner that has not answered for so long will never; it finds out by asking.
        let give_up = now >= later(end.at, REPORT_FOR);
        if result.is_ok() || give_up {
            end.report = Report::Settled;
            self.saved = Saved::No;
            self.timers.stop(Timer::Report);
            self.timers.set(Timer::Forget, forgotten_at(now));
        } else {
            let pause = backoff(self.reporting.failures, FIRST_REPORT_PAUSE, LONGEST_REPORT_PAUSE);
            self.reporting.failures = self.reporting.failures.saturating_add(1);
            self.timers.set(Timer::Report, later(now, pause));
        }
        effects.extend(self.told.drain(..).map(|caller| Effect::Reply { caller, reply: Reply::Told }));
        self.look_again(now);
    }

    fn alarm(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Ready => {
                    if let Some((orders, _)) = self.starting(now) {
                        let failure = self.boot.timed_out(&orders.start);
                        self.fail(now, failure, effects);
                    }
                }
                Timer::Idle => self.idle(now, effects),
                Timer::Drain => self.destroy(now, effects),
                Timer::Destroy => {
                    self.destroying.under_way = false;
                    self.destroy(now, effects);
                }
                Timer::Report => {
                    self.reporting.under_way = false;
                    self.report(now, effects);
                }
                Timer::Rebuild => self.rebuild(now, effects),
                Timer::Forget => {
                    self.record = None;
                    self.saved = Saved::No;
                    self.timers = Timers::default();
                }
            }
        }
    }

    fn idle(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if self.traffic > 0 {
            self.active(now);
        }
        let Some(Record { life: Life::Ready, orders: Some(orders), .. }) = &self.record else { return };
        if now < later(self.active_at, orders.sleep_after) {
            self.watch_idleness();
        } else {
            self.stop(now, effects);
        }
    }

    fn watch_idleness(&mut self) {
        if let Some(Record { life: Life::Ready, orders: Some(orders), .. }) = &self.record {
            self.timers.set(Timer::Idle, later(self.active_at, orders.sleep_after));
        }
    }

    /// Traffic or a renewal. Kept in memory, and written when what is stored falls too far behind; the alarm catches up by
    /// itself when it rings.
    fn active(&mut self, now: Millis) {
        self.active_at = self.active_at.max(now);
        if let Some(Record { life: Life::Ready, orders: Some(orders), active_at, .. }) = &mut self.record
            && now >= later(*active_at, activity_grain(orders))
        {
            *active_at = now;
            self.saved = Saved::No;
        }
    }

    fn answer_starters(&mut self, result: &Result<(), StartFailure>, effects: &mut Vec<Effect>) {
        let reply = Reply::Started(result.clone());
        effects.extend(self.starters.drain(..).map(|caller| Effect::Reply { caller, reply: reply.clone() }));
    }

    /// Answers those who wait for the owner to know, when it does already.
    fn answer_told(&mut self, effects: &mut Vec<Effect>) {
        let waits = self.record.as_ref().is_some_and(|record| match record.life {
            Life::Stopped(end) => end.report == Report::Owed,
            Life::Starting { .. } | Life::Ready | Life::Stopping { .. } => true,
        });
        if !waits {
            effects.extend(self.told.drain(..).map(|caller| Effect::Reply { caller, reply: Reply::Told }));
        }
    }

    fn orders(&self) -> Option<&Orders> {
        self.record.as_ref().and_then(|record| record.orders.as_ref())
    }

    /// The orders of a container that is starting, and how long it may still take.
    fn starting(&self, now: Millis) -> Option<(Orders, Millis)> {
        match &self.record {
            Some(Record { life: Life::Starting { ready_by }, orders: Some(orders), .. }) => {
                Some((orders.clone(), Millis(ready_by.0.saturating_sub(now.0))))
            }
            Some(_) | None => None,
        }
    }
}

fn stopped_while_starting() -> StartFailure {
    StartFailure::new(FailureClass::Exited, "it was told to stop before it was ready")
}

fn exited_while_starting(code: Option<i32>, message: Option<String>) -> StartFailure {
    let class = match message.as_deref().map(FailureClass::of_message) {
        None | Some(FailureClass::Unknown) => FailureClass::Exited,
        Some(class) => class,
    };
    let message = match (code, message) {
        (Some(code), _) => format!("the container exited with code {code} before it was ready"),
        // All that the platform says of an image that is missing, too.
        (None, Some(message)) => {
            format!("the container ended before it was ready: {message} (is its image there, and can it run?)")
        }
        (None, None) => "the container ended before it was ready".to_owned(),
    };
    StartFailure::new(class, message)
}

/// How far the stored time of the last activity may fall behind: every write of it is a row.
fn activity_grain(orders: &Orders) -> Millis {
    Millis(orders.sleep_after.0 / 4)
}

/// When an object is forgotten whose end is settled since `at`.
fn forgotten_at(at: Millis) -> Millis {
    if mutants::on(Mutant::AgentForgetsItsEnd) { at } else { later(at, FORGET_AFTER) }
}

fn later(at: Millis, by: Millis) -> Millis {
    Millis(at.0.saturating_add(by.0))
}

fn backoff(failures: u32, first: Millis, longest: Millis) -> Millis {
    Millis(first.0.saturating_mul(1 << failures.min(16)).min(longest.0))
}

/// How long an object is remembered after its end is known, so that a late start request fails.
pub const FORGET_AFTER: Millis = Millis::from_secs(3_600);
/// How long the owner is told of an end before it is given up.
const REPORT_FOR: Millis = Millis::from_secs(24 * 3_600);
const FIRST_REPORT_PAUSE: Millis = Millis::from_secs(1);
const LONGEST_REPORT_PAUSE: Millis = Millis::from_secs(60);
const FIRST_DESTROY_PAUSE: Millis = Millis(250);
const LONGEST_DESTROY_PAUSE: Millis = Millis::from_secs(30);
/// Longer than the deadline the adapter gives one attempt, so that this timer only rings for one that was lost.
const ATTEMPT: Millis = Millis::from_secs(20);
/// The same for the setup request.
const GRACE: Millis = Millis::from_secs(5);
const REBUILD_AFTER: Millis = Millis(500);
/// When the alarm wakes an object that was lost on purpose.
const WAKE_AFTER: Millis = Millis::from_secs(1);
