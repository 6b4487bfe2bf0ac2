//! Requests on their way to a container object, and its responses on their way back.
//!
//! What holds: no header under a reserved prefix comes in from a caller or goes out from a container; what stands there was
//! put there here. All else is passed on as it is: method, other headers (`Host` and `X-Forwarded-*` among them), body
//! and response as streams, WebSockets, redirects (which go to the caller, never followed here).

use js_sys::{Array, ArrayBuffer, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, Request, RequestInit, RequestRedirect, Response, ResponseInit};
use worker::Env;

use crate::config::resolved::BindingName;
use crate::core::agent::Refusal as FenceRefusal;
use crate::core::gateway::dispatch::Body;
use crate::core::gateway::{Destination, Replay};
use crate::core::id::{Epoch, SessionId};
use crate::core::outcome::{Outcome, Reason};
use crate::edge::js::{self, CallError};
use crate::wire::headers;

#[wasm_bindgen]
extern "C" {
    /// A Durable Object namespace. Fewer crossings into JavaScript than the `worker` crate's.
    type Namespace;

    #[wasm_bindgen(method, catch, js_name = getByName)]
    fn get_by_name(this: &Namespace, name: &str) -> Result<Stub, JsValue>;

    type Stub;

    #[wasm_bindgen(method, catch)]
    fn fetch(this: &Stub, request: &Request) -> Result<Promise, JsValue>;
}

/// A request to pass on, once or several times.
pub struct Parcel {
    url: String,
    request: Request,
    content: Content,
}

enum Content {
    /// No body, or a stream: goes with the request itself.
    Attached,
    /// A small body, kept so that it can be sent again.
    Kept(ArrayBuffer),
}

impl Parcel {
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
        let content = match (body, replay) {
            (Body::Known(_), Replay::IfUnsent | Replay::Anytime) => {
                let bytes = JsFuture::from(request.array_buffer().map_err(threw)?).await.map_err(threw)?;
                Content::Kept(bytes.unchecked_into())
            }
            (Body::None | Body::Stream | Body::Known(_), _) => Content::Attached,
        };
        Ok((Self { url, request, content }, replay))
    }

    /// A copy to send, for `session` at the epoch of a container that has a fence.
    fn copy(&self, session: &SessionId, fence: Option<Epoch>) -> Result<Request, JsValue> {
        let copy = match &self.content {
            Content::Kept(bytes) => self.rebuilt(Some(bytes))?,
            Content::Attached if self.request.redirect() == RequestRedirect::Manual => {
                // A request serves as its own description.
                Request::new_with_str_and_init(&self.url, self.request.unchecked_ref())?
            }
            Content::Attached => self.rebuilt(self.request.body().as_ref())?,
        };
        let headers = copy.headers();
        for name in Names::of(&headers).reserved() {
            headers.delete(name)?;
        }
        if let Some(epoch) = fence {
            headers.set(headers::SESSION, &headers::encode_session(session))?;
            headers.set(headers::EPOCH, &epoch.0.to_string())?;
        }
        Ok(copy)
    }

    fn rebuilt(&self, body: Option<&impl AsRef<JsValue>>) -> Result<Request, JsValue> {
        let init = RequestInit::new();
        init.set_method(&self.request.method());
        init.set_headers(&self.request.headers());
        init.set_redirect(RequestRedirect::Manual);
        init.set_signal(Some(&self.request.signal()));
        if let Some(body) = body {
            init.set_body(body.as_ref());
        }
        Request::new_with_str_and_init(&self.url, &init)
    }

    /// Sends it to a container of the class behind `binding`.
    pub async fn send(&self, env: &Env, binding: &BindingName, to: &Destination, session: &SessionId) -> Sent {
        let request = match self.copy(session, to.fence) {
            Ok(request) => request,
            Err(error) => return Sent::Unsendable(threw(error)),
        };
        let response = match fetch(env, binding, to, &request).await {
            Ok(response) => response,
            Err(error) => return Sent::Failed(threw(error)),
        };
        let names = Names::of(&response.headers());
        // Only an agent's word counts; a container behind another class could say anything.
        if to.fence.is_some() && names.reserved().any(|name| name.eq_ignore_ascii_case(headers::FENCE)) {
            let word = response.headers().get(headers::FENCE).ok().flatten().unwrap_or_default();
            discard(&response);
            return Sent::Fenced(refusal(&word));
        }
        Sent::Answered(Answer { response, names })
    }
}

async fn fetch(env: &Env, binding: &BindingName, to: &Destination, request: &Request) -> Result<Response, JsValue> {
    let namespace = js::get(env.as_ref(), binding.as_str());
    if namespace.is_undefined() {
        return Err(js::js_error(&format!("the Worker has no binding `{binding}`")));
    }
    let stub = namespace.unchecked_ref::<Namespace>().get_by_name(&to.container.to_string())?;
    JsFuture::from(stub.fetch(request)?).await?.dyn_into()
}

/// What became of a request that was sent.
pub enum Sent {
    /// The container answered.
    Answered(Answer),
    /// Its fence turned the request away, of which nothing reached the container.
    Fenced(FenceRefusal),
    /// The call failed; it may have arrived.
    Failed(CallError),
    /// It could not be sent at all.
    Unsendable(CallError),
}

/// A container's response.
pub struct Answer {
    response: Response,
    names: Names,
}

impl Answer {
    /// The response for the caller, with how it came by its container.
    pub fn into_response(self, outcome: Outcome, reason: Option<Reason>) -> Result<Response, CallError> {
        self.finish(outcome, reason).map_err(threw)
    }

    fn finish(self, outcome: Outcome, reason: Option<Reason>) -> Result<Response, JsValue> {
        let Self { response, names } = self;
        // Headers of a fetched response cannot be changed; a response serves as its own description, status text and
        // WebSocket included.
        let init: &ResponseInit = response.unchecked_ref();
        let answer = Response::new_with_opt_readable_stream_and_init(response.body().as_ref(), init)?;
        let headers = answer.headers();
        for name in names.reserved() {
            headers.delete(name)?;
        }
        headers.set(headers::OUTCOME, outcome.as_str())?;
        if let Some(reason) = reason {
            headers.set(headers::REASON, reason.as_str())?;
        }
        Ok(answer)
    }
}

/// The names of headers, read in one go: each crossing into JavaScript costs more than all that is done with them here.
struct Names(String);

impl Names {
    fn of(headers: &Headers) -> Self {
        Self(Array::from(&headers.keys()).join("\n").into())
    }

    fn reserved(&self) -> impl Iterator<Item = &str> {
        self.0.split('\n').filter(|name| headers::is_reserved(name))
    }
}

fn refusal(word: &str) -> FenceRefusal {
    match headers::FenceRefusal::parse(word) {
        Some(headers::FenceRefusal::NotYours) => FenceRefusal::NotYours,
        Some(headers::FenceRefusal::Gone) => FenceRefusal::Gone,
        // A word of a newer agent: that it refuses is certain, and the shard should look at it.
        Some(headers::FenceRefusal::Unconfirmed) | None => FenceRefusal::Unconfirmed,
    }
}

/// Lets a body go that nobody will read.
fn discard(response: &Response) {
    if let Some(body) = response.body() {
        // Its end is of no interest, nor is a failure.
        let ended = body.cancel();
        wasm_bindgen_futures::spawn_local(async move {
            JsFuture::from(ended).await.ok();
        });
    }
}

fn threw(error: JsValue) -> CallError {
    CallError::Threw(js::error_text(&error))
}
