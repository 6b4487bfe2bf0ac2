//! The alarm handler: asks every container, brings the warm list to its target, renews what is warm, sets the alarm.
//!
//! One handler runs at a time. Each waits for one call after the other, and other methods run in between.

use std::cmp::Ordering;
use std::collections::VecDeque;

use cf_warm_pools::core::id::ContainerId;

use super::{PeerCall, PeerPool, PeerResult, Task, Turn, is_running, succeeded};

/// How many calls one event may make on the platform. Those beyond it fail at once.
const MAX_CALLS: u32 = 10_000;

/// A handler that waits for a call.
pub(super) struct Round {
    calls: Calls,
    stage: Stage,
}

/// The calls a handler has made.
#[derive(Clone, Copy, Default)]
struct Calls(u32);

enum Stage {
    /// Asks for the state of each that was listed when the alarm came.
    Check {
        asked: ContainerId,
        rest: VecDeque<ContainerId>,
        removed: bool,
    },
    /// At the ceiling: tries one start, to see whether there is more room by now.
    Probe {
        container: ContainerId,
        missing: usize,
    },
    Refill {
        container: ContainerId,
        left: usize,
    },
    Shrink {
        asked: ContainerId,
        rest: VecDeque<ContainerId>,
        stopped: Vec<ContainerId>,
    },
}

impl PeerPool {
    /// An alarm that comes during a handler changes nothing: the handler's end replaces what was set meanwhile.
    pub(super) fn alarm(&mut self, turn: &mut Turn) {
        if std::mem::replace(&mut self.in_alarm, true) {
            return;
        }
        self.refused = false;
        let listed = self.warm.iter().copied().chain(self.assigned.iter().map(|&(_, container)| container)).collect();
        self.check(turn, Calls::default(), listed, false);
    }

    pub(super) fn go_on(&mut self, turn: &mut Turn, round: Round, result: &PeerResult) {
        let calls = round.calls;
        match round.stage {
            Stage::Check { asked, rest, removed } => {
                let gone = !is_running(result) && self.remove(asked);
                self.check(turn, calls, rest, removed || gone);
            }
            Stage::Probe { container, missing } => {
                let started = self.started(result);
                self.probed(turn, calls, started.then_some(container), missing);
            }
            Stage::Refill { container, left } => {
                if self.started(result) {
                    self.warm.push(container);
                }
                self.refill(turn, calls, left);
            }
            Stage::Shrink { asked, rest, mut stopped } => {
                if succeeded(result) {
                    stopped.push(asked);
                }
                self.shrink(turn, calls, rest, stopped);
            }
        }
    }

    fn check(&mut self, turn: &mut Turn, mut calls: Calls, mut rest: VecDeque<ContainerId>, mut removed: bool) {
        while let Some(asked) = rest.pop_front() {
            if calls.another() {
                return self.wait(turn, calls, asked, PeerCall::GetState, Stage::Check { asked, rest, removed });
            }
            removed |= self.remove(asked);
        }
        let written = if removed { self.persist() } else { Ok(()) };
        match written {
            Ok(()) => self.adjust(turn, calls),
            Err(error) => self.finish(turn, calls, Err(error)),
        }
    }

    fn adjust(&mut self, turn: &mut Turn, mut calls: Calls) {
        let target = usize::try_from(self.config.warm_target).unwrap_or(usize::MAX);
        match target.cmp(&self.warm.len()) {
            Ordering::Equal => self.finish(turn, calls, Ok(())),
            Ordering::Less => {
                let surplus = self.warm.len() - target;
                let rest = self.warm.iter().copied().take(surplus).collect();
                self.shrink(turn, calls, rest, Vec::new());
            }
            Ordering::Greater => {
                let missing = target - self.warm.len();
                match self.room() {
                    Some(0) if calls.another() => {
                        let container = turn.new_container();
                        self.wait(turn, calls, container, PeerCall::Start, Stage::Probe { container, missing });
                    }
                    Some(0) => self.probed(turn, calls, None, missing),
                    Some(room) => self.refill(turn, calls, missing.min(room)),
                    None => self.refill(turn, calls, missing),
                }
            }
        }
    }

    /// A probe that succeeded clears the ceiling and is warm; one that failed ends the adjustment.
    fn probed(&mut self, turn: &mut Turn, calls: Calls, started: Option<ContainerId>, missing: usize) {
        if let Some(container) = started {
            self.ceiling = None;
            self.warm.push(container);
        }
        match self.persist() {
            Ok(()) if started.is_some() && missing > 1 => self.refill(turn, calls, missing - 1),
            written => self.finish(turn, calls, written),
        }
    }

    fn refill(&mut self, turn: &mut Turn, mut calls: Calls, mut left: usize) {
        while left > 0 && !self.refused {
            left -= 1;
            let container = turn.new_container();
            if calls.another() {
                return self.wait(turn, calls, container, PeerCall::Start, Stage::Refill { container, left });
            }
        }
        let written = self.persist();
        self.finish(turn, calls, written);
    }

    fn shrink(
        &mut self,
        turn: &mut Turn,
        mut calls: Calls,
        mut rest: VecDeque<ContainerId>,
        stopped: Vec<ContainerId>,
    ) {
        while let Some(asked) = rest.pop_front() {
            if calls.another() {
                return self.wait(turn, calls, asked, PeerCall::Stop, Stage::Shrink { asked, rest, stopped });
            }
        }
        self.warm.retain(|container| !stopped.contains(container));
        let written = self.persist();
        self.finish(turn, calls, written);
    }

    /// An error of the storage skips the renewals; the alarm is set again in any case.
    fn finish(&mut self, turn: &mut Turn, mut calls: Calls, written: Result<(), String>) {
        if written.is_ok() {
            for container in self.warm.clone() {
                if calls.another() {
                    // Not awaited, so nothing is learned from how it ends.
                    self.call(turn, container, PeerCall::Renew);
                }
            }
        }
        self.in_alarm = false;
        self.set_alarm(turn);
    }

    fn wait(&mut self, turn: &mut Turn, calls: Calls, container: ContainerId, what: PeerCall, stage: Stage) {
        let call = self.call(turn, container, what);
        self.tasks.insert(call, Task::Alarm(Round { calls, stage }));
    }
}

impl Calls {
    /// Counts one more call. False when the platform refuses it.
    fn another(&mut self) -> bool {
        self.0 += 1;
        self.0 <= MAX_CALLS
    }
}
