//! What the object stores: the agent's record, and the emulated process if there is one. Each is one value of JSON text in the
//! synchronous key-value storage of a SQLite-backed Durable Object.

use js_sys::Promise;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::State;

use super::super::js;
use crate::json;

#[wasm_bindgen]
extern "C" {
    #[derive(Clone)]
    type RawStorage;

    #[wasm_bindgen(method, catch, getter)]
    fn kv(this: &RawStorage) -> Result<RawKv, JsValue>;

    #[wasm_bindgen(method, catch, js_name = deleteAll)]
    fn delete_all(this: &RawStorage) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn sync(this: &RawStorage) -> Result<Promise, JsValue>;

    #[derive(Clone)]
    type RawKv;

    #[wasm_bindgen(method, catch)]
    fn get(this: &RawKv, key: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn put(this: &RawKv, key: &str, value: &str) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn delete(this: &RawKv, key: &str) -> Result<bool, JsValue>;
}

/// The object's storage.
#[derive(Clone)]
pub struct Storage {
    raw: RawStorage,
    kv: RawKv,
}

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The object's class is not backed by SQLite.
    #[error("the object has no key-value storage ({0}): list its class under `new_sqlite_classes` in wrangler.jsonc")]
    NoKeyValue(String),
    /// The storage refused.
    #[error("the object's storage refused {key:?}: {reason}")]
    Refused {
        /// What was read or written.
        key: &'static str,
        /// What it said.
        reason: String,
    },
    /// A value is not what this version of the code writes.
    #[error("the stored {key} cannot be read; deploy the version that wrote it, or a newer one")]
    Unreadable {
        /// Which value.
        key: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl Storage {
    /// The object's storage.
    ///
    /// # Errors
    ///
    /// [`StorageError::NoKeyValue`].
    pub fn of(state: &State) -> Result<Self, StorageError> {
        let storage = state.storage();
        let raw: &JsValue = storage.as_raw().as_ref();
        let raw: RawStorage = raw.clone().unchecked_into();
        let kv = raw.kv().map_err(|error| StorageError::NoKeyValue(js::error_text(&error)))?;
        if kv.is_undefined() {
            return Err(StorageError::NoKeyValue("`storage.kv` is undefined".to_owned()));
        }
        Ok(Self { raw, kv })
    }

    /// What was stored; none when nothing was. Creates nothing.
    ///
    /// # Errors
    ///
    /// [`StorageError::Refused`], [`StorageError::Unreadable`].
    pub fn read<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, StorageError> {
        let value = self.kv.get(key).map_err(refused(key))?;
        match value.as_string() {
            None => Ok(None),
            Some(text) => json::read(&text).map(Some).map_err(|source| StorageError::Unreadable { key, source }),
        }
    }

    /// Stores a value in place of what was there. Nothing leaves the object before it is durable.
    ///
    /// # Errors
    ///
    /// [`StorageError::Refused`].
    pub fn write<T: Serialize>(&self, key: &'static str, value: &T) -> Result<(), StorageError> {
        let text = json::write(value).map_err(|source| StorageError::Unreadable { key, source })?;
        self.kv.put(key, &text).map_err(refused(key))
    }

    /// Removes a value.
    ///
    /// # Errors
    ///
    /// [`StorageError::Refused`].
    pub fn remove(&self, key: &'static str) -> Result<(), StorageError> {
        self.kv.delete(key).map(|_| ()).map_err(refused(key))
    }

    /// Removes everything, so that the object takes no room any more.
    ///
    /// # Errors
    ///
    /// [`StorageError::Refused`].
    pub fn erase(&self) -> Result<Promise, StorageError> {
        self.raw.delete_all().map_err(refused("everything"))
    }

    /// Waits until all that was written is durable.
    pub async fn flush(&self) {
        if let Ok(promise) = self.raw.sync() {
            // What cannot become durable has broken the object already.
            JsFuture::from(promise).await.ok();
        }
    }
}

fn refused(key: &'static str) -> impl Fn(JsValue) -> StorageError {
    move |error| StorageError::Refused { key, reason: js::error_text(&error) }
}
