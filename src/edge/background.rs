//! Work that goes on after the answer was sent.

use std::future::Future;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use worker::State;

use super::js;

#[wasm_bindgen(module = "cloudflare:workers")]
extern "C" {
    /// `ctx.waitUntil` of whatever event is being handled, so that no context need be passed around.
    #[wasm_bindgen(catch, js_name = waitUntil)]
    fn wait_until(promise: &Promise) -> Result<(), JsValue>;
}

/// Runs `work`, and keeps the event that is being handled alive until it is done. It may still be cut off when the
/// runtime ends the event, so nothing may depend on its end.
pub fn run(work: impl Future<Output = ()> + 'static) {
    run_boxed(work.boxed_local());
}

/// The same within an event of an object, which stays alive until `work` is done.
pub fn run_in(object: &State, work: impl Future<Output = ()> + 'static) {
    // Boxed, so that there is one copy of what polls it.
    object.wait_until(work.boxed_local());
}

fn run_boxed(work: LocalBoxFuture<'static, ()>) {
    let promise = js::future_to_promise(work.map(|()| Ok(JsValue::UNDEFINED)));
    if wait_until(&promise).is_err() {
        // Outside of any event, where it runs as long as it can.
        tracing::debug!("background work without an event to keep alive");
    }
}
