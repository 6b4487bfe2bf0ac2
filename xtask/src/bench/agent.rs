//! Real containers: the Rust agent against the `Container` class, as `xtask/bench/agent.mjs` prints it.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::samples::Samples;

/// What was measured, or why nothing was.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Agent {
    Skipped { skipped: String },
    Measured(Starts),
}

/// From the request to the first byte, and from the moment the port was open, in ms, pair by pair.
#[derive(Debug, Deserialize, Serialize)]
pub struct Starts {
    pub agent: Samples,
    pub container_class: Samples,
    pub agent_after_open: Samples,
    pub container_class_after_open: Samples,
    pub boot: Samples,
    pub engine: String,
}

impl Agent {
    /// The agent's time over that of the class; none when no engine answered.
    pub fn ratio(&self) -> Result<Option<f64>> {
        match self {
            Self::Skipped { .. } => Ok(None),
            Self::Measured(Starts { agent, container_class, .. }) => {
                Ok(Some(agent.over(container_class)?.summary()?.median))
            }
        }
    }

    /// The same from the moment the port was open.
    pub fn after_open_ratio(&self) -> Result<Option<f64>> {
        match self {
            Self::Skipped { .. } => Ok(None),
            Self::Measured(Starts { agent_after_open, container_class_after_open, .. }) => {
                Ok(Some(agent_after_open.over(container_class_after_open)?.summary()?.median))
            }
        }
    }
}
