//! The sums of a campaign.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cf_warm_pools::core::outcome::Outcome;

use crate::faults::Fault;
use crate::simulation::Report;

/// Every promise that a run can break, in the order of tables: those of the system, then those of the simulator about it.
pub const PROMISES: [&str; 16] = [
    "exclusive",
    "sticky",
    "single",
    "accounted",
    "bounded",
    "converging",
    "unwedgeable",
    "coordinator-free",
    "all-or-nothing",
    "unknown-is-not-dead",
    "answered",
    "at-most-once",
    "durable",
    "told-once",
    super::once::NO_PANIC,
    super::once::DETERMINISTIC,
];

/// These promises in the order of [`PROMISES`], and after them those that are not there.
pub fn in_order(promises: impl IntoIterator<Item = &'static str>) -> Vec<&'static str> {
    let mut promises: Vec<_> = promises.into_iter().collect();
    let place = |promise| PROMISES.iter().position(|&other| other == promise).unwrap_or(PROMISES.len());
    promises.sort_by_key(|&promise| (place(promise), promise));
    promises.dedup();
    promises
}

/// What many runs come to.
#[derive(Debug, Default)]
pub struct Tally {
    pub seeds: u64,
    pub steps: u64,
    pub requests: u64,
    fates: BTreeMap<&'static str, u64>,
    faults: BTreeMap<Fault, u64>,
    outcomes: BTreeMap<Outcome, u64>,
    migrations: u64,
    migrated: u64,
    excused: BTreeMap<&'static str, u64>,
    violated: BTreeMap<&'static str, Violated>,
}

/// What broke one promise.
#[derive(Debug, Default)]
struct Violated {
    times: u64,
    seeds: BTreeSet<u64>,
}

impl Tally {
    /// Adds a seed's run.
    pub fn add(&mut self, seed: u64, report: &Report) {
        self.seeds += 1;
        self.steps += report.steps;
        self.requests += report.requests;
        add(&mut self.fates, &report.fates);
        add(&mut self.faults, &report.faults);
        add(&mut self.outcomes, &report.outcomes);
        self.migrations += report.migrations;
        self.migrated += report.migrated;
        add(&mut self.excused, &report.excused);
        for violation in &report.violations {
            let violated = self.violated.entry(violation.promise).or_default();
            violated.times += 1;
            violated.seeds.insert(seed);
        }
    }

    pub fn fault_count(&self) -> u64 {
        self.faults.values().sum()
    }

    pub fn violation_count(&self) -> u64 {
        self.violated.values().map(|violated| violated.times).sum()
    }

    /// In how many seeds a promise was broken.
    pub fn seeds_that_broke(&self, promise: &str) -> usize {
        self.violated.get(promise).map_or(0, |violated| violated.seeds.len())
    }

    /// The promises that were broken, in the order of their names.
    pub fn broken(&self) -> impl Iterator<Item = &'static str> {
        self.violated.keys().copied()
    }

    /// The line for machines.
    pub fn last_line(&self) -> String {
        let Self { seeds, steps, requests, .. } = self;
        let (faults, violations) = (self.fault_count(), self.violation_count());
        format!("seeds={seeds} steps={steps} requests={requests} faults={faults} violations={violations}")
    }
}

/// The table for people.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "seeds", self.seeds)?;
        row(f, "steps", self.steps)?;
        row(f, "requests", self.requests)?;
        for (fate, &count) in &self.fates {
            row(f, &format!("  {fate}"), count)?;
        }
        row(f, "answers of shards with a container", self.outcomes.values().sum())?;
        for (outcome, &count) in &self.outcomes {
            row(f, &format!("  {}", outcome.as_str()), count)?;
        }
        row(f, "changes of a shard count", self.migrations)?;
        row(f, "  over before the end", self.migrated)?;
        row(f, "faults", self.fault_count())?;
        // Those that never happened too: they say what a campaign did not try.
        for fault in Fault::ALL {
            row(f, &format!("  {}", words(fault)), self.faults.get(&fault).copied().unwrap_or(0))?;
        }
        row(f, "happened and not promised against", self.excused.values().sum())?;
        for (what, &count) in &self.excused {
            row(f, &format!("  {what}"), count)?;
        }
        row(f, "violations", self.violation_count())?;
        for (promise, Violated { times, seeds }) in &self.violated {
            let first: Vec<_> = seeds.iter().take(SEEDS_SHOWN).map(ToString::to_string).collect();
            let more = if seeds.len() > SEEDS_SHOWN { ", …" } else { "" };
            writeln!(f, "{:<56}{:>14}   seeds {}{more}", format!("  {promise}"), grouped(*times), first.join(", "))?;
        }
        Ok(())
    }
}

fn add<K: Copy + Ord>(sums: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (&key, count) in more {
        *sums.entry(key).or_default() += count;
    }
}

fn row(f: &mut fmt::Formatter<'_>, label: &str, number: u64) -> fmt::Result {
    writeln!(f, "{label:<56}{:>14}", grouped(number))
}

/// A fault's name in words: `LostBefore` is "lost before".
pub fn words(fault: Fault) -> String {
    let mut words = String::new();
    for letter in format!("{fault:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// How many seeds a row names.
const SEEDS_SHOWN: usize = 5;
