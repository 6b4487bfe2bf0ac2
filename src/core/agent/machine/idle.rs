//! Whether anybody needs the container: traffic, renewals, and their absence.

use super::{Agent, Saved, Timer, later};
use crate::config::resolved::Millis;
use crate::core::agent::io::Effect;
use crate::core::agent::record::{Life, Orders, Record};

impl Agent {
    pub(super) fn idle(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if self.traffic > 0 {
            self.active(now);
        }
        let Some(Record { life: Life::Ready, orders: Some(orders), .. }) = &self.record else { return };
        if now < later(self.active_at, orders.sleep_after) {
            self.watch_idleness();
        } else {
            self.stop(now, effects);
        }
    }

    pub(super) fn watch_idleness(&mut self) {
        if let Some(Record { life: Life::Ready, orders: Some(orders), .. }) = &self.record {
            self.timers.set(Timer::Idle, later(self.active_at, orders.sleep_after));
        }
    }

    /// Traffic or a renewal. Kept in memory, and written when what is stored falls too far behind; the alarm catches up by
    /// itself when it rings.
    pub(super) fn active(&mut self, now: Millis) {
        self.active_at = self.active_at.max(now);
        if let Some(Record { life: Life::Ready, orders: Some(orders), active_at, .. }) = &mut self.record
            && now >= later(*active_at, activity_grain(orders))
        {
            *active_at = now;
            self.saved = Saved::No;
        }
    }
}

/// How far the stored time of the last activity may fall behind: every write of it is a row.
pub(super) fn activity_grain(orders: &Orders) -> Millis {
    Millis(orders.sleep_after.0 / 4)
}
