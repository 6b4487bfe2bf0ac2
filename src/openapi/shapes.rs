//! What the edge puts together of the machines' types when it answers. Kept true by the tests on workerd, which refuse every
//! key that is not described here.
#![allow(dead_code, reason = "they are described, never made")]

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::core::coordinator::{Action, Capacity, ConfigSource, Migration};
use crate::core::failure::FailureClass;
use crate::core::id::{ContainerId, ShardIndex};
use crate::core::journal::Kind;
use crate::core::outcome::{Outcome, Reason};
use crate::core::sorted::Map;
use crate::core::stats::MergedStats;

/// Whether the Worker runs, and by which configuration.
#[derive(JsonSchema)]
pub(super) struct Health {
    status: HealthStatus,
    config: HealthConfig,
    /// With `degraded`: why.
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// `degraded` while the variable `POOLS_CONFIG` is refused.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
enum HealthStatus {
    Ok,
    Degraded,
}

/// What the isolate that answers works by, which may be behind by seconds.
#[derive(JsonSchema)]
#[schemars(inline)]
struct HealthConfig {
    /// Counted up with every change; 0 before the coordinator has spoken.
    version: u64,
    source: ConfigSource,
}

/// Every pool.
#[derive(JsonSchema)]
pub(super) struct Pools {
    /// In the order of their names.
    pools: Vec<PoolStats>,
}

/// A pool in numbers: the sums of its shards, and what the coordinator knows of it.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct PoolStats {
    /// The pool's name.
    pub name: String,
    /// The settings in force, with their defaults filled in.
    pub config: PoolSettings,
    /// Starts by what came of them.
    pub starts: Starts,
    /// The limit that its settings state. Null without one.
    pub max_instances: Option<u32>,
    /// While ids move because the shard count has changed. Null when nothing moves; missing where no coordinator knows the pool.
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub migration: Option<Migration>,
    /// What shards hold of the limit. Null without one; missing where no coordinator knows the pool.
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    #[schemars(flatten)]
    pub numbers: MergedStats,
}

/// Starts by what came of them.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct Starts {
    /// Those that ended with a ready container.
    ready: u64,
    /// Those that were asked for again because the answer proved nothing.
    retried: u64,
    /// Those that ended without one.
    failed: Map<FailureClass, u64>,
}

/// A pool's settings in its numbers; durations in ms.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct PoolSettings {
    container: String,
    warm_target: u32,
    refresh_interval: u64,
    shards: u32,
    #[schemars(with = "u32", skip_serializing_if = "Option::is_none")]
    max_instances: Option<u32>,
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    id_cache: Option<String>,
    instance_type: Instance,
    sleep_after: u64,
    acquire_timeout: u64,
    max_concurrent_starts: u32,
    lease_ttl: u64,
    unreachable_timeout: u64,
    drain_timeout: u64,
}

/// The name of an instance type, or a size.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "InstanceType")]
enum Instance {
    Named(String),
    #[schemars(rename_all = "camelCase")]
    Custom {
        vcpu: f64,
        memory_mib: u32,
        disk_mb: u32,
    },
}

/// The container that an id has.
#[derive(JsonSchema)]
pub(super) struct Found {
    container: ContainerId,
    #[schemars(with = "Reason", skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    shard: ShardIndex,
}

/// The container that an id has now, and how it came by it.
#[derive(JsonSchema)]
pub(super) struct Acquired {
    container: ContainerId,
    outcome: Outcome,
    #[schemars(with = "Reason", skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    shard: ShardIndex,
}

/// What became of the stock.
#[derive(JsonSchema)]
pub(super) struct Stopped {
    /// How many containers were sent away.
    stopped: u32,
}

/// The configuration in force.
#[derive(JsonSchema)]
pub(super) struct InForce {
    /// Counted up with every change.
    version: u64,
    source: ConfigSource,
    /// With its defaults filled in; can be put back as it is.
    config: Config,
    /// Pools whose ids are moving to other shards; missing when there are none.
    #[schemars(with = "std::collections::BTreeMap<String, Moving>", skip_serializing_if = "Option::is_none")]
    moving: Option<()>,
}

/// From how many shards to how many.
#[derive(JsonSchema)]
struct Moving {
    from: u32,
    to: u32,
}

/// The configuration has no mistakes.
#[derive(JsonSchema)]
pub(super) struct Valid {
    valid: True,
    /// What is in force.
    version: u64,
    /// What would become of the pools if this were put in force now, as far as is known of their shards.
    plan: Preview,
}

/// What would become of the pools.
#[derive(JsonSchema)]
struct Preview {
    /// Those of both configurations, in the order of their names.
    pools: Vec<PreviewOfPool>,
    routes: PreviewOfWhole,
    prices: PreviewOfWhole,
}

/// What would become of a pool.
#[derive(JsonSchema)]
struct PreviewOfPool {
    pool: String,
    change: Fate,
    /// How many containers would be started.
    start: u32,
    /// How many would be sent away. None that an id has.
    drain: u32,
    /// To another shard count. Null when that stays.
    r#move: Option<Moving>,
    /// Whether the shard count has to wait until ids have moved that are moving now.
    waits: bool,
    /// Whether containers that no id has are replaced, because they are started in another way.
    restart: bool,
    /// What differs, of a pool that stays.
    changes: Vec<Difference>,
}

/// What happens to a pool.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
enum Fate {
    Added,
    Removed,
    Changed,
    Unchanged,
}

/// A value that is not the same.
#[derive(JsonSchema)]
struct Difference {
    /// Where it is, as mistakes say it.
    path: String,
    /// What it is now; null when it is not there.
    from: Value,
    /// What it would be; null when it would not be there.
    to: Value,
}

#[derive(JsonSchema)]
#[schemars(inline)]
struct PreviewOfWhole {
    /// Whether any is another.
    changed: bool,
}

/// What the latest configurations were.
#[derive(JsonSchema)]
pub(super) struct History {
    /// At most 20, newest first.
    versions: Vec<Version>,
}

/// A configuration that was put in force.
#[derive(JsonSchema)]
pub(super) struct Version {
    version: u64,
    /// When it was made, in ms since 1970.
    at: u64,
    /// Who made it: as `x-warm-actor` or Cloudflare Access named them; `admin` when nobody did, `deploy` for a deploy.
    by: String,
    action: Action,
    source: ConfigSource,
    /// The version that was rolled back to; missing when this was no rollback.
    #[schemars(with = "u64", skip_serializing_if = "Option::is_none")]
    restores: Option<u64>,
}

/// A configuration that was put in force, with its text.
#[derive(JsonSchema)]
pub(super) struct VersionWithConfig {
    #[schemars(flatten)]
    version: Version,
    config: Config,
}

/// What to go back to.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Rollback {
    /// A version of the history.
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    version: u64,
}

/// What has happened.
#[derive(JsonSchema)]
pub(super) struct Events {
    /// Oldest first.
    events: Vec<Event>,
    /// What to ask for `since` the next time.
    next: u64,
    /// How many events are missing among these, because their shard could not keep them or because they are too old.
    dropped: u64,
}

/// What has happened, with a key for each thing that applies.
#[derive(JsonSchema)]
struct Event {
    /// Its number: a later event of the coordinator's store has a higher one.
    seq: u64,
    /// When, in ms since 1970, by the clock of the object where it happened.
    at: u64,
    pool: String,
    #[schemars(with = "ShardIndex", skip_serializing_if = "Option::is_none")]
    shard: Option<ShardIndex>,
    kind: Kind,
    #[schemars(with = "ContainerId", skip_serializing_if = "Option::is_none")]
    container: Option<ContainerId>,
    /// The epoch at which the container serves, or served, its id.
    #[schemars(with = "u64", skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    /// Stands for that id: equal for equal ids of a pool.
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{16}$"), skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[schemars(with = "Outcome", skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    /// Why: a word that depends on the kind.
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What there is to say besides, for people.
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The shard that it came from, or the count of shards that there were.
    #[schemars(with = "u32", skip_serializing_if = "Option::is_none")]
    from: Option<u32>,
    /// The shard that it goes to, or the count of shards that there are.
    #[schemars(with = "u32", skip_serializing_if = "Option::is_none")]
    to: Option<u32>,
    /// The most containers that the platform seems to have room for.
    #[schemars(with = "u32", skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    /// The version of the configuration.
    #[schemars(with = "u64", skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// How many events the shard could not keep before this one.
    #[schemars(with = "u64", skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
}

/// Who changed the configuration.
#[derive(JsonSchema)]
pub(super) struct Audit {
    /// Newest first.
    entries: Vec<AuditEntry>,
}

/// A change of the configuration.
#[derive(JsonSchema)]
struct AuditEntry {
    /// When it was made, in ms since 1970.
    at: u64,
    /// Who made it.
    by: String,
    action: Action,
    /// The version that it made.
    version: u64,
    /// The version that was in force before. Null when that is not known.
    from: Option<u64>,
}

struct True;

impl JsonSchema for True {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "True".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": true })
    }
}

/// A configuration as it is written: `config/pools.schema.json`, but each key in one spelling, so that who makes a client of the
/// document does not get each twice.
pub(super) struct Config;

impl JsonSchema for Config {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Config".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        crate::config::schema_of_document(schemas)
    }
}
