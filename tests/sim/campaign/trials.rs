//! What `cargo test` runs: the seeds that failed once, some hundred more, and the campaign's own tests.

use libtest_mimic::{Failed, Trial};

use super::once::{self, Simulate};
use super::shrink::{Limits, shrink};
use super::{kept, tests};
use crate::simulation;

/// All of them.
pub fn trials() -> Vec<Trial> {
    let mut trials = tests::trials();
    match kept::read(&kept::file()) {
        Ok(seeds) => trials.extend(
            seeds
                .into_iter()
                .map(|seed| Trial::test(format!("kept_seed_{seed}"), move || no_violation(simulation::run, seed))),
        ),
        Err(error) => trials.push(Trial::test("kept_seeds_can_be_read", move || Err(error.into()))),
    }
    trials.extend((0..SEEDS).step_by(SEEDS_A_TRIAL as usize).map(|first| {
        let seeds = first..first + SEEDS_A_TRIAL;
        let name = format!("no_violation_in_seeds_{first}_to_{}", seeds.end - 1);
        Trial::test(name, move || seeds.into_iter().try_for_each(|seed| no_violation(simulation::run, seed)))
    }));
    trials
}

/// Runs a seed twice; what it breaks is the error, shrunk.
pub fn no_violation(simulate: Simulate, seed: u64) -> Result<(), Failed> {
    let report = once::twice(simulate, &once::schedule(seed));
    match report.violations.first().cloned() {
        Some(violation) => Err(shrink(simulate, &|| once::schedule(seed), report, violation, Limits::default()).into()),
        None => Ok(()),
    }
}

/// How many seeds each run of the tests tries: those from 0.
const SEEDS: u64 = 600;

/// So many a trial that all threads have work.
const SEEDS_A_TRIAL: u64 = 30;
