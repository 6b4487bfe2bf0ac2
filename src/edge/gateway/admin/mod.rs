//! The admin API.
//!
//! | call | answers |
//! |---|---|
//! | `GET /_warm/healthz` | `{status, config: {version, source}, ..}`; open, and asks nobody |
//! | `GET /_warm/openapi.json` | all of this, in the terms of OpenAPI 3.1 |
//! | `GET /_warm/metrics` | the stats of all pools, as Prometheus reads them |
//! | `GET /_warm/v1/pools` | `{pools: [stats]}` |
//! | `GET /_warm/v1/pools/{pool}` | stats of the pool, with each shard's |
//! | `GET /_warm/v1/pools/{pool}/ids/{id}` | `{container, reason?, shard}`, or 404; gives the id none |
//! | `PUT /_warm/v1/pools/{pool}/ids/{id}` | `{container, outcome, reason?, shard}` |
//! | `DELETE /_warm/v1/pools/{pool}/ids/{id}` | 204, also when it had none |
//! | `POST /_warm/v1/pools/{pool}/shutdown-prewarmed` | `{stopped: n}` |
//! | `GET /_warm/v1/config` | `{version, source, config, moving?}`; `config` can be put back as it is |
//! | `PUT /_warm/v1/config` | the same, or 422 with every mistake and nothing changed, or 412 when `If-Match` names another version |
//! | `DELETE /_warm/v1/config` | the same: what is deployed is in force again; or 412 |
//! | `POST /_warm/v1/config/validate` | `{valid: true, version, plan}`, or 422; changes nothing |
//! | `GET /_warm/v1/config/history` | `{versions: [{version, at, by, action, source, restores?}]}`, newest first |
//! | `GET /_warm/v1/config/history/{version}` | one of them with its `config`, or 404 |
//! | `POST /_warm/v1/config/rollback` | of `{version}`: as `PUT` of that version's `config`, or 404 |
//! | `GET /_warm/v1/audit?limit=` | `{entries: [{at, by, action, version, from}]}`, newest first |
//! | `GET /_warm/v1/events` | `{events, next, dropped}`; with `Accept: text/event-stream`, a stream that goes on |
//!
//! All but the first need `Authorization: Bearer $ADMIN_TOKEN`, or for `GET` the cookie of somebody who has signed in at the
//! [`dashboard`], which has the other paths under `/_warm/`. They are closed while the Worker has no such secret.
//! Before a caller has shown the token, it learns nothing but that.

mod config;
mod events;
mod metrics;
mod openapi;
mod pools;

use serde_json::json;
use wasm_bindgen::JsValue;
use web_sys::{Request, Response};
use worker::Env;

use super::{dashboard, reply, tell};
use crate::core::gateway::admin::{Call, Miss, call, is_open};
use crate::core::gateway::dashboard::page;
use crate::core::gateway::{bearer, token_matches};
use crate::edge::bundled::{VARIABLE, bundled};
use crate::edge::client::{Error, isolate};
use crate::edge::js::{self, CallError};
use crate::edge::rpc::POOL_COORDINATOR;

/// The secret that opens the admin API.
const ADMIN_TOKEN: &str = "ADMIN_TOKEN";

/// Answers a request to a path under `/_warm`.
pub async fn handle(request: &Request, env: &Env, path: &str) -> Result<Response, JsValue> {
    let call = match page(&request.method(), path) {
        Ok(page) => return dashboard::handle(request, env, page).await,
        Err(Miss::NotFound) => call(&request.method(), path),
        Err(miss) => Err(miss),
    };
    if call == Ok(Call::Healthz) {
        return healthz(env);
    }
    if !is_open(path)
        && let Err(closed) = admit(request, env).await?
    {
        return closed;
    }
    answer(request, env, call).await
}

/// Answers a call of somebody who may make it.
pub(super) async fn answer(request: &Request, env: &Env, call: Result<Call, Miss>) -> Result<Response, JsValue> {
    match call {
        Ok(call) => match perform(request, env, call).await {
            Ok(response) => Ok(response),
            Err(Failure::Told(response)) => Ok(response),
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

type Answer = Result<Response, Failure>;

/// Why a call was not answered as its caller wished.
enum Failure {
    /// The answer is already made.
    Told(Response),
    Error(Error),
    Coordinator(CallError),
    Runtime(JsValue),
}

impl Failure {
    /// The answer is made, if the runtime lets it.
    fn told(answer: Result<Response, JsValue>) -> Self {
        answer.map_or_else(Self::Runtime, Self::Told)
    }
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

/// Lets the bearer of the token in, and to read, whoever has signed in at the dashboard.
async fn admit(request: &Request, env: &Env) -> Result<Result<(), Result<Response, JsValue>>, JsValue> {
    let expected = token(env);
    if expected.is_empty() {
        let message = "the admin API is closed: set its token with `wrangler secret put ADMIN_TOKEN`";
        return Ok(Err(reply::error(403, "admin_closed", message, &[])));
    }
    let given = request.headers().get("authorization").ok().flatten().unwrap_or_default();
    if bearer(&given).is_some_and(|token| token_matches(token, &expected))
        || dashboard::is_signed_in(request, &expected).await?
    {
        return Ok(Ok(()));
    }
    let message = "send the admin token: `Authorization: Bearer $ADMIN_TOKEN`";
    Ok(Err(reply::error(401, "unauthorized", message, &[("www-authenticate", "Bearer realm=\"cf-warm-pools\"")])))
}

/// The admin token; empty while the Worker has none.
pub(super) fn token(env: &Env) -> String {
    js::get(env.as_ref(), ADMIN_TOKEN).as_string().unwrap_or_default()
}

async fn perform(request: &Request, env: &Env, call: Call) -> Answer {
    match call {
        Call::Healthz => Ok(healthz(env)?),
        Call::OpenApi => openapi::show(),
        Call::Metrics => metrics::scrape(env).await,
        Call::ListPools => pools::list(env).await,
        Call::ShowPool(name) => pools::show(env, &name).await,
        Call::LookUp(name, id) => pools::look_up(env, &name, &id).await,
        Call::Acquire(name, id) => pools::acquire(env, &name, &id).await,
        Call::Release(name, id) => pools::release(env, &name, &id).await,
        Call::ShutdownPrewarmed(name) => pools::shutdown_prewarmed(env, &name).await,
        Call::ShowConfig => config::show(env).await,
        Call::PutConfig => config::put(request, env).await,
        Call::DropConfig => config::drop_override(request, env).await,
        Call::ValidateConfig => config::validate(request, env).await,
        Call::ListVersions => config::history(env).await,
        Call::ShowVersion(version) => config::show_version(env, &version).await,
        Call::RollBack => config::roll_back(request, env).await,
        Call::ShowAudit => config::audit(request, env).await,
        Call::Events => events::list(request, env).await,
    }
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
