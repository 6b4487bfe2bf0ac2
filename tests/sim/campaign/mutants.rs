//! The oracle's own test: each deliberate bug has to break a promise within so many seeds.
//!
//! One bug at a time is switched on, for all threads. A bug counts as killed only if the seed that kills it breaks nothing
//! without it.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::process::ExitCode;

use super::once::{self, Simulate};
use super::progress::Progress;
use super::shrink::{Limits, shrink};
use super::sweep::{News, sweep};
use super::table::{Tally, in_order};
use crate::objects::mutants::{self as adapters, AdapterMutant};
use crate::simulation::{Report, Violation};
use crate::trace::Trace;

/// A bug with a switch.
pub struct Mutant {
    /// Its name.
    pub name: &'static str,
    /// The promises that are expected to report it.
    pub promises: &'static [&'static str],
    /// Switches it on or off, for all threads.
    pub set: Box<dyn Fn(Switch)>,
}

/// The two positions of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

/// A bug is on as long as this lives.
struct Active<'a>(&'a Mutant);

impl<'a> Active<'a> {
    fn new(mutant: &'a Mutant) -> Self {
        (mutant.set)(Switch::On);
        Self(mutant)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        (self.0.set)(Switch::Off);
    }
}

/// What became of a bug.
pub enum Fate {
    /// A seed breaks a promise with it, and none without it.
    Killed { seed: u64, report: Box<Report>, violation: Violation },
    /// The seed that breaks a promise with it does so without it too.
    FailsWithoutIt { seed: u64, violation: Violation },
    /// No seed breaks a promise.
    Survived,
}

/// Looks for the lowest seed that kills a bug.
pub fn hunt(simulate: Simulate, mutant: &Mutant, seeds: Range<u64>, threads: NonZeroUsize) -> Fate {
    let mut tally = Tally::default();
    let mut progress = Progress::new(seeds.end - seeds.start);
    let mut killers = BTreeMap::new();
    let active = Active::new(mutant);
    sweep(
        seeds,
        threads,
        |seed| once::caught(simulate, &once::schedule(seed), Trace::silent()),
        |news| {
            match news {
                News::Done { seed, result } => {
                    tally.add(seed, &result);
                    progress.tell(&tally);
                    if let Some(violation) = result.violations.first().cloned() {
                        killers.insert(seed, (result, violation));
                    }
                }
                News::Quiet(under_way) => progress.tell_slow(&under_way),
            }
            if killers.is_empty() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        },
    );
    drop(active);
    let Some((seed, (report, violation))) = killers.pop_first() else { return Fate::Survived };
    let without = once::caught(simulate, &once::schedule(seed), Trace::silent());
    match without.violations.into_iter().next() {
        Some(violation) => Fate::FailsWithoutIt { seed, violation },
        None => Fate::Killed { seed, report: Box::new(report), violation },
    }
}

/// Hunts for all of them, or those with these names; of the latter the shortest failing schedules are printed.
pub fn run(simulate: Simulate, names: &[String], seeds: Range<u64>, threads: NonZeroUsize) -> ExitCode {
    let mutants = match chosen(all(), names) {
        Ok(mutants) => mutants,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut killers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut killed = 0;
    for mutant in &mutants {
        let name = mutant.name;
        let expected = mutant.promises.join(", ");
        match hunt(simulate, mutant, seeds.clone(), threads) {
            Fate::Killed { seed, report, violation } => {
                let promise = violation.promise;
                let flag = if mutant.promises.contains(&promise) { "" } else { " (unexpected)" };
                println!("{name:<36} killed by {promise} at seed {seed}{flag}; expected: {expected}");
                killers.entry(promise).or_default().push(name);
                killed += 1;
                if !names.is_empty() {
                    let _active = Active::new(mutant);
                    let whole = || once::schedule(seed);
                    println!("{}", shrink(simulate, &whole, *report, violation, Limits::default()));
                }
            }
            Fate::FailsWithoutIt { seed, violation } => {
                println!("{name:<36} NOT KILLED: seed {seed} fails without it too: {}", once::told(&violation));
            }
            Fate::Survived => println!("{name:<36} SURVIVED {} seeds; expected: {expected}", seeds.end - seeds.start),
        }
    }
    println!();
    for promise in in_order(killers.keys().copied()) {
        if let Some(names) = killers.get(promise) {
            println!("{promise:<20} {:>3}   {}", names.len(), names.join(", "));
        }
    }
    println!("mutants={} killed={killed}", mutants.len());
    if killed == mutants.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All, or those with these names.
fn chosen(all: Result<Vec<Mutant>, String>, names: &[String]) -> Result<Vec<Mutant>, String> {
    let mut all = all?;
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|mutant| mutant.name != *name)) {
        let known: Vec<_> = all.iter().map(|mutant| mutant.name).collect();
        return Err(format!("no mutant is called `{unknown}`; there are: {}", known.join(", ")));
    }
    if !names.is_empty() {
        all.retain(|mutant| names.iter().any(|name| name == mutant.name));
    }
    Ok(all)
}

/// The bugs of the machines, then those of the simulator's adapters.
fn all() -> Result<Vec<Mutant>, String> {
    let mut all = of_machines()?;
    all.extend(AdapterMutant::ALL.iter().map(|&mutant| Mutant {
        name: mutant.name(),
        promises: mutant.promises(),
        set: Box::new(move |switch| adapters::set_active((switch == Switch::On).then_some(mutant))),
    }));
    Ok(all)
}

#[cfg(feature = "mutants")]
fn of_machines() -> Result<Vec<Mutant>, String> {
    use cf_warm_pools::core::mutants;

    let bugs = mutants::Mutant::ALL.iter().map(|&mutant| Mutant {
        name: mutant.name(),
        promises: mutant.promises(),
        set: Box::new(move |switch| mutants::set_active((switch == Switch::On).then_some(mutant))),
    });
    Ok(bugs.collect())
}

#[cfg(not(feature = "mutants"))]
fn of_machines() -> Result<Vec<Mutant>, String> {
    Err("this simulator has no deliberate bugs in it: run `cargo xtask sim --mutants`, or compile it with \
         `--features mutants`"
        .to_owned())
}
