//! The simulator: a whole deployment in virtual time, under faults, watched by an oracle.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)]

mod dice;
mod faults;
mod objects;
mod oracle;
mod schedule;
mod trace;
mod world;

fn main() {}
