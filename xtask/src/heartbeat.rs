//! Signs of life of a program that says nothing: a line on standard error each time that it was silent for a while, so that
//! nobody takes a slow step for one that hangs.

use std::time::{Duration, Instant};

/// How long may pass without a line.
const SILENCE: Duration = Duration::from_secs(15);
/// What of a line is shown.
const WIDTH: usize = 100;

pub struct Heartbeat {
    started: Instant,
    last: Instant,
}

impl Heartbeat {
    pub fn start() -> Self {
        let now = Instant::now();
        Self { started: now, last: now }
    }

    /// Something else was shown.
    pub fn heard(&mut self) {
        self.last = Instant::now();
    }

    /// Prints a line when it is time; `doing` says what is being done.
    pub fn tick(&mut self, doing: impl FnOnce() -> String) {
        if self.last.elapsed() < SILENCE {
            return;
        }
        self.heard();
        let doing: String = doing().trim().chars().filter(|letter| !letter.is_control()).take(WIDTH).collect();
        eprintln!("  … {:.0} s: {doing}", self.started.elapsed().as_secs_f32());
    }
}
