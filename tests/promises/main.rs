//! The promises, on one shard, a few siblings, or the coordinator, in virtual time: a file per promise.
//!
//! `world` drives the machine as the Durable Object does, over scripted containers, and checks after every step what must
//! always hold.

// A test may panic: that is how it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod desk;
mod siblings;
mod world;

mod accounted;
mod advice;
mod borrowing;
mod bounded;
mod capacity;
mod capacity_random;
mod changes;
mod converging;
mod coordinator_free_hot_path;
mod counted;
mod deploys;
mod exclusive;
mod moving_ids;
mod resharding;
mod shard_credits;
mod single;
mod sticky;
mod told;
mod unknown_is_not_dead;
mod unwedgeable;
mod warm_shares;
