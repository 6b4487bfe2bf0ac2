//! The optional id cache in KV (`id_cache` of a pool): best effort, and never waited for alone.
//!
//! What fails is logged and forgotten: a hint that is not there costs a question to the shard, and a wrong one is found out
//! by the container's fence. See [`hint`] for keys and values.

use worker::Env;
use worker::kv::{KvError, KvStore};

use crate::config::resolved::BindingName;
use crate::core::gateway::{Sticky, hint};

/// The id cache of one pool.
#[derive(Clone)]
pub struct KvCache {
    store: KvStore,
}

impl KvCache {
    /// The cache behind a binding; none when the Worker has no such binding.
    pub fn open(env: &Env, binding: &BindingName) -> Option<Self> {
        match env.kv(binding.as_str()) {
            Ok(store) => Some(Self { store }),
            Err(error) => {
                tracing::warn!(%binding, %error, "the id cache is not there: the pools do without");
                None
            }
        }
    }

    /// What is known of a key.
    pub async fn read(&self, key: &str) -> Option<Sticky> {
        match self.store.get(key).text().await {
            Ok(value) => hint::parse(&value?),
            Err(error) => {
                tracing::debug!(%error, "the id cache could not be read");
                None
            }
        }
    }

    /// Writes what is known, for [`hint::HINT_TTL_SECS`].
    pub async fn write(&self, key: &str, sticky: Sticky) {
        if let Err(error) = self.put(key, sticky).await {
            // Most often: more than one write a second to one key.
            tracing::debug!(%error, "the id cache could not be written");
        }
    }

    /// Forgets a key.
    pub async fn forget(&self, key: &str) {
        if let Err(error) = self.store.delete(key).await {
            tracing::debug!(%error, "the id cache could not be cleared");
        }
    }

    async fn put(&self, key: &str, sticky: Sticky) -> Result<(), KvError> {
        self.store.put(key, hint::value(sticky))?.expiration_ttl(hint::HINT_TTL_SECS).execute().await
    }
}
