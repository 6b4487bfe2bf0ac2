//! The configuration as the rest of the crate uses it.
//!
//! A value of these types is valid: names are well formed, durations and counts are within [their limits](super::limits),
//! every route names a pool that exists. The way in from the outside is [`super::parse_value`], which reports every
//! error at once. [`Config`], [`Pool`] and [`Start`] also serialise, as the document they would be read from, so that
//! one Durable Object can hand them to another; deserialising checks the same limits and rules again, and ignores keys
//! that it does not know, for the other side may be newer.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

use super::cover::Pattern;
pub use super::instance::{InstanceType, Prices, Size};

/// A duration in whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// `secs` seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1000)
    }

    /// This pause after it was doubled `times`, at most `max`.
    pub fn doubled(self, times: u32, max: Self) -> Self {
        Self(self.0.saturating_mul(1 << times.min(32)).min(max.0))
    }
}

impl Add for Millis {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Millis {
    type Output = Self;

    /// 0 when `other` is longer: a clock that went back is no reason to wait for ever.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// The longest pool name, in bytes. With the shard index it makes a Durable Object name, which may have 1,024.
pub const MAX_POOL_NAME_LEN: usize = 64;

/// The most shards a pool may have.
pub const MAX_SHARDS: u32 = 256;

/// The name of a pool: 1 to [`MAX_POOL_NAME_LEN`] of `a-z A-Z 0-9 _ -`, starting with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PoolName(String);

impl PoolName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PoolName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        let well_formed = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && name.len() <= MAX_POOL_NAME_LEN;
        if well_formed { Ok(Self(name)) } else { Err(NameError { what: "pool name", name }) }
    }
}

impl From<PoolName> for String {
    fn from(name: PoolName) -> Self {
        name.0
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a binding of the Worker: a JavaScript identifier of 1 to 64 of `A-Z a-z 0-9 _ $`, not starting with a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BindingName(String);

impl BindingName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BindingName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        let well_formed = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
            && name.len() <= 64;
        if well_formed { Ok(Self(name)) } else { Err(NameError { what: "binding name", name }) }
    }
}

impl From<BindingName> for String {
    fn from(name: BindingName) -> Self {
        name.0
    }
}

impl fmt::Display for BindingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that is not well formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a valid {what}")]
pub struct NameError {
    what: &'static str,
    name: String,
}

/// How many shards a pool has: 1 to [`MAX_SHARDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "u32", into = "u32")]
pub struct ShardCount(u32);

impl ShardCount {
    /// One shard.
    pub const ONE: Self = Self(1);

    /// The count as a number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for ShardCount {
    type Error = ShardCountError;

    fn try_from(count: u32) -> Result<Self, ShardCountError> {
        if (1..=MAX_SHARDS).contains(&count) { Ok(Self(count)) } else { Err(ShardCountError(count)) }
    }
}

impl From<ShardCount> for u32 {
    fn from(count: ShardCount) -> Self {
        count.0
    }
}

/// A shard count outside 1 to [`MAX_SHARDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} shards; a pool has 1 to {MAX_SHARDS}")]
pub struct ShardCountError(u32);

/// Every pool and every route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The pools by name.
    pub pools: BTreeMap<PoolName, Pool>,
    /// The routes in order: the first that matches wins.
    pub routes: Vec<Route>,
    /// What containers cost.
    pub prices: Prices,
}

/// One pool. Durations are wall-clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The Durable Object binding of the container class.
    pub container: BindingName,
    /// Containers kept started ahead of need, over all shards.
    pub warm_target: u32,
    /// How often health is checked and warm containers are kept from sleeping.
    pub refresh_interval: Millis,
    /// How many shard objects the pool is spread over.
    pub shards: ShardCount,
    /// The most containers at once over all shards, in whatever state; none means the platform's own limit.
    pub max_instances: Option<u32>,
    /// KV namespace binding that caches where an id lives.
    pub id_cache: Option<BindingName>,
    /// How long a container may be idle before it stops itself; longer than `refresh_interval`.
    pub sleep_after: Millis,
    /// How long a request waits for a container before it fails.
    pub acquire_timeout: Millis,
    /// How many starts one shard has under way at once.
    pub max_concurrent_starts: u32,
    /// How long an agent serves an id before it asks its shard again.
    pub lease_ttl: Millis,
    /// How long a container without a fence may be unreachable before its id gets another.
    pub unreachable_timeout: Millis,
    /// How long a container has after SIGTERM before it is destroyed.
    pub drain_timeout: Millis,
    /// How large its containers are.
    pub instance_type: InstanceType,
    /// What the Rust agent needs to know to start a container.
    pub start: Start,
}

impl Pool {
    /// This pool over another shard count: the one that stays in force until a change of it may begin. None when its
    /// `max_instances` would not give each of so many shards one container.
    pub fn with_shards(&self, shards: ShardCount) -> Option<Self> {
        let fits = self.max_instances.is_none_or(|max| max >= shards.get());
        fits.then(|| Self { shards, ..self.clone() })
    }
}

/// How a container of the pool is started, and when it counts as ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Ports that must answer before the container is ready; requests go to the first. Never empty after parsing.
    pub ports: Vec<u16>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Whether the container may reach the internet.
    pub enable_internet: bool,
    /// Labels for the platform's metrics.
    pub labels: BTreeMap<String, String>,
    /// When the container counts as ready.
    pub ready: Ready,
    /// A request sent once after readiness, before the container counts as warm.
    pub setup: Option<Setup>,
}

/// The readiness probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Path that must answer below 500; none means that any HTTP answer of the port will do.
    pub path: Option<String>,
    /// How long start and readiness together may take.
    pub timeout: Millis,
}

/// A request sent once to a container that has become ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// HTTP method, upper case.
    pub method: String,
    /// Path and query, starting with `/`.
    pub path: String,
    /// The status that means success.
    pub expect: u16,
    /// How long it may take.
    pub timeout: Millis,
}

/// Which requests go to which pool, and where their id is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The pool; it exists.
    pub pool: PoolName,
    /// The host to match, lower case, exact or `*.example.com`.
    pub host: Option<String>,
    /// The path to match: exact, or a prefix that ends in `/*`. `/python/*` also matches `/python`.
    pub path: Option<String>,
    /// Whether the matched prefix is removed before the container sees the path.
    pub strip_prefix: bool,
    /// Where the id is.
    pub id: IdSource,
    /// The id of requests that carry none; without it they are refused.
    pub default_id: Option<String>,
}

impl Route {
    /// Whether the route matches a request for `host` (any case, without port) and `path` (as sent, without the query).
    pub fn matches(&self, host: &str, path: &str) -> bool {
        Pattern { host: self.host.as_deref(), path: self.path.as_deref() }.matches(host, path)
    }
}

/// Where a request carries its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdSource {
    /// A request header, lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A query parameter.
    Query(String),
    /// A segment of the path, counted from 0, before any prefix is removed.
    Segment(u32),
}
