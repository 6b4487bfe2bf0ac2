//! The same worlds, once with our pools and once with the model of `cf-container-warm-pool`: which promises each breaks.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::process::ExitCode;

use super::once::{self, Simulate};
use super::progress::Progress;
use super::sweep::{News, sweep};
use super::table::{PROMISES, Tally, in_order};
use crate::trace::Trace;

/// What both came to, in the same seeds.
#[derive(Debug, Default)]
pub struct Comparison {
    pub ours: Tally,
    pub theirs: Tally,
}

/// What the peer has no part in: no limit of its own, no coordinator, no versions of a configuration, no rows of ours.
const OURS_ALONE: [&str; 8] = [
    "bounded",
    "coordinator-free",
    "all-or-nothing",
    "at-most-once",
    "durable",
    "told-once",
    once::NO_PANIC,
    once::DETERMINISTIC,
];

/// As a table of Markdown, for the documentation.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours, theirs } = self;
        writeln!(f, "| promise | broken by ours | broken by cf-container-warm-pool |")?;
        writeln!(f, "|---|---|---|")?;
        let promises = in_order(PROMISES.into_iter().chain(ours.broken()).chain(theirs.broken()));
        for promise in promises.into_iter().filter(|promise| !OURS_ALONE.contains(promise)) {
            let share = |tally: &Tally| format!("{} of {} seeds", tally.seeds_that_broke(promise), tally.seeds);
            writeln!(f, "| {promise} | {} | {} |", share(ours), share(theirs))?;
        }
        Ok(())
    }
}

/// Runs all seeds with both, and prints the table. The exit code is of ours.
pub fn run(ours: Simulate, theirs: Simulate, seeds: Range<u64>, threads: NonZeroUsize) -> ExitCode {
    let mut comparison = Comparison::default();
    let mut progress = Progress::new(seeds.end - seeds.start);
    sweep(
        seeds,
        threads,
        |seed| {
            let schedule = once::schedule(seed);
            [ours, theirs].map(|simulate| once::caught(simulate, &schedule, Trace::silent()))
        },
        |news| {
            match news {
                News::Done { seed, result: [ours, theirs] } => {
                    comparison.ours.add(seed, &ours);
                    comparison.theirs.add(seed, &theirs);
                    progress.tell(&comparison.ours);
                }
                News::Quiet(under_way) => progress.tell_slow(&under_way),
            }
            ControlFlow::Continue(())
        },
    );
    println!("{comparison}");
    println!("{}", comparison.ours.last_line());
    if comparison.ours.violation_count() > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
