//! The admin API, asked by the dashboard without leaving the Worker.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, Request, RequestInit};
use worker::Env;

use crate::core::gateway::admin::call;
use crate::core::gateway::dashboard::session::origin;
use crate::edge::gateway::admin;

/// Whoever has signed in says so to the API by name.
const ACTOR: &str = "x-warm-actor";
/// Cloudflare Access says who that is.
const ACCESS: &str = "cf-access-authenticated-user-email";

/// The API, for the sake of a request for a page.
pub struct Api<'a> {
    pub request: &'a Request,
    pub env: &'a Env,
}

/// What the API answered.
pub struct Told {
    pub status: u16,
    /// Null where it has no body, or none that is JSON.
    pub body: Value,
}

impl Told {
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What it says went wrong, for people.
    pub fn problem(&self) -> &str {
        let message = self.body.pointer("/error/message").and_then(Value::as_str);
        message.unwrap_or("the admin API gave no answer")
    }

    /// The code of what went wrong.
    pub fn code(&self) -> &str {
        self.body.pointer("/error/code").and_then(Value::as_str).unwrap_or_default()
    }
}

impl Api<'_> {
    /// What `GET path` answers.
    pub async fn get(&self, path: &str) -> Result<Told, JsValue> {
        self.ask("GET", path, None, None).await
    }

    /// What a call with a JSON body answers. `version` is the one in force that it is meant to follow, if that matters.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
        version: Option<&str>,
    ) -> Result<Told, JsValue> {
        let headers = Headers::new()?;
        match self.request.headers().get(ACCESS)? {
            Some(email) => headers.set(ACCESS, &email)?,
            None => headers.set(ACTOR, "dashboard")?,
        }
        if let Some(version) = version {
            // What is no version names none that could be in force, so that nothing is changed.
            let digits: String = version.chars().filter(char::is_ascii_digit).collect();
            headers.set("if-match", &format!("\"{digits}\""))?;
        }
        let init = RequestInit::new();
        init.set_method(method);
        init.set_headers(&headers);
        if let Some(body) = body {
            init.set_body(&body.into());
        }
        let url = [origin(&self.request.url()), path].concat();
        let request = Request::new_with_str_and_init(&url, &init)?;
        let only_path = path.split('?').next().unwrap_or(path);
        let response = admin::answer(&request, self.env, call(method, only_path)).await?;
        let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
        Ok(Told { status: response.status(), body: serde_json::from_str(&text).unwrap_or_default() })
    }
}

/// A part of a path, whatever is in it.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
