//! What goes into the peer's pool and what comes out of it.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ContainerId, SessionId};

#[cfg(doc)]
use super::PeerConfig;
use super::PeerRows;

/// In the error of a start that the platform refuses for want of room. The library looks for it in this spelling only.
pub const CAPACITY_MESSAGE: &str = "Maximum number of running container instances exceeded";

/// An RPC of the pool that is under way. Numbers start again with each life of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallNo(pub u64);

/// Who waits for an answer of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerCaller(pub u64);

/// What happens to the pool.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerInput {
    /// A client sends its settings, with the defaults where it has none: [`PeerConfig::default`].
    Configure {
        warm_target: u32,
        refresh_interval: Millis,
    },
    GetContainer {
        caller: PeerCaller,
        id: SessionId,
    },
    /// A container says that it has stopped, by whatever text it takes for its name.
    ReportStopped(String),
    /// Answered with `Ok(None)`: the numbers are in the rows.
    Stats {
        caller: PeerCaller,
    },
    /// Answered with `Ok(None)`.
    ShutdownPrewarmed {
        caller: PeerCaller,
    },
    Alarm,
    /// A call has ended. One the object does not know, or has ended before, is ignored.
    Ended {
        call: CallNo,
        result: PeerResult,
    },
}

/// What the library calls on a container. It never calls `destroy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerCall {
    GetState,
    /// `startAndWaitForPorts`
    Start,
    Stop,
    Renew,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerResult {
    Done,
    State(PeerStatus),
    /// The error's message.
    Threw(String),
}

/// The status in a container's answer to `getState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerStatus {
    Running,
    Healthy,
    Stopping,
    Stopped,
    StoppedWithCode,
}

/// What the pool wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerEffect {
    /// Replace what is stored.
    Save(PeerRows),
    /// Set the one alarm, in place of any other.
    SetAlarm(Millis),
    Call {
        call: CallNo,
        container: ContainerId,
        what: PeerCall,
    },
    Reply {
        caller: PeerCaller,
        result: Result<Option<ContainerId>, String>,
    },
}
