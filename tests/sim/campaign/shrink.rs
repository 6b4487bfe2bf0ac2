//! From a run that breaks a promise to the shortest one that can be found in a bounded time.
//!
//! Only a run that breaks the same promise counts; another one broken on the way is another story.

use std::time::{Duration, Instant};

use super::ddmin::{Verdict, ddmin};
use super::once::{self, Simulate};
use super::progress::wall_clock;
use crate::schedule::Schedule;
use crate::simulation::{Report, Violation};
use crate::trace::Trace;
use crate::world::START;

/// How long a search goes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most runs.
    pub runs: u32,
    /// The most time.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { runs: 1_000, time: Duration::from_secs(30) }
    }
}

/// How much there is in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub operations: usize,
    /// Faults that happened by chance.
    pub strikes: usize,
}

/// What a search found.
pub struct Shrunk {
    pub schedule: Schedule,
    /// Of the shrunk run, with its trace.
    pub report: Report,
    pub violation: Violation,
    pub before: Size,
    pub after: Size,
    pub runs: u32,
    /// Whether the search came to its end.
    pub end: SearchEnd,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchEnd {
    /// Nothing more can be left out.
    Minimal,
    /// Its limits were reached.
    BrokenOff,
}

/// Shrinks `schedule`, of which `report` is a run that broke a promise with `violation`.
pub fn shrink(simulate: Simulate, schedule: &Schedule, report: Report, violation: Violation, limits: Limits) -> Shrunk {
    let mut search = Search {
        simulate,
        promise: violation.promise,
        runs: 0,
        most_runs: limits.runs,
        until: wall_clock() + limits.time,
        end: SearchEnd::Minimal,
        best: schedule.clone(),
        report,
    };
    let before = search.size();
    search.cut_after(&violation);
    loop {
        let size = search.size();
        search.leave_out_operations();
        search.leave_out_strikes();
        // Fewer faults can make more operations needless.
        if search.size() == size || search.end == SearchEnd::BrokenOff {
            break;
        }
    }
    let Search { best, report, runs, end, .. } = search;
    let readable = once::caught(simulate, &best, Trace::readable());
    // A run that differs each time may not show it this once.
    let shown = readable.violations.iter().chain(&report.violations).find(|other| other.promise == violation.promise);
    let violation = shown.cloned().unwrap_or(violation);
    let after = size(&best, &readable);
    Shrunk { schedule: best, report: readable, violation, before, after, runs, end }
}

struct Search {
    simulate: Simulate,
    promise: &'static str,
    runs: u32,
    most_runs: u32,
    until: Instant,
    end: SearchEnd,
    /// The shortest so far.
    best: Schedule,
    /// Its run.
    report: Report,
}

impl Search {
    /// What is asked for after the promise is broken cannot be the cause.
    fn cut_after(&mut self, violation: &Violation) {
        if once::has_a_time(violation) {
            let until = violation.at - START;
            let keep: Vec<bool> = self.best.operations().iter().map(|operation| operation.at <= until).collect();
            self.try_out(self.best.without(&keep));
        }
    }

    fn leave_out_operations(&mut self) {
        let base = self.best.clone();
        let all: Vec<usize> = (0..base.operations().len()).collect();
        ddmin(&all, |part| {
            let mut keep = vec![false; all.len()];
            for &index in part {
                keep[index] = true;
            }
            self.try_out(base.without(&keep))
        });
    }

    fn leave_out_strikes(&mut self) {
        let base = self.best.clone();
        let struck = self.report.struck.clone();
        ddmin(&struck, |part| self.try_out(base.only(part.iter().copied().collect())));
    }

    fn try_out(&mut self, candidate: Schedule) -> Verdict {
        if self.runs == self.most_runs || wall_clock() >= self.until {
            self.end = SearchEnd::BrokenOff;
            return Verdict::Spent;
        }
        self.runs += 1;
        let report = once::run_for(self.simulate, &candidate, self.promise);
        if report.violations.iter().any(|violation| violation.promise == self.promise) {
            self.best = candidate;
            self.report = report;
            Verdict::Fails
        } else {
            Verdict::Holds
        }
    }

    fn size(&self) -> Size {
        size(&self.best, &self.report)
    }
}

fn size(schedule: &Schedule, report: &Report) -> Size {
    Size { operations: schedule.operations().len(), strikes: report.struck.len() }
}
