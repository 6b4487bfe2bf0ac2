//! The client for Workers written in JavaScript: what `src/shim/npm.mjs` is made of.
//!
//! Values are plain objects. A call that gets no container throws an `Error` with a `code` and, where a retry has a chance,
//! `retryAfterMillis`; what only other code can mend is a `TypeError`.

use std::future::Future;

use js_sys::{Promise, Reflect};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use web_sys::{Request, Response};
use worker::Env;

use super::bundled::refresh;
use super::class::{ClassError, binding_of};
use super::client::{self, Class, Container, Error, Pool, isolate};
use super::js::CallError;
use super::{js, log};
use crate::config::resolved::{BindingName, Millis};
use crate::config::{Config, ConfigErrors, limits, parse_value};
use crate::core::id::{SessionId, ShardIndex};
use crate::core::outcome::{Assignment, Refusal, RefusalCode};

/// The binding of a container class that goes by another name among the shards, or by none.
const UNNAMED: &str = "CONTAINER";

/// One pool, for a Worker written in JavaScript.
#[wasm_bindgen]
pub struct ScriptPool {
    source: Result<Source, String>,
}

enum Source {
    /// Settings in the Worker's code.
    Code(Pool),
    /// The configuration, of which the pool is taken anew with each call, for that may have changed.
    Config { env: Env, name: String },
}

#[wasm_bindgen]
impl ScriptPool {
    /// A pool of the configuration, which may come to have it later; with `settings`, a pool that is configured by code. They are
    /// JSON, with the keys that a pool has in `pools.toml`; `class` is what the container class's namespace makes of
    /// [`PROBE`](super::class::PROBE). Never throws: what worker-build wraps around a constructor takes that for the end of the
    /// instance.
    #[wasm_bindgen(constructor)]
    pub fn new(env: Env, name: String, settings: Option<String>, class: Option<String>) -> ScriptPool {
        log::init();
        let source = match (settings, class) {
            (Some(settings), Some(class)) => in_code(&env, &name, &settings, class).map(Source::Code),
            (Some(_), None) | (None, _) => Ok(Source::Config { env, name }),
        };
        Self { source }
    }

    /// What is wrong with the settings: every mistake, or that more than one binding leads to the class.
    #[wasm_bindgen(getter)]
    pub fn mistakes(&self) -> Option<String> {
        self.source.as_ref().err().cloned()
    }

    /// The binding of the container class, when it is known.
    #[wasm_bindgen(getter)]
    pub fn binding(&self) -> Option<String> {
        self.pool().ok().map(|pool| pool.binding().to_string())
    }

    fn pool(&self) -> Result<Pool, JsValue> {
        let (env, name) = match &self.source {
            Ok(Source::Code(pool)) => return Ok(pool.clone()),
            Ok(Source::Config { env, name }) => (env, name),
            Err(mistakes) => return Err(type_error(mistakes)),
        };
        client::find(env, &isolate::config(env), name).map_err(|error| thrown(&error))
    }

    /// Does something with the pool, and answers later.
    fn answer<T: Future<Output = Result<JsValue, JsValue>>>(&self, work: impl FnOnce(Pool) -> T + 'static) -> Promise {
        let pool = self.pool();
        answer(async move { work(pool?).await })
    }

    /// The container of an id, which gets one when it has none, as an [`Assignment`].
    pub fn acquire(&self, id: JsValue) -> Promise {
        self.answer(async move |pool| {
            let assignment = pool.acquire(&session_id(&id)?, None).await.map_err(|error| thrown(&error))?;
            js::to_js(&assignment)
        })
    }

    /// Which shard the container of an id can be asked of from JavaScript, by `acquire` with the id alone; -1 when there is more to
    /// it, or something is wrong: then [`acquire`](Self::acquire) says what.
    #[wasm_bindgen(js_name = shardOf)]
    pub fn shard_of(&self, id: &str) -> i32 {
        let Ok(id) = SessionId::from_caller(id) else { return -1 };
        let shard = self.pool().ok().and_then(|pool| pool.plain_shard(&id));
        shard.and_then(|shard| i32::try_from(shard.0).ok()).unwrap_or(-1)
    }

    /// How long JavaScript is to wait for that answer, in ms.
    #[wasm_bindgen(js_name = answersWithin)]
    pub fn answers_within(&self) -> f64 {
        self.pool().map_or(0.0, |pool| pool.acquire_deadline().0 as f64)
    }

    /// What is to be thrown when that shard refused, or (undefined) did not answer in time; undefined when the id is to be asked for
    /// by [`acquire`](Self::acquire) instead.
    pub fn failure(&self, refusal: JsValue) -> Result<JsValue, JsValue> {
        let pool = self.pool()?;
        if refusal.is_undefined() {
            let late = CallError::Late { method: "acquire".to_owned(), deadline: pool.acquire_deadline() };
            return Ok(thrown(&pool.failed(late)));
        }
        let refusal: Refusal = js::from_js(refusal)?;
        Ok(match refusal.code {
            RefusalCode::WrongShard | RefusalCode::UnknownPool => JsValue::UNDEFINED,
            RefusalCode::AtCapacity | RefusalCode::Timeout | RefusalCode::StartFailed | RefusalCode::Overloaded => {
                thrown(&Error::Refused(refusal))
            }
        })
    }

    /// The container of an id as an [`Assignment`], or null. Gives it none.
    pub fn lookup(&self, id: JsValue) -> Promise {
        self.answer(async move |pool| js::to_js(&pool.find(&session_id(&id)?).await.map_err(|error| thrown(&error))?))
    }

    /// The id is done with its container. Resolves to whether it had one.
    pub fn release(&self, id: JsValue) -> Promise {
        self.answer(async move |pool| {
            Ok(pool.release_id(&session_id(&id)?).await.map_err(|error| thrown(&error))?.into())
        })
    }

    /// Sends a request to the container of an id, wherever that is.
    pub fn fetch(&self, id: JsValue, request: Request) -> Promise {
        self.answer(async move |pool| {
            let (id, url) = (session_id(&id)?, client::container_url(&request.url()));
            Ok(pool.dispatch(&id, request, url).await.map_err(|error| thrown(&error))?.into())
        })
    }

    /// Sends a request to the very container that an id was given.
    #[wasm_bindgen(js_name = fetchFrom)]
    pub fn fetch_from(&self, id: JsValue, assignment: JsValue, request: Request) -> Promise {
        self.answer(async move |pool| {
            let assignment: Assignment = js::from_js(assignment)?;
            let container: Container = pool.container(session_id(&id)?, &assignment);
            let response = container.fetch(request.into()).await.map_err(|error| thrown(&error))?;
            Ok(Response::from(response).into())
        })
    }

    /// The pool in numbers, with its name and its configuration.
    pub fn stats(&self) -> Promise {
        self.answer(async move |pool| js::to_js(&pool.stats_document().await.map_err(|error| thrown(&error))?))
    }

    /// Replaces every container that is not assigned. Resolves to how many there were.
    #[wasm_bindgen(js_name = shutdownPrewarmed)]
    pub fn shutdown_prewarmed(&self) -> Promise {
        self.answer(async move |pool| Ok(pool.shutdown_prewarmed().await.map_err(|error| thrown(&error))?.into()))
    }

    /// A container has stopped, named by its UUID or by its object's hex id. Resolves to whether the pool had it.
    #[wasm_bindgen(js_name = reportStopped)]
    pub fn report_stopped(&self, container: String) -> Promise {
        self.answer(async move |pool| Ok(pool.report_stopped(&container).await.map_err(|error| thrown(&error))?.into()))
    }

    /// The binding by which the shards reach a class: see [`class`](super::class).
    #[wasm_bindgen(js_name = bindingOf)]
    pub fn binding_of(&self, class: String) -> Promise {
        self.answer(async move |pool| {
            let binding = pool.shard(ShardIndex(0)).binding(&class).await;
            Ok(binding.map_err(|error| js::js_error(&error.to_string()))?.to_string().into())
        })
    }
}

/// The pools of the configuration, for a Worker written in JavaScript.
#[wasm_bindgen]
pub struct ScriptPools {
    env: Env,
    mistakes: Option<String>,
}

#[wasm_bindgen]
impl ScriptPools {
    /// The pools behind the bindings of `env`. Never throws, as that of [`ScriptPool`].
    #[wasm_bindgen(constructor)]
    pub fn new(env: Env) -> ScriptPools {
        log::init();
        let mistakes = match refresh(&env) {
            Ok(true) => {
                isolate::forget_all();
                None
            }
            Ok(false) => None,
            Err(errors) => Some(errors.to_string()),
        };
        Self { env, mistakes }
    }

    /// What is wrong with the configuration in the code: every mistake.
    #[wasm_bindgen(getter)]
    pub fn mistakes(&self) -> Option<String> {
        self.mistakes.clone()
    }

    /// The names of the pools.
    pub fn names(&self) -> Vec<String> {
        isolate::config(&self.env).pools.keys().map(ToString::to_string).collect()
    }
}

fn answer(work: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> Promise {
    js::future_to_promise(work)
}

/// A pool that is configured by code, or what is wrong with its settings.
fn in_code(env: &Env, name: &str, settings: &str, class: String) -> Result<Pool, String> {
    let mut settings: Value = serde_json::from_str(settings).map_err(|error| error.to_string())?;
    let named = match settings.get("container").cloned() {
        Some(binding) => {
            // Where it is no binding here it may be one of the Worker that has the pools; and what is no name at all is told below.
            let binding = binding.as_str().and_then(|binding| BindingName::try_from(binding.to_owned()).ok());
            if let Some(binding) = binding.filter(|binding| env.durable_object(binding.as_str()).is_ok()) {
                binding_of(env, &class, Some(&binding)).map_err(|error| error.to_string())?;
            }
            true
        }
        None => {
            let here = match binding_of(env, &class, None) {
                Ok(binding) => binding.to_string(),
                Err(error @ ClassError::Ambiguous(_)) => return Err(error.to_string()),
                // Then this Worker is not the one that has the pools, whose shards know theirs.
                Err(ClassError::Unbound | ClassError::Another(_)) => UNNAMED.to_owned(),
            };
            if let Some(settings) = settings.as_object_mut() {
                settings.insert("container".to_owned(), here.into());
            }
            false
        }
    };
    let config = read(name, &settings).map_err(|errors| errors.to_string())?;
    // The document has exactly one pool, and it is valid.
    let (name, pool) = config.pools.into_iter().next().ok_or("the settings are of no pool")?;
    Ok(client::by_code(env, &name, pool, Some(Class { id: class, named })))
}

/// Reads the settings of one pool. A class of `@cloudflare/containers` has its own idea of when to sleep, so that a long
/// `refreshInterval` is no mistake where the settings do not say when either.
fn read(name: &str, settings: &Value) -> Result<Config, ConfigErrors> {
    let parse = |settings: &Value| parse_value(&json!({ "pools": { name: settings } }));
    let sleeps = ["sleepAfter", "sleep_after"].iter().any(|key| settings.get(key).is_some());
    parse(settings).or_else(|errors| {
        let mut late = settings.clone();
        let Some(object) = late.as_object_mut().filter(|_| !sleeps) else { return Err(errors) };
        object.insert("sleepAfter".to_owned(), json!(limits::SLEEP_AFTER.end()));
        // The mistakes that are told are those of what was given.
        parse(&late).map_err(|_| errors)
    })
}

fn session_id(id: &JsValue) -> Result<SessionId, JsValue> {
    let text = id.as_string().ok_or_else(|| type_error("an id is a string"))?;
    SessionId::from_caller(text).map_err(|error| type_error(&error.to_string()))
}

fn type_error(message: &str) -> JsValue {
    js_sys::TypeError::new(message).into()
}

/// What a call throws that got no container.
fn thrown(error: &Error) -> JsValue {
    if let Error::UnknownPool { .. } | Error::Options(_) | Error::Class { .. } | Error::MissingBinding { .. } = error {
        return type_error(&log::error_chain(error));
    }
    let (denial, text) = (error.denial(), log::error_chain(error));
    let thrown = js_sys::Error::new(&text);
    thrown.set_name(js::REFUSAL_NAME);
    let set = |key: &str, value: JsValue| Reflect::set(&thrown, &JsValue::from_str(key), &value).ok();
    set("code", denial.code.as_str().into());
    let exact = match error {
        Error::Refused(refusal) => refusal.retry_after_millis,
        _ => None,
    };
    let rounded = || denial.retry_after_secs.map(|secs| Millis::from_secs(u64::from(secs)).0);
    if let Some(millis) = exact.or_else(rounded) {
        set("retryAfterMillis", JsValue::from_f64(millis as f64));
    }
    thrown.into()
}
