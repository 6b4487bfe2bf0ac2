//! Throwing a Durable Object away, so that it is loaded anew from its rows.
//!
//! `ctx.abort()` ends the running script on the spot. With Rust on the stack that would leave the queue of futures, which
//! all objects of the isolate share, in the middle of its work: measured, no future of the isolate ever runs again. So it
//! is called by the event loop, with nothing on the stack.

use js_sys::{Function, Reflect};
use wasm_bindgen::prelude::*;
use worker::State;

use super::js;

/// Ends a broken object: soon every call under way fails, and the next one finds it loaded anew. Until then it must do
/// nothing.
pub fn abort(state: &State, reason: &str) {
    tracing::error!(reason, "a Durable Object is thrown away");
    end_soon(state, reason);
}

/// Ends an object that is whole, because a new one will see more.
pub fn rebuild(state: &State, reason: &str) {
    end_soon(state, reason);
}

fn end_soon(state: &State, reason: &str) {
    let scheduled = schedule(state.as_raw().as_ref(), reason);
    if let Err(error) = scheduled {
        tracing::error!(error = js::error_text(&error), "a Durable Object could not be thrown away");
    }
}

fn schedule(state: &JsValue, reason: &str) -> Result<(), JsValue> {
    let abort: Function = Reflect::get(state, &"abort".into())?.dyn_into()?;
    let abort = abort.bind1(state, &JsValue::from_str(reason));
    let global = js_sys::global();
    let set_timeout: Function = Reflect::get(&global, &"setTimeout".into())?.dyn_into()?;
    set_timeout.call2(&global, &abort, &JsValue::from_f64(0.0)).map(|_| ())
}
