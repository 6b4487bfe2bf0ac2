//! The configuration by the admin API: shown, put, dropped, checked.

use serde_json::{Map, Value, json};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Request, Response};
use worker::Env;

use super::{Answer, Failure};
use crate::config::limits::MAX_CONFIG_BYTES;
use crate::config::resolved::{PoolName, ShardCount};
use crate::config::{Config, ConfigError, WranglerBindings, missing_bindings, parse_json};
use crate::edge::client::isolate;
use crate::edge::gateway::body::{self, BodyError};
use crate::edge::gateway::reply;
use crate::edge::js;
use crate::edge::rpc::CoordinatorClient;
use crate::wire::coordinator::ConfigView;

pub(super) async fn show(env: &Env) -> Answer {
    Ok(shown(&CoordinatorClient::new(env).config().await?)?)
}

pub(super) async fn put(request: &Request, env: &Env) -> Answer {
    let config = read_config(request, env).await?;
    adopted(env, CoordinatorClient::new(env).put_config(&config).await?)
}

pub(super) async fn drop_override(env: &Env) -> Answer {
    adopted(env, CoordinatorClient::new(env).drop_config().await?)
}

pub(super) async fn validate(request: &Request, env: &Env) -> Answer {
    read_config(request, env).await?;
    Ok(reply::json(200, &json!({ "valid": true }))?)
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
    reply::json(200, &Value::Object(fields))
}

/// The configuration in a request, checked as a whole, bindings included.
async fn read_config(request: &Request, env: &Env) -> Result<Config, Failure> {
    let text = match body::text(request, MAX_CONFIG_BYTES).await {
        Ok(text) => text,
        Err(BodyError::TooLarge) => {
            let message = format!("the configuration has more than {MAX_CONFIG_BYTES} bytes");
            return Err(Failure::told(reply::error(413, "too_large", &message, &[])));
        }
        Err(BodyError::NotText) => {
            return Err(Failure::told(reply::error(400, "bad_encoding", "the body is not UTF-8", &[])));
        }
        Err(BodyError::Failed(error)) => {
            tracing::warn!(%error, "a body could not be read");
            return Err(Failure::told(reply::error(400, "bad_body", "the body could not be read", &[])));
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
