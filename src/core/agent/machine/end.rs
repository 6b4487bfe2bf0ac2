//! The way out: SIGTERM and patience, or an end by itself; then `destroy`, until the process is known to be gone.

use super::{ATTEMPT, Agent, Proof, Saved, Sight, Timer, backoff, forgotten_at, later};
use crate::config::resolved::Millis;
use crate::core::agent::io::{Caller, Destruction, Effect, Reply};
use crate::core::agent::record::{End, Life, Record, Report};
use crate::core::failure::{FailureClass, StartFailure};
use crate::core::mutants::{self, Mutant};
use crate::core::timers::Timers;

const FIRST_DESTROY_PAUSE: Millis = Millis(250);
const LONGEST_DESTROY_PAUSE: Millis = Millis::from_secs(30);
const REBUILD_AFTER: Millis = Millis(500);
/// When the alarm wakes an object that was lost on purpose.
const WAKE_AFTER: Millis = Millis::from_secs(1);

impl Agent {
    /// SIGTERM, then patience. Does nothing to what is stopping already.
    pub(super) fn stop(&mut self, now: Millis, effects: &mut Vec<Effect>) {
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

    pub(super) fn destroy_asked(&mut self, now: Millis, caller: Caller, effects: &mut Vec<Effect>) {
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
    pub(super) fn never_start(&mut self, now: Millis) {
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

    /// The process ended. It is destroyed all the same: an engine may start it again behind our back.
    pub(super) fn exited(
        &mut self,
        now: Millis,
        code: Option<i32>,
        message: Option<String>,
        effects: &mut Vec<Effect>,
    ) {
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

    pub(super) fn saw_end(&mut self) {
        if self.sight == Sight::Running {
            self.sight = Sight::Ended;
        }
    }

    /// The monitor failed. That proves nothing unless the message does; but the runtime does not see the process any more, so
    /// that only a rebuilt object can tell.
    pub(super) fn monitor_lost(&mut self, now: Millis, message: String, effects: &mut Vec<Effect>) {
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
    pub(super) fn look_again(&mut self, now: Millis) {
        if self.sight == Sight::Blind && !self.reporting.under_way {
            self.timers.set(Timer::Rebuild, later(now, REBUILD_AFTER));
        }
    }

    /// Has the object rebuilt, and woken soon after.
    pub(super) fn rebuild(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        self.timers.set(Timer::Rebuild, later(now, WAKE_AFTER));
        effects.push(Effect::Rebuild);
    }

    /// From Starting or Ready to Stopping. `failure` is what those hear who wait for readiness.
    pub(super) fn end(
        &mut self,
        now: Millis,
        destroy_at: Millis,
        failure: Option<StartFailure>,
        effects: &mut Vec<Effect>,
    ) {
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

    pub(super) fn destroy(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if !self.destroying.under_way {
            self.destroying.under_way = true;
            self.timers.stop(Timer::Drain);
            // In case the attempt never ends.
            self.timers.set(Timer::Destroy, later(now, ATTEMPT));
            effects.push(Effect::Destroy);
        }
    }

    pub(super) fn destroyed(&mut self, now: Millis, result: Result<Destruction, String>, effects: &mut Vec<Effect>) {
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
