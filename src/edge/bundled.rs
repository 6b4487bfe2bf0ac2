//! The configuration that this deploy brings: the `POOLS_CONFIG` variable, else the one in the Worker's code (of a Worker in
//! JavaScript), else the file it was built with.
//!
//! A `POOLS_CONFIG` with mistakes is refused whole, and with it this deploy's configuration: what was in force before
//! stays. Only where nothing was, the bundled file serves. The mistakes are kept for whoever asks (`GET /_warm/healthz`,
//! the log).

use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::Env;

use super::client::ByCode;
use super::js;
use super::rpc::POOL_COORDINATOR;
use crate::config::resolved::{Pool, PoolName};
use crate::config::{Config, ConfigErrors, parse_json};
use crate::core::coordinator::ConfigSource;
use crate::core::share;
use crate::core::sorted::Map;
use crate::embedded;

/// The variable's name. Its text is JSON, in the shape of `config/pools.toml`.
pub const VARIABLE: &str = "POOLS_CONFIG";
/// Where the npm package puts the configuration in the Worker's code, as JSON; one without pools when it has none. No Worker has such a variable.
const IN_CODE: &str = "WARM_POOLS_IN_CODE";
/// The version metadata binding's name: it says when the running version was uploaded.
const VERSION_METADATA: &str = "CF_VERSION_METADATA";

/// What this deploy brings.
pub struct Bundled {
    /// The configuration.
    pub config: Config,
    /// The most containers of each pool that has a limit.
    limits: Map<PoolName, u32>,
    /// Where it came from: [`ConfigSource::Var`] or [`ConfigSource::Bundled`].
    pub source: ConfigSource,
    /// When it was made, in ms since 1970: when the version was uploaded, where the runtime says so, else when the
    /// file was built in. 0, older than anything, when the variable was refused.
    pub stamp: u64,
    /// What is wrong with the variable, if it was refused.
    pub errors: Option<ConfigErrors>,
    /// Whether the Worker has a coordinator.
    pub has_coordinator: bool,
    /// The configuration in the Worker's code, as it was given.
    in_code: Option<String>,
    /// Its pools, where it is what this deploy brings.
    codes: Map<PoolName, Rc<ByCode>>,
}

impl Bundled {
    /// The settings of a pool, where they come from the Worker's code.
    pub fn code_of(&self, name: &PoolName) -> Option<&Rc<ByCode>> {
        self.codes.get(name)
    }

    /// Whether the shards hear of their pools from callers alone: their settings come from the Worker's code, and it has no
    /// coordinator.
    pub fn is_alone(&self) -> bool {
        !self.has_coordinator && !self.codes.is_empty()
    }

    /// A pool, with the most containers it may have.
    pub fn pool(&self, name: &PoolName) -> Option<(&Pool, Option<u32>)> {
        self.config.pools.get(name).map(|pool| (pool, self.limits.get(name).copied()))
    }
}

thread_local! {
    static KNOWN: RefCell<Option<Rc<Bundled>>> = const { RefCell::new(None) };
}

/// Reads again what this deploy brings, for the Worker's code may have another configuration than when it was read first. Returns
/// whether it has.
///
/// # Errors
///
/// Every mistake of the configuration in the code; then nothing changes.
pub fn refresh(env: &Env) -> Result<bool, ConfigErrors> {
    let text = in_code(env);
    if let Some(text) = &text {
        parse_json(text)?;
    }
    let is_news = bundled(env).in_code != text;
    if is_news {
        KNOWN.replace(None);
    }
    Ok(is_news)
}

/// What this deploy brings; read once per isolate.
pub fn bundled(env: &Env) -> Rc<Bundled> {
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
    let (in_code, has_coordinator) = (in_code(env), env.durable_object(POOL_COORDINATOR).is_ok());
    let made = |config: Config, source, stamp, errors| {
        let limits = share::limits(&config);
        let is_code = in_code.is_some() && source == ConfigSource::Bundled;
        let pools = config.pools.iter().filter(|_| is_code);
        let codes = pools.map(|(name, pool)| (name.clone(), Rc::new(ByCode::new(stamp, pool.clone(), None)))).collect();
        Bundled { config, limits, source, stamp, errors, has_coordinator, in_code: in_code.clone(), codes }
    };
    let variable = env.var(VARIABLE).ok().map(|text| text.to_string()).filter(|text| !text.trim().is_empty());
    let errors = match variable.map(|text| parse_json(&text)) {
        Some(Ok(config)) => return made(config, ConfigSource::Var, stamp, None),
        Some(Err(errors)) => {
            tracing::error!(%errors, "{VARIABLE} is refused; what was in force before stays");
            Some(errors)
        }
        None => None,
    };
    let config = match &in_code {
        Some(text) => parse_json(text).unwrap_or_else(|errors| {
            // Whoever gave it was told.
            tracing::error!(%errors, "the configuration in the Worker's code is refused");
            Config::default()
        }),
        // The build checked it.
        None => embedded::config().unwrap_or_default(),
    };
    let stamp = if errors.is_some() { 0 } else { stamp };
    made(config, ConfigSource::Bundled, stamp, errors)
}

/// The configuration in the Worker's code.
fn in_code(env: &Env) -> Option<String> {
    js::get(env.as_ref(), IN_CODE).as_string()
}

fn uploaded_at(env: &Env) -> Option<u64> {
    let metadata = js::get(env.as_ref(), VERSION_METADATA);
    let timestamp: JsValue = js::get(&metadata, "timestamp");
    let millis = js_sys::Date::parse(&timestamp.as_string()?);
    (millis > 0.0).then_some(millis as u64)
}
