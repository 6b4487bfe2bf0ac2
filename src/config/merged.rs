//! The pool with `[defaults]` filled in: pool > defaults, tables key by key, everything else replaced.
//!
//! Both sides are destructured, so that a new key cannot be forgotten here.

use std::collections::BTreeMap;

use super::raw::{RawPool, RawReady, RawSetup, RawStart};
use super::reader::Given;
use super::resolved::{BindingName, InstanceType, Millis, ShardCount};

/// Who gave a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Pool,
    Defaults,
    BuiltIn,
}

/// What pool and defaults together say of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Merged<T> {
    Absent,
    Invalid,
    Value(T, Origin),
}

impl<T> Merged<T> {
    fn of(pool: Given<T>, defaults: Given<T>) -> Self {
        match (pool, defaults) {
            (Given::Value(value), _) => Self::Value(value, Origin::Pool),
            (Given::Invalid, _) | (Given::Absent, Given::Invalid) => Self::Invalid,
            (Given::Absent, Given::Value(value)) => Self::Value(value, Origin::Defaults),
            (Given::Absent, Given::Absent) => Self::Absent,
        }
    }

    /// With the built-in value where nothing is given; nothing where a mistake is on record.
    pub(super) fn or_built_in(self, built_in: T) -> Option<(T, Origin)> {
        match self {
            Self::Absent => Some((built_in, Origin::BuiltIn)),
            Self::Invalid => None,
            Self::Value(value, origin) => Some((value, origin)),
        }
    }

    /// The value where one is given (`Some(None)` where not); nothing where a mistake is on record.
    pub(super) fn optional(self) -> Option<Option<(T, Origin)>> {
        match self {
            Self::Absent => Some(None),
            Self::Invalid => None,
            Self::Value(value, origin) => Some(Some((value, origin))),
        }
    }
}

/// A pool after the merge.
#[derive(Debug)]
pub(super) struct MergedPool {
    pub container: Merged<BindingName>,
    pub warm_target: Merged<u32>,
    pub refresh_interval: Merged<Millis>,
    pub shards: Merged<ShardCount>,
    pub max_instances: Merged<u32>,
    pub id_cache: Merged<BindingName>,
    pub sleep_after: Merged<Millis>,
    pub acquire_timeout: Merged<Millis>,
    pub max_concurrent_starts: Merged<u32>,
    pub lease_ttl: Merged<Millis>,
    pub unreachable_timeout: Merged<Millis>,
    pub drain_timeout: Merged<Millis>,
    pub instance_type: Merged<InstanceType>,
    pub start: Table<MergedStart>,
}

/// A table after the merge: it is always there, empty where nobody gave it, and invalid where it was not a table.
pub(super) type Table<T> = Option<T>;

/// `start` after the merge.
#[derive(Debug)]
pub(super) struct MergedStart {
    pub ports: Merged<Vec<u16>>,
    pub env: Merged<BTreeMap<String, String>>,
    pub entrypoint: Merged<Vec<String>>,
    pub enable_internet: Merged<bool>,
    pub labels: Merged<BTreeMap<String, String>>,
    pub ready: Table<MergedReady>,
    pub setup: Table<MergedSetup>,
}

/// `ready` after the merge.
#[derive(Debug)]
pub(super) struct MergedReady {
    pub path: Merged<String>,
    pub timeout: Merged<Millis>,
}

/// `setup` after the merge.
#[derive(Debug)]
pub(super) struct MergedSetup {
    /// Who gave the table: a pool that does so means to have a setup.
    pub origin: Origin,
    pub method: Merged<String>,
    pub path: Merged<String>,
    pub expect: Merged<u16>,
    pub timeout: Merged<Millis>,
}

pub(super) fn pool(pool: RawPool, defaults: RawPool) -> MergedPool {
    let RawPool {
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
    } = pool;
    MergedPool {
        container: Merged::of(container, defaults.container),
        warm_target: Merged::of(warm_target, defaults.warm_target),
        refresh_interval: Merged::of(refresh_interval, defaults.refresh_interval),
        shards: Merged::of(shards, defaults.shards),
        max_instances: Merged::of(max_instances, defaults.max_instances),
        id_cache: Merged::of(id_cache, defaults.id_cache),
        sleep_after: Merged::of(sleep_after, defaults.sleep_after),
        acquire_timeout: Merged::of(acquire_timeout, defaults.acquire_timeout),
        max_concurrent_starts: Merged::of(max_concurrent_starts, defaults.max_concurrent_starts),
        lease_ttl: Merged::of(lease_ttl, defaults.lease_ttl),
        unreachable_timeout: Merged::of(unreachable_timeout, defaults.unreachable_timeout),
        drain_timeout: Merged::of(drain_timeout, defaults.drain_timeout),
        instance_type: Merged::of(instance_type, defaults.instance_type),
        start: tables(start, defaults.start).map(|(pool, defaults)| self::start(pool, defaults)),
    }
}

pub(super) fn start(pool: RawStart, defaults: RawStart) -> MergedStart {
    let RawStart { port, ports, env, entrypoint, enable_internet, labels, ready, setup } = pool;
    MergedStart {
        ports: Merged::of(either_ports(port, ports), either_ports(defaults.port, defaults.ports)),
        env: merge_maps(env, defaults.env),
        entrypoint: Merged::of(entrypoint, defaults.entrypoint),
        enable_internet: Merged::of(enable_internet, defaults.enable_internet),
        labels: merge_maps(labels, defaults.labels),
        ready: tables(ready, defaults.ready).map(|(pool, defaults)| {
            let RawReady { path, timeout } = pool;
            MergedReady { path: Merged::of(path, defaults.path), timeout: Merged::of(timeout, defaults.timeout) }
        }),
        setup: {
            let origin = if setup.is_absent() { Origin::Defaults } else { Origin::Pool };
            tables(setup, defaults.setup).map(|(pool, defaults)| {
                let RawSetup { method, path, expect, timeout } = pool;
                MergedSetup {
                    origin,
                    method: Merged::of(method, defaults.method),
                    path: Merged::of(path, defaults.path),
                    expect: Merged::of(expect, defaults.expect),
                    timeout: Merged::of(timeout, defaults.timeout),
                }
            })
        },
    }
}

/// `port` and `ports` are two ways to give one value: a pool that gives either replaces both of the defaults.
fn either_ports(port: Given<u16>, ports: Given<Vec<u16>>) -> Given<Vec<u16>> {
    match (port, ports) {
        (Given::Absent, ports) => ports,
        (Given::Value(port), Given::Absent) => Given::Value(vec![port]),
        (Given::Invalid, _) | (_, Given::Invalid | Given::Value(_)) => Given::Invalid,
    }
}

fn merge_maps(
    pool: Given<BTreeMap<String, String>>,
    defaults: Given<BTreeMap<String, String>>,
) -> Merged<BTreeMap<String, String>> {
    match (pool, defaults) {
        (Given::Value(pool), Given::Value(mut all)) => {
            all.extend(pool);
            Merged::Value(all, Origin::Pool)
        }
        (Given::Invalid, _) | (_, Given::Invalid) => Merged::Invalid,
        (pool, defaults) => Merged::of(pool, defaults),
    }
}

fn tables<T: Default>(pool: Given<T>, defaults: Given<T>) -> Option<(T, T)> {
    let open = |given| match given {
        Given::Absent => Some(T::default()),
        Given::Invalid => None,
        Given::Value(table) => Some(table),
    };
    open(pool).zip(open(defaults))
}
