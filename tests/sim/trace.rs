//! What happened, to be read by people and compared by machines.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use cf_warm_pools::config::resolved::Millis;
use twox_hash::XxHash64;

/// Lines for people, when they are wanted, and a hash of everything, always.
pub struct Trace {
    lines: Option<VecDeque<String>>,
    hasher: XxHash64,
}

/// The most lines kept: the last ones.
const MAX_LINES: usize = 60_000;

impl Trace {
    /// Without lines.
    pub fn silent() -> Self {
        Self { lines: None, hasher: XxHash64::with_seed(0) }
    }

    /// With lines.
    pub fn readable() -> Self {
        Self { lines: Some(VecDeque::new()), ..Self::silent() }
    }

    /// Takes something into the hash: two runs of one schedule must have the same.
    pub fn mark(&mut self, what: &impl Hash) {
        what.hash(&mut self.hasher);
    }

    /// Writes a line down.
    pub fn note(&mut self, now: Millis, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            if lines.len() == MAX_LINES {
                lines.pop_front();
            }
            let since_start = now - crate::world::START;
            lines.push_back(format!("{:>9.3}  {}", since_start.0 as f64 / 1_000.0, line()));
        }
    }

    /// The hash of all that happened.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// The lines.
    pub fn lines(self) -> Vec<String> {
        self.lines.map(Vec::from).unwrap_or_default()
    }
}
