//! The configuration that this deploy brings: the `POOLS_CONFIG` variable, else the file it was built with.
//!
//! A `POOLS_CONFIG` with mistakes is refused whole, and with it this deploy's configuration: what was in force before
//! stays. Only where nothing was, the bundled file serves. The mistakes are kept for whoever asks (`GET /_warm/healthz`,
//! the log).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::Env;

use super::js;
use crate::config::resolved::{Pool, PoolName};
use crate::config::{Config, ConfigErrors, parse_json};
use crate::core::coordinator::ConfigSource;
use crate::core::share;
use crate::embedded;

/// The variable's name. Its text is JSON, in the shape of `config/pools.toml`.
pub const VARIABLE: &str = "POOLS_CONFIG";
/// The version metadata binding's name: it says when the running version was uploaded.
const VERSION_METADATA: &str = "CF_VERSION_METADATA";

/// What this deploy brings.
pub struct Bundled {
    /// The configuration.
    pub config: Config,
    /// The most containers of each pool that has a limit.
    limits: BTreeMap<PoolName, u32>,
    /// Where it came from: [`ConfigSource::Var`] or [`ConfigSource::Bundled`].
    pub source: ConfigSource,
    /// When it was made, in ms since 1970: when the version was uploaded, where the runtime says so, else when the
    /// file was built in. 0, older than anything, when the variable was refused.
    pub stamp: u64,
    /// What is wrong with the variable, if it was refused.
    pub errors: Option<ConfigErrors>,
}

impl Bundled {
    fn new(config: Config, source: ConfigSource, stamp: u64, errors: Option<ConfigErrors>) -> Self {
        let limits = share::limits(&config);
        Self { config, limits, source, stamp, errors }
    }

    /// A pool, with the most containers it may have.
    pub fn pool(&self, name: &PoolName) -> Option<(&Pool, Option<u32>)> {
        self.config.pools.get(name).map(|pool| (pool, self.limits.get(name).copied()))
    }
}

/// What this deploy brings; read once per isolate.
pub fn bundled(env: &Env) -> Rc<Bundled> {
    thread_local! {
        static KNOWN: RefCell<Option<Rc<Bundled>>> = const { RefCell::new(None) };
    }
    let known = KNOWN.with(|known| known.try_borrow().ok().and_then(|known| known.clone()));
    known.unwrap_or_else(|| {
        let bundled = Rc::new(read(env));
        KNOWN.with(|known| {
            if let Ok(mut known) = known.try_borrow_mut() {
                *known = Some(Rc::clone(&bundled));
            }
        });
        bundled
    })
}

fn read(env: &Env) -> Bundled {
    let stamp = uploaded_at(env).unwrap_or(0).max(embedded::BUILT_AT.0);
    let variable = env.var(VARIABLE).ok().map(|text| text.to_string()).filter(|text| !text.trim().is_empty());
    let errors = match variable.map(|text| parse_json(&text)) {
        Some(Ok(config)) => return Bundled::new(config, ConfigSource::Var, stamp, None),
        Some(Err(errors)) => {
            tracing::error!(%errors, "{VARIABLE} is refused; what was in force before stays");
            Some(errors)
        }
        None => None,
    };
    // The build checked it.
    let config = embedded::config().unwrap_or_default();
    let stamp = if errors.is_some() { 0 } else { stamp };
    Bundled::new(config, ConfigSource::Bundled, stamp, errors)
}

fn uploaded_at(env: &Env) -> Option<u64> {
    let metadata = js::get(env.as_ref(), VERSION_METADATA);
    let timestamp: JsValue = js::get(&metadata, "timestamp");
    let millis = js_sys::Date::parse(&timestamp.as_string()?);
    (millis > 0.0).then_some(millis as u64)
}
