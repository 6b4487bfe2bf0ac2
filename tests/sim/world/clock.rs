//! Everybody's own clock: off by up to an hour, another one after each reload, and jumping now and then.

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::Millis;

use super::hash;
use super::message::Addr;
use crate::dice::{Dice, Key};

/// How far clocks are off.
#[derive(Debug)]
pub struct Clocks {
    dice: Dice,
    offsets: BTreeMap<Addr, i64>,
}

impl Clocks {
    pub fn new(dice: Dice) -> Self {
        Self { dice, offsets: BTreeMap::new() }
    }

    /// What an object's clock shows.
    pub fn read(&self, addr: Addr, now: Millis) -> Millis {
        Millis(now.0.saturating_add_signed(self.offset(addr)))
    }

    /// When an object's clock will show this, if it does not jump.
    pub fn true_time(&self, addr: Addr, shown: Millis) -> Millis {
        Millis(shown.0.saturating_add_signed(-self.offset(addr)))
    }

    /// The object lives on another machine now.
    pub fn moved(&mut self, addr: Addr, life: u32) {
        let key = CLOCK.of(hash(&addr)).of(u64::from(life));
        // Most machines agree within a second; some are wildly off.
        let most = if self.dice.chance(key.of(1), 0.05) { 3_600_000 } else { 500 };
        self.offsets.insert(addr, self.dice.below(key, 2 * most) as i64 - most as i64);
    }

    pub fn jump(&mut self, addr: Addr, by: i64) {
        *self.offsets.entry(addr).or_default() += by;
    }

    fn offset(&self, addr: Addr) -> i64 {
        self.offsets.get(&addr).copied().unwrap_or(0)
    }
}

const CLOCK: Key = Key::new(3);
