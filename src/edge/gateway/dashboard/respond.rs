//! Answers to browsers: pages that may do as little as possible, and where to go next.

use maud::Markup;
use wasm_bindgen::JsValue;
use web_sys::{Headers, Response, ResponseInit};

/// Nothing but what this Worker serves itself; no script or style within a page; in no frame; forms go nowhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A page. It is kept by nobody.
pub fn page(status: u16, markup: Markup) -> Result<Response, JsValue> {
    let headers = base("text/html; charset=utf-8", "no-store")?;
    if status == 401 {
        headers.set("www-authenticate", "Bearer realm=\"cf-warm-pools\"")?;
    }
    respond(status, &markup.into_string(), &headers)
}

/// A file that is the same for everybody. Kept for a minute, for a deploy may change it.
pub fn asset(content_type: &str, text: &str) -> Result<Response, JsValue> {
    respond(200, text, &base(content_type, "public, max-age=60")?)
}

/// After a form: the page to get next, and a cookie to keep.
pub fn see_other(location: &str, cookie: Option<&str>) -> Result<Response, JsValue> {
    let headers = base("text/plain; charset=utf-8", "no-store")?;
    headers.set("location", location)?;
    if let Some(cookie) = cookie {
        headers.set("set-cookie", cookie)?;
    }
    respond(303, "", &headers)
}

fn base(content_type: &str, cache: &str) -> Result<Headers, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in [
        ("content-type", content_type),
        ("cache-control", cache),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        // Not "no-referrer", with which browsers hide the origin of forms, too.
        ("referrer-policy", "same-origin"),
    ] {
        headers.set(name, value)?;
    }
    Ok(headers)
}

fn respond(status: u16, body: &str, headers: &Headers) -> Result<Response, JsValue> {
    let init = ResponseInit::new();
    init.set_status(status);
    init.set_headers(headers);
    Response::new_with_opt_str_and_init(Some(body), &init)
}
