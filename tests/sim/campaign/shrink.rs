//! From a run that breaks a promise to the shortest one that can be found in a bounded time.
//!
//! Only a run that breaks the same promise counts; another one broken on the way is another story.
//!
//! Leaving something out moves everything after it, and so deals out the luck of the rest anew: what is left may still break
//! the promise, and just not this once. So each try is made with some other luck too, until single faults are left out.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use super::ddmin::{Verdict, ddmin};
use super::once::{self, Simulate};
use super::progress::wall_clock;
use super::sweep::{News, sweep};
use crate::faults::{Fault, Strike};
use crate::schedule::Schedule;
use crate::simulation::{Report, Violation};
use crate::trace::Trace;
use crate::world::START;

/// How long a search goes on, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// No try is begun after so many runs.
    pub runs: u64,
    /// No try is begun after so long.
    pub time: Duration,
    pub threads: NonZeroUsize,
}

impl Default for Limits {
    fn default() -> Self {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { runs: 5_000, time: Duration::from_secs(60), threads }
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
    /// The seed that it began with.
    pub seed: u64,
    /// What is left; its own seed is only its luck.
    pub schedule: Schedule,
    /// Of the shrunk run, with its trace.
    pub report: Report,
    pub violation: Violation,
    pub before: Size,
    pub after: Size,
    pub runs: u64,
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

/// Shrinks the schedule that `whole` makes, of which `report` is a run that broke a promise with `violation`.
pub fn shrink(
    simulate: Simulate,
    whole: &(dyn Fn() -> Schedule + Sync),
    report: Report,
    violation: Violation,
    limits: Limits,
) -> Shrunk {
    let schedule = whole();
    let seed = schedule.seed;
    let before = Size { operations: schedule.operations().len(), strikes: report.struck.len() };
    let cut = Cut { operations: (0..before.operations).collect(), without: BTreeSet::new(), only: None, luck: seed };
    let mut search = Search {
        simulate,
        whole,
        seed,
        promise: violation.promise,
        limits,
        runs: 0,
        until: wall_clock() + limits.time,
        end: SearchEnd::Minimal,
        best: cut,
        report,
    };
    search.cut_after(&schedule, &violation);
    search.until_it_stays(|search| {
        search.leave_out_kinds();
        search.leave_out_operations();
    });
    search.until_it_stays(|search| {
        search.leave_out_strikes();
        search.leave_out_operations();
    });
    let Search { best, report, runs, end, .. } = search;
    let schedule = best.of(whole());
    let readable = once::caught(simulate, &schedule, Trace::readable());
    // A run that differs each time may not show it this once.
    let shown = readable.violations.iter().chain(&report.violations).find(|other| other.promise == violation.promise);
    let violation = shown.cloned().unwrap_or(violation);
    let after = Size { operations: best.operations.len(), strikes: readable.struck.len() };
    Shrunk { seed, schedule, report: readable, violation, before, after, runs, end }
}

/// What is left of a schedule.
#[derive(Clone, Debug)]
struct Cut {
    /// The operations that are kept, by their places.
    operations: Vec<usize>,
    /// The kinds of faults that do not happen by chance any more.
    without: BTreeSet<Fault>,
    /// The only faults that still happen by chance.
    only: Option<BTreeSet<Strike>>,
    /// The seed of all that is drawn during the run.
    luck: u64,
}

impl Cut {
    fn of(&self, whole: Schedule) -> Schedule {
        let mut keep = vec![false; whole.operations().len()];
        for &index in &self.operations {
            keep[index] = true;
        }
        let mut schedule = whole.without(&keep);
        for &fault in &self.without {
            schedule.rates = schedule.rates.with(fault, 0.0);
        }
        if let Some(only) = &self.only {
            schedule = schedule.only(only.clone());
        }
        schedule.seed = self.luck;
        schedule
    }
}

struct Search<'w> {
    simulate: Simulate,
    whole: &'w (dyn Fn() -> Schedule + Sync),
    seed: u64,
    promise: &'static str,
    limits: Limits,
    runs: u64,
    until: Instant,
    end: SearchEnd,
    /// The shortest so far.
    best: Cut,
    /// Its run.
    report: Report,
}

impl Search<'_> {
    /// What is asked for after the promise is broken cannot be the cause.
    fn cut_after(&mut self, whole: &Schedule, violation: &Violation) {
        if once::has_a_time(violation) {
            let until = violation.at - START;
            let early = whole.operations().iter().enumerate().filter(|(_, operation)| operation.at <= until);
            let operations = early.map(|(index, _)| index).collect();
            self.try_out(&Cut { operations, ..self.best.clone() });
        }
    }

    /// Repeats it until nothing more is left out: less of one thing can make others needless.
    fn until_it_stays(&mut self, mut pass: impl FnMut(&mut Self)) {
        loop {
            let before = self.size();
            pass(self);
            if self.size() == before || self.end == SearchEnd::BrokenOff {
                break;
            }
        }
    }

    fn size(&self) -> Size {
        Size { operations: self.best.operations.len(), strikes: self.report.struck.len() }
    }

    fn leave_out_kinds(&mut self) {
        let base = self.best.clone();
        let kinds: Vec<Fault> =
            self.report.struck.iter().map(|&(fault, _)| fault).collect::<BTreeSet<_>>().into_iter().collect();
        ddmin(&kinds, |part| {
            let gone = kinds.iter().filter(|kind| !part.contains(kind)).copied();
            let without = base.without.iter().copied().chain(gone).collect();
            self.try_out(&Cut { without, luck: self.best.luck, ..base.clone() })
        });
    }

    fn leave_out_operations(&mut self) {
        let base = self.best.clone();
        ddmin(&base.operations, |part| {
            self.try_out(&Cut { operations: part.to_vec(), luck: self.best.luck, ..base.clone() })
        });
    }

    fn leave_out_strikes(&mut self) {
        let base = self.best.clone();
        let struck = self.report.struck.clone();
        ddmin(&struck, |part| self.try_out(&Cut { only: Some(part.iter().copied().collect()), ..base.clone() }));
    }

    fn try_out(&mut self, cut: &Cut) -> Verdict {
        if self.runs >= self.limits.runs || wall_clock() >= self.until {
            self.end = SearchEnd::BrokenOff;
            return Verdict::Spent;
        }
        // Faults that are chosen one by one happen by this luck alone.
        let lucks = if cut.only.is_some() { 1 } else { LUCKS };
        let luck = |number: u64| if number == 0 { cut.luck } else { self.seed.wrapping_add(number) };
        let (simulate, whole, promise) = (self.simulate, self.whole, self.promise);
        let breaks = |report: &Report| report.violations.iter().any(|violation| violation.promise == promise);
        let mut found: Option<(u64, Report)> = None;
        let mut runs = 0;
        let run = |number| {
            let schedule = Cut { luck: luck(number), ..cut.clone() }.of(whole());
            once::run_for(simulate, &schedule, promise)
        };
        sweep(0..lucks, self.limits.threads, run, |news| {
            if let News::Done { seed: number, result } = news {
                runs += 1;
                if breaks(&result) && found.as_ref().is_none_or(|(other, _)| number < *other) {
                    found = Some((number, result));
                }
            }
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.runs += runs;
        match found {
            Some((number, report)) => {
                self.best = Cut { luck: luck(number), ..cut.clone() };
                self.report = report;
                Verdict::Fails
            }
            None => Verdict::Holds,
        }
    }
}

/// With how many lucks a try is made.
const LUCKS: u64 = 4;
