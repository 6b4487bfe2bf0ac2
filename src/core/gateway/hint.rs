//! The id cache in KV: which container an id had, as far as some isolate somewhere knew.
//!
//! A hint is up to an hour old, may be lost, and may be written by anybody who can write to the namespace. So it is only
//! a guess at a container to try, never more: the fence of the container decides.
//!
//! So a hint is read only for a pool whose class is known to have a fence, by a shard's own word ([`Fences`](super::Fences)):
//! of a class without one, the object that a hint names would start a container that nobody knows of, and serve whoever
//! comes. And it is tried only by a request that may be sent again in any case ([`Replay::Anytime`](super::Replay)): behind
//! a forged name there may be nothing that could turn a request away. Who finds a hint wrong mends it ([`correction`]).

use std::fmt::Write;
use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::cache::Sticky;
use crate::config::resolved::PoolName;
use crate::core::id::{ContainerId, Epoch, SessionId};

/// How long a hint is kept, in seconds. KV allows 60 at least.
pub const HINT_TTL_SECS: u64 = 3600;
/// The longest value that is read, in bytes. A hint has less than 100.
pub const MAX_HINT_LEN: usize = 1024;

/// The key of an id: `v1:` and 128 bits of the pool and the id, each with its length in front, in hex. So keys have one
/// length (35 bytes of the 512 that KV allows), no id is readable, and no two pools share a key.
pub fn key(pool: &PoolName, id: &SessionId) -> String {
    let mut key = String::with_capacity(3 + 32);
    key.push_str("v1:");
    for seed in [1, 2] {
        let mut hasher = XxHash64::with_seed(seed);
        for part in [pool.as_str(), id.as_str()] {
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part.as_bytes());
        }
        // Writing to a string does not fail.
        let _ = write!(key, "{:016x}", hasher.finish());
    }
    key
}

/// The value of a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hint {
    container: ContainerId,
    epoch: Epoch,
}

/// A hint as the text to store.
pub fn value(sticky: Sticky) -> String {
    let Sticky { container, epoch } = sticky;
    format!("{{\"container\":\"{container}\",\"epoch\":{}}}", epoch.0)
}

/// A hint from what was stored; none when it is none.
pub fn parse(value: &str) -> Option<Sticky> {
    if value.len() > MAX_HINT_LEN {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(value).ok()?;
    let Hint { container, epoch } = serde_json::from_value(value).ok()?;
    Some(Sticky { container, epoch })
}

/// What is to be done about a wrong hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// Write this one instead.
    Write(Sticky),
    /// The id has a container that no hint may name: forget what is there.
    Forget,
}

/// What is to be done about a hint that was tried, now that the shard has said what `id` has: `answer` is what may be
/// remembered of it. None when the hint was right.
pub fn correction(tried: Sticky, answer: Option<Sticky>) -> Option<Correction> {
    match answer {
        Some(answer) => (answer != tried).then_some(Correction::Write(answer)),
        None => Some(Correction::Forget),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_hint_makes_way_for_the_shards_answer() {
        let sticky = |n: u64| Sticky { container: ContainerId::from_random(n.into()), epoch: Epoch(n) };
        assert_eq!(correction(sticky(1), Some(sticky(2))), Some(Correction::Write(sticky(2))));
        assert_eq!(correction(sticky(1), Some(sticky(1))), None);
        assert_eq!(correction(sticky(1), None), Some(Correction::Forget));
    }

    fn key_of(pool: &str, id: &str) -> String {
        key(&PoolName::try_from(pool.to_owned()).unwrap(), &SessionId::try_from(id.to_owned()).unwrap())
    }

    #[test]
    fn a_key_is_pinned_and_unambiguous() {
        assert_eq!(key_of("python", "alice"), "v1:c7a1bae187cd22b857c6ccf6a40ed63f");
        assert_ne!(key_of("ab", "c"), key_of("a", "bc"));
        assert_eq!(key_of("p", &"ä".repeat(128)).len(), 35);
    }

    #[test]
    fn a_hint_survives_storage_and_nothing_else_is_one() {
        let sticky = Sticky { container: ContainerId::from_random(7), epoch: Epoch(42) };
        assert_eq!(parse(&value(sticky)), Some(sticky));
        let bare = ContainerId::from_random(7);
        for hostile in [
            String::new(),
            "null".to_owned(),
            "[]".to_owned(),
            bare.to_string(),
            format!("{{\"container\":\"{bare}\"}}"),
            format!("{{\"container\":\"{bare}\",\"epoch\":-1}}"),
            format!("{{\"container\":\"{bare}\",\"epoch\":\"1\"}}"),
            "{\"container\":\"../0\",\"epoch\":1}".to_owned(),
            format!("{}{}", value(sticky), " ".repeat(MAX_HINT_LEN)),
            "[".repeat(MAX_HINT_LEN),
        ] {
            assert_eq!(parse(&hostile), None, "{hostile}");
        }
    }
}
