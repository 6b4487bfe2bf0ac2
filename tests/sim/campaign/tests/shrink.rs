//! From a violation to a short run that shows the same.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::Test;
use super::double::{broken, clean, strike, struck, violation};
use crate::campaign::once::Simulate;
use crate::campaign::shrink::{Limits, SearchEnd, Shrunk, shrink};
use crate::schedule::Schedule;
use crate::simulation::Report;
use crate::trace::Trace;
use crate::world::START;

pub const TESTS: [Test; 6] = [
    ("leaves_what_it_takes", leaves_what_it_takes),
    ("counts_no_other_promise", counts_no_other_promise),
    ("tries_other_luck", tries_other_luck),
    ("cuts_what_comes_after", cuts_what_comes_after),
    ("ends_at_its_limit", ends_at_its_limit),
    ("prints_what_is_left", prints_what_is_left),
];

/// Room enough to come to an end.
const PLENTY: Limits = Limits { runs: 10_000, time: Duration::from_secs(600), threads: NonZeroUsize::new(2).unwrap() };

/// A seed's first operations.
fn whole() -> Schedule {
    let schedule = Schedule::of_seed(1);
    let keep: Vec<bool> = (0..schedule.operations().len()).map(|index| index < 40).collect();
    schedule.without(&keep)
}

fn shrunk(simulate: Simulate, limits: Limits) -> Shrunk {
    let report = simulate(&whole(), Trace::silent());
    let violation = report.violations[0].clone();
    shrink(simulate, &whole, report, violation, limits)
}

/// Breaks when an operation in the first half, the last operation, and the chance faults 5 and 17 come together.
fn needs_two_of_each(schedule: &Schedule, _: Trace) -> Report {
    let whole = whole();
    let operations = whole.operations();
    let needed = [&operations[operations.len() / 3], &operations[operations.len() - 1]].map(ToString::to_string);
    let left: Vec<_> = schedule.operations().iter().map(ToString::to_string).collect();
    let struck = struck(schedule, 60);
    let breaks = needed.iter().all(|operation| left.contains(operation))
        && [5, 17].iter().all(|&which| struck.contains(&strike(which)));
    let trace = vec!["a line".to_owned(); 100];
    Report { struck, trace, ..if breaks { broken("single") } else { clean() } }
}

fn leaves_what_it_takes() {
    let shrunk = shrunk(needs_two_of_each, PLENTY);
    assert_eq!((shrunk.before.operations, shrunk.before.strikes), (40, 60));
    assert_eq!((shrunk.after.operations, shrunk.after.strikes), (2, 2));
    assert_eq!(shrunk.report.struck, [strike(5), strike(17)]);
    assert_eq!(shrunk.violation.promise, "single");
    assert_eq!(shrunk.end, SearchEnd::Minimal);
}

/// With less than everything it breaks another promise.
fn turns_into_another(schedule: &Schedule, _: Trace) -> Report {
    let promise = if schedule.operations().len() == 40 { "sticky" } else { "single" };
    Report { struck: struck(schedule, 3), ..broken(promise) }
}

fn counts_no_other_promise() {
    let shrunk = shrunk(turns_into_another, PLENTY);
    assert_eq!((shrunk.after.operations, shrunk.after.strikes), (40, 0));
    assert_eq!(shrunk.violation.promise, "sticky");
}

/// Breaks at the time of the second operation, whatever is asked for.
fn breaks_early(schedule: &Schedule, _: Trace) -> Report {
    let whole = whole();
    let at = whole.operations()[1].at;
    let mut early = violation("bounded");
    early.at = START + at;
    // Nothing can be left out but by the cut: what is left has to be exactly all up to then.
    let expected = whole.operations().iter().filter(|operation| operation.at <= at).count();
    let left = schedule.operations().len();
    let breaks = left == expected || left == whole.operations().len();
    Report { violations: if breaks { vec![early] } else { Vec::new() }, ..clean() }
}

/// Breaks with anything less only when the luck is another.
fn needs_other_luck(schedule: &Schedule, _: Trace) -> Report {
    let all = schedule.operations().len() == 40;
    if all || schedule.seed.is_multiple_of(4) && !schedule.operations().is_empty() {
        broken("answered")
    } else {
        clean()
    }
}

fn tries_other_luck() {
    let shrunk = shrunk(needs_other_luck, PLENTY);
    assert_eq!(shrunk.after.operations, 1);
    assert_eq!((shrunk.seed, shrunk.schedule.seed), (1, 4));
    assert!(shrunk.to_string().contains("the luck of seed 4"));
}

fn cuts_what_comes_after() {
    let shrunk = shrunk(breaks_early, PLENTY);
    assert!(shrunk.after.operations < shrunk.before.operations, "{:?}", shrunk.after);
    let last = shrunk.schedule.operations().iter().map(|operation| operation.at).max();
    assert!(last.is_some_and(|last| START + last <= shrunk.violation.at));
}

fn ends_at_its_limit() {
    let few = shrunk(needs_two_of_each, Limits { runs: 4, ..PLENTY });
    assert_eq!(few.end, SearchEnd::BrokenOff);
    assert!((4..10).contains(&few.runs), "{}", few.runs);
    assert_eq!(few.violation.promise, "single");
    let late = shrunk(needs_two_of_each, Limits { time: Duration::ZERO, ..PLENTY });
    assert_eq!((late.runs, late.end), (0, SearchEnd::BrokenOff));
    assert_eq!(late.after, late.before);
}

fn prints_what_is_left() {
    let shrunk = shrunk(needs_two_of_each, PLENTY);
    let print = shrunk.to_string();
    for operation in shrunk.schedule.operations() {
        assert!(print.contains(&operation.to_string()), "{print}");
    }
    let wanted = ["single broken at", "to 2 and 2", "the last 60 of 100 lines", "cargo xtask sim --seed 1"];
    for wanted in wanted {
        assert!(print.contains(wanted), "`{wanted}` is missing:\n{print}");
    }
    assert_eq!(print.matches("a line").count(), 60);
}
