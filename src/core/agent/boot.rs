//! The way from a started process to a ready container: each port in turn, then the setup request. Ports are polled, at pauses
//! in proportion to the time that has passed, so that a start takes hardly longer than the container's own boot.
//!
//! Volatile: an object that is rebuilt while its container starts begins anew, so a setup request may be sent twice.

use super::io::{Effect, ProbeResult, SetupResult};
use crate::config::resolved::{Millis, Setup, Start};
use crate::core::failure::{FailureClass, StartFailure};

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// How many ports have answered.
    answered: usize,
    /// The pause before the next probe.
    pause: Millis,
    /// All pauses so far.
    paused: Millis,
    /// What the last probe found, for the message of a start that fails.
    last: String,
    /// Probes in a row that found no process. One is forgiven, for the monitor knows the exit code a moment later.
    absent: u8,
    /// Whether the setup request is under way.
    setting_up: bool,
}

/// What follows from a probe or a setup answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// This is to be done next.
    Next(Effect),
    /// Nothing: something else is under way.
    Waiting,
    /// The container is ready.
    Ready,
    /// It will not be.
    Failed(StartFailure),
}

impl Boot {
    /// A process that was just started, or found running.
    pub fn new() -> Self {
        let last = "no probe was answered".to_owned();
        Self { answered: 0, pause: Millis(0), paused: Millis(0), last, absent: 0, setting_up: false }
    }

    /// The next probe, bounded by `remaining`.
    pub fn probe(&self, start: &Start, remaining: Millis) -> Progress {
        match start.ports.get(self.answered) {
            Some(&port) => Progress::Next(Effect::Probe {
                port,
                // Readiness is a matter of the port that serves; of the others any answer shows that they listen.
                path: if self.answered == 0 { start.ready.path.clone() } else { None },
                after: self.pause,
                within: Millis(remaining.0.clamp(1, LONGEST_PROBE.0)),
            }),
            None => Progress::Ready,
        }
    }

    /// What a probe found.
    pub fn probed(&mut self, found: ProbeResult, start: &Start, remaining: Millis) -> Progress {
        if self.setting_up {
            // A late answer of a probe that was given up.
            return Progress::Waiting;
        }
        let port = start.ports.get(self.answered).copied().unwrap_or_default();
        let must_be_healthy = self.answered == 0 && start.ready.path.is_some();
        match found {
            ProbeResult::Status(status) if !(must_be_healthy && status >= 500) => {
                self.absent = 0;
                self.answered += 1;
                self.pause = Millis(0);
                if self.answered < start.ports.len() {
                    return self.probe(start, remaining);
                }
                match &start.setup {
                    Some(setup) => {
                        self.setting_up = true;
                        let port = start.ports.first().copied().unwrap_or_default();
                        Progress::Next(Effect::SetUp { port, setup: setup.clone() })
                    }
                    None => Progress::Ready,
                }
            }
            ProbeResult::Status(status) => {
                self.absent = 0;
                self.again(format!("port {port} answered {status}"), SHORTEST_PAUSE, start, remaining)
            }
            ProbeResult::NoAnswer => {
                self.absent = 0;
                self.again(format!("port {port} did not answer"), SHORTEST_PAUSE, start, remaining)
            }
            ProbeResult::NotRunning if self.absent == 0 => {
                self.absent = 1;
                self.again("the process does not run".to_owned(), FORGIVENESS, start, remaining)
            }
            ProbeResult::NotRunning => {
                Progress::Failed(StartFailure::new(FailureClass::Exited, "the container ended before it was ready"))
            }
        }
    }

    /// What the setup request was answered.
    pub fn set_up(&self, found: SetupResult, start: &Start) -> Progress {
        match &start.setup {
            Some(setup) if found != SetupResult::Status(setup.expect) => {
                Progress::Failed(set_up_failure(setup, &found))
            }
            Some(_) | None => Progress::Ready,
        }
    }

    /// The failure of a start that ran out of time.
    pub fn timed_out(&self, start: &Start) -> StartFailure {
        if let Some(setup) = start.setup.as_ref().filter(|_| self.setting_up) {
            return set_up_failure(setup, &SetupResult::TimedOut);
        }
        let millis = start.ready.timeout.0;
        StartFailure::new(FailureClass::NotReady, format!("not ready within {millis} ms: {}", self.last))
    }

    /// Whether all ports have answered and only the setup is missing; it has a deadline of its own.
    pub fn is_setting_up(&self) -> bool {
        self.setting_up
    }

    fn again(&mut self, found: String, shortest: Millis, start: &Start, remaining: Millis) -> Progress {
        self.last = found;
        self.pause = Millis((self.paused.0 / 10).clamp(shortest.0, LONGEST_PAUSE.0));
        self.paused = self.paused + self.pause;
        self.probe(start, remaining)
    }
}

fn set_up_failure(setup: &Setup, found: &SetupResult) -> StartFailure {
    let Setup { method, path, expect, timeout } = setup;
    let found = match found {
        SetupResult::Status(status) => format!("answered {status}, not {expect}"),
        SetupResult::TimedOut => format!("was not answered within {} ms", timeout.0),
        SetupResult::Failed(message) => format!("failed: {message}"),
    };
    StartFailure::new(FailureClass::NotReady, format!("setup {method} {path} {found}"))
}

impl Default for Boot {
    fn default() -> Self {
        Self::new()
    }
}

/// Between two probes passes a tenth of the time that has passed with pauses, within these limits: so a port that opens is noticed
/// soon, by the measure of its boot, and a slow one is not asked more often than ten times a second. The first probe comes at once;
/// a runtime that starts containers step by step holds it back until the process runs, and the pauses count from there.
const SHORTEST_PAUSE: Millis = Millis(5);
const LONGEST_PAUSE: Millis = Millis(100);
/// How long the monitor may take to know the exit code of a process that a probe did not find.
const FORGIVENESS: Millis = Millis(20);
/// A port that accepts and says nothing must not use up the whole deadline in one probe.
const LONGEST_PROBE: Millis = Millis(5_000);
