//! The promises, on one shard in virtual time: a file per promise.
//!
//! `world` drives the machine as the Durable Object does, over scripted containers, and checks after every step what must
//! always hold.

// A test may panic: that is how it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

mod accounted;
mod bounded;
mod converging;
mod coordinator_free_hot_path;
mod deploys;
mod exclusive;
mod single;
mod sticky;
mod unknown_is_not_dead;
mod unwedgeable;
