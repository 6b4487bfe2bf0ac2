//! The gateway Worker: routes requests to the containers of their ids, and serves the admin API under `/_warm`.
//!
//! A request to an id that this isolate has seen goes straight to its container: no object is asked before.
//! [`dispatch`](crate::core::gateway::dispatch) has the way of a request. Headers under the prefixes `x-warm-pool`,
//! `cf-container-` and `x-sandbox-` neither come in nor go out, but for `x-warm-pool` and `x-warm-pool-reason` on answers.
//!
//! What holds: a request that has a route never waits for the coordinator; whatever goes wrong, the caller gets a JSON error
//! with a code; ids appear in no log.
//!
//! A fresh isolate knows only the configuration that the Worker carries, and any isolate may be behind the one in force for 5 s.
//! So before a request gets a 404 for which there is no known route, the coordinator is asked and waited for, at most 2 s: by
//! each such request until it has answered once; then by one in 5 s, and by those that come before that one has its answer (the
//! others get the 404 at once).
//!
//! A hint of the id cache is tried only once a shard has told this isolate that containers of the pool's class check
//! themselves whom they serve: see [`hint`](crate::core::gateway::hint).
//!
//! `src/shim/gateway.mjs` makes a Worker's main module of it. A Worker in Rust (with
//! the feature `worker-entry` off, which embeds this repository's pools) calls it for the requests that are the pools':
//!
//! ```
//! use worker::{Context, Env, event, web_sys};
//!
//! #[event(fetch)]
//! async fn fetch(request: web_sys::Request, env: Env, _: Context) -> worker::Result<web_sys::Response> {
//!     cf_warm_pools::gateway::handle(request, env).await
//! }
//! # fn main() {}
//! ```

mod admin;
mod body;
mod dashboard;
mod entry;
mod reply;

use js_sys::ArrayBuffer;
use web_sys::{Request, Response};
use worker::Env;

use super::bundled::bundled;
use super::client::forward::{Parcel, Sent};
use super::client::{self, Error, Pool, isolate};
use super::log;
use crate::core::gateway::{Denial, DenialCode, Sticky, Target, session_id};
use crate::core::id::SessionId;
use crate::core::outcome::RefusalCode;
use crate::edge::join::join_all;
use crate::edge::rpc::CoordinatorClient;

/// Answers a request.
///
/// # Errors
///
/// Only when the runtime does not let an answer be made; all else is an answer.
pub async fn handle(request: Request, env: Env) -> worker::Result<Response> {
    log::init();
    let url = request.url();
    let Some(target) = Target::parse(&url) else {
        let denial = Denial::new(DenialCode::NoRoute, "the request has no absolute URL");
        return Ok(reply::denial(&denial)?);
    };
    if target.is_admin() {
        return Ok(admin::handle(&request, &env, target.path()).await?);
    }
    match pass_on(request, &env, &target).await {
        Ok(response) => Ok(response),
        Err(denial) => Ok(reply::denial(&denial)?),
    }
}

/// Fills every pool, before any request: for a cron trigger, and for a first call after a deploy.
pub async fn prime(env: &Env) {
    log::init();
    if bundled(env).is_alone() {
        let config = isolate::config(env);
        let pools: Vec<Pool> = config.pools.keys().filter_map(|name| client::of(env, &config, name)).collect();
        join_all(pools.iter().map(Pool::tell_all)).await;
        return;
    }
    if let Err(error) = CoordinatorClient::new(env).prime().await {
        tracing::warn!(%error, "the coordinator could not be reached to fill the pools");
    }
}

async fn pass_on(request: Request, env: &Env, target: &Target<'_>) -> Result<Response, Denial> {
    let destined = destine(&request, env, target).await?;
    destined.pool.dispatch(&destined.id, request, destined.url).await.map_err(|error| tell(&error))
}

/// Goes on with a request that was sent to the container which was `known` of its id, and not served.
async fn resume(
    request: Request,
    kept: Option<ArrayBuffer>,
    env: Env,
    known: Option<Sticky>,
    sent: Sent,
) -> worker::Result<Response> {
    let url = request.url();
    let (Some(target), Some(known)) = (Target::parse(&url), known) else { return handle(request, env).await };
    let resumed = async {
        let Destined { pool, id, url } = destine(&request, &env, &target).await?;
        pool.resume(&id, Parcel::kept(request, kept, url), known, sent).await.map_err(|error| tell(&error))
    };
    match resumed.await {
        Ok(response) => Ok(response),
        Err(denial) => Ok(reply::denial(&denial)?),
    }
}

/// Whom a request is for.
struct Destined {
    pool: Pool,
    id: SessionId,
    /// The URL as the container gets it.
    url: String,
}

async fn destine(request: &Request, env: &Env, target: &Target<'_>) -> Result<Destined, Denial> {
    let (mut config, question) = isolate::known(env);
    if target.route(&config).is_some() {
        question.into_iter().for_each(|question| question.ask_in_background(env));
    } else if let Some(question) = question.or_else(|| isolate::question_without_route(env)) {
        config = question.ask(env).await;
    }
    let Some(route) = target.route(&config) else {
        let message = format!("no route matches {}{}", target.host(), target.path());
        return Err(Denial::new(DenialCode::NoRoute, message));
    };
    let headers = request.headers();
    let id = session_id(route, target, |name| headers.get(name).ok().flatten());
    let id = id.map_err(|problem| Denial::from(&problem))?;
    let pool = client::of(env, &config, &route.pool).ok_or_else(|| {
        // Routes are checked against the pools; for completeness.
        Denial::new(
            DenialCode::Refused(RefusalCode::UnknownPool),
            format!("the configuration has no pool {}", route.pool),
        )
    })?;
    Ok(Destined { pool, id, url: target.forwarded(route) })
}

/// How an error is told to the caller; causes go to the log.
fn tell(error: &Error) -> Denial {
    let denial = error.denial();
    if denial.code == DenialCode::Misconfigured || denial.code == DenialCode::Internal {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::error!(%error, cause, "a request failed");
    }
    denial
}
