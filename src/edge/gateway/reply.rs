//! Answers of the gateway's own: JSON, never cached.

use js_sys::Uint8Array;
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use web_sys::{Headers, Response, ResponseInit};

use crate::core::gateway::Denial;
use crate::wire::headers::REASON;

/// A JSON answer.
pub fn json(status: u16, body: &Value) -> Result<Response, JsValue> {
    text(status, &body.to_string())
}

/// A JSON answer from its text.
pub fn text(status: u16, body: &str) -> Result<Response, JsValue> {
    typed(status, "application/json", body)
}

/// A text of another type.
pub fn typed(status: u16, content_type: &str, body: &str) -> Result<Response, JsValue> {
    let headers = base_headers()?;
    headers.set("content-type", content_type)?;
    with_headers(status, Some(body), &headers)
}

/// An answer without a body.
pub fn no_content() -> Result<Response, JsValue> {
    with_headers(204, None, &base_headers()?)
}

/// An error in the shape of all errors: `{error: {code, message}}`.
pub fn error(status: u16, code: &str, message: &str, headers: &[(&str, &str)]) -> Result<Response, JsValue> {
    let response = json(status, &json!({ "error": { "code": code, "message": message } }))?;
    for (name, value) in headers {
        response.headers().set(name, value)?;
    }
    Ok(response)
}

/// A request that got no answer of a container.
pub fn denial(denial: &Denial) -> Result<Response, JsValue> {
    let Denial { code, message, retry_after_secs, reason } = denial;
    let response = error(code.status(), code.as_str(), message, &[])?;
    if let Some(secs) = retry_after_secs {
        response.headers().set("retry-after", &secs.to_string())?;
    }
    if let Some(reason) = reason {
        response.headers().set(REASON, reason.as_str())?;
    }
    Ok(response)
}

fn base_headers() -> Result<Headers, JsValue> {
    let headers = Headers::new()?;
    headers.set("cache-control", "no-store")?;
    Ok(headers)
}

fn with_headers(status: u16, body: Option<&str>, headers: &Headers) -> Result<Response, JsValue> {
    let init = ResponseInit::new();
    init.set_status(status);
    init.set_headers(headers);
    match body {
        Some(body) => {
            let bytes = Uint8Array::from(body.as_bytes());
            Response::new_with_opt_buffer_source_and_init(Some(&bytes), &init)
        }
        None => Response::new_with_opt_str_and_init(None, &init),
    }
}
