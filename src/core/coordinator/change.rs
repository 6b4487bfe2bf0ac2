//! What the admin API asks to be changed of the configuration.
//!
//! A change names the versions that its caller has seen in force, and is refused when none of them is by the time it would be
//! made: of two that were asked for over the same version, one is made. One that names no version and would leave everything as it is,
//! is not made: the version stays, and nobody is told anything.

use serde::{Deserialize, Serialize};

use super::Coordinator;
use super::history::Action;
use crate::config::resolved::Config;

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What is to be done.
    pub ask: Ask,
    /// The versions of which one must be in force; none: whichever is.
    #[serde(default)]
    pub expected: Option<Vec<u64>>,
    /// Who asks.
    pub by: String,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    /// Set this configuration, over what is deployed.
    Put(Config),
    /// Set the configuration that was in force as of a former version.
    RollBack(Config, u64),
    /// Drop what was set.
    Drop,
}

impl Change {
    /// A change whichever version is in force, by someone who does not say who it is.
    pub fn of(ask: Ask) -> Self {
        Self { ask, expected: None, by: "admin".to_owned() }
    }
}

/// Another version is in force than those that a change was asked for over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The one in force.
    pub version: u64,
}

impl Coordinator {
    /// Makes a change.
    pub(super) fn change(&mut self, change: Change) -> Result<(), Stale> {
        let Change { ask, expected, by } = change;
        let version = self.registry.version;
        if expected.as_ref().is_some_and(|expected| !expected.contains(&version)) {
            return Err(Stale { version });
        }
        let (admin, action, restores) = match ask {
            Ask::Put(config) => (Some(config), Action::Put, None),
            Ask::RollBack(config, restores) => (Some(config), Action::RolledBack, Some(restores)),
            Ask::Drop => (None, Action::Dropped, None),
        };
        // Left as it is, a version that was named could be replaced by another who named it too.
        if self.registry.admin != admin || expected.is_some() {
            self.registry.admin = admin;
            self.put_in_force();
            self.record(action, by, Some(version), restores);
        }
        Ok(())
    }
}
