//! The configuration by the admin API: shown, changed, checked, and what it was before.

use serde_json::{Map, Value, json};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Request, Response};
use worker::Env;

use super::{Answer, Failure};
use crate::config::limits::MAX_CONFIG_BYTES;
use crate::config::resolved::{PoolName, ShardCount};
use crate::config::{Config, ConfigError, ConfigErrors, WranglerBindings, missing_bindings, parse_json, parse_value};
use crate::core::gateway::Target;
use crate::core::gateway::change::{actor, audit_limit, expected_versions, version_to_restore};
use crate::edge::client::isolate;
use crate::edge::gateway::body::{self, BodyError};
use crate::edge::gateway::reply;
use crate::edge::js;
use crate::edge::rpc::CoordinatorClient;
use crate::wire::coordinator::{Ask, Change, ChangeReply, ConfigView};

/// The most bytes of the body that says what to roll back to.
const MAX_ROLLBACK_BYTES: usize = 1_024;

pub(super) async fn show(env: &Env) -> Answer {
    Ok(shown(&CoordinatorClient::new(env).config().await?)?)
}

pub(super) async fn put(request: &Request, env: &Env) -> Answer {
    let terms = Terms::of(request)?;
    let config = read_config(request, env).await?;
    terms.change(env, Ask::Put(config)).await
}

pub(super) async fn drop_override(request: &Request, env: &Env) -> Answer {
    Terms::of(request)?.change(env, Ask::Drop).await
}

pub(super) async fn validate(request: &Request, env: &Env) -> Answer {
    let config = read_config(request, env).await?;
    Ok(reply::text(200, &CoordinatorClient::new(env).preview_json(&config).await?)?)
}

pub(super) async fn history(env: &Env) -> Answer {
    Ok(reply::text(200, &CoordinatorClient::new(env).history_json().await?)?)
}

pub(super) async fn show_version(env: &Env, version: &str) -> Answer {
    let Ok(version) = version.parse() else { return Err(unknown_version(version)) };
    Ok(reply::json(200, &kept(env, version).await?)?)
}

/// Puts the configuration of a former version in force. It was good then, and is checked again: limits may be others by now, and
/// bindings gone.
pub(super) async fn roll_back(request: &Request, env: &Env) -> Answer {
    let terms = Terms::of(request)?;
    let text = read_body(request, MAX_ROLLBACK_BYTES).await?;
    let Some(version) = version_to_restore(&text) else {
        let message = "send the version to go back to, a number: {\"version\": 12}";
        return Err(Failure::told(reply::error(400, "bad_body", message, &[])));
    };
    let record = kept(env, version).await?;
    let config = checked(parse_value(record.get("config").unwrap_or(&Value::Null)), env)?;
    terms.change(env, Ask::RollBack(config, version)).await
}

pub(super) async fn audit(request: &Request, env: &Env) -> Answer {
    let url = request.url();
    let limit = audit_limit(Target::parse(&url).and_then(|target| target.query()))
        .map_err(|message| Failure::told(reply::error(400, "bad_query", &message, &[])))?;
    Ok(reply::text(200, &CoordinatorClient::new(env).audit_json(limit).await?)?)
}

/// What a request that makes a change says besides.
struct Terms {
    expected: Option<Vec<u64>>,
    by: String,
}

impl Terms {
    fn of(request: &Request) -> Result<Self, Failure> {
        let header = |name: &str| request.headers().get(name).ok().flatten();
        let expected = expected_versions(header("if-match").as_deref())
            .map_err(|message| Failure::told(reply::error(400, "bad_if_match", message, &[])))?;
        let by = actor(header("x-warm-actor").as_deref(), header("cf-access-authenticated-user-email").as_deref())
            .map_err(|message| Failure::told(reply::error(400, "bad_actor", &message, &[])))?;
        Ok(Self { expected, by })
    }

    async fn change(self, env: &Env, ask: Ask) -> Answer {
        let Self { expected, by } = self;
        match CoordinatorClient::new(env).change(&Change { ask, expected, by }).await? {
            ChangeReply::InForce(view) => adopted(env, *view),
            ChangeReply::Stale { version } => {
                let message =
                    format!("version {version} is in force, which If-Match does not name; nothing was changed");
                let error = json!({ "code": "stale_version", "message": message, "version": version });
                Ok(reply::json(412, &json!({ "error": error }))?)
            }
        }
    }
}

/// A version that is kept.
async fn kept(env: &Env, version: u64) -> Result<Value, Failure> {
    let record = CoordinatorClient::new(env).version_record(version).await?;
    record.ok_or_else(|| unknown_version(&version.to_string()))
}

fn unknown_version(version: &str) -> Failure {
    let message = format!("version {version:?} is not kept; GET /_warm/v1/config/history lists those that are");
    Failure::told(reply::error(404, "unknown_version", &message, &[]))
}

/// Shows what is in force now, and works by it from here on.
fn adopted(env: &Env, view: ConfigView) -> Answer {
    let response = shown(&view)?;
    isolate::adopt(env, view);
    Ok(response)
}

fn shown(view: &ConfigView) -> Result<Response, JsValue> {
    let ConfigView { version, source, config, moving_from, credits: _ } = view;
    let mut fields = Map::new();
    fields.insert("version".to_owned(), json!(version.version));
    fields.insert("source".to_owned(), json!(source));
    fields.insert("config".to_owned(), config.to_document());
    let of_pool = |(name, from): (&PoolName, &ShardCount)| {
        let to = config.pools.get(name)?.shards;
        Some((name.to_string(), json!({ "from": from, "to": to })))
    };
    let moving: Map<String, Value> = moving_from.iter().filter_map(of_pool).collect();
    if !moving.is_empty() {
        fields.insert("moving".to_owned(), Value::Object(moving));
    }
    let response = reply::json(200, &Value::Object(fields))?;
    response.headers().set("etag", &format!("\"{}\"", version.version))?;
    Ok(response)
}

/// The configuration in a request, checked as a whole, bindings included.
async fn read_config(request: &Request, env: &Env) -> Result<Config, Failure> {
    checked(parse_json(&read_body(request, MAX_CONFIG_BYTES).await?), env)
}

async fn read_body(request: &Request, limit: usize) -> Result<String, Failure> {
    body::text(request, limit).await.map_err(|error| {
        let (status, code, message) = match error {
            BodyError::TooLarge => (413, "too_large", format!("the body has more than {limit} bytes")),
            BodyError::NotText => (400, "bad_encoding", "the body is not UTF-8".to_owned()),
            BodyError::Failed(error) => {
                tracing::warn!(%error, "a body could not be read");
                (400, "bad_body", "the body could not be read".to_owned())
            }
        };
        Failure::told(reply::error(status, code, &message, &[]))
    })
}

/// A configuration that the Worker has every binding of.
fn checked(config: Result<Config, ConfigErrors>, env: &Env) -> Result<Config, Failure> {
    let config = config.map_err(|errors| {
        let list: Vec<Value> = errors.iter().map(|error| json!(error)).collect();
        invalid(&list, errors.omitted())
    })?;
    let missing: Vec<ConfigError> = missing_bindings(&config, &bindings(env));
    if missing.is_empty() {
        return Ok(config);
    }
    Err(invalid(&missing.iter().map(|error| json!(error)).collect::<Vec<_>>(), 0))
}

fn invalid(errors: &[Value], omitted: usize) -> Failure {
    let count = errors.len() + omitted;
    let mistakes = if count == 1 { "mistake" } else { "mistakes" };
    let message = format!("the configuration has {count} {mistakes}; nothing was changed");
    let body = json!({ "error": { "code": "invalid_config", "message": message, "errors": errors } });
    Failure::told(reply::json(422, &body))
}

/// What the Worker has, by kind.
fn bindings(env: &Env) -> WranglerBindings {
    let mut bindings = WranglerBindings::default();
    let env: &JsValue = env.as_ref();
    for name in js_sys::Object::keys(env.unchecked_ref::<js_sys::Object>()).iter().filter_map(|name| name.as_string()) {
        let binding = js::get(env, &name);
        let has = |method: &str| js::get(&binding, method).is_function();
        if has("idFromName") {
            bindings.durable_objects.insert(name);
        } else if has("getWithMetadata") {
            bindings.kv_namespaces.insert(name);
        }
    }
    bindings
}
