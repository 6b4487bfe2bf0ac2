//! What the pages say, worked out from the JSON documents of the admin API.
//!
//! Every key may be missing: documents of older and newer Workers have others. What is missing is told as such.

mod config;
mod event;
pub mod format;
mod overview;
mod pool;
mod read;
mod shard;

pub use config::{Change, Mistake, PoolPlan, Revision, changes, mistakes, plan, revisions};
pub use event::{Event, events};
pub use overview::Overview;
pub use pool::{Cost, Counted, Latency, PoolView, StartError, State, Status};
pub use shard::{ShardView, Strip, strip};
