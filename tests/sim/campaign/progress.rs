//! Lines that tell how far a campaign is, on standard error: one every few seconds, so that a log can hold them.

use std::time::{Duration, Instant};

use super::table::{Tally, grouped};

/// The wall clock, for what people wait for. No run may see it.
#[allow(clippy::disallowed_methods, reason = "this program runs on the host, and no world sees this clock")]
pub fn wall_clock() -> Instant {
    Instant::now()
}

/// How far it is.
pub struct Progress {
    total: u64,
    began: Instant,
    told: Instant,
}

impl Progress {
    /// Nothing of so many seeds.
    pub fn new(total: u64) -> Self {
        let now = wall_clock();
        Self { total, began: now, told: now }
    }

    /// Tells, if it is time.
    pub fn tell(&mut self, tally: &Tally) {
        if self.is_due() {
            eprintln!(
                "{}/{} seeds, {} requests, {} faults, {} violations, {}",
                grouped(tally.seeds),
                grouped(self.total),
                grouped(tally.requests),
                grouped(tally.fault_count()),
                grouped(tally.violation_count()),
                self.left(tally.seeds),
            );
        }
    }

    /// Tells of seeds that take long, if it is time.
    pub fn tell_slow(&mut self, under_way: &[(u64, Duration)]) {
        let slow: Vec<_> = under_way.iter().filter(|(_, since)| *since >= SLOW).collect();
        if !slow.is_empty() && self.is_due() {
            let slow: Vec<_> = slow.iter().map(|(seed, since)| format!("{seed} ({} s)", since.as_secs())).collect();
            eprintln!("still running: seed {}", slow.join(", seed "));
        }
    }

    fn is_due(&mut self) -> bool {
        let due = self.told.elapsed() >= PERIOD;
        if due {
            self.told = wall_clock();
        }
        due
    }

    fn left(&self, done: u64) -> String {
        if done == 0 {
            return "time left unknown".to_owned();
        }
        let left = self.began.elapsed().as_secs_f64() / done as f64 * self.total.saturating_sub(done) as f64;
        let secs = left.round() as u64;
        format!("{}:{:02} left", secs / 60, secs % 60)
    }
}

/// The least time between two lines.
const PERIOD: Duration = Duration::from_secs(4);

/// A seed that takes longer is worth a line.
const SLOW: Duration = Duration::from_secs(10);
