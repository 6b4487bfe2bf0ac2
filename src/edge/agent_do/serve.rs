//! The way of a request: the fence, the container, and back, without a copy of anything that can be passed through.
//!
//! With a lease that holds it costs three header reads and a comparison before the container gets it. The response is the
//! container's own object, except: a WebSocket is relayed, a body of unknown or great length goes through a pipe (both so that
//! a container is not put to sleep under them), and a header that only the agent may set is removed.

use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, select};
use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, ReadableStream, Request, Response, ResponseInit};
use worker::Delay;

use super::super::js;
use super::driver::Driver;
use super::relay;
use crate::config::resolved::PoolName;
use crate::core::agent::{Admission, Input, LeaseKey, Refusal, Reply};
use crate::wire::headers::{EPOCH, FENCE, FenceRefusal, POOL, SESSION, decode_epoch, decode_session};

/// Passes a request on, or says why not.
pub async fn fetch(driver: Rc<Driver>, request: Request) -> Result<Response, JsValue> {
    let Some((pool, key)) = key_of(&request)? else {
        return refuse(Refusal::NotYours);
    };
    if driver.is_ending() {
        return refuse(Refusal::Unconfirmed);
    }
    if driver.is_missing() {
        tell_owner(&driver).await;
        return refuse(Refusal::Gone);
    }
    match driver.admit(&pool, key)? {
        (Admission::Refuse(refusal), _) => return refuse(refusal),
        (Admission::Serve, _) => {}
        (Admission::Wait, reply) => {
            let Some(reply) = reply else { return refuse(Refusal::Unconfirmed) };
            match reply.await {
                Ok(Reply::Admitted(Ok(()))) => {}
                Ok(Reply::Admitted(Err(refusal))) => return refuse(refusal),
                Ok(_) | Err(_) => return refuse(Refusal::Unconfirmed),
            }
        }
    }
    let traffic = Traffic::begin(driver);
    match traffic.driver.fetch(&request).await {
        Ok(response) => pass_back(traffic, response),
        Err(error) => {
            tracing::warn!(error = js::error_text(&error), "a container did not answer a request");
            // Part of the request may have reached it: no fence header, for that would say that none did.
            traffic.driver.look();
            respond(502, None, "container_failed", "The container did not answer the request.")
        }
    }
}

/// The pool, id and epoch that the gateway or the client put on.
fn key_of(request: &Request) -> Result<Option<(PoolName, LeaseKey)>, JsValue> {
    let headers = request.headers();
    let (Some(pool), Some(session), Some(epoch)) = (headers.get(POOL)?, headers.get(SESSION)?, headers.get(EPOCH)?)
    else {
        return Ok(None);
    };
    Ok(match (PoolName::try_from(pool), decode_session(&session), decode_epoch(&epoch)) {
        (Ok(pool), Some(session), Some(epoch)) => Some((pool, LeaseKey { session, epoch })),
        _ => None,
    })
}

/// The process was found to have ended: the owner hears of it before the caller does, who will ask it for another.
async fn tell_owner(driver: &Rc<Driver>) {
    let told = driver.ask(|caller| Input::FoundStopped { caller: Some(caller) });
    let told = std::pin::pin!(told);
    match select(told, Delay::from(TELL_WITHIN)).await {
        Either::Left(_) | Either::Right(_) => {}
    }
}

fn pass_back(traffic: Traffic, response: Response) -> Result<Response, JsValue> {
    let headers = response.headers();
    let response = if headers.has(FENCE)? {
        let copy = copy_with_body(&response, response.body().as_ref())?;
        copy.headers().delete(FENCE)?;
        copy
    } else {
        response
    };
    let socket = js::get(&response, "webSocket");
    if socket.is_object() {
        return relay::relay(traffic, &response, socket.unchecked_into());
    }
    let Some(body) = response.body() else { return Ok(response) };
    let headers = response.headers();
    let length = headers.get("content-length")?.and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length <= LONGEST_UNWATCHED) {
        // It will not take long.
        return Ok(response);
    }
    let pipe = IdentityTransformStream::new()?;
    let piped = body.unchecked_ref::<PipeSource>().pipe_to(&pipe.writable())?;
    let driver = Rc::clone(&traffic.driver);
    driver.spawn(async move {
        // An error is the reader's to see, at the other end.
        JsFuture::from(piped).await.ok();
        drop(traffic);
    });
    copy_with_body(&response, Some(&pipe.readable()))
}

/// A response that can be changed, with this body.
fn copy_with_body(response: &Response, body: Option<&ReadableStream>) -> Result<Response, JsValue> {
    Response::new_with_opt_readable_stream_and_init(body, response.unchecked_ref::<ResponseInit>())
}

/// Says that nothing of the request has reached the container, and why.
fn refuse(refusal: Refusal) -> Result<Response, JsValue> {
    match refusal {
        Refusal::NotYours => respond(
            409,
            Some(FenceRefusal::NotYours),
            "not_yours",
            "This container does not serve this id at this epoch: ask the pool for the id's container.",
        ),
        Refusal::Unconfirmed => respond(
            503,
            Some(FenceRefusal::Unconfirmed),
            "unconfirmed",
            "The container's shard could not be asked whether the container still serves this id: try again.",
        ),
        Refusal::Gone => respond(
            410,
            Some(FenceRefusal::Gone),
            "gone",
            "This container does not run: ask the pool for the id's container.",
        ),
    }
}

fn respond(status: u16, fence: Option<FenceRefusal>, code: &str, message: &str) -> Result<Response, JsValue> {
    let headers = Headers::new()?;
    headers.set("content-type", "application/json")?;
    if let Some(fence) = fence {
        headers.set(FENCE, fence.as_str())?;
    }
    let init = Object::new();
    Reflect::set(&init, &"status".into(), &status.into())?;
    Reflect::set(&init, &"headers".into(), &headers)?;
    let body = serde_json::json!({ "error": { "code": code, "message": message } }).to_string();
    Response::new_with_opt_str_and_init(Some(&body), init.unchecked_ref::<ResponseInit>())
}

/// A request, stream or WebSocket that keeps the container awake until it is dropped.
pub struct Traffic {
    pub driver: Rc<Driver>,
}

impl Traffic {
    fn begin(driver: Rc<Driver>) -> Self {
        driver.step(Input::TrafficBegan);
        Self { driver }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.driver.step(Input::TrafficEnded);
    }
}

#[wasm_bindgen]
extern "C" {
    /// The runtime's own pipe: bytes pass through it without touching JavaScript.
    type IdentityTransformStream;

    #[wasm_bindgen(constructor, catch)]
    fn new() -> Result<IdentityTransformStream, JsValue>;

    #[wasm_bindgen(method, getter)]
    fn readable(this: &IdentityTransformStream) -> ReadableStream;

    #[wasm_bindgen(method, getter)]
    fn writable(this: &IdentityTransformStream) -> JsValue;

    type PipeSource;

    #[wasm_bindgen(method, catch, js_name = pipeTo)]
    fn pipe_to(this: &PipeSource, to: &JsValue) -> Result<Promise, JsValue>;
}

/// How long a caller waits for the owner to hear that the container has ended.
const TELL_WITHIN: Duration = Duration::from_secs(2);
/// A body of at most so many bytes is thought to be through as soon as it begins: at 1 MiB that holds above 4 KiB/s even
/// for the shortest sensible `sleep_after` of minutes.
const LONGEST_UNWATCHED: u64 = 1024 * 1024;
