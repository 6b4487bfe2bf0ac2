//! What is done to the system, and when: drawn from a seed.

use std::collections::BTreeSet;

use crate::faults::{Rates, Strike};

/// A run.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub seed: u64,
    pub rates: Rates,
    /// Only these faults, of those the rates would bring: a run that was shrunk.
    pub only: Option<BTreeSet<Strike>>,
}
