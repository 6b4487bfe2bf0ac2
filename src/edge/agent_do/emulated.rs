//! A stand-in for a container's process, so that a machine without a container engine can run the whole system. Every response of
//! it says what it is: `x-emulated: true`.
//!
//! Like a container it takes time to start (`BOOT_MS` of the start's `env`, 300 by default), outlives its object, keeps what was
//! counted while it lives, and forgets it when it ends. It knows these requests:
//!
//! | request | answer |
//! |---|---|
//! | any | JSON: the request as it arrived, the count, how many requests this object has served, a hostname |
//! | `POST /increment` | the same, one higher |
//! | `GET /healthz`, `POST /warmup` | 200 |
//! | `POST /echo` | the body, streamed back |
//! | a WebSocket | every message comes back |
//! | `GET /__emulated/exit?code=N` | none: it ends with this code |
//! | `GET /__emulated/headers?NAME=VALUE` | 200 with these headers |
//! | `GET /__emulated/ticks?count=N` | N lines of `tick`, one every 500 ms, compressed by gzip |
//!
//! `FAULT` of the start's `env` makes it misbehave: see [`Fault`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::{StreamExt, stream};
use js_sys::{Array, Object, Promise, Reflect};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Headers, Request, Response, ResponseInit, UrlSearchParams};
use worker::{Delay, WebSocket, WebSocketPair, WebsocketEvent};

use super::super::container::MonitorEnd;
use super::super::js;
use super::storage::{Storage, StorageError};
use crate::config::resolved::Millis;
use crate::core::agent::Orders;
use crate::core::gateway::Target;
use crate::json;

/// The emulated process of one object; none runs until it is started.
#[derive(Clone)]
pub struct Emulated(Rc<Inner>);

struct Inner {
    storage: Storage,
    running: RefCell<Option<Running>>,
    watchers: RefCell<Vec<oneshot::Sender<i32>>>,
    served: Cell<u64>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Running {
    hostname: String,
    ports: Vec<u16>,
    listens_at: Millis,
    fault: Option<Fault>,
    count: u64,
}

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    /// The start throws.
    StartFails,
    /// The start throws what the platform throws at `max_instances`.
    Capacity,
    /// The start throws what the platform throws for an image it does not have.
    NoSuchImage,
    /// It runs, and no port ever answers.
    NeverListen,
    /// It ends with code 1 after 10 ms, in which no port answers.
    ExitAtOnce,
    /// Only destruction ends it.
    IgnoreSigterm,
    /// Its ports accept requests and answer none.
    Hang,
}

impl Emulated {
    /// The one that is stored, or none.
    pub fn load(storage: Storage) -> Result<Self, StorageError> {
        let running = storage.read(PROCESS)?;
        Ok(Self(Rc::new(Inner {
            storage,
            running: RefCell::new(running),
            watchers: RefCell::new(Vec::new()),
            served: Cell::new(0),
        })))
    }

    pub fn running(&self) -> bool {
        self.peek().is_some()
    }

    pub fn start(&self, orders: &Orders) -> Result<(), String> {
        let env = &orders.start.env;
        let fault = env.get("FAULT").and_then(|fault| json::read_word(fault.clone()).ok());
        match fault {
            Some(Fault::StartFails) => return Err("failed to start container: told to, by FAULT".to_owned()),
            Some(Fault::Capacity) => {
                return Err("maximum number of running container instances exceeded: told to, by FAULT".to_owned());
            }
            Some(Fault::NoSuchImage) => {
                return Err("no such image available named emulated: told to, by FAULT".to_owned());
            }
            Some(Fault::ExitAtOnce) => {
                let process = self.clone();
                spawn_local(async move {
                    Delay::from(Duration::from_millis(10)).await;
                    process.end(1).ok();
                });
            }
            Some(Fault::NeverListen | Fault::IgnoreSigterm | Fault::Hang) | None => {}
        }
        let boot = env.get("BOOT_MS").and_then(|millis| millis.parse().ok()).unwrap_or(DEFAULT_BOOT_MILLIS);
        // Like a container's, its hostname is 12 hexadecimal digits.
        let hostname = orders.container.to_string().chars().filter(|c| *c != '-').take(12).collect();
        self.put(Some(Running {
            hostname,
            ports: orders.start.ports.clone(),
            listens_at: Millis(js::now().0.saturating_add(boot)),
            fault,
            count: 0,
        }))
    }

    pub async fn monitor(&self) -> MonitorEnd {
        let lost = || MonitorEnd::Lost("the emulated process does not run".to_owned());
        if !self.running() {
            return lost();
        }
        let (sender, receiver) = oneshot::channel();
        match self.0.watchers.try_borrow_mut() {
            Ok(mut watchers) => watchers.push(sender),
            Err(_) => return lost(),
        }
        receiver.await.map_or_else(|_| lost(), MonitorEnd::Exited)
    }

    pub fn destroy(&self) -> Result<(), String> {
        self.end(KILLED)
    }

    pub fn terminate(&self) -> Result<(), String> {
        match self.peek() {
            Some(Running { fault: Some(Fault::IgnoreSigterm), .. }) | None => Ok(()),
            Some(_) => self.end(0),
        }
    }

    pub fn fetch(&self, port: u16, request: &Request) -> Promise {
        let (process, request) = (self.clone(), request.clone());
        js::future_to_promise(async move {
            let Some(running) = process.peek() else {
                return Err(js::js_error("the container is not running"));
            };
            if running.fault == Some(Fault::Hang) {
                std::future::pending::<()>().await;
            }
            let listens = running.ports.contains(&port)
                && !matches!(running.fault, Some(Fault::NeverListen | Fault::ExitAtOnce))
                && js::now() >= running.listens_at;
            if !listens {
                return Err(js::js_error("the container is not listening"));
            }
            process.respond(running, request?).await.map(JsValue::from)
        })
    }

    async fn respond(&self, running: Running, request: Request) -> Result<Response, JsValue> {
        self.0.served.set(self.0.served.get().saturating_add(1));
        let method = request.method();
        let url = request.url();
        let target = Target::parse(&url).ok_or_else(|| js::js_error("the request has no absolute URL"))?;
        let query = UrlSearchParams::new_with_str(target.query().unwrap_or_default())?;
        let upgrade = request.headers().get("upgrade")?;
        if upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
            return echo_socket();
        }
        match (method.as_str(), target.path()) {
            ("GET", "/__emulated/exit") => {
                let code = query.get("code").and_then(|code| code.parse().ok());
                self.end(code.unwrap_or(0)).map_err(|error| js::js_error(&error))?;
                Err(js::js_error("the connection was closed"))
            }
            ("GET", "/__emulated/headers") => {
                let init = init(200, "text/plain")?;
                let response = Response::new_with_opt_str_and_init(Some("said"), &init)?;
                for (name, value) in pairs(&query) {
                    response.headers().set(&name, &value)?;
                }
                Ok(response)
            }
            ("GET", "/__emulated/ticks") => {
                let count = query.get("count").and_then(|count| count.parse().ok());
                self.tick(count.unwrap_or(1))
            }
            ("POST", "/echo") => Response::new_with_opt_readable_stream_and_init(
                request.body().as_ref(),
                &init(200, "application/octet-stream")?,
            ),
            ("POST", "/increment") => {
                let counted = Running { count: running.count.saturating_add(1), ..running };
                self.put(Some(counted.clone())).map_err(|error| js::js_error(&error))?;
                self.describe(&counted, &request, &target).await
            }
            _ => self.describe(&running, &request, &target).await,
        }
    }

    /// A compressed stream of unknown length, which breaks when the process ends.
    fn tick(&self, count: u32) -> Result<Response, JsValue> {
        let process = self.clone();
        let ticks = stream::iter(0..count).then(move |_| {
            let process = process.clone();
            async move {
                Delay::from(Duration::from_millis(500)).await;
                if process.running() { Ok(GZIPPED_TICK.to_vec()) } else { Err("the container ended".to_owned()) }
            }
        });
        let body: Response = worker::Response::from_stream(ticks).map_err(JsValue::from)?.into();
        let init = init(200, "text/event-stream")?;
        // What is written is compressed already.
        Reflect::set(&init, &"encodeBody".into(), &"manual".into())?;
        let response = Response::new_with_opt_readable_stream_and_init(body.body().as_ref(), &init)?;
        response.headers().set("content-encoding", "gzip")?;
        Ok(response)
    }

    async fn describe(&self, running: &Running, request: &Request, target: &Target<'_>) -> Result<Response, JsValue> {
        let headers: Map<String, Value> =
            pairs(&request.headers()).map(|(name, value)| (name, Value::String(value))).collect();
        let body = match request.body() {
            Some(_) => JsFuture::from(request.text()?).await?.as_string().unwrap_or_default(),
            None => String::new(),
        };
        let text: String = body.chars().take(LONGEST_ECHO).collect();
        let answer = json!({
            "emulated": true,
            "hostname": running.hostname,
            "method": request.method(),
            "path": target.path(),
            "query": target.query(),
            "headers": headers,
            "body": text,
            "count": running.count,
            "served": self.0.served.get(),
        });
        let answer = answer.to_string();
        let init = init(200, "application/json")?;
        let response = Response::new_with_opt_str_and_init(Some(&answer), &init)?;
        // As a container would; the runtime adds it only where a response leaves an object.
        response.headers().set("content-length", &answer.len().to_string())?;
        Ok(response)
    }

    fn peek(&self) -> Option<Running> {
        self.0.running.try_borrow().ok().and_then(|running| running.clone())
    }

    /// Writes it down, and makes it so.
    fn put(&self, running: Option<Running>) -> Result<(), String> {
        match &running {
            Some(running) => self.0.storage.write(PROCESS, running),
            None => self.0.storage.remove(PROCESS),
        }
        .map_err(|error| error.to_string())?;
        *self.0.running.try_borrow_mut().map_err(|error| error.to_string())? = running;
        Ok(())
    }

    fn end(&self, code: i32) -> Result<(), String> {
        self.put(None)?;
        let watchers =
            self.0.watchers.try_borrow_mut().map_err(|error| error.to_string())?.drain(..).collect::<Vec<_>>();
        for watcher in watchers {
            watcher.send(code).ok();
        }
        Ok(())
    }
}

/// The names and values of what JavaScript iterates over in pairs.
fn pairs(iterable: &JsValue) -> impl Iterator<Item = (String, String)> {
    Array::from(iterable).into_iter().map(|pair| {
        let pair = Array::from(&pair);
        let text = |at| pair.get(at).as_string().unwrap_or_default();
        (text(0), text(1))
    })
}

fn init(status: u16, content_type: &str) -> Result<ResponseInit, JsValue> {
    let headers = Headers::new()?;
    headers.set("content-type", content_type)?;
    headers.set("x-emulated", "true")?;
    let init = ResponseInit::new();
    init.set_status(status);
    init.set_headers(&headers);
    Ok(init)
}

fn echo_socket() -> Result<Response, JsValue> {
    let WebSocketPair { client, server } = WebSocketPair::new().map_err(JsValue::from)?;
    spawn_local(async move {
        if let Err(error) = echo(&server).await {
            tracing::warn!(%error, "an emulated WebSocket ended");
        }
    });
    let init = Object::new();
    Reflect::set(&init, &"status".into(), &101.into())?;
    Reflect::set(&init, &"webSocket".into(), client.as_ref())?;
    Response::new_with_opt_str_and_init(None, init.unchecked_ref::<ResponseInit>())
}

async fn echo(server: &WebSocket) -> worker::Result<()> {
    let mut events = server.events()?;
    Reflect::set(server.as_ref(), &"binaryType".into(), &"arraybuffer".into())?;
    server.accept()?;
    while let Some(event) = events.next().await {
        match event? {
            WebsocketEvent::Message(message) => match message.bytes() {
                Some(bytes) if message.text().is_none() => server.send_with_bytes(bytes)?,
                _ => server.send_with_str(message.text().unwrap_or_default())?,
            },
            WebsocketEvent::Close(_) => return Ok(()),
        }
    }
    Ok(())
}

/// The key of what is stored of it.
const PROCESS: &str = "emulated";
const DEFAULT_BOOT_MILLIS: u64 = 300;
/// The exit code of a process that was killed.
const KILLED: i32 = 137;
/// `tick` and a newline as a gzip file; several in a row are one too.
const GZIPPED_TICK: [u8; 25] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2b, 0xc9, 0x4c, 0xce, 0xe6, 0x02, 0x00, 0x90, 0x27,
    0x13, 0xa0, 0x05, 0x00, 0x00, 0x00,
];
/// The longest body that is echoed in JSON, in characters.
const LONGEST_ECHO: usize = 64 * 1024;
