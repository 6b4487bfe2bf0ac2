//! One schedule, run so that nothing escapes: a panic is a violation, and so is a second run that differs from the first.

use cf_warm_pools::config::resolved::Millis;

use super::panics;
use crate::schedule::Schedule;
use crate::simulation::{Report, Violation};
use crate::trace::Trace;
use crate::world::hash;

/// What runs a schedule in a world.
pub type Simulate = fn(&Schedule, Trace) -> Report;

/// The promise that no run may panic: in the Worker a panic freezes every caller of the isolate.
pub const NO_PANIC: &str = "no-panic";

/// The promise that the same schedule gives the same run.
pub const DETERMINISTIC: &str = "deterministic";

/// The schedule of a seed.
///
/// # Panics
///
/// When the seed has none: then it is the simulator that is wrong, and no promise is broken.
pub fn schedule(seed: u64) -> Schedule {
    panics::catch(|| Schedule::of_seed(seed)).unwrap_or_else(|panic| panic!("seed {seed} has no schedule: {panic}"))
}

/// Whether a violation belongs to a moment of its run. Those found from outside do not.
pub fn has_a_time(violation: &Violation) -> bool {
    violation.at < NEVER
}

/// A violation in words.
pub fn told(violation: &Violation) -> String {
    if has_a_time(violation) {
        violation.to_string()
    } else {
        format!("{} broken: {}", violation.promise, violation.what)
    }
}

/// Runs a schedule. A panic is a violation.
pub fn caught(simulate: Simulate, schedule: &Schedule, trace: Trace) -> Report {
    panics::catch(|| simulate(schedule, trace)).unwrap_or_else(|panic| Report {
        hash: hash(&panic),
        violations: vec![Violation { promise: NO_PANIC, at: NEVER, what: panic }],
        ..Report::default()
    })
}

/// Runs a schedule twice. The report is of the first run; that the second differs is a violation, before all others.
pub fn twice(simulate: Simulate, schedule: &Schedule) -> Report {
    let mut report = caught(simulate, schedule, Trace::silent());
    let again = caught(simulate, schedule, Trace::silent());
    if marks(&report) != marks(&again) {
        let what = difference(simulate, schedule);
        report.violations.insert(0, Violation { promise: DETERMINISTIC, at: NEVER, what });
    }
    report
}

/// Runs a schedule as often as it takes to see this promise broken.
pub fn run_for(simulate: Simulate, schedule: &Schedule, promise: &str) -> Report {
    if promise == DETERMINISTIC { twice(simulate, schedule) } else { caught(simulate, schedule, Trace::silent()) }
}

fn marks(report: &Report) -> (u64, u64, u64) {
    (report.hash, report.steps, report.requests)
}

/// Where two more runs part, for people.
fn difference(simulate: Simulate, schedule: &Schedule) -> String {
    let [one, other] = [(); 2].map(|()| caught(simulate, schedule, Trace::readable()).trace);
    let parting = one.iter().zip(&other).find(|(one, other)| one != other);
    match parting {
        Some((one, other)) => format!("two runs differ; the traces of two more part at\n  {one}\n  {other}"),
        None if one.len() != other.len() => "two runs differ; the trace of one more is a part of another's".to_owned(),
        None => "two runs differ, though not in their traces".to_owned(),
    }
}

/// Later than any run takes.
const NEVER: Millis = Millis(u64::MAX);
