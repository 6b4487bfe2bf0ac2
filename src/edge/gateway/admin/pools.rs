//! What the admin API tells of pools and their ids, and does to them.

use serde_json::{Map, Value, json};
use worker::Env;

use super::{Answer, Failure};
use crate::core::id::SessionId;
use crate::core::outcome::Assignment;
use crate::edge::bundled::bundled;
use crate::edge::client::{self, Error, Pool, isolate};
use crate::edge::gateway::reply;
use crate::edge::join::join_all;
use crate::edge::js::CallError;
use crate::edge::rpc::CoordinatorClient;

pub(super) async fn list(env: &Env) -> Answer {
    if !bundled(env).is_alone() {
        return Ok(reply::text(200, &CoordinatorClient::new(env).stats_json(None).await?)?);
    }
    Ok(reply::json(200, &json!({ "pools": ask_each(env).await? }))?)
}

/// The stats of every pool.
pub(super) async fn documents(env: &Env) -> Result<Vec<Value>, Failure> {
    if bundled(env).is_alone() {
        return Ok(ask_each(env).await?);
    }
    let text = CoordinatorClient::new(env).stats_json(None).await?;
    let mut answer: Value = serde_json::from_str(&text).map_err(|error| CallError::Threw(error.to_string()))?;
    match answer.get_mut("pools").map(Value::take) {
        Some(Value::Array(pools)) => Ok(pools),
        _ => Err(CallError::Threw("the coordinator's answer has no pools".to_owned()).into()),
    }
}

/// Without a coordinator every pool is asked by itself.
async fn ask_each(env: &Env) -> Result<Vec<Value>, Error> {
    let config = isolate::config(env);
    let pools: Vec<Pool> = config.pools.keys().filter_map(|name| client::of(env, &config, name)).collect();
    join_all(pools.iter().map(Pool::stats_document)).await.into_iter().collect()
}

pub(super) async fn show(env: &Env, name: &str) -> Answer {
    if bundled(env).is_alone() {
        return Ok(reply::json(200, &pool(env, name).await?.stats_document().await?)?);
    }
    let stats = CoordinatorClient::new(env).stats_json(Some(name)).await?;
    let stats: Value = serde_json::from_str(&stats).unwrap_or_default();
    if let Some(stats) = stats.pointer("/pools/0") {
        return Ok(reply::json(200, stats)?);
    }
    pool(env, name).await?;
    Err(unknown_pool("there is no such pool"))
}

pub(super) async fn look_up(env: &Env, name: &str, id: &str) -> Answer {
    let (pool, id) = pool_and_id(env, name, id).await?;
    Ok(match pool.find(&id).await? {
        Some(assignment) => reply::json(200, &described(&assignment, Told::WithoutOutcome))?,
        None => reply::error(404, "no_container", "this id has no container", &[])?,
    })
}

pub(super) async fn acquire(env: &Env, name: &str, id: &str) -> Answer {
    let (pool, id) = pool_and_id(env, name, id).await?;
    let assignment = pool.acquire(&id, None).await?;
    Ok(reply::json(200, &described(&assignment, Told::WithOutcome))?)
}

pub(super) async fn release(env: &Env, name: &str, id: &str) -> Answer {
    let (pool, id) = pool_and_id(env, name, id).await?;
    pool.release_id(&id).await?;
    Ok(reply::no_content()?)
}

pub(super) async fn shutdown_prewarmed(env: &Env, name: &str) -> Answer {
    let pool = pool(env, name).await?;
    Ok(reply::json(200, &json!({ "stopped": pool.shutdown_prewarmed().await? }))?)
}

/// The pool of a name, under the configuration in force.
async fn pool(env: &Env, name: &str) -> Result<Pool, Failure> {
    let config = isolate::config_in_force(env).await;
    client::find(env, &config, name).map_err(|error| unknown_pool(&error.to_string()))
}

fn unknown_pool(message: &str) -> Failure {
    Failure::told(reply::error(404, "unknown_pool", message, &[]))
}

async fn pool_and_id(env: &Env, name: &str, id: &str) -> Result<(Pool, SessionId), Failure> {
    let id = SessionId::from_caller(id).map_err(Error::BadId)?;
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
