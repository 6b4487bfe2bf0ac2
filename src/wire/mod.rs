//! What the Worker, the shards, the coordinator and the container objects say to each other.
//!
//! Every message is plain JSON in camelCase, so that JavaScript can speak it too. During a deploy old and new code
//! talk to each other for minutes: a field is only ever added, with a default, and an unknown field is ignored.

pub mod agent;
pub mod coordinator;
pub mod headers;
pub mod metrics;
pub mod shard;

/// The name of the one [`PoolCoordinator`](crate::PoolCoordinator) object.
pub const COORDINATOR_NAME: &str = "coordinator";
