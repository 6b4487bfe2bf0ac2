//! Callers who say that a container turned them away: they are answered when a check has shown what is true of it.

use super::Shard;
use super::acquire::MAX_CALLERS;
use super::message::Effects;
use super::queue::Caller;
use super::slot::{Pending, State};
use crate::config::resolved::Millis;
use crate::core::id::{ContainerId, SessionId};
use crate::core::mutants::{self, Mutant};
use crate::core::sorted::{Map, Set};

/// A caller whose container turned it away.
#[derive(Debug)]
pub(super) struct Doubter {
    pub caller: Caller,
    pub id: SessionId,
    pub shards: Option<u32>,
}

/// Who waits for what a check shows.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    callers: Map<ContainerId, Vec<Doubter>>,
    count: usize,
    /// The containers of which something has changed since they were looked at.
    touched: Set<ContainerId>,
}

impl Doubts {
    pub fn has_room(&self) -> bool {
        self.count < MAX_CALLERS
    }

    pub fn put(&mut self, container: ContainerId, doubter: Doubter) {
        self.callers.entry(container).or_default().push(doubter);
        self.count += 1;
        self.touched.insert(container);
    }

    /// A check of a container has ended, or its state has: those who doubt it are looked at again.
    pub fn touch(&mut self, container: ContainerId) {
        if self.callers.contains_key(&container) {
            self.touched.insert(container);
        }
    }

    fn take(&mut self, container: ContainerId) -> Vec<Doubter> {
        let doubters = self.callers.remove(&container).unwrap_or_default();
        self.count -= doubters.len();
        doubters
    }
}

impl Shard {
    /// Answers those who doubted a container that has since been checked: with the same, or as if they asked anew. While a
    /// check is under way, or a definite negative waits to be confirmed, they wait.
    pub(super) fn answer_doubters(&mut self, now: Millis, fx: &mut Effects<'_>) {
        for container in std::mem::take(&mut self.doubts.touched) {
            let is_open = self.books.get(container).is_some_and(|slot| {
                let assigned = matches!(slot.row.state, State::Assigned { .. });
                let looked_at = slot.pending == Some(Pending::Check) || slot.negatives > 0;
                (assigned && looked_at) || mutants::on(Mutant::DoubterNeverAnswered)
            });
            if is_open {
                continue;
            }
            for Doubter { caller, id, shards } in self.doubts.take(container) {
                self.acquire(now, caller, id, shards, None, fx);
            }
        }
    }
}
