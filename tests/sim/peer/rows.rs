//! What the peer's pool keeps in its storage.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ContainerId, SessionId};

/// The most bytes one stored value may have: the platform's 2 MB.
const MAX_VALUE_BYTES: usize = 2_000_000;

/// The bytes a stored text takes beyond its characters: a tag and a length.
const TEXT_OVERHEAD_BYTES: usize = 2;

/// The bytes of a container's name, a UUID.
const CONTAINER_BYTES: usize = 36 + TEXT_OVERHEAD_BYTES;

/// The settings the pool acts by. The library fills what a caller left out with these defaults, at each call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    pub warm_target: u32,
    pub refresh_interval: Millis,
}

impl Default for PeerConfig {
    fn default() -> Self {
        Self { warm_target: 5, refresh_interval: Millis::from_secs(10) }
    }
}

/// What is stored: survives the object. The default is an object that was never called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerRows {
    /// Oldest first.
    pub(super) warm: Vec<ContainerId>,
    /// In the order in which the ids came.
    pub(super) assigned: Vec<(SessionId, ContainerId)>,
    pub(super) config: Option<PeerConfig>,
    /// The ceiling learned from the platform's refusals, as a count of containers.
    pub(super) ceiling: Option<usize>,
    /// The alarm that is set. The platform keeps it, and hands it over by taking it away.
    pub(super) alarm: Option<Millis>,
}

impl PeerRows {
    /// Every container the pool knows of: the warm ones, then the assigned ones.
    pub fn containers(&self) -> Vec<ContainerId> {
        self.warm.iter().copied().chain(self.assigned.iter().map(|&(_, container)| container)).collect()
    }

    /// Those that wait for an id.
    pub fn warm(&self) -> &[ContainerId] {
        &self.warm
    }

    /// Which id has which container.
    pub fn assigned(&self) -> Vec<(SessionId, ContainerId)> {
        self.assigned.clone()
    }

    /// Writes value after value, as the library does: all warm ones, then all assignments, then the ceiling. A value
    /// that is too large is refused, and what was written before it stays.
    pub(super) fn write(
        &mut self,
        warm: &[ContainerId],
        assigned: &[(SessionId, ContainerId)],
        ceiling: Option<usize>,
    ) -> Result<(), String> {
        fits(warm.len() * CONTAINER_BYTES)?;
        self.warm = warm.to_vec();
        fits(assigned.iter().map(|(id, _)| id.as_str().len() + TEXT_OVERHEAD_BYTES + CONTAINER_BYTES).sum())?;
        self.assigned = assigned.to_vec();
        self.ceiling = ceiling;
        Ok(())
    }
}

fn fits(bytes: usize) -> Result<(), String> {
    if bytes > MAX_VALUE_BYTES {
        return Err(format!("the stored value has {bytes} bytes, more than {MAX_VALUE_BYTES}"));
    }
    Ok(())
}
