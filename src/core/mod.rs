//! The state machines, without I/O.
//!
//! Everything here is a deterministic function of its arguments: no clock, no randomness, no JavaScript, no `async`. Time
//! comes in as `now`, randomness through [`shard::Entropy`], and what is to be done goes out as values. Each machine has one
//! entry, `step(now, input, &mut effects)`, which the Durable Objects and the simulator call alike.

pub mod agent;
pub mod allotment;
pub mod coordinator;
pub mod failure;
pub mod gateway;
pub mod id;
pub mod journal;
#[doc(hidden)]
pub mod mutants;
pub mod outcome;
pub mod plan;
pub mod route;
pub mod shard;
pub mod share;
pub mod sorted;
pub mod stats;
pub mod timers;
