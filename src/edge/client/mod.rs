//! The client for Workers written in Rust.
//!
//! ```
//! use cf_warm_pools::client::{Error, WarmPools};
//!
//! async fn serve(request: worker::Request, env: &worker::Env) -> Result<worker::Response, Error> {
//!     let pool = WarmPools::from_env(env)?.pool("python")?;
//!     pool.get_container("alice").await?.fetch(request).await
//! }
//! ```
//!
//! What holds: every request to a container of this project carries pool, id and epoch, put on here and never taken from a
//! caller, so that the container can refuse whom it does not serve.
//!
//! The configuration is the one the Worker carries until the coordinator has another in force, of which an isolate
//! hears in the background. No call waits for the coordinator but those for statistics and `shutdown_prewarmed`; so a pool
//! that only the configuration in force has is unknown to an isolate at first, and known a moment later.

mod asking;
mod code;
mod container;
mod error;
pub(crate) mod forward;
pub(crate) mod isolate;
mod pool;
mod single;

use std::rc::Rc;

use strsim::normalized_damerau_levenshtein;
use worker::Env;

pub use crate::core::agent::Refusal as FenceRefusal;
pub use crate::core::gateway::{Denial, DenialCode};
pub use crate::core::id::{ContainerId, Epoch, SessionIdError, ShardIndex};
pub use crate::core::outcome::{Outcome, Reason, Refusal, RefusalCode};
pub use crate::core::stats::MergedStats;
pub use crate::edge::js::CallError;
pub(crate) use code::{ByCode, Class};
pub use container::Container;
pub use error::Error;
pub use pool::Pool;
pub use single::{DEFAULT_POOL_NAME, PoolHandle, PoolOptions, create_warm_pool, get_warm_pool};

use super::bundled::bundled;
use super::rpc::WARM_POOL;
use crate::config::Config;
use crate::config::resolved::{MAX_POOL_NAME_LEN, PoolName};
use crate::core::id::ShardId;

/// How alike a name must be to be taken for a slip of the pen: 1 is the same.
const ALIKE: f64 = 0.6;

/// The pools of the configuration.
pub struct WarmPools {
    env: Env,
}

impl WarmPools {
    /// The pools behind the bindings of `env`.
    ///
    /// # Errors
    ///
    /// [`Error::MissingBinding`].
    pub fn from_env(env: &Env) -> Result<Self, Error> {
        check_binding(env)?;
        Ok(Self { env: env.clone() })
    }

    /// The pool of a name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPool`] with the nearest name.
    pub fn pool(&self, name: &str) -> Result<Pool, Error> {
        find(&self.env, &isolate::config(&self.env), name)
    }

    /// The names of all pools.
    pub fn names(&self) -> Vec<PoolName> {
        isolate::config(&self.env).pools.keys().cloned().collect()
    }
}

/// The pool of a name in a configuration.
pub(crate) fn find(env: &Env, config: &Config, name: &str) -> Result<Pool, Error> {
    let found = PoolName::try_from(name.to_owned()).ok().and_then(|name| of(env, config, &name));
    found.ok_or_else(|| Error::UnknownPool { name: name.to_owned(), nearest: nearest(config, name) })
}

/// The pool whose name is most like this one, if any is like it at all.
fn nearest(config: &Config, name: &str) -> Option<PoolName> {
    // Comparing takes time and memory proportional to both lengths, and a caller may send a name of any.
    if name.len() > MAX_POOL_NAME_LEN {
        return None;
    }
    let likeness = |pool: &PoolName| normalized_damerau_levenshtein(pool.as_str(), name);
    let nearest = config.pools.keys().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    nearest.filter(|pool| likeness(pool) >= ALIKE).cloned()
}

/// The pool of a name in a configuration.
pub(crate) fn of(env: &Env, config: &Config, name: &PoolName) -> Option<Pool> {
    let pool = Pool::configured(env, name, config.pools.get(name)?);
    let bundled = bundled(env);
    Some(match bundled.code_of(name) {
        None => pool,
        Some(code) => pool.in_code(Rc::clone(code), bundled.has_coordinator),
    })
}

/// A pool that the Worker's code configures; its class may have to be found.
pub(crate) fn by_code(env: &Env, name: &PoolName, settings: crate::config::Pool, class: Option<Class>) -> Pool {
    Pool::by_code(env, name, ByCode::new(bundled(env).stamp, settings, class))
}

fn check_binding(env: &Env) -> Result<(), Error> {
    let missing = |source| Error::MissingBinding { binding: WARM_POOL.to_owned(), source };
    env.durable_object(WARM_POOL).map(drop).map_err(missing)
}

fn first_shard(pool: &PoolName) -> ShardId {
    ShardId { pool: pool.clone(), index: ShardIndex(0) }
}

/// A URL as container objects get it: `http:`, whatever the caller's was.
pub(crate) fn container_url(url: &str) -> String {
    match url.split_once("://") {
        Some(("https", rest)) => format!("http://{rest}"),
        Some(_) | None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_misspelt_pool_is_told_its_like_unless_no_pool_can_be_called_so() {
        let pool = "p".repeat(MAX_POOL_NAME_LEN);
        let pools = json!({ "python": { "container": "A" }, &pool: { "container": "A" } });
        let config = crate::config::parse_value(&json!({ "pools": pools, "routes": [] })).unwrap();
        let told = |name: &str| nearest(&config, name).map(|pool| pool.to_string());
        assert_eq!(told("pyhton"), Some("python".to_owned()));
        assert_eq!(told("ruby"), None);
        assert_eq!(told(&pool[1..]), Some(pool.clone()));
        assert_eq!(told(&(pool + "p")), None);
    }
}
