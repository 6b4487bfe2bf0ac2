//! What is printed of a violation: enough to understand it, and to run it again.

use std::fmt;

use super::once;
use super::shrink::{SearchEnd, Shrunk};
use super::table::words;

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, schedule, report, violation, before, after, runs, end } = self;
        writeln!(f, "seed {seed}: {}", once::told(violation))?;
        let end = match end {
            SearchEnd::Minimal => "nothing more can be left out",
            SearchEnd::BrokenOff => "the search was broken off",
        };
        writeln!(
            f,
            "shrunk from {} operations and {} faults to {} and {}, in {runs} runs: {end}",
            before.operations, before.strikes, after.operations, after.strikes,
        )?;
        if schedule.seed != *seed {
            writeln!(f, "what is left breaks it with the luck of seed {}", schedule.seed)?;
        }
        writeln!(f, "operations:")?;
        for operation in schedule.operations() {
            writeln!(f, "  {operation}")?;
        }
        writeln!(f, "faults:")?;
        for (fault, key) in &report.struck {
            writeln!(f, "  {} {key:?}", words(*fault))?;
        }
        let skipped = report.trace.len().saturating_sub(LINES);
        writeln!(f, "trace, the last {} of {} lines:", report.trace.len() - skipped, report.trace.len())?;
        for line in report.trace.iter().skip(skipped) {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "to run it again: cargo xtask sim --seed {seed}")
    }
}

/// How many lines of a trace are printed.
const LINES: usize = 60;
