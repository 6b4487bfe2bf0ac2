//! A resolved configuration as a document that can be read again: `parse_value(config.to_document())` is the same
//! configuration. Keys are in `snake_case`, defaults are filled in, durations are as people write them.
//!
//! The same documents are how these types travel between Durable Objects, so what arrives is checked as what a person
//! wrote. Only unknown keys are ignored there: during a deploy the sender may be newer.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::merged;
use super::raw::{RawPool, RawStart};
use super::reader::{Reader, UnknownKeys};
use super::resolved::{Config, IdSource, InstanceType, Millis, Pool, Prices, Ready, Route, Setup, Size, Start};
use super::{duration, read, resolve};

pub(super) fn config(config: &Config) -> Value {
    let Config { pools, routes, prices } = config;
    let mut by_name = Document::new();
    for (name, each) in pools {
        by_name.put(name.as_str(), pool(each));
    }
    let routes: Vec<Value> = routes.iter().map(route).collect();
    let Prices { memory_gib_second, disk_gb_second, vcpu_second } = *prices;
    let dollars = |price: u64| Value::from(price as f64 / Prices::PER_DOLLAR);
    let prices = Document::new()
        .with("memory_gib_second", dollars(memory_gib_second))
        .with("disk_gb_second", dollars(disk_gb_second))
        .with("vcpu_second", dollars(vcpu_second));
    Document::new().with("pools", by_name.into()).with("routes", routes.into()).with("prices", prices.into()).into()
}

/// With its keys in `camelCase` or in `snake_case`.
fn instance(instance_type: InstanceType, camel: bool) -> Value {
    let InstanceType::Custom(Size { micro_vcpus, memory_mib, disk_mb }) = instance_type else {
        return instance_type.name().into();
    };
    Document::new()
        .with("vcpu", (micro_vcpus as f64 / 1e6).into())
        .with(if camel { "memoryMib" } else { "memory_mib" }, memory_mib.into())
        .with(if camel { "diskMb" } else { "disk_mb" }, disk_mb.into())
        .into()
}

pub(super) fn pool(pool: &Pool) -> Value {
    let Pool {
        container,
        warm_target,
        refresh_interval,
        shards,
        max_instances,
        id_cache,
        sleep_after,
        acquire_timeout,
        max_concurrent_starts,
        lease_ttl,
        unreachable_timeout,
        drain_timeout,
        instance_type,
        start: how_to_start,
    } = pool;
    Document::new()
        .with("container", container.as_str().into())
        .with("warm_target", (*warm_target).into())
        .with("refresh_interval", time(*refresh_interval))
        .with("shards", shards.get().into())
        .with_some("max_instances", max_instances.map(Value::from))
        .with_some("id_cache", id_cache.as_ref().map(|binding| binding.as_str().into()))
        .with("sleep_after", time(*sleep_after))
        .with("acquire_timeout", time(*acquire_timeout))
        .with("max_concurrent_starts", (*max_concurrent_starts).into())
        .with("lease_ttl", time(*lease_ttl))
        .with("unreachable_timeout", time(*unreachable_timeout))
        .with("drain_timeout", time(*drain_timeout))
        .with("instance_type", instance(*instance_type, false))
        .with("start", start(how_to_start))
        .into()
}

pub(super) fn start(start: &Start) -> Value {
    let Start { ports, env, entrypoint, enable_internet, labels, ready, setup } = start;
    let Ready { path, timeout } = ready;
    let ready =
        Document::new().with_some("path", path.as_deref().map(Value::from)).with("timeout", time(*timeout)).into();
    let (port, ports) = match ports.as_slice() {
        [port] => (Some(Value::from(*port)), None),
        ports => (None, Some(Value::from(ports))),
    };
    Document::new()
        .with_some("port", port)
        .with_some("ports", ports)
        .with_some("env", strings(env))
        .with_some("entrypoint", entrypoint.as_deref().map(Value::from))
        .with("enable_internet", (*enable_internet).into())
        .with_some("labels", strings(labels))
        .with("ready", ready)
        .with_some("setup", setup.as_ref().map(setup_table))
        .into()
}

fn setup_table(setup: &Setup) -> Value {
    let Setup { method, path, expect, timeout } = setup;
    Document::new()
        .with("method", method.as_str().into())
        .with("path", path.as_str().into())
        .with("expect", (*expect).into())
        .with("timeout", time(*timeout))
        .into()
}

fn route(route: &Route) -> Value {
    let Route { pool, host, path, strip_prefix, id, default_id } = route;
    let (source, value) = match id {
        IdSource::Header(name) => ("header", Value::from(name.as_str())),
        IdSource::Cookie(name) => ("cookie", name.as_str().into()),
        IdSource::Query(name) => ("query", name.as_str().into()),
        IdSource::Segment(index) => ("segment", (*index).into()),
    };
    let default = default_id.as_deref().map(Value::from);
    let id = Document::new().with(source, value).with_some("default", default).into();
    Document::new()
        .with("pool", pool.as_str().into())
        .with_some("host", host.as_deref().map(Value::from))
        .with_some("path", path.as_deref().map(Value::from))
        .with("strip_prefix", (*strip_prefix).into())
        .with("id", id)
        .into()
}

fn time(duration: Millis) -> Value {
    duration::render(duration).into()
}

/// None when there are none, for an empty table says nothing.
fn strings(map: &BTreeMap<String, String>) -> Option<Value> {
    let mut strings = Document::new();
    for (name, text) in map {
        strings.put(name, text.as_str().into());
    }
    if map.is_empty() { None } else { Some(strings.into()) }
}

/// A table under construction. One function that is called often, rather than arrays that are collected: each length of
/// an array would bring its own copy of the collecting, and a sort, into the wasm.
struct Document(Map<String, Value>);

impl Document {
    fn new() -> Self {
        Self(Map::new())
    }

    #[inline(never)]
    fn put(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.put(key, value);
        self
    }

    fn with_some(self, key: &str, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }
}

impl From<Document> for Value {
    fn from(document: Document) -> Self {
        Self::Object(document.0)
    }
}

impl Config {
    /// The configuration as a document that [`parse_value`](super::parse_value) reads as the same configuration.
    pub fn to_document(&self) -> Value {
        config(self)
    }
}

impl Pool {
    /// The configuration part of the pool's statistics, in the spelling of `cf-container-warm-pool`: durations are in
    /// ms, and what is not set is not there. Environment variables stay out: statistics are for dashboards.
    pub fn to_stats_json(&self) -> Value {
        let Self {
            container,
            warm_target,
            refresh_interval,
            shards,
            max_instances,
            id_cache,
            sleep_after,
            acquire_timeout,
            max_concurrent_starts,
            lease_ttl,
            unreachable_timeout,
            drain_timeout,
            instance_type,
            start: _,
        } = self;
        Document::new()
            .with("container", container.as_str().into())
            .with("warmTarget", (*warm_target).into())
            .with("refreshInterval", refresh_interval.0.into())
            .with("shards", shards.get().into())
            .with_some("maxInstances", max_instances.map(Value::from))
            .with_some("idCache", id_cache.as_ref().map(|binding| binding.as_str().into()))
            .with("sleepAfter", sleep_after.0.into())
            .with("acquireTimeout", acquire_timeout.0.into())
            .with("maxConcurrentStarts", (*max_concurrent_starts).into())
            .with("leaseTtl", lease_ttl.0.into())
            .with("unreachableTimeout", unreachable_timeout.0.into())
            .with("drainTimeout", drain_timeout.0.into())
            .with("instanceType", instance(*instance_type, true))
            .into()
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        config(self).serialize(serializer)
    }
}

impl Serialize for Pool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        pool(self).serialize(serializer)
    }
}

impl Serialize for Start {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        start(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Value::deserialize(deserializer)?;
        super::read_document(&document, UnknownKeys::Ignore).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Pool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Value::deserialize(deserializer)?;
        let mut reader = Reader::new(UnknownKeys::Ignore);
        let pool = read::pool(&mut reader, "", &document)
            .and_then(|raw| resolve::pool(&mut reader, "", merged::pool(raw, RawPool::default())));
        reader.errors.finish(pool).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Value::deserialize(deserializer)?;
        let mut reader = Reader::new(UnknownKeys::Ignore);
        let start = read::start(&mut reader, "", &document)
            .and_then(|raw| resolve::start(&mut reader, "", merged::start(raw, RawStart::default())));
        reader.errors.finish(start).map_err(D::Error::custom)
    }
}
