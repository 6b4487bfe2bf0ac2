//! The bindings that a configuration needs, and what `wrangler.jsonc` declares.

use std::collections::BTreeSet;

use serde_json::Value;

use super::errors::{ConfigError, ErrorCode};
use super::reader::{join, nearest};
use super::resolved::{BindingName, Config};

/// The bindings of the project's own objects.
const OWN_OBJECTS: [&str; 2] = ["POOL_COORDINATOR", "WARM_POOL"];

/// The bindings of a Worker, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WranglerBindings {
    /// Names of Durable Object bindings.
    pub durable_objects: BTreeSet<String>,
    /// Names of KV namespace bindings.
    pub kv_namespaces: BTreeSet<String>,
}

impl WranglerBindings {
    /// Reads the top level of a wrangler configuration (`durable_objects.bindings[].name`, `kv_namespaces[].binding`),
    /// already parsed from JSONC or TOML. What is not there is not declared.
    pub fn from_wrangler(document: &Value) -> Self {
        let names = |list: Option<&Value>, key: &str| {
            let entries = list.and_then(Value::as_array).into_iter().flatten();
            entries.filter_map(|entry| entry.get(key)?.as_str().map(str::to_owned)).collect()
        };
        Self {
            durable_objects: names(document.pointer("/durable_objects/bindings"), "name"),
            kv_namespaces: names(document.get("kv_namespaces"), "binding"),
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
