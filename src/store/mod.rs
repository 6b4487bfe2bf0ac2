//! Rows and the state they stand for. The only user of SQL.
//!
//! Each Durable Object has one schema, which its numbered migrations bring about. What a step wants written is
//! written in one transaction, or not at all.

mod columns;
mod coordinator;
mod events;
pub mod records;
mod shard;
mod sql;

pub use coordinator::{CoordinatorRows, load_coordinator, save_coordinator};
pub use events::load_events;
pub use shard::{load_shard, save_shard};
pub use sql::{Database, StoreError};
