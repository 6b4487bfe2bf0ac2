//! The model shows the library's normal behaviour and each of its faults, by short scripts of what happens to it.
//!
//! Each file lists its tests in `TRIALS`, for the target's own `main`; one that is forgotten there is dead code.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod faults;
mod normal;
mod script;

/// A test's name and what it does. It panics when it fails.
pub type Trial = (&'static str, fn());

/// All tests of the model.
pub fn trials() -> impl Iterator<Item = Trial> {
    normal::TRIALS.iter().chain(faults::TRIALS).copied()
}
