//! Header names, and how an id travels in one.
//!
//! Internal headers are put on by the gateway or the client after everything a caller sent under the same prefixes was
//! removed, so a container object can trust them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::core::id::{Epoch, SessionId};

/// How the id came by its container; on responses.
pub const OUTCOME: &str = "x-warm-pool";
/// Why the container was not warm, or not the one before; on responses.
pub const REASON: &str = "x-warm-pool-reason";
/// The id a request to an agent is for, percent-encoded.
pub const SESSION: &str = "x-warm-pool-session";
/// The epoch of the assignment, decimal.
pub const EPOCH: &str = "x-warm-pool-epoch";
/// The pool that a request to an agent comes from. Pools that share a container class have the same ids and epochs; the
/// name keeps one's requests from the other's containers.
pub const POOL: &str = "x-warm-pool-name";
/// Set by an agent on a response of its own (never the container's): a [`FenceRefusal`] as text.
pub const FENCE: &str = "x-warm-pool-fence";

/// Headers with these prefixes (lower case) neither come in at the edge nor go out, but for [`OUTCOME`] and [`REASON`]: ours, and those that steer
/// `@cloudflare/containers` and `@cloudflare/sandbox`.
pub const RESERVED_PREFIXES: [&str; 3] = ["x-warm-pool", "cf-container-", "x-sandbox-"];

/// Why an agent did not pass a request on. Nothing of the request has reached the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceRefusal {
    /// The container does not serve this id at this epoch: ask the shard again.
    NotYours,
    /// The lease ran out and the shard could not be asked.
    Unconfirmed,
    /// The container does not run any more.
    Gone,
}

impl FenceRefusal {
    /// The word in the header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotYours => "not-yours",
            Self::Unconfirmed => "unconfirmed",
            Self::Gone => "gone",
        }
    }

    /// Reads the word in the header.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::NotYours, Self::Unconfirmed, Self::Gone].into_iter().find(|refusal| refusal.as_str() == word)
    }
}

const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// An id as a header value.
pub fn encode_session(id: &SessionId) -> String {
    utf8_percent_encode(id.as_str(), KEEP).to_string()
}

/// An id from a header value; none when it is not one.
pub fn decode_session(value: &str) -> Option<SessionId> {
    let text = percent_decode_str(value).decode_utf8().ok()?;
    SessionId::try_from(text.into_owned()).ok()
}

/// An epoch from a header value; none when it is not one.
pub fn decode_epoch(value: &str) -> Option<Epoch> {
    value.parse().ok().map(Epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_header() {
        for text in ["alice", "ä/ö %25 \u{1F600}", "a=b;c"] {
            let id = SessionId::try_from(text.to_owned()).unwrap();
            let value = encode_session(&id);
            assert!(value.is_ascii());
            assert_eq!(decode_session(&value), Some(id));
        }
        assert_eq!(decode_session("%ff"), None);
        assert_eq!(decode_session(""), None);
    }

    #[test]
    fn every_header_of_ours_is_reserved() {
        for name in [OUTCOME, REASON, POOL, SESSION, EPOCH, FENCE] {
            assert!(RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)), "{name}");
        }
    }
}
