//! Pools configured by code, as `createWarmPool` and `getWarmPool` of `cf-container-warm-pool` have them: one pool, its
//! settings in the Worker's source, no configuration file.

use std::time::Duration;

use serde_json::{Map, Value, json};
use worker::Env;

use super::code::ByCode;
use super::error::Error;
use super::pool::Pool;
use crate::config::parse_value;
use crate::config::resolved::{PoolName, Start};
use crate::edge::bundled::bundled;
use crate::edge::js::CallError;
use crate::edge::rpc::ShardClient;

/// The name of a pool that is given none.
pub const DEFAULT_POOL_NAME: &str = "global-pool";

/// The settings of a pool configured by code. What is `None` has the default of the configuration file; limits are the
/// same too.
#[derive(Clone, Debug, Default)]
pub struct PoolOptions {
    /// The pool's name; [`DEFAULT_POOL_NAME`] when none is given. Each container class needs a pool of its own.
    pub pool_name: Option<String>,
    /// Containers kept started ahead of need.
    pub warm_target: Option<u32>,
    /// How often health is checked and warm containers are kept from sleeping.
    pub refresh_interval: Option<Duration>,
    /// How many objects share the pool's work. By code alone the first count stays in force, for nobody would move the ids; a
    /// configuration may change it.
    pub shards: Option<u32>,
    /// The most containers at once, in whatever state.
    pub max_instances: Option<u32>,
    /// The binding of a KV namespace that remembers where ids live.
    pub id_cache: Option<String>,
    /// How long a container may be idle before it stops itself; longer than `refresh_interval`.
    pub sleep_after: Option<Duration>,
    /// How long a request waits for a container.
    pub acquire_timeout: Option<Duration>,
    /// How a container of a class of this project is started.
    pub start: Option<Start>,
}

/// A pool of containers of the class behind the binding `container`, configured by code. A shard that does not know `options`
/// yet is told with the first call to it.
///
/// ```
/// # use std::time::Duration;
/// use cf_warm_pools::client::{PoolOptions, create_warm_pool};
///
/// async fn serve(request: worker::Request, env: &worker::Env) -> Result<worker::Response, cf_warm_pools::client::Error> {
///     let options = PoolOptions { warm_target: Some(3), refresh_interval: Some(Duration::from_secs(5)), ..Default::default() };
///     let pool = create_warm_pool(env, "CONTAINER", &options)?;
///     pool.fetch("alice", request).await
/// }
/// ```
///
/// # Errors
///
/// [`Error::Options`] with every mistake, [`Error::MissingBinding`].
pub fn create_warm_pool(env: &Env, container: &str, options: &PoolOptions) -> Result<Pool, Error> {
    super::check_binding(env)?;
    let name = options.pool_name.as_deref().unwrap_or(DEFAULT_POOL_NAME);
    let config = parse_value(&document(name, container, options)).map_err(Error::Options)?;
    // The document has exactly one pool, and it is valid.
    let (name, settings) = config.pools.into_iter().next().ok_or_else(|| unknown(name))?;
    Ok(Pool::by_code(env, &name, ByCode::new(bundled(env).stamp, settings, None)))
}

/// A pool by name, configured elsewhere: for reporting to it that a container has stopped.
///
/// # Errors
///
/// [`Error::MissingBinding`], [`Error::UnknownPool`] for a name that no pool can have.
pub fn get_warm_pool(env: &Env, pool_name: Option<&str>) -> Result<PoolHandle, Error> {
    super::check_binding(env)?;
    let name = pool_name.unwrap_or(DEFAULT_POOL_NAME);
    let name = PoolName::try_from(name.to_owned()).map_err(|_| unknown(name))?;
    Ok(PoolHandle { env: env.clone(), name })
}

/// A pool of which only the name is known.
pub struct PoolHandle {
    env: Env,
    name: PoolName,
}

impl PoolHandle {
    /// Tells the pool that a container has stopped, named by its UUID or by its object's hex id (`state.id().to_string()`).
    /// Returns whether the pool had it. Classes of this project report themselves.
    ///
    /// # Errors
    ///
    /// [`Error::PoolUnreachable`].
    pub async fn report_stopped(&self, container: &str) -> Result<bool, Error> {
        let shard = ShardClient::new(&self.env, super::first_shard(&self.name));
        let unreachable = |source: CallError| Error::PoolUnreachable { pool: self.name.clone(), source };
        shard.report_stopped(container).await.map_err(unreachable)
    }
}

fn unknown(name: &str) -> Error {
    Error::UnknownPool { name: name.to_owned(), nearest: None }
}

fn document(name: &str, container: &str, options: &PoolOptions) -> Value {
    let PoolOptions {
        pool_name: _,
        warm_target,
        refresh_interval,
        shards,
        max_instances,
        id_cache,
        sleep_after,
        acquire_timeout,
        start,
    } = options;
    let millis = |duration: &Option<Duration>| duration.map(|duration| json!(duration.as_millis().to_string() + "ms"));
    let settings: Map<String, Value> = [
        ("container", Some(json!(container))),
        ("warm_target", warm_target.map(|count| json!(count))),
        ("refresh_interval", millis(refresh_interval)),
        ("shards", shards.map(|count| json!(count))),
        ("max_instances", max_instances.map(|count| json!(count))),
        ("id_cache", id_cache.as_ref().map(|binding| json!(binding))),
        ("sleep_after", millis(sleep_after)),
        ("acquire_timeout", millis(acquire_timeout)),
        ("start", start.as_ref().map(|start| json!(start))),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    .collect();
    json!({ "pools": { name: settings } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolved::Millis;

    fn read(options: &PoolOptions) -> Result<crate::config::Pool, crate::config::ConfigErrors> {
        let name = options.pool_name.as_deref().unwrap_or(DEFAULT_POOL_NAME);
        parse_value(&document(name, "CONTAINER", options)).map(|config| config.pools.into_values().next().unwrap())
    }

    #[test]
    fn options_become_settings_with_the_defaults_of_the_file() {
        let pool = read(&PoolOptions {
            warm_target: Some(3),
            refresh_interval: Some(Duration::from_millis(1500)),
            max_instances: Some(9),
            ..PoolOptions::default()
        })
        .unwrap();
        assert_eq!(pool.container.as_str(), "CONTAINER");
        assert_eq!((pool.warm_target, pool.refresh_interval, pool.max_instances), (3, Millis(1500), Some(9)));
        assert_eq!((pool.shards.get(), pool.sleep_after), (1, Millis(300_000)));
        let again = read(&PoolOptions { start: Some(pool.start.clone()), ..PoolOptions::default() }).unwrap();
        assert_eq!(again.start, pool.start);
    }

    #[test]
    fn every_mistake_of_the_options_is_listed() {
        let errors = read(&PoolOptions {
            pool_name: Some("no/slash".to_owned()),
            warm_target: Some(1_000_000),
            sleep_after: Some(Duration::from_millis(1)),
            ..PoolOptions::default()
        })
        .unwrap_err();
        assert_eq!(errors.iter().count(), 3, "{errors}");
    }
}
