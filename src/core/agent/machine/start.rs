//! The way from the first request to readiness.

use super::{Agent, GRACE, Saved, Sight, Timer, later};
use crate::config::resolved::Millis;
use crate::core::agent::boot::{Boot, Progress};
use crate::core::agent::io::{Caller, Effect, Reply};
use crate::core::agent::record::{Life, Orders, Record};
use crate::core::failure::{FailureClass, StartFailure};
use crate::core::mutants::{self, Mutant};

impl Agent {
    pub(super) fn start_asked(&mut self, now: Millis, caller: Caller, orders: Orders, effects: &mut Vec<Effect>) {
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

    pub(super) fn progress(&mut self, now: Millis, progress: Progress, effects: &mut Vec<Effect>) {
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

    pub(super) fn probe(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if let Some((orders, remaining)) = self.starting(now) {
            let progress = self.boot.probe(&orders.start, remaining);
            self.progress(now, progress, effects);
        }
    }

    /// A start that did not work: the process is destroyed at once.
    pub(super) fn fail(&mut self, now: Millis, failure: StartFailure, effects: &mut Vec<Effect>) {
        if self.record.as_ref().is_some_and(|record| matches!(record.life, Life::Starting { .. })) {
            self.end(now, now, Some(failure), effects);
            self.destroy(now, effects);
        }
    }

    pub(super) fn answer_starters(&mut self, result: &Result<(), StartFailure>, effects: &mut Vec<Effect>) {
        let reply = Reply::Started(result.clone());
        effects.extend(self.starters.drain(..).map(|caller| Effect::Reply { caller, reply: reply.clone() }));
    }

    /// The orders of a container that is starting, and how long it may still take.
    pub(super) fn starting(&self, now: Millis) -> Option<(Orders, Millis)> {
        match &self.record {
            Some(Record { life: Life::Starting { ready_by }, orders: Some(orders), .. }) => {
                Some((orders.clone(), Millis(ready_by.0.saturating_sub(now.0))))
            }
            Some(_) | None => None,
        }
    }
}
