//! What a shard tells the coordinator of what has happened: see [`journal`](crate::core::journal).
//!
//! All of it is gathered at the end of a step from the step's events, so that no other part has to know. Nothing of it is
//! durable, and no row is written for it.

use super::message::{Action, DrainCause, Effects, Event};
use super::{GateRow, Shard, Timer};
use crate::config::resolved::Millis;
use crate::core::journal::{Ended, Entry, Kind};

/// What was told of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GateTold {
    breaker_open: bool,
    ceiling: Option<u32>,
}

impl GateTold {
    pub fn of(gate: &GateRow, now: Millis) -> Self {
        Self { breaker_open: gate.is_open_breaker(), ceiling: gate.ceiling(now) }
    }
}

impl Event {
    /// What the coordinator is told of it: nothing of what is only a part of something else.
    pub fn entries(&self, at: Millis) -> impl Iterator<Item = Entry> {
        let mut first = None;
        let entry = match self {
            Self::Starting(_) | Self::Moving(..) | Self::Received(..) | Self::Moved(..) | Self::Configured(_) => None,
            &Self::Ready(container) => Some(Entry::of(at, Kind::Started, container)),
            Self::StartFailed(container, failure) => Some(Entry {
                reason: Some(failure.class.as_str()),
                message: Some(failure.message.clone()),
                ..Entry::of(at, Kind::StartFailed, *container)
            }),
            Self::Assigned(session, assignment) => Some(Entry {
                epoch: Some(assignment.epoch),
                session: Some(*session),
                outcome: Some(assignment.outcome),
                reason: assignment.reason.map(|reason| reason.as_str()),
                ..Entry::of(at, Kind::Assigned, assignment.container)
            }),
            &Self::Draining(container, cause, served) => {
                let (session, epoch) = served.unzip();
                let released = Entry { session, epoch, ..Entry::of(at, Kind::Released, container) };
                first = (cause == DrainCause::Released).then_some(released);
                let reason = Some(cause.as_str());
                Some(Entry { session, epoch, reason, ..Entry::of(at, Kind::Drained, container) })
            }
            &Self::Gone(container) => Some(Entry::of(at, Kind::Gone, container)),
            &Self::Lent(container, to) => Some(Entry { to: Some(to.0), ..Entry::of(at, Kind::Lent, container) }),
            &Self::Borrowed(container, from) => {
                Some(Entry { from: Some(from.0), ..Entry::of(at, Kind::Borrowed, container) })
            }
            &Self::CeilingLearned(limit) => Some(Entry { limit: Some(limit), ..Entry::new(at, Kind::CeilingLearned) }),
            Self::CeilingExpired => Some(Entry::new(at, Kind::CeilingExpired)),
            Self::BreakerOpened(last) => Some(Entry {
                reason: last.as_ref().map(|failure| failure.class.as_str()),
                message: last.as_ref().map(|failure| failure.message.clone()),
                ..Entry::new(at, Kind::BreakerOpened)
            }),
            Self::BreakerClosed => Some(Entry::new(at, Kind::BreakerClosed)),
        };
        first.into_iter().chain(entry)
    }
}

impl Shard {
    /// The end of a step: what has happened in it goes to the coordinator, soon.
    pub(super) fn tell(&mut self, now: Millis, fx: &mut Effects<'_>) {
        self.tell_of_gate(now, fx);
        for entry in fx.events.iter().flat_map(|event| event.entries(now)) {
            self.journal.note(now, entry);
        }
        if let Some(batch) = self.journal.take_due(now, &self.me) {
            fx.actions.push(Action::Record(Box::new(batch)));
        }
        match self.journal.send_at() {
            Some(at) => self.timers.set(Timer::Journal, at),
            None => self.timers.stop(Timer::Journal),
        }
    }

    /// A batch has been sent, or not.
    pub(super) fn recorded(&mut self, now: Millis, number: u64, ended: Ended, fx: &mut Effects<'_>) {
        self.journal.ended(now, number, ended, |pause| fx.entropy.around(now, pause));
    }

    fn tell_of_gate(&mut self, now: Millis, fx: &mut Effects<'_>) {
        let is = GateTold::of(&self.gate, now);
        let was = std::mem::replace(&mut self.gate_told, is);
        match (was.ceiling, is.ceiling) {
            (Some(_), None) => fx.events.push(Event::CeilingExpired),
            (was, Some(limit)) if was != Some(limit) => fx.events.push(Event::CeilingLearned(limit)),
            (None, None) | (_, Some(_)) => {}
        }
        match (was.breaker_open, is.breaker_open) {
            (false, true) => fx.events.push(Event::BreakerOpened(self.gate.last_failure.clone())),
            (true, false) => fx.events.push(Event::BreakerClosed),
            (true, true) | (false, false) => {}
        }
    }
}
