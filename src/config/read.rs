//! JSON to [`raw`](super::raw): shape, names and each value's own limits. Rules between values come later.

use serde_json::Value;

use super::errors::{ErrorCode, Place};
use super::limits;
use super::raw::{Named, RawConfig, RawId, RawPool, RawPrices, RawReady, RawRoute, RawSetup, RawStart};
use super::reader::{Fault, Given, Reader, Table, join, join_index, nearest, shorten};
use super::resolved::{InstanceType, ShardCount, Size};
use super::values;

/// Keys of `start`, which are easily written one table too high. A test compares them with what [`start`] reads.
pub(super) const START_KEYS: [&str; 8] =
    ["port", "ports", "env", "entrypoint", "enable_internet", "labels", "ready", "setup"];

pub(super) fn config(reader: &mut Reader, document: &Value) -> Option<RawConfig> {
    let mut table = reader.table("", document)?;
    table.leaf(reader, "$schema", &|value| values::text(value).map(drop));
    reader.errors.enter(Place::Defaults);
    let defaults = table.nested(reader, "defaults", &pool);
    let pools = table.nested(reader, "pools", &pools);
    let routes = table.nested(reader, "routes", &routes);
    reader.errors.enter(Place::Document);
    let prices = table.nested(reader, "prices", &prices);
    if pools.is_absent() {
        let message = "is missing: a configuration has a table `[pools.NAME]` for each pool".to_owned();
        reader.errors.push("pools", ErrorCode::MissingKey, message);
    }
    table.finish(reader, &[]);
    Some(RawConfig { defaults, pools: pools.value()?, routes: routes.value().unwrap_or_default(), prices })
}

fn pools(reader: &mut Reader, path: &str, value: &Value) -> Option<Vec<Named>> {
    let Value::Object(entries) = value else {
        reader.fault(path, Fault::wrong_type("a table of pools by name", value));
        return None;
    };
    if entries.len() > limits::MAX_POOLS {
        let message = format!("has {} pools; at most {} are allowed", entries.len(), limits::MAX_POOLS);
        reader.errors.push(path, ErrorCode::TooLarge, message);
        return None;
    }
    let read = entries.iter().enumerate().map(|(at, (written, value))| {
        reader.errors.enter(Place::Pool(at));
        let path = join(path, written);
        let name = reader.record(&path, values::pool_name(written));
        Named { written: written.clone(), name, pool: pool(reader, &path, value) }
    });
    Some(read.collect())
}

/// One pool, or the defaults of all.
pub(super) fn pool(reader: &mut Reader, path: &str, value: &Value) -> Option<RawPool> {
    let mut table = reader.table(path, value)?;
    let pool = RawPool {
        container: table.leaf(reader, "container", &values::container_binding),
        warm_target: table.leaf(reader, "warm_target", &values::whole(limits::WARM_TARGET)),
        refresh_interval: table.leaf(reader, "refresh_interval", &values::duration(limits::REFRESH_INTERVAL)),
        shards: table.leaf(reader, "shards", &|value| {
            let count: u32 = values::whole(limits::SHARDS)(value)?;
            ShardCount::try_from(count).map_err(|error| Fault::new(ErrorCode::OutOfRange, error.to_string()))
        }),
        max_instances: table.leaf(reader, "max_instances", &values::whole(limits::MAX_INSTANCES)),
        id_cache: table.leaf(reader, "id_cache", &values::binding),
        sleep_after: table.leaf(reader, "sleep_after", &values::duration(limits::SLEEP_AFTER)),
        acquire_timeout: table.leaf(reader, "acquire_timeout", &values::duration(limits::ACQUIRE_TIMEOUT)),
        max_concurrent_starts: table.leaf(
            reader,
            "max_concurrent_starts",
            &values::whole(limits::MAX_CONCURRENT_STARTS),
        ),
        lease_ttl: table.leaf(reader, "lease_ttl", &values::duration(limits::LEASE_TTL)),
        unreachable_timeout: table.leaf(reader, "unreachable_timeout", &values::duration(limits::UNREACHABLE_TIMEOUT)),
        drain_timeout: table.leaf(reader, "drain_timeout", &values::duration(limits::DRAIN_TIMEOUT)),
        instance_type: table.nested(reader, "instance_type", &instance_type),
        start: table.nested(reader, "start", &start),
    };
    table.finish(reader, &[("start", &START_KEYS)]);
    Some(pool)
}

/// The table `prices`.
fn prices(reader: &mut Reader, path: &str, value: &Value) -> Option<RawPrices> {
    let mut table = reader.table(path, value)?;
    let prices = RawPrices {
        memory_gib_second: table.leaf(reader, "memory_gib_second", &values::price),
        disk_gb_second: table.leaf(reader, "disk_gb_second", &values::price),
        vcpu_second: table.leaf(reader, "vcpu_second", &values::price),
    };
    table.finish(reader, &[]);
    Some(prices)
}

/// The name of an instance type, or a size.
fn instance_type(reader: &mut Reader, path: &str, value: &Value) -> Option<InstanceType> {
    let names = || InstanceType::NAMED.into_iter().map(InstanceType::name);
    let wanted = || format!("{} or a table with vcpu, memory_mib and disk_mb", names().collect::<Vec<_>>().join(", "));
    match value {
        Value::String(name) => {
            let named = InstanceType::NAMED.into_iter().find(|named| named.name() == name);
            if named.is_none() {
                let near = nearest(name, names()).map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
                let message = format!("must be {}; it is {:?}{near}", wanted(), shorten(name));
                reader.errors.push(path, ErrorCode::InvalidValue, message);
            }
            named
        }
        Value::Object(_) => size(reader, path, value).map(InstanceType::Custom),
        other => {
            reader.fault(path, Fault::wrong_type(&wanted(), other));
            None
        }
    }
}

fn size(reader: &mut Reader, path: &str, value: &Value) -> Option<Size> {
    let mut table = reader.table(path, value)?;
    let micro_vcpus = table.leaf(reader, "vcpu", &values::vcpus);
    let memory_mib = table.leaf(reader, "memory_mib", &values::whole::<u64>(limits::MEMORY_MIB));
    let disk_mb = table.leaf(reader, "disk_mb", &values::whole::<u64>(limits::DISK_MB));
    for (key, given) in [("vcpu", &micro_vcpus), ("memory_mib", &memory_mib), ("disk_mb", &disk_mb)] {
        require(reader, &table, key, given, "a size has all three of vcpu, memory_mib and disk_mb");
    }
    table.finish(reader, &[]);
    Some(Size { micro_vcpus: micro_vcpus.value()?, memory_mib: memory_mib.value()?, disk_mb: disk_mb.value()? })
}

/// The table `start`.
pub(super) fn start(reader: &mut Reader, path: &str, value: &Value) -> Option<RawStart> {
    let mut table = reader.table(path, value)?;
    let mut start = RawStart {
        port: table.leaf(reader, "port", &values::whole(limits::PORT)),
        ports: table.nested(reader, "ports", &values::ports),
        env: table.nested(reader, "env", &values::env),
        entrypoint: table.nested(reader, "entrypoint", &values::entrypoint),
        enable_internet: table.leaf(reader, "enable_internet", &values::switch),
        labels: table.nested(reader, "labels", &values::labels),
        ready: table.nested(reader, "ready", &ready),
        setup: table.nested(reader, "setup", &setup),
    };
    if !start.port.is_absent() && !start.ports.is_absent() {
        let message = "has both `port` and `ports`; keep one of them (requests go to the first of `ports`)".to_owned();
        reader.errors.push(path, ErrorCode::Conflict, message);
        start.port = Given::Invalid;
        start.ports = Given::Invalid;
    }
    table.finish(reader, &[]);
    Some(start)
}

/// The table `ready`.
fn ready(reader: &mut Reader, path: &str, value: &Value) -> Option<RawReady> {
    let mut table = reader.table(path, value)?;
    let ready = RawReady {
        path: table.leaf(reader, "path", &values::request_path),
        timeout: table.leaf(reader, "timeout", &values::duration(limits::READY_TIMEOUT)),
    };
    table.finish(reader, &[]);
    Some(ready)
}

/// The table `setup`.
fn setup(reader: &mut Reader, path: &str, value: &Value) -> Option<RawSetup> {
    let mut table = reader.table(path, value)?;
    let setup = RawSetup {
        method: table.leaf(reader, "method", &values::method),
        path: table.leaf(reader, "path", &values::request_path),
        expect: table.leaf(reader, "expect", &values::whole(limits::EXPECT)),
        timeout: table.leaf(reader, "timeout", &values::duration(limits::SETUP_TIMEOUT)),
    };
    table.finish(reader, &[]);
    Some(setup)
}

fn routes(reader: &mut Reader, path: &str, value: &Value) -> Option<Vec<Option<RawRoute>>> {
    let Value::Array(entries) = value else {
        reader.fault(path, Fault::wrong_type("a list of tables ([[routes]])", value));
        return None;
    };
    if entries.len() > limits::MAX_ROUTES {
        let message = format!("has {} routes; at most {} are allowed", entries.len(), limits::MAX_ROUTES);
        reader.errors.push(path, ErrorCode::TooLarge, message);
        return None;
    }
    let read = entries.iter().enumerate().map(|(at, value)| {
        reader.errors.enter(Place::Route(at));
        route(reader, &join_index(path, at), value)
    });
    Some(read.collect())
}

fn route(reader: &mut Reader, path: &str, value: &Value) -> Option<RawRoute> {
    let mut table = reader.table(path, value)?;
    let route = RawRoute {
        pool: table.leaf(reader, "pool", &|value| values::text(value).map(str::to_owned)),
        host: table.leaf(reader, "host", &values::host),
        path: table.leaf(reader, "path", &values::route_path),
        strip_prefix: table.leaf(reader, "strip_prefix", &values::switch),
        id: table.nested(reader, "id", &id),
    };
    require(reader, &table, "pool", &route.pool, "name the pool that requests go to");
    require(
        reader,
        &table,
        "id",
        &route.id,
        "say where requests carry their id, for example id = { header = \"x-session-id\" }",
    );
    table.finish(reader, &[]);
    Some(route)
}

fn require<T>(reader: &mut Reader, table: &Table<'_>, key: &str, given: &Given<T>, what_to_do: &str) {
    if given.is_absent() {
        reader.errors.push(&join(table.path(), key), ErrorCode::MissingKey, format!("is missing: {what_to_do}"));
    }
}

fn id(reader: &mut Reader, path: &str, value: &Value) -> Option<RawId> {
    let mut table = reader.table(path, value)?;
    let id = RawId {
        header: table.leaf(reader, "header", &values::header),
        cookie: table.leaf(reader, "cookie", &values::token),
        query: table.leaf(reader, "query", &values::query_name),
        segment: table.leaf(reader, "segment", &values::whole(limits::SEGMENT)),
        default: table.leaf(reader, "default", &values::session_id),
    };
    let sources = [id.header.is_absent(), id.cookie.is_absent(), id.query.is_absent(), id.segment.is_absent()];
    let given = sources.into_iter().filter(|absent| !absent).count();
    table.finish(reader, &[]);
    if given == 1 {
        return Some(id);
    }
    let code = if given == 0 { ErrorCode::MissingKey } else { ErrorCode::Conflict };
    reader.errors.push(
        path,
        code,
        format!("must have exactly one of header, cookie, query, segment; it has {given} of them"),
    );
    None
}
