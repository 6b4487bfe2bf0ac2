//! The coordinator's RPC methods about changes of the configuration.
//!
//! Whether a change is still one of what its caller has seen is decided in the step that makes it, so that of two that race one is
//! made. What a configuration may be, and which bindings there are, the gateway has checked.

// The methods that the macro adds have no documentation.
#![allow(missing_docs)]

use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use super::{Loaded, PoolCoordinator};
use crate::config::Config;
use crate::core::coordinator::{Ask, Change, Coordinator, Input};
use crate::edge::js;
use crate::edge::log;
use crate::store::{Database, StoreError, records};
use crate::wire::coordinator::ChangeReply;

#[wasm_bindgen]
impl PoolCoordinator {
    /// [`Change`] -> [`ChangeReply`]. A pool whose ids are moving keeps its shard count until that is over.
    #[wasm_bindgen(js_name = changeConfig)]
    pub fn change_config(&self, change: JsValue) -> Result<JsValue, JsValue> {
        let reply = self.changed(js::from_js(change)?)?;
        js::to_js(&reply)
    }

    /// [`Config`] -> [`ConfigView`](crate::wire::coordinator::ConfigView): a gateway of former code puts a configuration in force.
    #[wasm_bindgen(js_name = putConfig)]
    pub fn put_config(&self, config: JsValue) -> Result<JsValue, JsValue> {
        self.changed(Change::of(Ask::Put(js::from_js(config)?)))?;
        self.get_config()
    }

    /// Of former code too: drops what was put; returns the [`ConfigView`](crate::wire::coordinator::ConfigView) in force then.
    #[wasm_bindgen(js_name = deleteConfig)]
    pub fn delete_config(&self) -> Result<JsValue, JsValue> {
        self.changed(Change::of(Ask::Drop))?;
        self.get_config()
    }

    /// What putting a [`Config`] in force would do: `{valid, version, plan}`. Changes nothing.
    #[wasm_bindgen(js_name = previewConfig)]
    pub fn preview_config(&self, config: JsValue) -> Result<JsValue, JsValue> {
        let config: Config = js::from_js(config)?;
        // What was heard long ago does not count.
        self.prime()?;
        let preview = |machine: &Coordinator| json!({ "valid": true, "version": machine.version().version, "plan": machine.preview(&config) });
        js::to_js(&self.driver.with(preview)?)
    }

    /// `{versions: [record]}`, newest first.
    #[wasm_bindgen(js_name = getHistory)]
    pub fn get_history(&self) -> Result<JsValue, JsValue> {
        self.read(|database| Ok(json!({ "versions": records::history(database)? })))
    }

    /// The record of a version, with its configuration; null when that is not kept.
    #[wasm_bindgen(js_name = getRecord)]
    pub fn get_record(&self, version: f64) -> Result<JsValue, JsValue> {
        self.read(|database| Ok(json!(records::kept(database, version)?)))
    }

    /// `{entries: [..]}`: the latest changes, newest first, at most so many.
    #[wasm_bindgen(js_name = getAudit)]
    pub fn get_audit(&self, limit: f64) -> Result<JsValue, JsValue> {
        self.read(|database| Ok(json!({ "entries": records::audit(database, limit)? })))
    }
}

impl PoolCoordinator {
    fn changed(&self, change: Change) -> Result<ChangeReply, JsValue> {
        self.driver.deploy()?;
        let stale = self.driver.step(Input::Change(Box::new(change))).map_err(|error| js::js_error(&error))?;
        Ok(match stale {
            Some(stale) => ChangeReply::Stale { version: stale.version },
            None => ChangeReply::InForce(Box::new(self.driver.with(Coordinator::in_force)?)),
        })
    }

    /// What the rows say once this deploy is among them.
    fn read(&self, body: impl FnOnce(&Database) -> Result<Value, StoreError>) -> Result<JsValue, JsValue> {
        self.driver.deploy()?;
        let Loaded { database, .. } = self.driver.loaded().map_err(|error| js::js_error(&error))?;
        js::to_js(&body(database).map_err(|error| js::js_error(&log::error_chain(&error)))?)
    }
}
