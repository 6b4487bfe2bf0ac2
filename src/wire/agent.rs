//! Between a shard and a container object: the five methods of a `Container` class of `@cloudflare/containers`
//! (`getState`, `startAndWaitForPorts`, `stop`, `destroy`, `renewActivityTimeout`), with what the Rust agent adds.
//!
//! A JavaScript class ignores the argument of `startAndWaitForPorts` and answers nothing, or throws: so an answer
//! tells an agent from a JavaScript class.

use serde::{Deserialize, Serialize};

use crate::config::resolved::{Millis, Start};
use crate::core::failure::StartFailure;
use crate::core::id::{ContainerId, Epoch, SessionId, ShardId};

/// The argument of `startAndWaitForPorts`. Idempotent: a repeated call for a container that starts or runs waits for
/// the same start; for one that has stopped it fails, for a container has one life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartRequest {
    /// The container's own name (its object may not know it).
    pub container: ContainerId,
    /// The shard that has it on its books: the one to report to and to ask for leases.
    pub owner: ShardId,
    /// What to start, and when it is ready.
    pub start: Start,
    /// How long it may be idle before it stops itself.
    pub sleep_after: Millis,
    /// How long it serves an id before it asks `owner` again.
    pub lease_ttl: Millis,
    /// How long after SIGTERM it is destroyed.
    pub drain_timeout: Millis,
}

/// What an agent answers to `startAndWaitForPorts`. It never throws for a start that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StartReply {
    /// The container is ready, its setup done.
    Ready,
    /// It is not, and will not be: it must be destroyed.
    Failed(StartFailure),
}

/// What `getState` says, in the words of `@cloudflare/containers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateReply {
    /// The state.
    pub status: Status,
    /// When it was reached, in ms since 1970, by the container object's clock.
    #[serde(default)]
    pub last_change: u64,
    /// The exit code of a container that stopped with one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<i32>,
}

/// A container's state, in the words of `@cloudflare/containers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It runs, and may not answer yet.
    Running,
    /// It runs and answers.
    Healthy,
    /// It got a signal to stop.
    Stopping,
    /// It does not run.
    Stopped,
    /// It ended by itself.
    StoppedWithCode,
}

impl Status {
    /// The status of this word, in which it travels.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "running" => Self::Running,
            "healthy" => Self::Healthy,
            "stopping" => Self::Stopping,
            "stopped" => Self::Stopped,
            "stopped_with_code" => Self::StoppedWithCode,
            _ => return None,
        })
    }
}

/// What an agent asks its owner (`confirmLease`) before it serves an id whose lease it does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseRequest {
    /// The container that asks.
    pub container: ContainerId,
    /// The id it was asked to serve.
    pub session: SessionId,
    /// At which epoch.
    pub epoch: Epoch,
}

/// The answer to a [`LeaseRequest`].
pub use crate::core::shard::LeaseReply;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_known_by_the_word_it_is_sent_as() {
        for status in [Status::Running, Status::Healthy, Status::Stopping, Status::Stopped, Status::StoppedWithCode] {
            let word = serde_json::to_value(status).unwrap();
            assert_eq!(Status::from_word(word.as_str().unwrap()), Some(status));
        }
        assert_eq!(Status::from_word("Healthy"), None);
    }
}
