//! The machine: one entry, [`Agent::step`], besides the fast path of a request, [`Agent::admit`].
//!
//! After either, [`Agent::unsaved`] says what must be written, and [`Agent::next_alarm`] when the alarm must ring; then the
//! effects are carried out in order.

mod end;
mod idle;
mod report;
mod start;

use self::idle::activity_grain;
use super::boot::Boot;
use super::fence::{Admission, Fence, LeaseKey, Refusal};
use super::io::{Caller, Effect, Input, Reply};
use super::record::{End, Life, Orders, Record, Report};
use crate::config::resolved::{Millis, PoolName};
use crate::core::failure::StartFailure;
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

    fn orders(&self) -> Option<&Orders> {
        self.record.as_ref().and_then(|record| record.orders.as_ref())
    }
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
/// Longer than the deadline the adapter gives one attempt, so that this timer only rings for one that was lost.
const ATTEMPT: Millis = Millis::from_secs(20);
/// The same for the setup request.
const GRACE: Millis = Millis::from_secs(5);
