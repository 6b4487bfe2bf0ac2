//! How many tests passed and failed, read from what the test runners print.

use std::fmt;
use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    /// Neither of the two: ignored in Rust; skipped or to do in Node.
    pub skipped: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

impl Counts {
    /// A line of `cargo test`: `test result: ok. 3 passed; 0 failed; 1 ignored; …`. Other lines have no counts.
    pub fn of_cargo_line(line: &str) -> Option<Self> {
        let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut counts = Self::default();
        for part in rest.split(';') {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
            match what {
                "passed" => counts.passed = number.parse().ok()?,
                "failed" => counts.failed = number.parse().ok()?,
                "ignored" => counts.skipped = number.parse().ok()?,
                // Benchmarks, the filter, the time.
                _ => {}
            }
        }
        Some(counts)
    }

    /// The last line of the simulator's deliberate bugs, `mutants=21 killed=20`: each is a test that passes when the bug
    /// is found. Other lines have no counts.
    pub fn of_mutants_line(line: &str) -> Option<Self> {
        let number = |name: &str| {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
            word.parse::<u64>().ok()
        };
        let [mutants, killed] = [number("mutants")?, number("killed")?];
        Some(Self { passed: killed, failed: mutants.checked_sub(killed)?, skipped: 0 })
    }

    /// A whole TAP report of Node's runner, by its closing lines: `# pass 3`, `# fail 0`, …; `None` when it has none,
    /// as when the runner was killed.
    pub fn of_tap(report: &str) -> Option<Self> {
        // The runner's own lines are the last ones: a test could have printed the same words.
        let number = |name: &str| {
            let line =
                report.lines().rev().find_map(|line| line.strip_prefix("# ")?.strip_prefix(name)?.strip_prefix(' '))?;
            line.parse::<u64>().ok()
        };
        Some(Self {
            passed: number("pass")?,
            failed: number("fail")? + number("cancelled")?,
            skipped: number("skipped")? + number("todo")?,
        })
    }
}
