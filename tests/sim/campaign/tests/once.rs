//! One run, of which nothing escapes.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Test;
use super::double::{broken, clean};
use crate::campaign::catch;
use crate::campaign::once::{caught, twice};
use crate::campaign::trials::no_violation;
use crate::schedule::Schedule;
use crate::simulation::Report;
use crate::trace::Trace;

pub const TESTS: [Test; 6] = [
    ("a_panic_is_a_violation", a_panic_is_a_violation),
    ("the_first_panic_is_told", the_first_panic_is_told),
    ("a_second_run_that_differs_is_a_violation", a_second_run_that_differs_is_a_violation),
    ("two_equal_runs_are_none", two_equal_runs_are_none),
    ("a_trial_fails_at_a_violation", a_trial_fails_at_a_violation),
    ("a_panic_elsewhere_is_not_caught", a_panic_elsewhere_is_not_caught),
];

fn panics(schedule: &Schedule, _: Trace) -> Report {
    panic!("seed {} is too much", schedule.seed)
}

fn a_panic_is_a_violation() {
    let schedule = Schedule::of_seed(7);
    let report = caught(panics, &schedule, Trace::silent());
    assert_eq!(report.violations.len(), 1);
    assert_eq!(report.violations[0].promise, "no-panic");
    let what = &report.violations[0].what;
    assert!(what.contains("seed 7 is too much") && what.contains("once.rs:"), "{what}");
    // It panics in the same way each time.
    assert_eq!(twice(panics, &schedule).violations.len(), 1);
}

fn the_first_panic_is_told() {
    struct PanicsToo;
    impl Drop for PanicsToo {
        fn drop(&mut self) {
            assert!(catch::<()>(|| panic!("inner")).is_err_and(|what| what.starts_with("inner (")));
        }
    }
    let error = catch::<()>(|| {
        let _panics_too = PanicsToo;
        panic!("outer")
    });
    assert!(error.as_ref().is_err_and(|what| what.starts_with("outer (")), "{error:?}");
}

fn differs_each_time(_: &Schedule, _: Trace) -> Report {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    Report { hash: run, trace: vec!["the same".to_owned(), format!("run {run}")], ..clean() }
}

fn a_second_run_that_differs_is_a_violation() {
    let report = twice(differs_each_time, &Schedule::of_seed(1));
    assert_eq!(report.violations.len(), 1);
    assert_eq!(report.violations[0].promise, "deterministic");
    let what = &report.violations[0].what;
    assert!(what.contains("part at") && what.contains("run ") && !what.contains("the same"), "{what}");
}

fn always_clean(_: &Schedule, _: Trace) -> Report {
    clean()
}

fn two_equal_runs_are_none() {
    assert!(twice(always_clean, &Schedule::of_seed(1)).violations.is_empty());
    assert!(no_violation(always_clean, 1).is_ok());
}

fn always_broken(_: &Schedule, _: Trace) -> Report {
    broken("bounded")
}

fn a_trial_fails_at_a_violation() {
    let failed = no_violation(always_broken, 3).unwrap_err();
    let print = failed.message().unwrap_or_default();
    assert!(print.contains("seed 3: bounded broken") && print.contains("to 0 and 0"), "{print}");
}

/// What is caught on one thread does not hide what happens on another.
fn a_panic_elsewhere_is_not_caught() {
    let outcome = catch(|| {
        let elsewhere = std::thread::spawn(|| catch::<()>(|| panic!("there")));
        elsewhere.join().unwrap().unwrap_err()
    });
    assert!(outcome.is_ok_and(|what| what.starts_with("there (")));
}
