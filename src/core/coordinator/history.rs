//! Which configurations were in force, since when, and by whom.
//!
//! A record is made of every change of what is asked for, in the step that makes the change: of a deploy, and of what the admin API
//! sets and drops. A version that only goes on with a change (ids have moved, and the next shard count is in force) has none. The
//! machine keeps no records: they are written, and whoever wants to know reads them.

use serde::{Deserialize, Serialize};

use super::Coordinator;
use super::registry::ConfigSource;
use crate::config::resolved::{Config, Millis};

/// The configurations of so many of the latest records are kept.
pub const KEPT_CONFIGS: u64 = 20;
/// So many of the latest records are kept.
pub const KEPT_RECORDS: u64 = 1_000;
/// Who changes the configuration by a deploy.
const DEPLOY: &str = "deploy";
/// Who has set what was in force before there were records, where that was no deploy.
const ADMIN: &str = "admin";

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ConfigAction"))]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A deploy brought a configuration.
    Deployed,
    /// The admin API set one.
    Put,
    /// The admin API dropped what it had set.
    Dropped,
    /// The admin API set one that was in force before.
    RolledBack,
}

/// A change of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The version that it made.
    pub version: u64,
    /// The version that was in force before; none when it is not known, or was the first.
    pub from: Option<u64>,
    /// When it was made.
    pub at: Millis,
    /// Who asked for it.
    pub by: String,
    /// What was done.
    pub action: Action,
    /// Where the configuration comes from that is in force since.
    pub source: ConfigSource,
    /// The version that was rolled back to.
    pub restores: Option<u64>,
    /// The configuration that is to be in force since. While ids of a pool move, it may have to wait for its shard count.
    pub config: Config,
}

impl Coordinator {
    /// Notes a change that was made just now.
    pub(super) fn record(&mut self, action: Action, by: String, from: Option<u64>, restores: Option<u64>) {
        let Some(config) = self.registry.asked_for().cloned() else { return };
        let (version, source, at) = (self.registry.version, self.source(), self.now);
        self.registry.recorded = version;
        self.registry_changed = true;
        self.records.push(Record { version, from, at, by, action, source, restores, config });
    }

    /// Notes a deploy.
    pub(super) fn record_deploy(&mut self, from: u64) {
        self.record(Action::Deployed, DEPLOY.to_owned(), Some(from).filter(|&from| from > 0), None);
    }

    /// Notes what is in force when nothing was noted before: code that knew of no records has put it there. Else nobody could go
    /// back to it.
    pub(super) fn record_what_is(&mut self) {
        if self.registry.recorded > 0 || self.registry.version == 0 {
            return;
        }
        let (action, by) = match self.source() {
            ConfigSource::Admin => (Action::Put, ADMIN),
            ConfigSource::Bundled | ConfigSource::Var => (Action::Deployed, DEPLOY),
        };
        self.record(action, by.to_owned(), None, None);
    }
}
