//! One event.

use std::fmt;

use serde_json::{Map, Value};

use crate::config::resolved::{Millis, PoolName};
use crate::core::id::{ContainerId, Epoch, SessionId};
use crate::core::outcome::Outcome;
use crate::core::route;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "EventKind", rename_all = "kebab-case"))]
pub enum Kind {
    /// A container is ready, and warm.
    Started,
    /// A container did not become ready.
    StartFailed,
    /// A container was given to an id.
    Assigned,
    /// An id is done with its container.
    Released,
    /// A warm container has come from a sibling.
    Borrowed,
    /// A warm container goes to a sibling.
    Lent,
    /// A container is on its way out.
    Drained,
    /// A container is confirmed gone.
    Gone,
    /// The platform has no room for more containers of the shard, as far as the shard believes.
    CeilingLearned,
    /// The shard believes so no longer.
    CeilingExpired,
    /// Starts keep failing: one at a time probes, and callers are told at once.
    BreakerOpened,
    /// They no longer do, or the configuration has changed.
    BreakerClosed,
    /// A version of the configuration is in force.
    ConfigApplied,
    /// Ids move to other shards, because there are more or fewer.
    MigrationBegan,
    /// All have moved.
    MigrationEnded,
}

impl Kind {
    /// The word of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::StartFailed => "start-failed",
            Self::Assigned => "assigned",
            Self::Released => "released",
            Self::Borrowed => "borrowed",
            Self::Lent => "lent",
            Self::Drained => "drained",
            Self::Gone => "gone",
            Self::CeilingLearned => "ceiling-learned",
            Self::CeilingExpired => "ceiling-expired",
            Self::BreakerOpened => "breaker-opened",
            Self::BreakerClosed => "breaker-closed",
            Self::ConfigApplied => "config-applied",
            Self::MigrationBegan => "migration-began",
            Self::MigrationEnded => "migration-ended",
        }
    }
}

/// Stands for an id of a session where the id itself must not be shown: equal for equal ids of a pool, and, but by chance, only for
/// those. No secret is in it: who can guess an id can tell whether it is this one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionHash(u64);

impl SessionHash {
    /// The hash of an id.
    pub fn of(pool: &PoolName, id: &SessionId) -> Self {
        // Not the one that chooses the shard: of that nothing is to be learned here.
        Self(route::key_hash(pool, id, 1))
    }
}

impl fmt::Display for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An event, but for the pool and the shard, which whoever stores it knows. What does not apply is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, by the clock of the object where it happened.
    pub at: Millis,
    /// What.
    pub kind: Kind,
    /// The container.
    pub container: Option<ContainerId>,
    /// The epoch at which it serves, or served, its id.
    pub epoch: Option<Epoch>,
    /// The hash of that id.
    pub session: Option<SessionHash>,
    /// How the id came by it.
    pub outcome: Option<Outcome>,
    /// Why: a word of a closed set that depends on the kind.
    pub reason: Option<&'static str>,
    /// What there is to say besides, for people.
    pub message: Option<String>,
    /// The shard that it came from, or the count of shards that there were.
    pub from: Option<u32>,
    /// The shard that it goes to, or the count of shards that there are.
    pub to: Option<u32>,
    /// The most containers that the platform seems to have room for.
    pub limit: Option<u32>,
    /// The version of the configuration.
    pub version: Option<u64>,
}

impl Entry {
    /// An event of which nothing is told but what it is.
    pub const fn new(at: Millis, kind: Kind) -> Self {
        Self {
            at,
            kind,
            container: None,
            epoch: None,
            session: None,
            outcome: None,
            reason: None,
            message: None,
            from: None,
            to: None,
            limit: None,
            version: None,
        }
    }

    /// The same, of a container.
    pub fn of(at: Millis, kind: Kind, container: ContainerId) -> Self {
        Self { container: Some(container), ..Self::new(at, kind) }
    }

    /// As it is sent, stored and shown: a key for each thing that applies.
    pub fn into_json(self) -> Map<String, Value> {
        let Self { at, kind, container, epoch, session, outcome, reason, message, from, to, limit, version } = self;
        let number = |value: Option<u32>| value.map(Value::from);
        let all = [
            ("at", Some(at.0.into())),
            ("kind", Some(kind.as_str().into())),
            ("container", container.map(|container| container.to_string().into())),
            ("epoch", epoch.map(|epoch| epoch.0.into())),
            ("session", session.map(|session| session.to_string().into())),
            ("outcome", outcome.map(|outcome| outcome.as_str().into())),
            ("reason", reason.map(Value::from)),
            ("message", message.map(Value::from)),
            ("from", number(from)),
            ("to", number(to)),
            ("limit", number(limit)),
            ("version", version.map(Value::from)),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(pool: &str, id: &str) -> String {
        let (pool, id) = (pool.to_owned().try_into().unwrap(), id.to_owned().try_into().unwrap());
        SessionHash::of(&pool, &id).to_string()
    }

    #[test]
    fn a_session_is_shown_as_sixteen_digits_that_are_always_the_same() {
        assert_eq!(hash("p", "alice").len(), 16);
        assert_eq!(hash("p", "alice"), hash("p", "alice"));
        assert_ne!(hash("p", "alice"), hash("q", "alice"));
        assert_ne!(hash("p", "alice"), hash("p", "alicf"));
    }

    #[test]
    fn an_event_has_no_key_for_what_does_not_apply() {
        let json = Entry { limit: Some(3), ..Entry::new(Millis(7), Kind::CeilingLearned) }.into_json();
        assert_eq!(Value::Object(json).to_string(), r#"{"at":7,"kind":"ceiling-learned","limit":3}"#);
    }
}
