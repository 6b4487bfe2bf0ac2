//! Why ids lately lost their container, to tell them when they ask for another.

use std::collections::VecDeque;

use crate::core::id::SessionId;
use crate::core::outcome::Reason;
use crate::core::sorted::Map;

/// How many losses are remembered at most.
const REMEMBERED: usize = 1_000;

/// The last losses. Each id is told once.
#[derive(Debug, Default)]
pub(super) struct Losses {
    reasons: Map<SessionId, (u64, Reason)>,
    /// Oldest first, also those that have been told since.
    order: VecDeque<(u64, SessionId)>,
    count: u64,
}

impl Losses {
    /// Remembers why an id has lost its container, and forgets the oldest where there are too many.
    pub fn remember(&mut self, id: SessionId, reason: Reason) {
        if self.order.len() >= REMEMBERED
            && let Some((number, oldest)) = self.order.pop_front()
            && self.reasons.get(&oldest).is_some_and(|&(last, _)| last == number)
        {
            self.reasons.remove(&oldest);
        }
        self.count += 1;
        self.order.push_back((self.count, id.clone()));
        self.reasons.insert(id, (self.count, reason));
    }

    /// Why an id has lost its container, if it has and was not told.
    pub fn take(&mut self, id: &SessionId) -> Option<Reason> {
        self.reasons.remove(id).map(|(_, reason)| reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_losses_are_told_once_each() {
        let id = |n: usize| SessionId::try_from(format!("id-{n}")).unwrap();
        let mut losses = Losses::default();
        for n in 0..=REMEMBERED {
            losses.remember(id(n), Reason::ContainerStopped);
        }
        assert_eq!(losses.take(&id(0)), None, "forgotten");
        assert_eq!(losses.take(&id(1)), Some(Reason::ContainerStopped));
        assert_eq!(losses.take(&id(1)), None, "told");
        losses.remember(id(2), Reason::ContainerUnreachable);
        losses.remember(id(3), Reason::ContainerStopped);
        assert_eq!(losses.take(&id(2)), Some(Reason::ContainerUnreachable), "the last one counts");
        assert!(losses.order.len() <= REMEMBERED && losses.reasons.len() <= REMEMBERED);
    }
}
