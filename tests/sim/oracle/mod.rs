//! What is true, and whether every promise is kept.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::resolved::{Millis, PoolName};
use cf_warm_pools::core::gateway::DenialCode;
use cf_warm_pools::core::id::{ContainerId, SessionId};
use cf_warm_pools::core::outcome::RefusalCode;

use crate::world::message::RequestNo;
use crate::world::platform::Kind;

/// What became of a user's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// This container served it.
    Served(ContainerId),
    /// It was released, looked up, or whatever else it asked for.
    Done,
    /// The router's configuration has no such pool.
    NoPool,
    /// The shard refused it.
    Refused(RefusalCode),
    /// The router gave up.
    Denied(DenialCode),
    /// The shard did not answer.
    Unreachable,
    /// The isolate it ran in was lost.
    Lost,
}

/// The oracle.
#[derive(Debug)]
pub struct Oracle {}

impl Oracle {
    pub fn new() -> Self {
        Self {}
    }

    /// The platform started a process.
    pub fn process_started(&mut self, now: Millis, container: ContainerId, kind: Kind) {}

    /// A process has ended.
    pub fn process_ended(&mut self, now: Millis, container: ContainerId) {}

    /// A process has got a request for an id.
    pub fn served(&mut self, now: Millis, container: ContainerId, pool: &PoolName, session: &SessionId) {}

    /// A user asks for something; at `by` at the latest there is an answer.
    pub fn asked(&mut self, now: Millis, request: RequestNo, pool: u32, session: &SessionId, by: Millis) {}

    /// The user has an answer.
    pub fn answered(&mut self, now: Millis, request: RequestNo, fate: Fate) {}

    /// A promise is broken, which the object itself has found.
    pub fn broken(&mut self, now: Millis, promise: &'static str, what: String) {}
}
