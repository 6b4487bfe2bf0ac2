//! Reports of runs that never were.

use cf_warm_pools::config::resolved::Millis;

use crate::dice::Key;
use crate::faults::{Fault, Strike};
use crate::schedule::Schedule;
use crate::simulation::{Report, Violation};

/// A run in which nothing is wrong.
pub fn clean() -> Report {
    Report { steps: 10, requests: 5, hash: 1, ..Report::default() }
}

/// A run that broke a promise.
pub fn broken(promise: &'static str) -> Report {
    Report { violations: vec![violation(promise)], ..clean() }
}

/// A promise broken, at a time after everything that a schedule asks for.
pub fn violation(promise: &'static str) -> Violation {
    Violation { promise, at: Millis(u64::MAX - 1), what: "as told".to_owned() }
}

/// A chance fault, one of many.
pub fn strike(which: u64) -> Strike {
    (Fault::ALL[which as usize % Fault::ALL.len()], Key::new(which))
}

/// Of those with the numbers 0 to `count`, the ones that a schedule lets happen.
pub fn struck(schedule: &Schedule, count: u64) -> Vec<Strike> {
    let allowed = |strike: &Strike| schedule.only.as_ref().is_none_or(|only| only.contains(strike));
    (0..count).map(strike).filter(allowed).collect()
}
