//! Which lines of a file the tests reach, by a report in LCOV's format, and which of them count.
//!
//! Relies on rustfmt: what a line opens is closed by the first line after it that is indented alike.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// The lines of a file that do something, by number from 1, and how often they ran.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lines(BTreeMap<usize, u64>);

impl Lines {
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn reached(&self) -> usize {
        self.0.values().filter(|runs| **runs > 0).count()
    }

    /// The lines that no test reaches. A range goes over what does nothing, such as comments.
    pub fn not_reached(&self) -> Vec<RangeInclusive<usize>> {
        let mut ranges = Vec::new();
        let mut open: Option<RangeInclusive<usize>> = None;
        for (line, runs) in &self.0 {
            if *runs > 0 {
                ranges.extend(open.take());
            } else {
                open = Some(open.map_or(*line, |range| *range.start())..=*line);
            }
        }
        ranges.extend(open);
        ranges
    }

    pub fn remove(&mut self, ranges: &[RangeInclusive<usize>]) {
        self.0.retain(|line, _| !ranges.iter().any(|range| range.contains(line)));
    }
}

/// The files of a report. A file that is there more than once has run as often as in all of them.
pub fn of_lcov(report: &str) -> BTreeMap<PathBuf, Lines> {
    let mut files: BTreeMap<PathBuf, Lines> = BTreeMap::new();
    let mut file = PathBuf::new();
    for line in report.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = PathBuf::from(path);
        } else if let Some((number, runs)) = line.strip_prefix("DA:").and_then(|data| data.split_once(','))
            // A checksum may follow.
            && let (Ok(number), Some(Ok(runs))) = (number.parse(), runs.split(',').next().map(str::parse::<u64>))
        {
            let sum = files.entry(file.clone()).or_default().0.entry(number).or_default();
            *sum = sum.saturating_add(runs);
        }
    }
    files
}

/// The lines of a source that do not count: its test modules, and what only runs when a deliberate bug is on.
pub fn not_counted(source: &str) -> Vec<RangeInclusive<usize>> {
    let lines: Vec<&str> = source.lines().collect();
    let mut ranges = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let number = at + 1;
        if *line == "#[cfg(test)]" {
            ranges.push(number..=closing(&lines, number).unwrap_or(number));
        } else if opens_bug(line) {
            // The line itself asks for the bug, and the last one may go on with an `else`.
            let last = closing(&lines, at).unwrap_or(number) - 1;
            ranges.push(number + 1..=last);
        }
    }
    ranges
}

/// Whether what a line opens runs only when a deliberate bug is on.
fn opens_bug(line: &str) -> bool {
    let asks = line.replace("!mutants::on(", "").contains("mutants::on(");
    asks && line.ends_with('{') && !line.contains("||")
}

/// The number of the line that closes what the line at this index opens.
fn closing(lines: &[&str], at: usize) -> Option<usize> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let opened = indent(lines.get(at)?);
    let after = lines.iter().enumerate().skip(at + 1);
    after
        .filter(|(_, line)| line.trim_start().starts_with('}'))
        .find(|(_, line)| indent(line) == opened)
        .map(|(i, _)| i + 1)
}
