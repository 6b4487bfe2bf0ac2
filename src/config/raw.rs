//! The document as written: every key optional, each value already within its own limits.
//!
//! The doc comments here are what an editor shows: `config/pools.schema.json` is generated from these types (see
//! `schema`), and a test proves that the schema and `read` know the same keys, limits and defaults.

use std::collections::BTreeMap;

use super::reader::Given;
use super::resolved::{BindingName, InstanceType, Millis, PoolName, ShardCount};

#[cfg(test)]
use super::{
    limits::{self, built_in},
    schema::{self, allow},
};

/// Warm pools of containers, and the routes that lead to them.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Config", transform = schema::table("pools")))]
pub(super) struct RawConfig {
    /// Values for every pool that does not give its own. Every key of a pool may stand here. Tables are merged key by
    /// key, everything else is replaced.
    #[cfg_attr(test, schemars(with = "RawPool"))]
    pub defaults: Given<RawPool>,
    /// The pools by name. A name has 1 to 64 of a-z A-Z 0-9 _ - and starts with a letter or digit.
    #[cfg_attr(
        test,
        schemars(with = "BTreeMap<String, RawPool>", transform = schema::named(limits::MAX_POOLS, schema::POOL_NAME))
    )]
    pub pools: Vec<Named>,
    /// Which requests go to which pool. The first route that matches wins.
    #[cfg_attr(test, schemars(with = "Vec<RawRoute>", transform = schema::at_most(limits::MAX_ROUTES)))]
    pub routes: Vec<Option<RawRoute>>,
    /// What the platform takes, in US dollars, for the cost in a pool's numbers.
    #[cfg_attr(test, schemars(with = "RawPrices"))]
    pub prices: Given<RawPrices>,
}

/// Prices in US dollars.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Prices", transform = schema::table("")))]
pub(super) struct RawPrices {
    /// For a GiB of memory, each second.
    #[cfg_attr(test, schemars(with = "f64", transform = allow().whole(limits::PRICE).default_value(0.000_002_5)))]
    pub memory_gib_second: Given<u64>,
    /// For a GB of disk, each second.
    #[cfg_attr(test, schemars(with = "f64", transform = allow().whole(limits::PRICE).default_value(0.000_000_07)))]
    pub disk_gb_second: Given<u64>,
    /// For a vCPU that works, each second. No part of the cost, for how much one works is not known.
    #[cfg_attr(test, schemars(with = "f64", transform = allow().whole(limits::PRICE).default_value(0.000_02)))]
    pub vcpu_second: Given<u64>,
}

/// A size of containers that has no name. Each key is required.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "Size", transform = schema::size("vcpu memory_mib disk_mb"))]
#[allow(dead_code, reason = "for the schema; what is read is a `Size` of `resolved`")]
pub(super) struct RawSize {
    /// Processors: a part of one, or several. From 0.01 to 128.
    #[schemars(transform = allow().between(0.01, 128.0).example(0.5))]
    vcpu: f64,
    /// Memory in MiB.
    #[schemars(transform = allow().whole(limits::MEMORY_MIB).example(1024))]
    memory_mib: u64,
    /// Disk in MB of 1,000,000 bytes.
    #[schemars(transform = allow().whole(limits::DISK_MB).example(4000))]
    disk_mb: u64,
}

/// One entry of the table `pools`.
#[derive(Debug)]
pub(super) struct Named {
    /// The name as written: routes may name it even when it is not well formed, which is a mistake only once.
    pub written: String,
    /// The name, if it is one.
    pub name: Option<PoolName>,
    /// The pool, if it is a table.
    pub pool: Option<RawPool>,
}

/// A pool of containers of one class.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Pool", transform = schema::table("")))]
pub(super) struct RawPool {
    /// The Durable Object binding of the container class. Required, here or in `[defaults]`.
    #[cfg_attr(test, schemars(with = "String", transform = allow().pattern(schema::BINDING).example("PYTHON")))]
    pub container: Given<BindingName>,
    /// How many containers are kept started ahead of need, over all shards. At most `max_instances`.
    #[cfg_attr(
        test,
        schemars(with = "u32", transform = allow().whole(limits::WARM_TARGET).default_value(built_in::WARM_TARGET))
    )]
    pub warm_target: Given<u32>,
    /// How often the health of containers is checked and warm ones are kept from falling asleep.
    #[cfg_attr(
        test,
        schemars(with = "String", transform = schema::duration(limits::REFRESH_INTERVAL, built_in::REFRESH_INTERVAL))
    )]
    pub refresh_interval: Given<Millis>,
    /// How many objects share the work of the pool. More of them take more requests a second; each id belongs to one. When it
    /// changes, ids move with their containers; one change at a time, a further one waits.
    #[cfg_attr(
        test,
        schemars(with = "u32", transform = allow().whole(limits::SHARDS).default_value(ShardCount::ONE.get()))
    )]
    pub shards: Given<ShardCount>,
    /// The most containers at once over all shards, whatever they are doing. At least `warm_target`, and at least
    /// `shards`. Several pools of one container class have together at most the largest that any of them states, also those
    /// that state none. Where none does, the platform's own limit holds.
    #[cfg_attr(test, schemars(with = "u32", transform = allow().whole(limits::MAX_INSTANCES).example(40)))]
    pub max_instances: Given<u32>,
    /// The KV namespace binding that remembers where ids live, to save a hop. A hint: it is never trusted.
    #[cfg_attr(
        test,
        schemars(with = "String", transform = allow().pattern(schema::BINDING).example("CONTAINER_ID_CACHE"))
    )]
    pub id_cache: Given<BindingName>,
    /// How long a container may be idle before it stops. Longer than `refresh_interval`.
    #[cfg_attr(
        test,
        schemars(with = "String", transform = schema::duration(limits::SLEEP_AFTER, built_in::SLEEP_AFTER))
    )]
    pub sleep_after: Given<Millis>,
    /// How long a request waits for a container before it fails.
    #[cfg_attr(
        test,
        schemars(with = "String", transform = schema::duration(limits::ACQUIRE_TIMEOUT, built_in::ACQUIRE_TIMEOUT))
    )]
    pub acquire_timeout: Given<Millis>,
    /// How many containers one shard starts at the same time.
    #[cfg_attr(
        test,
        schemars(with = "u32", transform = allow().whole(limits::MAX_CONCURRENT_STARTS).default_value(built_in::MAX_CONCURRENT_STARTS))
    )]
    pub max_concurrent_starts: Given<u32>,
    /// How long a container serves an id before it asks its shard again. Shorter means that an id is sooner served
    /// anew when its container cannot be reached; longer means fewer questions.
    #[cfg_attr(test, schemars(with = "String", transform = schema::duration(limits::LEASE_TTL, built_in::LEASE_TTL)))]
    pub lease_ttl: Given<Millis>,
    /// How long a container of a JavaScript class, which has no lease, may be unreachable before its id gets another.
    #[cfg_attr(
        test,
        schemars(with = "String", transform = schema::duration(limits::UNREACHABLE_TIMEOUT, built_in::UNREACHABLE_TIMEOUT))
    )]
    pub unreachable_timeout: Given<Millis>,
    /// How long a container has after SIGTERM before it is destroyed.
    #[cfg_attr(
        test,
        schemars(with = "String", transform = schema::duration(limits::DRAIN_TIMEOUT, built_in::DRAIN_TIMEOUT))
    )]
    pub drain_timeout: Given<Millis>,
    /// How large the containers are, as `instance_type` of the class in `wrangler.jsonc` says: the name of a type, or a size. For the
    /// cost in the pool's numbers, and nothing else.
    #[cfg_attr(test, schemars(with = "RawSize", transform = schema::instance_type()))]
    pub instance_type: Given<InstanceType>,
    /// How a container is started, and when it is ready. For the Rust container class; a JavaScript class says so itself.
    #[cfg_attr(test, schemars(with = "RawStart"))]
    pub start: Given<RawStart>,
}

/// How a container is started, and when it is ready.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema), schemars(rename = "Start", transform = schema::table(""), transform = schema::not_both("port", "ports"))
)]
pub(super) struct RawStart {
    /// The port requests go to, and that must answer before the container is ready. Instead of `ports`.
    #[cfg_attr(test, schemars(with = "u16", transform = allow().whole(limits::PORT).default_value(built_in::PORT)))]
    pub port: Given<u16>,
    /// The ports that must all answer before the container is ready; requests go to the first. Instead of `port`.
    #[cfg_attr(
        test,
        schemars(with = "Vec<u16>", transform = schema::items(limits::PORTS), transform = schema::each(allow().whole(limits::PORT)), extend("uniqueItems" = true))
    )]
    pub ports: Given<Vec<u16>>,
    /// Environment variables. At most 128, a value at most 32 KiB.
    #[cfg_attr(
        test,
        schemars(with = "BTreeMap<String, String>", transform = schema::named(limits::MAX_ENV, "^[^=]+$"))
    )]
    pub env: Given<BTreeMap<String, String>>,
    /// Replaces the entry point of the image.
    #[cfg_attr(
        test,
        schemars(with = "Vec<String>", transform = schema::items(limits::ENTRYPOINT), extend("examples" = [["/server", "--verbose"]]))
    )]
    pub entrypoint: Given<Vec<String>>,
    /// Whether the container may reach the internet.
    #[cfg_attr(test, schemars(with = "bool", transform = allow().default_value(false)))]
    pub enable_internet: Given<bool>,
    /// Labels for the platform's metrics. At most 32, of at most 256 bytes.
    #[cfg_attr(
        test,
        schemars(with = "BTreeMap<String, String>", transform = schema::named(limits::MAX_LABELS, "^.+$"))
    )]
    pub labels: Given<BTreeMap<String, String>>,
    /// When the container counts as ready.
    #[cfg_attr(test, schemars(with = "RawReady"))]
    pub ready: Given<RawReady>,
    /// A request sent once after the container is ready, before it counts as warm.
    #[cfg_attr(test, schemars(with = "RawSetup"))]
    pub setup: Given<RawSetup>,
}

/// When a container counts as ready.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Ready", transform = schema::table("")))]
pub(super) struct RawReady {
    /// The path that must answer with a status below 500. Without it any HTTP answer of the port will do.
    #[cfg_attr(test, schemars(with = "String", transform = allow().pattern("^/").example("/healthz")))]
    pub path: Given<String>,
    /// How long start and readiness together may take.
    #[cfg_attr(
        test,
        schemars(with = "String", transform = schema::duration(limits::READY_TIMEOUT, built_in::READY_TIMEOUT))
    )]
    pub timeout: Given<Millis>,
}

/// A request sent once to a container that has become ready. It needs a `path`, here or in `[defaults]`.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Setup", transform = schema::table("")))]
pub(super) struct RawSetup {
    /// The method.
    #[cfg_attr(
        test,
        schemars(with = "String", transform = allow().one_of(&super::values::METHODS).default_value(built_in::SETUP_METHOD))
    )]
    pub method: Given<String>,
    /// The path and query.
    #[cfg_attr(test, schemars(with = "String", transform = allow().pattern("^/").example("/warmup")))]
    pub path: Given<String>,
    /// The status that means success.
    #[cfg_attr(
        test,
        schemars(with = "u16", transform = allow().whole(limits::EXPECT).default_value(built_in::SETUP_EXPECT))
    )]
    pub expect: Given<u16>,
    /// How long it may take.
    #[cfg_attr(
        test,
        schemars(with = "String", transform = schema::duration(limits::SETUP_TIMEOUT, built_in::SETUP_TIMEOUT))
    )]
    pub timeout: Given<Millis>,
}

/// Which requests go to a pool, and where their id is.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Route", transform = schema::table("pool id")))]
pub(super) struct RawRoute {
    /// The name of a pool.
    #[cfg_attr(test, schemars(with = "String", transform = allow().pattern(schema::POOL_NAME).example("python")))]
    pub pool: Given<String>,
    /// The host: exact, or `*.example.com` for every host below `example.com`. Without it every host matches.
    #[cfg_attr(test, schemars(with = "String", transform = allow().pattern(schema::HOST).example("py.example.com")))]
    pub host: Given<String>,
    /// The path: exact, or a prefix that ends in `/*`; `/python/*` also matches `/python`. Without it every path matches.
    #[cfg_attr(test, schemars(with = "String", transform = allow().pattern(schema::ROUTE_PATH).example("/python/*")))]
    pub path: Given<String>,
    /// Whether the prefix is removed before the container sees the path. Needs a `path` that ends in `/*`.
    #[cfg_attr(test, schemars(with = "bool", transform = allow().default_value(false)))]
    pub strip_prefix: Given<bool>,
    /// Where a request carries its id: exactly one of `header`, `cookie`, `query`, `segment`.
    #[cfg_attr(test, schemars(with = "RawId"))]
    pub id: Given<RawId>,
}

/// Where a request carries its id: exactly one of `header`, `cookie`, `query`, `segment`.
#[derive(Debug, Default)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema), schemars(rename = "Id", transform = schema::table(""), transform = schema::exactly_one("header cookie query segment"))
)]
pub(super) struct RawId {
    /// The name of a request header.
    #[cfg_attr(test, schemars(with = "String", transform = allow().pattern(schema::TOKEN).example("x-session-id")))]
    pub header: Given<String>,
    /// The name of a cookie.
    #[cfg_attr(test, schemars(with = "String", transform = allow().pattern(schema::TOKEN).example("session")))]
    pub cookie: Given<String>,
    /// The name of a query parameter.
    #[cfg_attr(test, schemars(with = "String", transform = allow().pattern("^.+$").example("session")))]
    pub query: Given<String>,
    /// The index of a segment of the path, counted from 0, before any prefix is removed: 1 is `alice` in `/python/alice`.
    #[cfg_attr(test, schemars(with = "u32", transform = allow().whole(limits::SEGMENT).example(1)))]
    pub segment: Given<u32>,
    /// The id of requests that carry none; 1 to 256 bytes. Without it they are refused.
    #[cfg_attr(test, schemars(with = "String", transform = allow().pattern("^.+$").example("anonymous")))]
    pub default: Given<String>,
}
