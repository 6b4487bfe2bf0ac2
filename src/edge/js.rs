//! JavaScript from Rust: values in and out, calls with a deadline, errors with their causes.

use futures::FutureExt;
use js_sys::{Array, Promise, Reflect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::config::resolved::Millis;
use crate::core::outcome::Refusal;
use crate::json;

#[wasm_bindgen(module = "/src/edge/call.mjs")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn call(stub: &JsValue, method: &str, args: &Array, millis: f64) -> Result<Promise, JsValue>;
}

/// How many causes of an error are read.
const MAX_CAUSES: usize = 8;

/// Now, in ms since 1970. It stands still between two I/O events.
pub fn now() -> Millis {
    // Not that of `worker`, which makes an object of it.
    Millis(js_sys::Date::now() as u64)
}

/// A value as plain objects, arrays, strings and numbers.
///
/// # Errors
///
/// When the value cannot be one, which none of our messages is.
pub fn to_js<T: Serialize + ?Sized>(value: &T) -> Result<JsValue, JsValue> {
    parsed(json::write(value))
}

fn parsed(text: serde_json::Result<String>) -> Result<JsValue, JsValue> {
    js_sys::JSON::parse(&text.map_err(|error| js_error(&error.to_string()))?)
}

/// A value from plain objects. What is `undefined` counts as missing.
///
/// # Errors
///
/// A JavaScript `TypeError` that says what was expected.
pub fn from_js<T: DeserializeOwned>(value: JsValue) -> Result<T, JsValue> {
    serde_json::from_value(json_value(&value)?).map_err(|error| type_error(&error))
}

fn json_value(value: &JsValue) -> Result<serde_json::Value, JsValue> {
    serde_json::from_str(&json_text(value)?).map_err(|error| type_error(&error))
}

fn type_error(error: &serde_json::Error) -> JsValue {
    js_sys::TypeError::new(&error.to_string()).into()
}

/// A value as JSON. That of `undefined` and of functions, which have none, is `null`.
///
/// # Errors
///
/// A JavaScript `TypeError` where the value has a cycle or a `BigInt`.
pub fn json_text(value: &JsValue) -> Result<String, JsValue> {
    let text = JsValue::from(js_sys::JSON::stringify(value)?);
    Ok(text.as_string().unwrap_or_else(|| "null".to_owned()))
}

/// A promise of what `work` comes to. Boxed, so that there is one copy of what polls it.
pub fn future_to_promise(work: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> Promise {
    wasm_bindgen_futures::future_to_promise(work.boxed_local())
}

/// A JavaScript `Error`.
pub fn js_error(message: &str) -> JsValue {
    js_sys::Error::new(message).into()
}

/// The message of a thrown value and those of its causes, outermost first.
pub fn error_text(error: &JsValue) -> String {
    let mut texts = Vec::new();
    let mut current = error.clone();
    while !current.is_null_or_undefined() && texts.len() < MAX_CAUSES {
        let message = get(&current, "message").as_string().or_else(|| current.as_string());
        texts.push(message.unwrap_or_else(|| "an error without a message".to_owned()));
        current = get(&current, "cause");
    }
    texts.join(": ")
}

/// A property; undefined when there is none, or `object` is no object.
pub fn get(object: &JsValue, key: &str) -> JsValue {
    if !object.is_object() && !object.is_function() {
        return JsValue::UNDEFINED;
    }
    Reflect::get(object, &JsValue::from_str(key)).unwrap_or(JsValue::UNDEFINED)
}

/// The name of the errors that refusals travel as.
pub const REFUSAL_NAME: &str = "WarmPoolRefusal";

/// A refusal as a JavaScript `Error` that carries its fields.
pub fn refusal_error(refusal: &Refusal) -> JsValue {
    let error = js_sys::Error::new(&refusal.message);
    error.set_name(REFUSAL_NAME);
    // What cannot be set is missing from the error, not from its message.
    if let Ok(fields) = to_js(refusal) {
        js_sys::Object::assign(&error, fields.unchecked_ref::<js_sys::Object>());
    }
    error.into()
}

/// What was thrown: a refusal, or anything else.
fn thrown(error: &JsValue) -> CallError {
    let refusal = get(error, "name") == REFUSAL_NAME;
    // An error is no plain object to deserialise: its fields are copied into one.
    let fields = js_sys::Object::new();
    for key in ["code", "message", "retryAfterMillis", "plan", "shards"] {
        let value = get(error, key);
        if refusal && !value.is_undefined() {
            Reflect::set(&fields, &JsValue::from_str(key), &value).ok();
        }
    }
    match from_js(fields.into()) {
        Ok(refusal) => CallError::Refused(refusal),
        Err(_) => CallError::Threw(error_text(error)),
    }
}

/// Why a call failed. None of them proves that it did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It threw.
    #[error("{0}")]
    Threw(String),
    /// A shard refused.
    #[error("{}", _0.message)]
    Refused(Refusal),
    /// It did not answer in time.
    #[error("no answer to {method} within {} ms", deadline.0)]
    Late {
        /// What was called.
        method: String,
        /// How long it had.
        deadline: Millis,
    },
}

/// Calls a method of an RPC stub and waits for its answer, at most until the deadline.
///
/// # Errors
///
/// When it throws or is late; the stub must not be used again.
pub async fn invoke(stub: &JsValue, method: &str, args: &[JsValue], deadline: Millis) -> Result<JsValue, CallError> {
    let args: Array = args.iter().collect();
    let answer = call(stub, method, &args, deadline.0 as f64).map_err(|error| thrown(&error))?;
    JsFuture::from(answer).await.map_err(|error| match error.is_symbol() {
        true => CallError::Late { method: method.to_owned(), deadline },
        false => thrown(&error),
    })
}

/// Like [`invoke`], with one message for another.
///
/// # Errors
///
/// As [`invoke`], and when the answer is not what was expected.
pub async fn ask<Q: Serialize, A: DeserializeOwned>(
    stub: &JsValue,
    method: &str,
    question: &Q,
    deadline: Millis,
) -> Result<A, CallError> {
    let threw = |error: JsValue| CallError::Threw(error_text(&error));
    let question = to_js(question).map_err(threw)?;
    let answer = invoke(stub, method, &[question], deadline).await?;
    from_js(answer).map_err(threw)
}
