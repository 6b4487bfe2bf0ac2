//! Whether a start may be tried now, given how the last ones went.
//!
//! Failing starts are spaced by a jittered exponential backoff. After [`BREAKER`] failures in a row, or one that no retry
//! helps, the breaker is open: one start at a time probes, and callers are told the last error at once rather than kept
//! waiting. Whatever was learned ends: a success closes the breaker, a backoff is at most [`MAX_BACKOFF`], a ceiling
//! learned from the platform is forgotten after [`CEILING_TTL`].

use serde::{Deserialize, Serialize};

use super::message::Entropy;
use crate::config::resolved::Millis;
use crate::core::failure::{FailureClass, StartFailure};
use crate::core::mutants::{self, Mutant};

/// Failures in a row that open the breaker.
pub const BREAKER: u32 = 5;
/// The first backoff; each further failure doubles it.
pub const BASE_BACKOFF: Millis = Millis(500);
/// The longest backoff.
pub const MAX_BACKOFF: Millis = Millis::from_secs(30);
/// How long a ceiling learned from a capacity error is believed.
pub const CEILING_TTL: Millis = Millis::from_secs(30);

/// What failing starts taught. Durable, so that a restart does not hammer what just failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRow {
    /// Failures in a row.
    pub failures: u32,
    /// No start before this.
    pub retry_at: Millis,
    /// The last failure; kept after a success until containers are started as something else, for the stats.
    pub last_failure: Option<StartFailure>,
    /// The platform has room for no more than so many containers of this shard, until then.
    pub ceiling: Option<Ceiling>,
}

/// A learned limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceiling {
    /// So many containers, in any state.
    pub limit: u32,
    /// Forgotten then.
    pub until: Millis,
}

impl GateRow {
    /// Cuts what was learned down to what could have been learned by now. Returns whether anything changed.
    pub fn clamp(&mut self, now: Millis) -> bool {
        let before = (self.retry_at, self.ceiling);
        self.retry_at = self.retry_at.min(now + MAX_BACKOFF);
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.until = ceiling.until.min(now + CEILING_TTL);
        }
        (self.retry_at, self.ceiling) != before
    }

    /// Whether callers should be told the last error rather than wait.
    pub fn is_open_breaker(&self) -> bool {
        self.failures >= BREAKER
    }

    /// How many starts may be under way at once, of the `max` that the plan allows.
    pub fn concurrency(&self, now: Millis, max: u32) -> u32 {
        if now < self.retry_at || (self.failures > 0 && mutants::on(Mutant::BackoffForEver)) {
            0
        } else if self.is_open_breaker() {
            u32::from(!mutants::on(Mutant::BreakerNeverProbes))
        } else {
            max
        }
    }

    /// The learned limit, while it is believed.
    pub fn ceiling(&self, now: Millis) -> Option<u32> {
        let believed = |ceiling: &Ceiling| now < ceiling.until || mutants::on(Mutant::CeilingForEver);
        self.ceiling.filter(believed).map(|ceiling| ceiling.limit)
    }

    /// When waiting for the gate may have an end: the backoff or the ceiling.
    pub fn next_change(&self, now: Millis) -> Option<Millis> {
        let retry_at = Some(self.retry_at);
        let ceiling = self.ceiling.map(|ceiling| ceiling.until);
        [retry_at, ceiling].into_iter().flatten().filter(|&at| at > now).min()
    }

    /// A start succeeded. Returns whether anything changed.
    pub fn succeeded(&mut self) -> bool {
        let changed = self.failures != 0 || self.retry_at != Millis(0);
        self.failures = 0;
        self.retry_at = Millis(0);
        changed
    }

    /// So many containers run: the platform has room for them. Returns whether anything changed.
    pub fn has_room_for(&mut self, running: u32) -> bool {
        let Some(ceiling) = self.ceiling.as_mut().filter(|ceiling| ceiling.limit < running) else { return false };
        ceiling.limit = running;
        true
    }

    /// A start failed while the shard had `others` more containers.
    pub fn failed(&mut self, now: Millis, failure: StartFailure, others: u32, entropy: &mut dyn Entropy) {
        match failure.class {
            FailureClass::Capacity => {
                let until = Millis(now.0 + CEILING_TTL.0 / 2 + entropy.jitter(CEILING_TTL.0 / 2));
                self.ceiling = Some(Ceiling { limit: others, until });
            }
            FailureClass::Permanent => self.back_off(now, BREAKER, entropy),
            FailureClass::Transient | FailureClass::NotReady | FailureClass::Exited | FailureClass::Unknown => {
                self.back_off(now, 1, entropy);
            }
        }
        self.last_failure = Some(failure);
    }

    fn back_off(&mut self, now: Millis, at_least: u32, entropy: &mut dyn Entropy) {
        // Starts that were under way together and failed together are one failure, unless it is of the worst kind.
        if now >= self.retry_at {
            self.failures = self.failures.saturating_add(1);
        }
        self.failures = self.failures.max(at_least);
        let doubled = BASE_BACKOFF.0.saturating_mul(1 << (self.failures - 1).min(16));
        let backoff = doubled.min(MAX_BACKOFF.0);
        let jittered = backoff / 2 + entropy.jitter(backoff / 2 + 1);
        self.retry_at = self.retry_at.max(Millis(now.0 + jittered));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoJitter;
    impl Entropy for NoJitter {
        fn unique(&mut self) -> u128 {
            0
        }
        fn jitter(&mut self, below: u64) -> u64 {
            below.saturating_sub(1)
        }
    }

    fn fail(gate: &mut GateRow, now: Millis, class: FailureClass) {
        gate.failed(now, StartFailure::new(class, "x"), 3, &mut NoJitter);
    }

    #[test]
    fn backoff_doubles_up_to_its_limit_and_a_success_ends_it() {
        let mut gate = GateRow::default();
        let mut now = Millis(1_000);
        let mut waits = Vec::new();
        for _ in 0..9 {
            fail(&mut gate, now, FailureClass::NotReady);
            waits.push(gate.retry_at.0 - now.0);
            now = gate.retry_at;
        }
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(gate.concurrency(now, 4), 1, "the breaker lets one probe through");
        assert!(gate.succeeded());
        assert_eq!(gate.concurrency(now, 4), 4);
    }

    #[test]
    fn failures_together_count_once() {
        let mut gate = GateRow::default();
        for _ in 0..4 {
            fail(&mut gate, Millis(1_000), FailureClass::Exited);
        }
        assert_eq!(gate.failures, 1);
    }

    #[test]
    fn a_permanent_failure_opens_the_breaker_at_once() {
        let mut gate = GateRow::default();
        fail(&mut gate, Millis(0), FailureClass::Permanent);
        assert!(gate.is_open_breaker());
    }

    #[test]
    fn a_ceiling_is_forgotten() {
        let mut gate = GateRow::default();
        fail(&mut gate, Millis(0), FailureClass::Capacity);
        assert_eq!(gate.ceiling(Millis(1)), Some(3));
        assert_eq!(gate.failures, 0, "no room is no fault of the image");
        assert!(gate.next_change(Millis(1)).is_some_and(|at| at <= CEILING_TTL));
        assert_eq!(gate.ceiling(CEILING_TTL), None);
    }
}
