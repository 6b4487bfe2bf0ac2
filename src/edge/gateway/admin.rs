//! The admin API.
//!
//! | call | answers |
//! |---|---|
//! | `GET /_warm/healthz` | `{status, config: {version, source}, ..}`; open, and asks nobody |
//! | `GET /_warm/v1/pools` | `{pools: [stats]}` |
//! | `GET /_warm/v1/pools/{pool}` | stats of the pool, with each shard's |
//! | `GET /_warm/v1/pools/{pool}/ids/{id}` | `{container, reason?, shard}`, or 404; gives the id none |
//! | `PUT /_warm/v1/pools/{pool}/ids/{id}` | `{container, outcome, reason?, shard}` |
//! | `DELETE /_warm/v1/pools/{pool}/ids/{id}` | 204, also when it had none |
//! | `POST /_warm/v1/pools/{pool}/shutdown-prewarmed` | `{stopped: n}` |
//! | `GET /_warm/v1/config` | `{version, source, config, moving?}`; `config` can be put back as it is |
//! | `PUT /_warm/v1/config` | the same, or 422 with every mistake and nothing changed |
//! | `DELETE /_warm/v1/config` | the same: what is deployed is in force again |
//! | `POST /_warm/v1/config/validate` | `{valid: true}`, or 422; changes nothing |
//!
//! All but the first need `Authorization: Bearer $ADMIN_TOKEN`, and are closed while the Worker has no such secret. Before a
//! caller has shown the token, it learns nothing but that.

use serde_json::{Map, Value, json};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Request, Response};
use worker::Env;

use super::body::{self, BodyError};
use super::{reply, tell};
use crate::config::limits::MAX_CONFIG_BYTES;
use crate::config::resolved::{PoolName, ShardCount};
use crate::config::{Config, ConfigError, WranglerBindings, missing_bindings, parse_json};
use crate::core::coordinator::ConfigSource;
use crate::core::gateway::admin::{Call, Miss, call};
use crate::core::gateway::{bearer, token_matches};
use crate::core::id::SessionId;
use crate::core::outcome::Assignment;
use crate::edge::bundled::{VARIABLE, bundled};
use crate::edge::client::{self, Error, Pool, isolate};
use crate::edge::join::join_all;
use crate::edge::js::{self, CallError};
use crate::edge::rpc::{CoordinatorClient, POOL_COORDINATOR};
use crate::wire::coordinator::ConfigView;

/// The secret that opens the admin API.
const ADMIN_TOKEN: &str = "ADMIN_TOKEN";

/// Answers a request to a path under `/_warm`.
pub async fn handle(request: &Request, env: &Env, path: &str) -> Result<Response, JsValue> {
    let call = call(&request.method(), path);
    if call == Ok(Call::Healthz) {
        return healthz(env);
    }
    if let Err(closed) = admit(request, env) {
        return closed;
    }
    match call {
        Ok(call) => match perform(request, env, call).await {
            Ok(response) => Ok(response),
            Err(Failure::Told(response)) => response,
            Err(Failure::Error(error)) => reply::denial(&tell(&error)),
            Err(Failure::Coordinator(error)) => match env.durable_object(POOL_COORDINATOR) {
                Ok(_) => {
                    tracing::warn!(%error, "the coordinator could not be reached");
                    let message = "the coordinator could not be reached; try again";
                    reply::error(503, "pool_unreachable", message, &[("retry-after", "1")])
                }
                Err(source) => {
                    reply::denial(&tell(&Error::MissingBinding { binding: POOL_COORDINATOR.to_owned(), source }))
                }
            },
            Err(Failure::Runtime(error)) => Err(error),
        },
        Err(Miss::NotFound) => reply::error(404, "not_found", "the admin API has no such path", &[]),
        Err(Miss::MethodNotAllowed(allow)) => {
            reply::error(405, "method_not_allowed", &format!("this path takes {allow}"), &[("allow", allow)])
        }
        Err(Miss::BadEncoding) => reply::error(400, "bad_encoding", "the path is not percent-encoded UTF-8", &[]),
    }
}

enum Failure {
    /// The answer is already made.
    Told(Result<Response, JsValue>),
    Error(Error),
    Coordinator(CallError),
    Runtime(JsValue),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Coordinator(error)
    }
}

impl From<JsValue> for Failure {
    fn from(error: JsValue) -> Self {
        Self::Runtime(error)
    }
}

/// Lets the bearer of the token in.
fn admit(request: &Request, env: &Env) -> Result<(), Result<Response, JsValue>> {
    let expected = js::get(env.as_ref(), ADMIN_TOKEN).as_string().unwrap_or_default();
    if expected.is_empty() {
        let message = "the admin API is closed: set its token with `wrangler secret put ADMIN_TOKEN`";
        return Err(reply::error(403, "admin_closed", message, &[]));
    }
    let given = request.headers().get("authorization").ok().flatten().unwrap_or_default();
    if bearer(&given).is_some_and(|token| token_matches(token, &expected)) {
        return Ok(());
    }
    let message = "send the admin token: `Authorization: Bearer $ADMIN_TOKEN`";
    Err(reply::error(401, "unauthorized", message, &[("www-authenticate", "Bearer realm=\"cf-warm-pools\"")]))
}

async fn perform(request: &Request, env: &Env, call: Call) -> Result<Response, Failure> {
    let coordinator = CoordinatorClient::new(env);
    let response = match call {
        Call::Healthz => healthz(env),
        Call::ListPools if bundled(env).is_alone() => list_pools(env).await?,
        Call::ListPools => reply::text(200, &coordinator.stats_json(None).await?),
        Call::ShowPool(name) => show_pool(env, &name).await?,
        Call::LookUp(name, id) => {
            let (pool, id) = pool_and_id(env, &name, &id).await?;
            match pool.find(&id).await? {
                Some(assignment) => reply::json(200, &described(&assignment, Told::WithoutOutcome)),
                None => reply::error(404, "no_container", "this id has no container", &[]),
            }
        }
        Call::Acquire(name, id) => {
            let (pool, id) = pool_and_id(env, &name, &id).await?;
            let assignment = pool.acquire(&id, None).await?;
            reply::json(200, &described(&assignment, Told::WithOutcome))
        }
        Call::Release(name, id) => {
            let (pool, id) = pool_and_id(env, &name, &id).await?;
            pool.release_id(&id).await?;
            reply::no_content()
        }
        Call::ShutdownPrewarmed(name) => {
            let pool = pool(env, &name).await?;
            reply::json(200, &json!({ "stopped": pool.shutdown_prewarmed().await? }))
        }
        Call::ShowConfig => shown(&coordinator.config().await?),
        Call::PutConfig => put_config(request, env).await?,
        Call::DropConfig => {
            let view = coordinator.drop_config().await?;
            let response = shown(&view);
            isolate::adopt(env, view);
            response
        }
        Call::ValidateConfig => {
            read_config(request, env).await?;
            reply::json(200, &json!({ "valid": true }))
        }
    };
    Ok(response?)
}

/// Whether the Worker runs, and by which configuration: nothing is asked, so it says nothing of containers.
fn healthz(env: &Env) -> Result<Response, JsValue> {
    let (version, source) = isolate::version(env);
    let mut body = json!({
        "status": "ok",
        "config": { "version": version.version, "source": source },
    });
    if let (Some(errors), Some(body)) = (&bundled(env).errors, body.as_object_mut()) {
        // Their text may quote secrets of the variable, and this call is open.
        let count = errors.iter().count() + errors.omitted();
        body.insert("status".to_owned(), json!("degraded"));
        body.insert(
            "message".to_owned(),
            json!(format!(
                "{VARIABLE} is refused (mistakes: {count}, listed in the log); the bundled configuration serves instead"
            )),
        );
    }
    reply::json(200, &body)
}

/// Without a coordinator every pool is asked by itself.
async fn list_pools(env: &Env) -> Result<Result<Response, JsValue>, Failure> {
    let config = isolate::config(env);
    let pools: Vec<Pool> = config.pools.keys().filter_map(|name| client::of(env, &config, name)).collect();
    let stats: Vec<Value> =
        join_all(pools.iter().map(Pool::stats_document)).await.into_iter().collect::<Result<_, _>>()?;
    Ok(reply::json(200, &json!({ "pools": stats })))
}

async fn show_pool(env: &Env, name: &str) -> Result<Result<Response, JsValue>, Failure> {
    if bundled(env).is_alone() {
        return Ok(reply::json(200, &pool(env, name).await?.stats_document().await?));
    }
    let stats = CoordinatorClient::new(env).stats_json(Some(name)).await?;
    let stats: Value = serde_json::from_str(&stats).unwrap_or_default();
    match stats.pointer("/pools/0") {
        Some(stats) => Ok(reply::json(200, stats)),
        None => Err(pool(env, name).await.err().unwrap_or_else(|| unknown_pool("there is no such pool"))),
    }
}

/// The pool of a name, under the configuration in force.
async fn pool(env: &Env, name: &str) -> Result<Pool, Failure> {
    let config = isolate::config_in_force(env).await;
    client::find(env, &config, name).map_err(|error| unknown_pool(&error.to_string()))
}

fn unknown_pool(message: &str) -> Failure {
    Failure::Told(reply::error(404, "unknown_pool", message, &[]))
}

async fn pool_and_id(env: &Env, name: &str, id: &str) -> Result<(Pool, SessionId), Failure> {
    let id = SessionId::try_from(id.to_owned()).map_err(Error::BadId)?;
    Ok((pool(env, name).await?, id))
}

enum Told {
    WithOutcome,
    WithoutOutcome,
}

fn described(assignment: &Assignment, told: Told) -> Value {
    let Assignment { container, epoch: _, fenced: _, outcome, reason, shard, binding: _ } = assignment;
    let mut fields = Map::new();
    fields.insert("container".to_owned(), json!(container));
    if let Told::WithOutcome = told {
        fields.insert("outcome".to_owned(), json!(outcome));
    }
    if let Some(reason) = reason {
        fields.insert("reason".to_owned(), json!(reason));
    }
    fields.insert("shard".to_owned(), json!(shard));
    Value::Object(fields)
}

fn shown(view: &ConfigView) -> Result<Response, JsValue> {
    let ConfigView { version, source, config, moving_from, credits: _ } = view;
    let source: ConfigSource = *source;
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
    reply::json(200, &Value::Object(fields))
}

async fn put_config(request: &Request, env: &Env) -> Result<Result<Response, JsValue>, Failure> {
    let config = read_config(request, env).await?;
    let view = CoordinatorClient::new(env).put_config(&config).await?;
    let response = shown(&view);
    isolate::adopt(env, view);
    Ok(response)
}

/// The configuration in a request, checked as a whole, bindings included.
async fn read_config(request: &Request, env: &Env) -> Result<Config, Failure> {
    let text = match body::text(request, MAX_CONFIG_BYTES).await {
        Ok(text) => text,
        Err(BodyError::TooLarge) => {
            let message = format!("the configuration has more than {MAX_CONFIG_BYTES} bytes");
            return Err(Failure::Told(reply::error(413, "too_large", &message, &[])));
        }
        Err(BodyError::NotText) => {
            return Err(Failure::Told(reply::error(400, "bad_encoding", "the body is not UTF-8", &[])));
        }
        Err(BodyError::Failed(error)) => {
            tracing::warn!(%error, "a body could not be read");
            return Err(Failure::Told(reply::error(400, "bad_body", "the body could not be read", &[])));
        }
    };
    let config = parse_json(&text).map_err(|errors| {
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
    Failure::Told(reply::json(422, &body))
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
