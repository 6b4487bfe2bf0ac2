//! What a shard was told of a container: whether that is reason enough to end a mapping.

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::shard::{ContainerKind, ContainerRow, Finding, Shard};

use super::books::Broken;
use crate::world::message::Addr;

/// What is known of one container.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// When it last answered or asked anything.
    pub last_contact: Millis,
    /// Definite negatives since it was last seen running.
    pub negatives: u32,
    /// Calls in a row that got no answer.
    pub unanswered: u32,
    /// It said itself that it has stopped.
    pub said_stopped: bool,
    /// It said that it is stopping.
    pub stopping: bool,
    /// Its id was given up.
    pub released: bool,
}

impl Evidence {
    pub fn contact(&mut self, now: Millis) {
        self.last_contact = now;
        self.unanswered = 0;
    }

    /// It was asked whether it runs.
    pub fn checked(&mut self, now: Millis, finding: Finding) {
        match finding {
            Finding::Unknown => {
                self.unanswered += 1;
                return;
            }
            Finding::Running => self.negatives = 0,
            Finding::Stopping => {
                self.negatives = 0;
                self.stopping = true;
            }
            Finding::Stopped => self.negatives += 1,
        }
        self.contact(now);
    }

    /// Whether it has been silent for as long as a lease lasts, or, without a fence, for `unreachable_timeout`.
    pub fn justifies_giving_up(
        &self,
        now: Millis,
        shard: Addr,
        row: &ContainerRow,
        machine: &Shard,
        jumped: &BTreeMap<Addr, Millis>,
    ) -> Result<(), Broken> {
        if jumped.get(&shard).is_some_and(|&at| at >= self.last_contact) {
            return Ok(());
        }
        if self.unanswered < 3 {
            return Err(("unknown-is-not-dead", format!("only {} calls went unanswered", self.unanswered)));
        }
        let needed = match row.kind {
            Some(ContainerKind::Agent) => machine.rows().specs.get(&row.spec).map_or(Millis(0), |spec| spec.lease_ttl),
            Some(ContainerKind::Class) | None => machine.plan().map_or(Millis(0), |plan| plan.pool.unreachable_timeout),
        };
        let silent = now - self.last_contact;
        if silent + CLOCK_SLACK < needed {
            return Err(("unknown-is-not-dead", format!("silent for {silent:?}, and {needed:?} is due: {self:?}")));
        }
        Ok(())
    }
}

/// How much clocks may jump without anybody noticing.
const CLOCK_SLACK: Millis = Millis(1_000);
