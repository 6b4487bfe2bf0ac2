//! Sharded, config-driven warm pools for Cloudflare Containers, on Durable Objects.
//!
//! Containers are started before they are needed and handed out with a sticky 1:1 mapping `id -> container`.
//!
//! # Promises
//!
//! | name | promise |
//! |---|---|
//! | exclusive | a container serves at most one id in its whole life; once used it never becomes warm again |
//! | sticky | while its container lives, an id gets that container: across restarts, deploys, config changes and changes of the shard count |
//! | single | an id never has two live containers: concurrent first calls share one start, a replaced container is fenced and destroyed |
//! | accounted | a container is written down before it is started and stays on the books until it is confirmed gone |
//! | bounded | starting, warm, assigned and draining containers together never exceed `max_instances`, over all shards |
//! | converging | once faults stop, every pool is at its target within a few refresh intervals |
//! | unwedgeable | nothing learned (a ceiling, a backoff, a breaker, a migration) blocks for ever |
//! | coordinator-free hot path | a container is had while the coordinator is unreachable |
//! | all-or-nothing config | a bad config is refused whole, with every error; the old one keeps serving |
//! | unknown is not dead | an RPC error proves nothing about a container |
//!
//! `docs/promises.md` tells of each why it holds, which tests stand for it, and what is not promised.
//!
//! # Who may import whom
//!
//! `config`, `core` and `wire` are pure: no Workers API, no JavaScript, no clock, no randomness, no `async`. `core` sees only
//! `config::resolved` and itself; `wire` sees those two; `store` turns rows into state and back and is the only user of SQL;
//! `json` is how both write; `edge` sees everything, and only this file sees `edge`. `tests/imports.rs` enforces it.

pub mod config;
pub mod core;
mod edge;
pub mod embedded;
mod json;
#[cfg(test)]
mod openapi;
mod store;
pub mod wire;

pub use edge::client::{WarmPools, create_warm_pool, get_warm_pool};
pub use edge::{ContainerAgent, PoolCoordinator, WarmPool, client, gateway};
