//! Merged to [`resolved`](super::resolved): built-in values filled in, and the rules between values checked.
//!
//! A rule whose values are already on record as wrong is skipped: one mistake is one error.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::cover::Pattern;
use super::errors::{ErrorCode, Place};
use super::limits::{self, built_in};
use super::merged::{self, Merged, MergedPool, MergedReady, MergedSetup, MergedStart, Origin};
use super::raw::{Named, RawConfig, RawId, RawPrices, RawRoute};
use super::reader::{Given, Reader, join, join_index, nearest, shorten};
use super::resolved::{Config, IdSource, InstanceType, Pool, PoolName, Prices, Ready, Route, Setup, ShardCount, Start};
use super::{document, duration};

pub(super) fn config(reader: &mut Reader, raw: RawConfig) -> Option<Config> {
    let RawConfig { defaults, pools, routes, prices } = raw;
    let names: Vec<String> = pools.iter().map(|Named { written, .. }| written.clone()).collect();
    // Defaults that are not a table are on record; the pools are read without them, for the rest of their mistakes.
    let (defaults, defaults_are_valid) = match defaults {
        Given::Absent => (Default::default(), true),
        Given::Invalid => (Default::default(), false),
        Given::Value(defaults) => (defaults, true),
    };
    let mut resolved = BTreeMap::new();
    // Defaults are filled into each pool, so what is stored can be far longer than what was written.
    let mut bytes = 0;
    for (at, Named { written, name, pool: raw_pool }) in pools.into_iter().enumerate() {
        reader.errors.enter(Place::Pool(at));
        let Some(raw_pool) = raw_pool else { continue };
        if !defaults_are_valid && raw_pool.container.is_absent() {
            continue;
        }
        let pool = pool(reader, &join("pools", &written), merged::pool(raw_pool, defaults.clone()));
        if let Some((name, pool)) = name.zip(pool) {
            bytes += document::pool(&pool).to_string().len();
            if bytes > limits::MAX_CONFIG_BYTES {
                refuse_large(reader);
                break;
            }
            resolved.insert(name, pool);
        }
    }
    refuse_shadowed(reader, &routes);
    let routes: Vec<Option<Route>> = routes
        .into_iter()
        .enumerate()
        .map(|(at, raw)| {
            reader.errors.enter(Place::Route(at));
            raw.and_then(|raw| route(reader, &join_index("routes", at), raw, &names))
        })
        .collect();
    reader.errors.enter(Place::Document);
    let config =
        Config { pools: resolved, routes: routes.into_iter().flatten().collect(), prices: self::prices(prices) };
    if reader.errors.is_empty() && document::config(&config).to_string().len() > limits::MAX_CONFIG_BYTES {
        refuse_large(reader);
    }
    Some(config)
}

/// Those that are not given, or wrongly, are the built-in ones; what is wrong is on record.
fn prices(given: Given<RawPrices>) -> Prices {
    let RawPrices { memory_gib_second, disk_gb_second, vcpu_second } = given.value().unwrap_or_default();
    let built_in = Prices::default();
    Prices {
        memory_gib_second: memory_gib_second.value().unwrap_or(built_in.memory_gib_second),
        disk_gb_second: disk_gb_second.value().unwrap_or(built_in.disk_gb_second),
        vcpu_second: vcpu_second.value().unwrap_or(built_in.vcpu_second),
    }
}

fn refuse_large(reader: &mut Reader) {
    reader.errors.enter(Place::Document);
    let message = format!(
        "the configuration is too long: with [defaults] filled into every pool it has more than {} bytes",
        limits::MAX_CONFIG_BYTES
    );
    reader.errors.push("", ErrorCode::TooLarge, message);
}

pub(super) fn pool(reader: &mut Reader, path: &str, merged: MergedPool) -> Option<Pool> {
    let MergedPool {
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
        start,
    } = merged;
    if container == Merged::Absent {
        let message = "is missing: name the Durable Object binding of the container class".to_owned();
        reader.errors.push(&join(path, "container"), ErrorCode::MissingKey, message);
    }
    let warm_target = warm_target.or_built_in(built_in::WARM_TARGET);
    let refresh_interval = refresh_interval.or_built_in(built_in::REFRESH_INTERVAL);
    let shards = shards.or_built_in(ShardCount::ONE);
    let max_instances = max_instances.optional();
    let sleep_after = sleep_after.or_built_in(built_in::SLEEP_AFTER);

    if let (Some((sleep, sleep_from)), Some((refresh, refresh_from))) = (sleep_after, refresh_interval)
        && sleep <= refresh
    {
        let message = format!(
            "must be longer than refresh_interval, or warm containers fall asleep between two refreshes: sleep_after is {}, refresh_interval {}",
            said(&duration::render(sleep), sleep_from),
            said(&duration::render(refresh), refresh_from),
        );
        reader.errors.push(&join(path, "sleep_after"), ErrorCode::Conflict, message);
    }
    if let (Some((warm, warm_from)), Some(Some((max, max_from)))) = (warm_target, max_instances)
        && warm > max
    {
        let message = format!(
            "must be at most max_instances: warm_target is {}, max_instances {}",
            said(&warm, warm_from),
            said(&max, max_from)
        );
        reader.errors.push(&join(path, "warm_target"), ErrorCode::Conflict, message);
    }
    if let (Some((shards, shards_from)), Some(Some((max, max_from)))) = (shards, max_instances)
        && shards.get() > max
    {
        let message = format!(
            "must be at least shards, or a shard could never start a container: max_instances is {}, shards {}",
            said(&max, max_from),
            said(&shards.get(), shards_from)
        );
        reader.errors.push(&join(path, "max_instances"), ErrorCode::Conflict, message);
    }
    let start = start.and_then(|start| self::start(reader, &join(path, "start"), start));

    Some(Pool {
        container: value(container.optional()?)?,
        warm_target: warm_target?.0,
        refresh_interval: refresh_interval?.0,
        shards: shards?.0,
        max_instances: value(max_instances?),
        id_cache: value(id_cache.optional()?),
        sleep_after: sleep_after?.0,
        acquire_timeout: acquire_timeout.or_built_in(built_in::ACQUIRE_TIMEOUT)?.0,
        max_concurrent_starts: max_concurrent_starts.or_built_in(built_in::MAX_CONCURRENT_STARTS)?.0,
        lease_ttl: lease_ttl.or_built_in(built_in::LEASE_TTL)?.0,
        unreachable_timeout: unreachable_timeout.or_built_in(built_in::UNREACHABLE_TIMEOUT)?.0,
        drain_timeout: drain_timeout.or_built_in(built_in::DRAIN_TIMEOUT)?.0,
        instance_type: instance_type.or_built_in(InstanceType::default())?.0,
        start: start?,
    })
}

fn value<T>(merged: Option<(T, Origin)>) -> Option<T> {
    merged.map(|(value, _)| value)
}

/// A value and, where it is not the pool's own, who gave it.
fn said(value: &dyn Display, origin: Origin) -> String {
    match origin {
        Origin::Pool => value.to_string(),
        Origin::Defaults => format!("{value} (from [defaults])"),
        Origin::BuiltIn => format!("{value} (built in)"),
    }
}

pub(super) fn start(reader: &mut Reader, path: &str, merged: MergedStart) -> Option<Start> {
    let MergedStart { ports, env, entrypoint, enable_internet, labels, ready, setup } = merged;
    let setup = setup.and_then(|setup| resolve_setup(reader, &join(path, "setup"), setup));
    let env = env.or_built_in(BTreeMap::new());
    let labels = labels.or_built_in(BTreeMap::new());
    for (key, map, max) in [("env", &env, limits::MAX_ENV), ("labels", &labels, limits::MAX_LABELS)] {
        if let Some((map, _)) = map
            && map.len() > max
        {
            let message = format!("has {} entries together with [defaults]; at most {max} are allowed", map.len());
            reader.errors.push(&join(path, key), ErrorCode::TooLarge, message);
        }
    }
    Some(Start {
        ports: ports.or_built_in(vec![built_in::PORT])?.0,
        env: env?.0,
        entrypoint: value(entrypoint.optional()?),
        enable_internet: enable_internet.or_built_in(false)?.0,
        labels: labels?.0,
        ready: {
            let MergedReady { path, timeout } = ready?;
            Ready { path: value(path.optional()?), timeout: timeout.or_built_in(built_in::READY_TIMEOUT)?.0 }
        },
        setup: setup?,
    })
}

/// `Some(None)` where there is no setup. A setup without a path in `[defaults]` alone is a preset for pools that have one.
fn resolve_setup(reader: &mut Reader, path: &str, merged: MergedSetup) -> Option<Option<Setup>> {
    let MergedSetup { origin, method, path: request_path, expect, timeout } = merged;
    let request_path = match (request_path.optional()?, origin) {
        (Some((request_path, _)), _) => request_path,
        (None, Origin::Defaults | Origin::BuiltIn) => return Some(None),
        (None, Origin::Pool) => {
            let message = "is missing: give the path of the setup request".to_owned();
            reader.errors.push(&join(path, "path"), ErrorCode::MissingKey, message);
            return None;
        }
    };
    Some(Some(Setup {
        method: method.or_built_in(built_in::SETUP_METHOD.to_owned())?.0,
        path: request_path,
        expect: expect.or_built_in(built_in::SETUP_EXPECT)?.0,
        timeout: timeout.or_built_in(built_in::SETUP_TIMEOUT)?.0,
    }))
}

fn route(reader: &mut Reader, at: &str, raw: RawRoute, pools: &[String]) -> Option<Route> {
    let RawRoute { pool, host, path, strip_prefix, id } = raw;
    let pool = pool.value().and_then(|name| known_pool(reader, &join(at, "pool"), name, pools));
    let is_prefix = match &path {
        Given::Value(path) => Some(path.ends_with("/*")),
        Given::Absent => Some(false),
        Given::Invalid => None,
    };
    if strip_prefix == Given::Value(true) && is_prefix == Some(false) {
        let message = "needs a path that ends in `/*`: there is no prefix to remove".to_owned();
        reader.errors.push(&join(at, "strip_prefix"), ErrorCode::Conflict, message);
    }
    let source = id.value().and_then(|id| id_source(reader, &join(at, "id"), id, &path));
    let (id, default_id) = source?;
    Some(Route {
        pool: pool?,
        host: given_or_absent(host)?,
        path: given_or_absent(path)?,
        strip_prefix: given_or_absent(strip_prefix)?.unwrap_or(false),
        id,
        default_id,
    })
}

fn given_or_absent<T>(given: Given<T>) -> Option<Option<T>> {
    match given {
        Given::Absent => Some(None),
        Given::Invalid => None,
        Given::Value(value) => Some(Some(value)),
    }
}

fn known_pool(reader: &mut Reader, at: &str, name: String, pools: &[String]) -> Option<PoolName> {
    if pools.contains(&name) {
        return PoolName::try_from(name).ok();
    }
    let hint = match nearest(&name, pools.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near:?}?"),
        None if pools.is_empty() => "there are no pools".to_owned(),
        None => {
            let some: Vec<_> = pools.iter().take(10).map(|pool| shorten(pool)).collect();
            format!("there is {}{}", some.join(", "), if pools.len() > some.len() { ", …" } else { "" })
        }
    };
    reader.errors.push(at, ErrorCode::UnknownPool, format!("there is no pool {:?}; {hint}", shorten(&name)));
    None
}

fn id_source(reader: &mut Reader, at: &str, raw: RawId, path: &Given<String>) -> Option<(IdSource, Option<String>)> {
    let RawId { header, cookie, query, segment, default } = raw;
    if let (Given::Value(segment), Given::Value(path)) = (&segment, path)
        && !path.ends_with("/*")
        && path.split('/').skip(1).count() <= *segment as usize
    {
        let message =
            format!("no request has it: the path {:?} has too few segments (they count from 0)", shorten(path));
        reader.errors.push(&join(at, "segment"), ErrorCode::NeverMatches, message);
    }
    let default = given_or_absent(default)?;
    let source = (header.value().map(IdSource::Header))
        .or(cookie.value().map(IdSource::Cookie))
        .or(query.value().map(IdSource::Query))
        .or(segment.value().map(IdSource::Segment));
    Some((source?, default))
}

/// A route that an earlier one covers can never be reached.
fn refuse_shadowed(reader: &mut Reader, routes: &[Option<RawRoute>]) {
    let patterns: Vec<Option<Pattern<'_>>> = routes.iter().map(|route| route.as_ref().and_then(pattern)).collect();
    for (at, pattern) in patterns.iter().enumerate() {
        let Some(pattern) = pattern else { continue };
        let earlier =
            patterns.iter().take(at).position(|earlier| earlier.is_some_and(|earlier| earlier.covers(*pattern)));
        if let Some(earlier) = earlier {
            reader.errors.enter(Place::Route(at));
            let message = format!(
                "no request reaches this route: routes[{earlier}] comes first and matches all that this one matches; put this one before it"
            );
            reader.errors.push(&join_index("routes", at), ErrorCode::NeverMatches, message);
        }
    }
}

fn pattern(route: &RawRoute) -> Option<Pattern<'_>> {
    Some(Pattern { host: part(&route.host)?, path: part(&route.path)? })
}

fn part(given: &Given<String>) -> Option<Option<&str>> {
    match given {
        Given::Absent => Some(None),
        Given::Invalid => None,
        Given::Value(part) => Some(Some(part)),
    }
}
