//! The adapters between the machines and the Workers runtime: Durable Objects, RPC, the gateway.

mod abort;
mod agent_do;
mod alarm;
mod background;
mod bundled;
mod class;
pub mod client;
mod container;
mod container_rpc;
mod coordinator_do;
mod entropy;
pub mod gateway;
mod intern;
mod join;
pub mod js;
mod kv_cache;
mod log;
mod rpc;
mod script;
mod warm_pool_do;

pub use agent_do::ContainerAgent;
pub use coordinator_do::PoolCoordinator;
pub use warm_pool_do::WarmPool;
