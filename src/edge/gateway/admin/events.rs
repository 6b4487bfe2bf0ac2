//! What has happened, by the admin API: a page of it, or a stream that goes on.

use wasm_bindgen::prelude::*;
use web_sys::{Request, Response};
use worker::Env;

use super::{Answer, Failure};
use crate::core::gateway::{Target, event_query};
use crate::edge::bundled::bundled;
use crate::edge::gateway::reply;
use crate::edge::js;
use crate::edge::rpc::{CoordinatorClient, POOL_COORDINATOR};
use crate::wire::COORDINATOR_NAME;

#[wasm_bindgen(module = "/src/edge/gateway/admin/events.mjs")]
extern "C" {
    #[wasm_bindgen(catch, js_name = eventStream)]
    fn event_stream(namespace: &JsValue, name: &str, query: &JsValue, first: &JsValue) -> Result<Response, JsValue>;
}

pub(super) async fn list(request: &Request, env: &Env) -> Answer {
    if !bundled(env).has_coordinator {
        let message = format!(
            "events are kept by the coordinator, and this Worker has none: export the class PoolCoordinator and bind it as {POOL_COORDINATOR}"
        );
        return Err(Failure::told(reply::error(404, "no_coordinator", &message, &[])));
    }
    let header = |name| request.headers().get(name).ok().flatten();
    let wants_stream = header("accept").is_some_and(|accept| accept.contains("text/event-stream"));
    let is_stream = wants_stream && request.method() == "GET";
    let last_event_id = header("last-event-id").filter(|_| is_stream);
    let url = request.url();
    let asked = Target::parse(&url).and_then(|target| target.query());
    let query = event_query(asked, last_event_id.as_deref())
        .map_err(|message| Failure::told(reply::error(400, "bad_query", &message, &[])))?;
    let answer = CoordinatorClient::new(env).events(&query).await?;
    if answer.is_null() {
        return Err(Failure::told(reply::error(404, "unknown_pool", "there is no such pool, and never was", &[])));
    }
    if !is_stream {
        return Ok(reply::json(200, &answer)?);
    }
    let namespace = js::get(env.as_ref(), POOL_COORDINATOR);
    Ok(event_stream(&namespace, COORDINATOR_NAME, &js::to_js(&query)?, &js::to_js(&answer)?)?)
}
