//! The bindings that a configuration needs, and what `wrangler.jsonc` declares.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::errors::{ConfigError, ErrorCode};
use super::reader::{join, nearest};
use super::resolved::{BindingName, Config, Pool};

/// The bindings of the project's own objects.
const OWN_OBJECTS: [&str; 2] = ["POOL_COORDINATOR", "WARM_POOL"];

/// The bindings of a Worker, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WranglerBindings {
    /// Names of Durable Object bindings.
    pub durable_objects: BTreeSet<String>,
    /// Names of KV namespace bindings.
    pub kv_namespaces: BTreeSet<String>,
    /// How many containers the platform may run at once, by Durable Object binding, for the classes that say so.
    pub max_instances: BTreeMap<String, u64>,
}

impl WranglerBindings {
    /// Reads the top level of a wrangler configuration (`durable_objects.bindings`, `kv_namespaces`, `containers`),
    /// already parsed from JSONC or TOML. What is not there is not declared.
    pub fn from_wrangler(document: &Value) -> Self {
        let list = |pointer| document.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        let text = |entry: &Value, key: &str| entry.get(key)?.as_str().map(str::to_owned);
        let limit_of = |class: &str| {
            let container = list("/containers").find(|entry| text(entry, "class_name").as_deref() == Some(class))?;
            container.get("max_instances")?.as_u64()
        };
        let objects = || list("/durable_objects/bindings");
        Self {
            durable_objects: objects().filter_map(|entry| text(entry, "name")).collect(),
            kv_namespaces: list("/kv_namespaces").filter_map(|entry| text(entry, "binding")).collect(),
            max_instances: objects()
                .filter_map(|entry| Some((text(entry, "name")?, limit_of(&text(entry, "class_name")?)?)))
                .collect(),
        }
    }
}

/// The bindings of container classes that the pools name.
pub fn container_bindings(config: &Config) -> BTreeSet<&BindingName> {
    let mut bindings = BTreeSet::new();
    bindings.extend(config.pools.values().map(|pool| &pool.container));
    bindings
}

/// The KV namespace bindings that the pools name.
pub fn kv_bindings(config: &Config) -> BTreeSet<&BindingName> {
    let mut bindings = BTreeSet::new();
    bindings.extend(config.pools.values().filter_map(|pool| pool.id_cache.as_ref()));
    bindings
}

/// An error for each binding that the configuration, or the pools themselves, need and `declared` lacks.
pub fn missing_bindings(config: &Config, declared: &WranglerBindings) -> Vec<ConfigError> {
    let mut missing = Vec::new();
    for name in OWN_OBJECTS {
        if !declared.durable_objects.contains(name) {
            missing.push(error(String::new(), "Durable Object", name, &declared.durable_objects));
        }
    }
    for (name, pool) in &config.pools {
        let path = |key| join(&join("pools", name.as_str()), key);
        if !declared.durable_objects.contains(pool.container.as_str()) {
            missing.push(error(
                path("container"),
                "Durable Object",
                pool.container.as_str(),
                &declared.durable_objects,
            ));
        }
        if let Some(cache) = &pool.id_cache
            && !declared.kv_namespaces.contains(cache.as_str())
        {
            missing.push(error(path("id_cache"), "KV namespace", cache.as_str(), &declared.kv_namespaces));
        }
    }
    missing
}

/// An error for each container class of which the platform runs fewer containers than its pools may have together: the largest
/// `max_instances` that any of them states, or, where none does, what they all keep warm.
pub fn over_capacity(config: &Config, declared: &WranglerBindings) -> Vec<ConfigError> {
    let mut classes: BTreeMap<&str, Vec<(&str, &Pool)>> = BTreeMap::new();
    for (name, pool) in &config.pools {
        classes.entry(pool.container.as_str()).or_default().push((name.as_str(), pool));
    }
    let limits = classes
        .into_iter()
        .filter_map(|(binding, pools)| Some((binding, pools, *declared.max_instances.get(binding)?)));
    limits.filter_map(|(binding, pools, limit)| over_limit(binding, &pools, limit)).collect()
}

fn over_limit(binding: &str, pools: &[(&str, &Pool)], limit: u64) -> Option<ConfigError> {
    let stated = pools.iter().filter_map(|(name, pool)| Some((u64::from(pool.max_instances?), *name)));
    let (wanted, name, key, why) = match stated.max_by_key(|&(stated, _)| stated) {
        Some((stated, name)) => (stated, name, "max_instances", "by the largest max_instances among them"),
        None => {
            let warm = pools.iter().map(|(_, pool)| u64::from(pool.warm_target)).sum();
            (warm, pools.last()?.0, "warm_target", "kept warm")
        }
    };
    if wanted <= limit {
        return None;
    }
    let names = pools.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let message = format!(
        "the pools of {binding} ({names}) may have {wanted} containers together, {why}, but the Worker's `containers` entry has \
         max_instances {limit}"
    );
    Some(ConfigError { path: join(&join("pools", name), key), code: ErrorCode::Conflict, message })
}

fn error(path: String, kind: &str, name: &str, declared: &BTreeSet<String>) -> ConfigError {
    let hint = match nearest(name, declared.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near:?}?"),
        None if declared.is_empty() => "it declares none".to_owned(),
        None => format!("it declares {}", declared.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
    };
    ConfigError {
        path,
        code: ErrorCode::MissingBinding,
        message: format!("the Worker has no {kind} binding {name:?}; {hint}"),
    }
}
