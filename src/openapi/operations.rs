//! Every call of the admin API as an operation.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::operation::{ID, Operation, POOL};
use super::shapes::{
    Acquired, Audit, Config, Events, Found, Health, History, InForce, PoolStats, Pools, Rollback, Stopped, Valid,
    VersionWithConfig,
};
use crate::config::POOL_NAME;
use crate::core::gateway::admin::Call;
use crate::core::gateway::change::MAX_ACTOR_LEN;

/// The highest version, and number of an event: readers of JSON know no higher ones exactly.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// What the operations are about.
pub(super) const TAGS: [(&str, &str); 3] = [
    ("pools", "Pools, their containers and the ids that have them."),
    ("configuration", "What is in force, and how it is changed."),
    ("service", "The Worker itself."),
];

/// One operation for each variant of [`Call`]: with none, or a second one, for a variant this does not compile.
macro_rules! operations {
    ($schemas:ident: $($variant:ident $(($($value:expr),*))? => $operation:expr,)*) => {
        /// Each call with its operation, which reads as this call when its parameters are those of the examples.
        pub(super) fn all($schemas: &mut SchemaGenerator) -> Vec<(Call, Operation)> {
            vec![$((Call::$variant $(($($value.into()),*))?, $operation)),*]
        }

        #[deny(unreachable_patterns)]
        #[allow(dead_code, reason = "the compiler reads it")]
        fn every_call_is_above(call: &Call) {
            match call {
                $(Call::$variant { .. } => (),)*
            }
        }
    };
}

operations! { schemas:
    Healthz => Operation::new("service", "checkHealth", "GET /_warm/healthz", "Whether the Worker runs")
        .says("Needs no token, and asks nobody: it says nothing of containers.")
        .open()
        .json(200, "It runs.", &of::<Health>(schemas)),
    OpenApi => Operation::new("service", "describeApi", "GET /_warm/openapi.json", "This document")
        .json(200, "OpenAPI 3.1.", &json_schema!({ "type": "object", "required": ["openapi", "info", "paths"] })),
    Metrics => Operation::new("service", "scrapeMetrics", "GET /_warm/metrics", "Every pool in numbers, for Prometheus")
        .of_coordinator()
        .media(200, "Prometheus's text format 0.0.4.", &[("text/plain", &json_schema!({ "type": "string" }))]),
    ListPools => Operation::new("pools", "listPools", "GET /_warm/v1/pools", "Every pool in numbers")
        .of_coordinator()
        .json(200, "Their numbers.", &of::<Pools>(schemas)),
    ShowPool(POOL) => Operation::new("pools", "showPool", "GET /_warm/v1/pools/{pool}", "A pool in numbers")
        .of_coordinator()
        .json(200, "Its numbers, and those of each of its shards.", &of::<PoolStats>(schemas)),
    LookUp(POOL, ID) => Operation::new(
        "pools", "lookUp", "GET /_warm/v1/pools/{pool}/ids/{id}", "The container that an id has",
    )
        .says("Gives it none.")
        .of_shards()
        .error(404, &["no_container"])
        .json(200, "It has one.", &of::<Found>(schemas)),
    Acquire(POOL, ID) => Operation::new(
        "pools", "acquire", "PUT /_warm/v1/pools/{pool}/ids/{id}", "Give an id a container, unless it has one",
    )
        .says("Waits for one up to the pool's `acquire_timeout`. The id keeps it until it is released or its container ends.")
        .of_shards()
        .error(502, &["start_failed"])
        .json(200, "It has one.", &of::<Acquired>(schemas)),
    Release(POOL, ID) => Operation::new(
        "pools", "release", "DELETE /_warm/v1/pools/{pool}/ids/{id}", "End an id's container",
    )
        .of_shards()
        .empty(204, "The id has none, whether it had one or not."),
    ShutdownPrewarmed(POOL) => Operation::new(
        "pools", "shutdownPrewarmed", "POST /_warm/v1/pools/{pool}/shutdown-prewarmed", "Replace a pool's stock",
    )
        .says("Ends every container that has no id, and starts others. Ids keep theirs.")
        .of_shards()
        .json(200, "They are on their way out.", &of::<Stopped>(schemas)),
    ShowConfig => in_force(Operation::new("configuration", "showConfig", "GET /_warm/v1/config", "What is in force"), schemas),
    PutConfig => in_force(takes_config(changes(Operation::new(
        "configuration", "putConfig", "PUT /_warm/v1/config", "Put a configuration in force",
    )), schemas), schemas)
        .says("As a whole, over what is deployed, until it is dropped. A document with any mistake changes nothing."),
    DropConfig => in_force(changes(Operation::new(
        "configuration", "dropConfig", "DELETE /_warm/v1/config", "Put what is deployed in force again",
    )), schemas),
    ValidateConfig => takes_config(Operation::new(
        "configuration", "validateConfig", "POST /_warm/v1/config/validate", "Check a configuration",
    ), schemas)
        .says("And tell what it would do. Changes nothing.")
        .of_coordinator()
        .json(200, "It could be put in force.", &of::<Valid>(schemas)),
    ListVersions => Operation::new(
        "configuration", "listVersions", "GET /_warm/v1/config/history", "What was in force before",
    )
        .of_coordinator()
        .json(200, "The latest versions.", &of::<History>(schemas)),
    ShowVersion("1") => Operation::new(
        "configuration", "showVersion", "GET /_warm/v1/config/history/{version}", "A version and its configuration",
    )
        .parameter("path", "version", true, "A version of the history.", whole(0, MAX_EXACT), &1.into())
        .of_coordinator()
        .error(400, &["bad_encoding"])
        .error(404, &["unknown_version"])
        .json(200, "It is kept.", &of::<VersionWithConfig>(schemas)),
    RollBack => in_force(changes(Operation::new(
        "configuration", "rollBack", "POST /_warm/v1/config/rollback", "Put a former configuration in force again",
    )), schemas)
        .says("As putting its text: it becomes another version. It is checked again, for bindings may be gone.")
        .body("Which one.", &of::<Rollback>(schemas), json!({ "version": 1 }))
        .error(400, &["bad_encoding", "bad_body"])
        .error(404, &["unknown_version"])
        .error(413, &["too_large"])
        .error(422, &["invalid_config"]),
    Events => Operation::new("pools", "listEvents", "GET /_warm/v1/events", "What has happened")
        .says(
            "The last events, or those after one. With `Accept: text/event-stream` a stream that goes on, for five minutes at a time: \
             `id` is `seq`, `event` is `kind`, `data` is the event in JSON; where events are missing that are kept no longer, an event \
             `dropped` says how many, `{\"dropped\": 7}`; the header `Last-Event-ID` takes the place of `since`.",
        )
        .parameter("query", "pool", false, "Of this pool alone.", json!({ "type": "string", "pattern": POOL_NAME }), &POOL.into())
        .parameter("query", "since", false, "Those after the event with this `seq`.", whole(0, MAX_EXACT), &0.into())
        .parameter("query", "limit", false, "How many at most; 100 without it.", whole(1, 500), &20.into())
        .of_coordinator()
        .error(400, &["bad_query"])
        .error(404, &["unknown_pool", "no_coordinator"])
        .media(
            200,
            "The events, oldest first.",
            &[("application/json", &of::<Events>(schemas)), ("text/event-stream", &json_schema!({ "type": "string" }))],
        ),
    ShowAudit => Operation::new("configuration", "showAudit", "GET /_warm/v1/audit", "Who changed the configuration")
        .parameter("query", "limit", false, "How many changes, the latest ones; 100 without it.", whole(1, 1_000), &20.into())
        .of_coordinator()
        .error(400, &["bad_query"])
        .json(200, "The latest changes.", &of::<Audit>(schemas)),
}

/// A whole number.
fn whole(least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

/// May be made a condition, and is noted.
fn changes(operation: Operation) -> Operation {
    let tag = r#"(W/)?"[!#-+.-~-]*""#;
    let condition = json!({ "type": "string", "pattern": format!("^(\\*|{tag}(, *{tag})*)?$") });
    let actor = json!({ "type": "string", "maxLength": MAX_ACTOR_LEN });
    operation
        .parameter(
            "header",
            "if-match",
            false,
            "Only while this version is in force: an `ETag`.",
            condition,
            &"*".into(),
        )
        .parameter("header", "x-warm-actor", false, "Who makes the change, for the audit.", actor, &"erin".into())
        .error(400, &["bad_if_match", "bad_actor"])
        .error(412, &["stale_version"])
}

fn in_force(operation: Operation, schemas: &mut SchemaGenerator) -> Operation {
    operation.of_coordinator().json(200, "What is in force now.", &of::<InForce>(schemas)).header(
        200,
        "etag",
        "The version, for `If-Match`.",
    )
}

fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<T>()
}

fn takes_config(operation: Operation, schemas: &mut SchemaGenerator) -> Operation {
    let _ = of::<crate::config::ConfigError>(schemas);
    operation
        .body("At most 256 KiB. Keys may be written in camelCase too.", &of::<Config>(schemas), example())
        .error(400, &["bad_encoding", "bad_body"])
        .error(413, &["too_large"])
        .error(422, &["invalid_config"])
}

/// The pool of the examples, as the Worker of this repository may have it.
fn example() -> Value {
    json!({
        "pools": { POOL: { "container": "COUNTER", "warm_target": 2, "refresh_interval": "1s" } },
        "routes": [{ "pool": POOL, "path": "/counter/*", "id": { "header": "x-session-id" } }],
    })
}
