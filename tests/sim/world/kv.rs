//! KV: reads are up to a minute stale, writes to one key are limited to one a second, and anybody may have written anything.

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::Millis;

use super::{World, hash};
use crate::dice::Key;
use crate::faults::Fault;

/// What was written under each key, with when.
#[derive(Debug, Default)]
pub struct Kv {
    values: BTreeMap<String, Vec<(Millis, Option<String>)>>,
    /// How often each key was read or written.
    uses: BTreeMap<String, u64>,
}

impl Kv {
    fn key(&mut self, name: &str) -> Key {
        let uses = self.uses.entry(name.to_owned()).or_default();
        *uses += 1;
        KV.of(hash(&name)).of(*uses)
    }
}

impl World {
    /// Reads a key. An error is an error of KV.
    pub fn kv_read(&mut self, name: &str) -> Result<Option<String>, ()> {
        let key = self.kv.key(name);
        if self.faults.strikes(self.dice, Fault::KvFails, key) {
            return Err(());
        }
        if self.faults.strikes(self.dice, Fault::KvHostile, key) {
            // Another key's value, or nonsense.
            let others = self.kv.values.len() as u64;
            let other = self.kv.values.values().nth(self.dice.below(key.of(1), others) as usize);
            let stolen = other.and_then(|history| history.last()).and_then(|(_, value)| value.clone());
            return Ok(stolen
                .filter(|_| self.dice.chance(key.of(2), 0.8))
                .or_else(|| Some("{\"container\":7}".to_owned())));
        }
        let stale = if self.faults.strikes(self.dice, Fault::KvStale, key) {
            self.dice.between(key.of(3), 1_000, 90_000)
        } else {
            Millis(0)
        };
        let seen_at = self.now - stale;
        let history = self.kv.values.get(name);
        Ok(history
            .and_then(|history| history.iter().rev().find(|(at, _)| *at <= seen_at))
            .and_then(|(_, value)| value.clone()))
    }

    /// Writes a key, or deletes it. An error is an error of KV: too many writes, for example.
    pub fn kv_write(&mut self, name: &str, value: Option<String>) -> Result<(), ()> {
        let key = self.kv.key(name);
        let history = self.kv.values.entry(name.to_owned()).or_default();
        let too_soon = history.last().is_some_and(|&(at, _)| self.now < at + Millis(1_000));
        if too_soon || self.faults.strikes(self.dice, Fault::KvFails, key) {
            return Err(());
        }
        history.push((self.now, value));
        Ok(())
    }
}

const KV: Key = Key::new(6);
