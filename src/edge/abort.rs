//! Throwing a Durable Object away, so that it is loaded anew from its rows.

use wasm_bindgen::prelude::*;
use worker::State;

#[wasm_bindgen]
extern "C" {
    /// What the `worker` crate does not bind of `DurableObjectState`.
    type AbortableState;

    #[wasm_bindgen(method, catch)]
    fn abort(this: &AbortableState, reason: &str) -> Result<(), JsValue>;
}

/// Ends the object: every call under way fails, the next one finds it loaded anew.
pub fn abort(state: &State, reason: &str) {
    tracing::error!(reason, "a Durable Object is thrown away");
    let state: &JsValue = state.as_raw().as_ref();
    // It throws by design: the caller stops here.
    state.unchecked_ref::<AbortableState>().abort(reason).ok();
}
