//! A resolved configuration as a document that can be read again: `parse_value(config.to_document())` is the same
//! configuration. Keys are in `snake_case`, defaults are filled in, durations are as people write them.
//!
//! The same documents are how these types travel between Durable Objects, so what arrives is checked as what a person
//! wrote. Only unknown keys are ignored there: during a deploy the sender may be newer.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::merged;
use super::raw::{RawPool, RawStart};
use super::reader::{Reader, UnknownKeys};
use super::resolved::{Config, IdSource, Millis, Pool, Ready, Route, Setup, Start};
use super::{duration, read, resolve};

pub(super) fn config(config: &Config) -> Value {
    let Config { pools, routes } = config;
    let mut document = Map::new();
    document.insert(
        "pools".to_owned(),
        Value::Object(pools.iter().map(|(name, each)| (name.to_string(), pool(each))).collect()),
    );
    document.insert("routes".to_owned(), Value::Array(routes.iter().map(route).collect()));
    Value::Object(document)
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
        start: how_to_start,
    } = pool;
    table([
        ("container", Some(container.as_str().into())),
        ("warm_target", Some((*warm_target).into())),
        ("refresh_interval", Some(time(*refresh_interval))),
        ("shards", Some(shards.get().into())),
        ("max_instances", max_instances.map(Value::from)),
        ("id_cache", id_cache.as_ref().map(|binding| binding.as_str().into())),
        ("sleep_after", Some(time(*sleep_after))),
        ("acquire_timeout", Some(time(*acquire_timeout))),
        ("max_concurrent_starts", Some((*max_concurrent_starts).into())),
        ("lease_ttl", Some(time(*lease_ttl))),
        ("unreachable_timeout", Some(time(*unreachable_timeout))),
        ("drain_timeout", Some(time(*drain_timeout))),
        ("start", Some(start(how_to_start))),
    ])
}

pub(super) fn start(start: &Start) -> Value {
    let Start { ports, env, entrypoint, enable_internet, labels, ready, setup } = start;
    let Ready { path, timeout } = ready;
    let ready = table([("path", path.as_deref().map(Value::from)), ("timeout", Some(time(*timeout)))]);
    let strings = |map: &std::collections::BTreeMap<String, String>| {
        let entries: Map<_, _> = map.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
        if entries.is_empty() { None } else { Some(Value::Object(entries)) }
    };
    let (port, ports) = match ports.as_slice() {
        [port] => (Some(Value::from(*port)), None),
        ports => (None, Some(Value::from(ports))),
    };
    table([
        ("port", port),
        ("ports", ports),
        ("env", strings(env)),
        ("entrypoint", entrypoint.as_deref().map(Value::from)),
        ("enable_internet", Some((*enable_internet).into())),
        ("labels", strings(labels)),
        ("ready", Some(ready)),
        ("setup", setup.as_ref().map(setup_table)),
    ])
}

fn setup_table(setup: &Setup) -> Value {
    let Setup { method, path, expect, timeout } = setup;
    table([
        ("method", Some(method.as_str().into())),
        ("path", Some(path.as_str().into())),
        ("expect", Some((*expect).into())),
        ("timeout", Some(time(*timeout))),
    ])
}

fn route(route: &Route) -> Value {
    let Route { pool, host, path, strip_prefix, id, default_id } = route;
    let (source, value) = match id {
        IdSource::Header(name) => ("header", Value::from(name.as_str())),
        IdSource::Cookie(name) => ("cookie", name.as_str().into()),
        IdSource::Query(name) => ("query", name.as_str().into()),
        IdSource::Segment(index) => ("segment", (*index).into()),
    };
    table([
        ("pool", Some(pool.as_str().into())),
        ("host", host.as_deref().map(Value::from)),
        ("path", path.as_deref().map(Value::from)),
        ("strip_prefix", Some((*strip_prefix).into())),
        ("id", Some(table([(source, Some(value)), ("default", default_id.as_deref().map(Value::from))]))),
    ])
}

fn time(duration: Millis) -> Value {
    duration::render(duration).into()
}

fn table<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
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
            start: _,
        } = self;
        table([
            ("container", Some(container.as_str().into())),
            ("warmTarget", Some((*warm_target).into())),
            ("refreshInterval", Some(refresh_interval.0.into())),
            ("shards", Some(shards.get().into())),
            ("maxInstances", max_instances.map(Value::from)),
            ("idCache", id_cache.as_ref().map(|binding| binding.as_str().into())),
            ("sleepAfter", Some(sleep_after.0.into())),
            ("acquireTimeout", Some(acquire_timeout.0.into())),
            ("maxConcurrentStarts", Some((*max_concurrent_starts).into())),
            ("leaseTtl", Some(lease_ttl.0.into())),
            ("unreachableTimeout", Some(unreachable_timeout.0.into())),
            ("drainTimeout", Some(drain_timeout.0.into())),
        ])
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
