//! The owner is told of the end, until it acknowledges.

use super::{ATTEMPT, Agent, Saved, Timer, backoff, forgotten_at, later};
use crate::config::resolved::Millis;
use crate::core::agent::io::{Effect, Reply};
use crate::core::agent::record::{End, Life, Record, Report};

/// How long the owner is told of an end before it is given up.
const REPORT_FOR: Millis = Millis::from_secs(24 * 3_600);
const FIRST_REPORT_PAUSE: Millis = Millis::from_secs(1);
const LONGEST_REPORT_PAUSE: Millis = Millis::from_secs(60);

impl Agent {
    pub(super) fn report(&mut self, now: Millis, effects: &mut Vec<Effect>) {
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

    pub(super) fn reported(&mut self, now: Millis, result: Result<(), String>, effects: &mut Vec<Effect>) {
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

    /// Answers those who wait for the owner to know, when it does already.
    pub(super) fn answer_told(&mut self, effects: &mut Vec<Effect>) {
        let waits = self.record.as_ref().is_some_and(|record| match record.life {
            Life::Stopped(end) => end.report == Report::Owed,
            Life::Starting { .. } | Life::Ready | Life::Stopping { .. } => true,
        });
        if !waits {
            effects.extend(self.told.drain(..).map(|caller| Effect::Reply { caller, reply: Reply::Told }));
        }
    }
}
