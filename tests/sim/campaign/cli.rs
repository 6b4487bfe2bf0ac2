//! The options, and which campaign they ask for.

use std::collections::BTreeMap;
use std::iter;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::process::ExitCode;
use std::thread;

use clap::Parser;

use super::once::{self, Simulate};
use super::progress::Progress;
use super::shrink::{Limits, shrink};
use super::sweep::{News, sweep};
use super::table::Tally;
use super::{kept, mutants, peer};
use crate::scenarios;
use crate::schedule::RESHARDING_FROM;
use crate::simulation::{self, Report};
use crate::trace::Trace;

/// Runs whole deployments in virtual time, under faults, and looks for a broken promise.
#[derive(Debug, Parser)]
#[command(name = "campaign", disable_version_flag = true)]
struct Options {
    /// How many seeds [default: 1000; for each mutant 600]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    first: u64,
    /// Only seeds in which shard counts change under load: those from 1,000,000,000 on
    #[arg(long, conflicts_with_all = ["first", "seed"])]
    resharding: bool,
    /// This seed alone, or with `--seeds` the first one
    #[arg(long, value_name = "SEED", conflicts_with = "first")]
    seed: Option<u64>,
    /// Print what happened in that seed, also when it breaks no promise
    #[arg(long, requires = "seed", conflicts_with = "mutants")]
    trace: bool,
    /// Test the oracle: each deliberate bug has to break a promise
    #[arg(long, conflicts_with = "peer")]
    mutants: bool,
    /// Only this deliberate bug; its shortest failing schedule is printed. May be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "peer")]
    mutant: Vec<String>,
    /// Compare with the model of cf-container-warm-pool
    #[arg(long, conflicts_with = "trace")]
    peer: bool,
    /// Run what measures the cost of shards, and print its tables
    #[arg(long, conflicts_with_all = ["mutants", "peer", "trace"])]
    scenarios: bool,
    /// Only this one of them. May be given several times
    #[arg(long, value_name = "NAME", conflicts_with_all = ["mutants", "peer", "trace"])]
    scenario: Vec<String>,
    /// How many threads [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Options {
    fn range(&self, otherwise: u64) -> Range<u64> {
        let first = if self.resharding { RESHARDING_FROM } else { self.seed.unwrap_or(self.first) };
        let count = self.seeds.unwrap_or(if self.seed.is_some() { 1 } else { otherwise });
        first..first.saturating_add(count)
    }
}

/// Runs the campaign that the arguments after `campaign` ask for.
pub fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let options = Options::parse_from(iter::once("campaign".to_owned()).chain(arguments));
    let threads = options.threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    if options.scenarios || !options.scenario.is_empty() {
        scenarios::print(&options.scenario)
    } else if options.mutants || !options.mutant.is_empty() {
        mutants::run(simulation::run, &options.mutant, options.range(MUTANT_SEEDS), threads)
    } else if options.peer {
        peer::run(simulation::run, simulation::run_peer, options.range(SEEDS), threads)
    } else {
        if let (Some(seed), true) = (options.seed, options.trace) {
            for line in once::caught(simulation::run, &once::schedule(seed), Trace::readable()).trace {
                println!("{line}");
            }
        }
        search(simulation::run, options.range(SEEDS), threads)
    }
}

/// Looks for a seed that breaks a promise.
fn search(simulate: Simulate, seeds: Range<u64>, threads: NonZeroUsize) -> ExitCode {
    let mut tally = Tally::default();
    let mut progress = Progress::new(seeds.end - seeds.start);
    let mut found = Found::default();
    sweep(
        seeds,
        threads,
        |seed| once::twice(simulate, &once::schedule(seed)),
        |news| {
            match news {
                News::Done { seed, result } => {
                    tally.add(seed, &result);
                    if tally.violation_count() <= TOLD_AT_ONCE {
                        for violation in &result.violations {
                            eprintln!("seed {seed}: {}", once::told(violation));
                        }
                    }
                    found.add(seed, result);
                    progress.tell(&tally);
                }
                News::Quiet(under_way) => progress.tell_slow(&under_way),
            }
            ControlFlow::Continue(())
        },
    );
    println!("{tally}");
    let mut failed = tally.violation_count() > 0;
    for (seed, report) in found.chosen() {
        failed |= !show(simulate, seed, report);
    }
    println!("{}", tally.last_line());
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Shrinks and prints what a seed breaks, and keeps the seed; false when it could not be kept.
fn show(simulate: Simulate, seed: u64, report: Report) -> bool {
    let Some(violation) = report.violations.first().cloned() else { return true };
    let limits = Limits::default();
    eprintln!("shrinking seed {seed}, for at most {} s", limits.time.as_secs());
    println!("{}", shrink(simulate, &|| once::schedule(seed), report, violation.clone(), limits));
    match kept::add(&kept::file(), seed, violation.promise) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("seed {seed} could not be kept: {error}");
            false
        }
    }
}

/// The runs that broke a promise: the lowest seeds for each.
#[derive(Default)]
pub struct Found {
    by_promise: BTreeMap<&'static str, BTreeMap<u64, Report>>,
}

impl Found {
    /// Adds a seed's run, if it broke a promise.
    pub fn add(&mut self, seed: u64, report: Report) {
        if let Some(violation) = report.violations.first() {
            let lowest = self.by_promise.entry(violation.promise).or_default();
            lowest.insert(seed, report);
            if lowest.len() > SHOWN {
                lowest.pop_last();
            }
        }
    }

    /// Those to be shown: first one for each promise, then more of the same.
    pub fn chosen(self) -> Vec<(u64, Report)> {
        let ranked = self.by_promise.into_values().flat_map(|lowest| lowest.into_iter().enumerate());
        let mut ranked: Vec<_> = ranked.map(|(rank, (seed, report))| (rank, seed, report)).collect();
        ranked.sort_by_key(|&(rank, seed, _)| (rank, seed));
        ranked.into_iter().map(|(_, seed, report)| (seed, report)).take(SHOWN).collect()
    }
}

/// The seeds of a campaign, if not told otherwise.
const SEEDS: u64 = 1_000;

/// The seeds that a mutant may survive before it counts as surviving, if not told otherwise.
const MUTANT_SEEDS: u64 = 600;

/// How many violations are shrunk and printed in full.
pub const SHOWN: usize = 3;

/// How many violations are told as soon as they are found.
const TOLD_AT_ONCE: u64 = 20;
