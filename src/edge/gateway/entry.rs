//! The gateway as the Worker's main module calls it: see `src/shim/gateway.mjs`.
//!
//! Most requests are for an id whose container this isolate remembers. For these there is nothing to wait for but the container, so
//! where such a request goes is told at once ([`Gateway::way_to`]), and JavaScript sends it: a promise of Rust's own would cost
//! as much as all else that is done here. Whatever is not as usual comes back: to [`Gateway::handle`] before anything was sent, to
//! [`Gateway::resume`] after.

use std::future::Future;

use js_sys::{ArrayBuffer, JsString, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::{Headers, Request, Response};
use worker::Env;

use crate::core::gateway::{Sticky, Target, session_id};
use crate::core::id::{ContainerId, Epoch};
use crate::edge::client::forward::{Sent, fence_refusal};
use crate::edge::client::isolate;
use crate::edge::intern::intern;
use crate::edge::js::{self, CallError};
use crate::edge::log;
use crate::wire::headers;

#[wasm_bindgen(module = "/src/edge/client/forward.mjs")]
extern "C" {
    fn header(headers: &Headers, name: &JsString) -> Option<String>;
}

/// The gateway behind the bindings of one `env`.
#[wasm_bindgen]
pub struct Gateway {
    env: Env,
}

#[wasm_bindgen]
impl Gateway {
    /// The gateway of a Worker.
    #[wasm_bindgen(constructor)]
    pub fn new(env: Env) -> Gateway {
        log::init();
        Self { env }
    }

    /// Where a request for `url` goes whose id has a container that this isolate remembers; undefined for any other, and when there
    /// is a question to ask first.
    ///
    /// One string, because each costs about as much as all that is decided here: lines with the binding, the container, the epoch,
    /// the pool, the id as its header has it, and the URL. That is empty where it is the request's own, but for the scheme,
    /// which is `http:`.
    #[wasm_bindgen(js_name = wayTo)]
    pub fn way_to(&self, url: &str, headers: &Headers) -> Option<String> {
        let config = isolate::settled(&self.env)?;
        let target = Target::parse(url).filter(|target| !target.is_admin())?;
        let route = target.route(&config)?;
        let id = session_id(route, &target, |name| header(headers, &intern(name))).ok()?;
        let binding = &config.pools.get(&route.pool)?.container;
        let Sticky { container, epoch } = isolate::remembered(&self.env, &route.pool, binding, &id)?;
        let mut container_text = [0; ContainerId::TEXT_LENGTH];
        let forwarded = target.forwarded(route);
        let is_own = forwarded.strip_prefix("http") == url.strip_prefix("https").or(url.strip_prefix("http"));
        let lines = [
            binding.as_str(),
            container.encode(&mut container_text),
            &epoch.0.to_string(),
            route.pool.as_str(),
            &headers::encode_session(&id),
            if is_own { "" } else { &forwarded },
        ];
        Some(lines.join("\n"))
    }

    /// Answers a request.
    pub fn handle(&self, request: Request) -> Promise {
        let env = self.env.clone();
        answer(async move { super::handle(request, env).await })
    }

    /// Answers a request that was sent to a container which this isolate remembered, and which has not served it: its fence turned it
    /// away with a word, or else the call failed. `kept` is the request's body, if it has one.
    pub fn resume(
        &self,
        request: Request,
        kept: Option<ArrayBuffer>,
        container: &str,
        epoch: &str,
        fence_word: Option<String>,
        error: JsValue,
    ) -> Promise {
        let env = self.env.clone();
        let sent = match fence_word {
            Some(word) => Sent::Fenced(fence_refusal(&word)),
            None => Sent::Failed(CallError::Threw(js::error_text(&error))),
        };
        let known = container.parse().ok().zip(epoch.parse().ok());
        let known = known.map(|(container, epoch)| Sticky { container, epoch: Epoch(epoch) });
        answer(async move { super::resume(request, kept, env, known, sent).await })
    }

    /// Fills every pool.
    pub fn prime(&self) -> Promise {
        let env = self.env.clone();
        future_to_promise(async move {
            super::prime(&env).await;
            Ok(JsValue::UNDEFINED)
        })
    }
}

fn answer(response: impl Future<Output = worker::Result<Response>> + 'static) -> Promise {
    future_to_promise(async move { Ok(response.await.map_err(|error| js::js_error(&error.to_string()))?.into()) })
}
