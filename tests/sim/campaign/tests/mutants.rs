//! The hunt for deliberate bugs.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Test;
use super::double::{broken, clean};
use crate::campaign::mutants::{Fate, Mutant, Switch, hunt};
use crate::campaign::once::Simulate;
use crate::objects::mutants::AdapterMutant;
use crate::schedule::Schedule;
use crate::simulation::Report;
use crate::trace::Trace;

pub const TESTS: [Test; 4] = [
    ("every_bug_is_named_in_the_docs", every_bug_is_named_in_the_docs),
    ("a_bug_is_killed_by_its_lowest_seed", a_bug_is_killed_by_its_lowest_seed),
    ("a_bug_that_breaks_nothing_survives", a_bug_that_breaks_nothing_survives),
    ("a_seed_that_fails_anyway_kills_nothing", a_seed_that_fails_anyway_kills_nothing),
];

fn every_bug_is_named_in_the_docs() {
    let docs = include_str!("../../../../docs/promises.md");
    let machines = cf_warm_pools::core::mutants::Mutant::ALL.iter().map(|mutant| mutant.name());
    for name in machines.chain(AdapterMutant::ALL.iter().map(|mutant| mutant.name())) {
        assert!(docs.contains(&format!("`{name}`")), "docs/promises.md does not name `{name}`");
    }
}

const THREADS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

/// Hunts for a bug with this switch in a world that may see it.
fn fate(simulate: Simulate, switch: &'static AtomicBool) -> Fate {
    let set = Box::new(move |to| switch.store(to == Switch::On, Ordering::Relaxed));
    let mutant = Mutant { name: "a bug", promises: &["single"], set };
    let fate = hunt(simulate, &mutant, 0..60, THREADS);
    assert!(!switch.load(Ordering::Relaxed), "the bug is still on");
    fate
}

static SHOWS: AtomicBool = AtomicBool::new(false);

fn shows_from_seed_20(schedule: &Schedule, _: Trace) -> Report {
    if SHOWS.load(Ordering::Relaxed) && schedule.seed >= 20 { broken("single") } else { clean() }
}

fn a_bug_is_killed_by_its_lowest_seed() {
    let fate = fate(shows_from_seed_20, &SHOWS);
    assert!(matches!(&fate, Fate::Killed { seed: 20, violation, .. } if violation.promise == "single"));
}

static HARMLESS: AtomicBool = AtomicBool::new(false);

fn breaks_nothing(_: &Schedule, _: Trace) -> Report {
    clean()
}

fn a_bug_that_breaks_nothing_survives() {
    assert!(matches!(fate(breaks_nothing, &HARMLESS), Fate::Survived));
}

static NO_MATTER: AtomicBool = AtomicBool::new(false);

fn breaks_anyway(schedule: &Schedule, _: Trace) -> Report {
    if schedule.seed == 7 { broken("sticky") } else { clean() }
}

fn a_seed_that_fails_anyway_kills_nothing() {
    let fate = fate(breaks_anyway, &NO_MATTER);
    assert!(matches!(&fate, Fate::FailsWithoutIt { seed: 7, violation } if violation.promise == "sticky"));
}
