//! Requests on their way to a container object, and its responses on their way back.
//!
//! What holds: no header under a reserved prefix comes in from a caller or goes out from a container; what stands there was
//! put there here. All else is passed on as it is: method, other headers (`Host` and `X-Forwarded-*` among them), body
//! and response as streams, WebSockets, redirects (which go to the caller, never followed here).

use js_sys::{ArrayBuffer, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Request, Response};
use worker::Env;

use crate::config::resolved::{BindingName, PoolName};
use crate::core::agent::Refusal as FenceRefusal;
use crate::core::gateway::dispatch::Body;
use crate::core::gateway::{Destination, Replay};
use crate::core::id::SessionId;
use crate::core::outcome::{Outcome, Reason};
use crate::edge::js::{self, CallError};
use crate::wire::headers;

#[wasm_bindgen(module = "/src/edge/client/forward.mjs")]
extern "C" {
    #[wasm_bindgen(catch, js_name = copyRequest)]
    fn copy_request(
        request: &Request,
        url: &str,
        kept: Option<&ArrayBuffer>,
        pool: &str,
        session: &str,
        epoch: Option<String>,
    ) -> Result<Request, JsValue>;

    #[wasm_bindgen(catch)]
    fn post(env: &Env, binding: &str, name: &str, request: &Request) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_name = fenceWord)]
    fn fence_word(response: &Response) -> Option<String>;

    fn discard(response: &Response);

    #[wasm_bindgen(catch, js_name = copyResponse)]
    fn copy_response(response: &Response, outcome: &str, reason: Option<String>) -> Result<Response, JsValue>;
}

/// A request to pass on, once or several times.
pub struct Parcel {
    url: String,
    request: Request,
    /// A small body, kept so that it can be sent again. Any other goes with the request itself.
    kept: Option<ArrayBuffer>,
}

impl Parcel {
    /// A request that is to be sent to `url`, whose body, if it has one, was read.
    pub fn kept(request: Request, kept: Option<ArrayBuffer>, url: String) -> (Self, Replay) {
        let body = kept.as_ref().map_or(Body::None, |kept| Body::Known(kept.byte_length().into()));
        let replay = Replay::of(&request.method(), body);
        (Self { url, request, kept }, replay)
    }

    /// Takes a request that is to be sent to `url`, and tells whether it may be sent again. A body of known small length
    /// is read for that.
    pub async fn pack(request: Request, url: String) -> Result<(Self, Replay), CallError> {
        let body = match request.body() {
            None => Body::None,
            Some(_) => {
                let length = request.headers().get("content-length").ok().flatten();
                length.and_then(|length| length.parse().ok()).map_or(Body::Stream, Body::Known)
            }
        };
        let replay = Replay::of(&request.method(), body);
        let kept = match (body, replay) {
            (Body::Known(_), Replay::IfUnsent | Replay::Anytime) => {
                let bytes = JsFuture::from(request.array_buffer().map_err(threw)?).await.map_err(threw)?;
                Some(bytes.unchecked_into())
            }
            (Body::None | Body::Stream | Body::Known(_), _) => None,
        };
        Ok((Self { url, request, kept }, replay))
    }

    /// Sends it, for `session` of `pool`, to a container of the class behind `binding`.
    pub async fn send(
        &self,
        env: &Env,
        binding: &BindingName,
        to: &Destination,
        pool: &PoolName,
        session: &SessionId,
    ) -> Sent {
        let Self { url, request, kept } = self;
        let (session, epoch) = match to.fence {
            Some(epoch) => (headers::encode_session(session), Some(epoch.0.to_string())),
            None => (String::new(), None),
        };
        let request = match copy_request(request, url, kept.as_ref(), pool.as_str(), &session, epoch) {
            Ok(request) => request,
            Err(error) => return Sent::Unsendable(threw(error)),
        };
        let response = match post(env, binding.as_str(), &to.container.to_string(), &request) {
            Ok(response) => JsFuture::from(response).await,
            Err(error) => return Sent::Unsendable(threw(error)),
        };
        let response: Response = match response {
            Ok(response) => response.unchecked_into(),
            Err(error) => return Sent::Failed(threw(error)),
        };
        // Only an agent's word counts; a container behind another class could say anything.
        match to.fence.and_then(|_| fence_word(&response)) {
            None => Sent::Answered(Answer(response)),
            Some(word) => {
                discard(&response);
                Sent::Fenced(fence_refusal(&word))
            }
        }
    }
}

/// What became of a request that was sent.
pub enum Sent {
    /// The container answered.
    Answered(Answer),
    /// Its fence turned the request away, of which nothing reached the container.
    Fenced(FenceRefusal),
    /// The call failed; it may have arrived.
    Failed(CallError),
    /// It could not be sent at all: the binding is missing, or its body was already read.
    Unsendable(CallError),
}

/// A container's response.
pub struct Answer(Response);

impl Answer {
    /// The response for the caller, with how the id came by its container.
    pub fn into_response(self, outcome: Outcome, reason: Option<Reason>) -> Result<Response, CallError> {
        let reason = reason.map(|reason| reason.as_str().to_owned());
        copy_response(&self.0, outcome.as_str(), reason).map_err(threw)
    }
}

/// What the word of a fence means.
pub fn fence_refusal(word: &str) -> FenceRefusal {
    match headers::FenceRefusal::parse(word) {
        Some(headers::FenceRefusal::NotYours) => FenceRefusal::NotYours,
        Some(headers::FenceRefusal::Gone) => FenceRefusal::Gone,
        // A word of a newer agent. It is certain that nothing reached the container, for an agent puts this header only on
        // refusals of its own and takes it off every response of its container, so no container can say it.
        Some(headers::FenceRefusal::Unconfirmed) | None => FenceRefusal::Unconfirmed,
    }
}

fn threw(error: JsValue) -> CallError {
    CallError::Threw(js::error_text(&error))
}

#[cfg(test)]
mod tests {
    use crate::core::gateway::dispatch::MAX_REPLAY_BYTES;
    use crate::wire::headers;

    #[test]
    fn both_sides_of_the_border_use_the_same_names() {
        let script = include_str!("forward.mjs");
        let prefixes = headers::RESERVED_PREFIXES.map(|prefix| format!("{prefix:?}")).join(", ");
        assert!(script.contains(&format!("const RESERVED = [{prefixes}];")), "{prefixes}");
        for name in [headers::POOL, headers::SESSION, headers::EPOCH, headers::FENCE, headers::OUTCOME, headers::REASON]
        {
            assert!(script.contains(&format!("{name:?}")), "{name}");
        }
        assert!(script.contains(&format!("const MAX_REPLAY_BYTES = {} * 1024;", MAX_REPLAY_BYTES / 1024)));
    }
}
