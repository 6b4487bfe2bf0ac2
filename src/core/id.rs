//! The identities the machines work with. A value that exists is valid.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::resolved::PoolName;

/// The longest session id, in bytes.
pub const MAX_SESSION_ID_LEN: usize = 256;

/// What a caller asks a container for: a user, a session, a job. 1 to [`MAX_SESSION_ID_LEN`] bytes of UTF-8
/// without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Box<str>);

impl SessionId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id that a caller gives. One with U+FFFD is refused: the runtime and JavaScript put that in place of what is no text (a
    /// header in Latin-1, half of a surrogate pair), and so it may be several ids that have become one.
    ///
    /// # Errors
    ///
    /// As for any text that is no id, and [`SessionIdError::Unreadable`].
    pub fn from_caller(id: impl Into<String>) -> Result<Self, SessionIdError> {
        let id = id.into();
        if id.contains(char::REPLACEMENT_CHARACTER) {
            return Err(SessionIdError::Unreadable);
        }
        Self::try_from(id)
    }
}

/// For ids that are known already, from rows and messages.
impl TryFrom<String> for SessionId {
    type Error = SessionIdError;

    fn try_from(id: String) -> Result<Self, SessionIdError> {
        if id.is_empty() {
            return Err(SessionIdError::Empty);
        }
        if id.len() > MAX_SESSION_ID_LEN {
            return Err(SessionIdError::TooLong(id.len()));
        }
        if id.chars().any(char::is_control) {
            return Err(SessionIdError::ControlCharacter);
        }
        Ok(Self(id.into_boxed_str()))
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0.into()
    }
}

/// Why a text is not a session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionIdError {
    /// It has no characters.
    #[error("the id is empty")]
    Empty,
    /// It has too many bytes.
    #[error("the id has {0} bytes; at most {MAX_SESSION_ID_LEN} are allowed")]
    TooLong(usize),
    /// It has a control character.
    #[error("the id has a control character")]
    ControlCharacter,
    /// It has U+FFFD.
    #[error("the id has U+FFFD, which stands for what is no UTF-8: send it percent-encoded, or in letters of ASCII")]
    Unreadable,
}

/// A container: the UUID that names its Durable Object. It is used for one container in its whole life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId([u64; 2]);

impl ContainerId {
    /// Comes before every container: no random UUID is nil.
    pub(super) const BEFORE_ALL: Self = Self([0, 0]);

    /// The container of 128 random bits.
    pub const fn from_random(bits: u128) -> Self {
        Self::of(uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid())
    }

    /// Two halves, because a number of 128 bits wants 16 bytes of alignment, which costs as much again wherever one is kept.
    const fn of(uuid: uuid::Uuid) -> Self {
        let (high, low) = uuid.as_u64_pair();
        Self([high, low])
    }

    const fn uuid(self) -> uuid::Uuid {
        let Self([high, low]) = self;
        uuid::Uuid::from_u64_pair(high, low)
    }

    /// How long it is as text, in bytes.
    pub const TEXT_LENGTH: usize = uuid::fmt::Hyphenated::LENGTH;

    /// Its text, without an allocation.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; Self::TEXT_LENGTH]) -> &'b str {
        self.uuid().as_hyphenated().encode_lower(buffer)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid().as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContainerId {
    type Err = ContainerIdError;

    /// Only the hyphenated lower-case form is read: a container has one spelling, as its object has one name.
    fn from_str(text: &str) -> Result<Self, ContainerIdError> {
        let uuid = uuid::Uuid::try_parse(text).map_err(|_| ContainerIdError)?;
        let mut spelling = uuid::Uuid::encode_buffer();
        if uuid.as_hyphenated().encode_lower(&mut spelling) == text {
            Ok(Self::of(uuid))
        } else {
            Err(ContainerIdError)
        }
    }
}

impl TryFrom<String> for ContainerId {
    type Error = ContainerIdError;

    fn try_from(text: String) -> Result<Self, ContainerIdError> {
        text.parse()
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.to_string()
    }
}

/// A text that is not a hyphenated lower-case UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a container is named by a lower-case UUID with hyphens")]
pub struct ContainerIdError;

/// Orders the containers an id has had: a later assignment has a higher epoch, by whichever shard.
/// Below 2^53, so that it survives JavaScript numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Which of a pool's shards: 0 to the shard count, exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ShardIndex(pub u32);

/// One shard of one pool. As text, `{pool}/{shard}`, it names the shard's Durable Object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId {
    /// The pool.
    pub pool: PoolName,
    /// Which of its shards.
    pub index: ShardIndex,
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pool, self.index.0)
    }
}

impl FromStr for ShardId {
    type Err = ShardIdError;

    fn from_str(name: &str) -> Result<Self, ShardIdError> {
        let (pool, index) = name.rsplit_once('/').ok_or(ShardIdError)?;
        let pool = PoolName::try_from(pool.to_owned()).map_err(|_| ShardIdError)?;
        let index = index.parse().map_err(|_| ShardIdError)?;
        let id = Self { pool, index: ShardIndex(index) };
        // One object per shard: `python/00` must not be a second `python/0`.
        if id.to_string() == name { Ok(id) } else { Err(ShardIdError) }
    }
}

/// A text that does not name a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a WarmPool object is named `{{pool}}/{{shard}}`, for example `python/0`")]
pub struct ShardIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_name_is_pinned_and_has_one_spelling() {
        let id: ShardId = "python/3".parse().unwrap();
        assert_eq!(id.to_string(), "python/3");
        for bad in ["python", "python/", "/3", "python/03", "python/+3", "python/-1", "py thon/3", "a/b/3"] {
            assert_eq!(bad.parse::<ShardId>(), Err(ShardIdError), "{bad}");
        }
    }

    #[test]
    fn a_container_has_one_spelling() {
        let id = ContainerId::from_random(0xabc);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse::<ContainerId>(), Err(ContainerIdError));
        assert_eq!(id.to_string().replace('-', "").parse::<ContainerId>(), Err(ContainerIdError));
    }

    #[test]
    fn a_session_id_has_limits() {
        let parse = |text: &str| SessionId::try_from(text.to_owned());
        assert!(parse("alice").is_ok());
        assert!(parse(&"x".repeat(256)).is_ok());
        assert_eq!(parse(""), Err(SessionIdError::Empty));
        assert_eq!(parse(&"x".repeat(257)), Err(SessionIdError::TooLong(257)));
        assert_eq!(parse("a\nb"), Err(SessionIdError::ControlCharacter));
    }

    #[test]
    fn what_could_not_be_read_is_nobodys_id_unless_it_has_been() {
        assert_eq!(SessionId::from_caller("Jos\u{fffd}"), Err(SessionIdError::Unreadable));
        assert_eq!(SessionId::from_caller("a\nb"), Err(SessionIdError::ControlCharacter));
        assert_eq!(SessionId::from_caller("José").unwrap().as_str(), "José");
        assert!(SessionId::try_from("Jos\u{fffd}".to_owned()).is_ok(), "rows of former code stay readable");
    }
}
