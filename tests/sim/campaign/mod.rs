//! Campaigns: many seeds, each run twice, with all cores; and what is made of it when one breaks a promise.
//!
//! What always holds: a run that panics is a violation like any other; a seed counts once, though it is run twice; what is
//! printed of a violation is of a run that breaks the same promise as the first.
//!
//! | file | |
//! |---|---|
//! | `cli` | the options, and which campaign they ask for |
//! | `sweep`, `progress` | seeds over threads; lines that tell how far it is |
//! | `once`, `panics` | one schedule, run so that nothing escapes |
//! | `table` | the sums |
//! | `shrink`, `ddmin`, `failure` | from a violation to the shortest schedule that shows it, and its print |
//! | `kept` | the seeds that failed once, replayed for ever |
//! | `mutants` | the oracle's own test: each deliberate bug has to be caught |
//! | `peer` | the same worlds with the model of `cf-container-warm-pool` |
//! | `trials` | what `cargo test` runs |

mod cli;
mod ddmin;
mod failure;
mod kept;
mod mutants;
mod once;
mod panics;
mod peer;
mod progress;
mod shrink;
mod sweep;
mod table;
mod tests;
mod trials;

pub use cli::run;
pub use once::NO_PANIC;
pub use panics::catch;
pub use trials::trials;
