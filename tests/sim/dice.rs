//! Randomness that is a function of the seed and of what it is for.
//!
//! A draw is keyed by its purpose (which channel, which container, the how-manieth), not by how many draws came before it.
//! So when a schedule is shrunk, what is left of it meets the same luck as before.

use cf_warm_pools::config::resolved::Millis;

/// The luck of one seed.
#[derive(Clone, Copy, Debug)]
pub struct Dice {
    seed: u64,
}

/// What a draw is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

impl Key {
    /// A purpose.
    pub const fn new(purpose: u64) -> Self {
        Self(mix(purpose))
    }

    /// The same purpose, for one of many.
    #[must_use]
    pub const fn of(self, which: u64) -> Self {
        Self(mix(self.0 ^ which))
    }
}

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// 64 bits.
    pub const fn draw(self, key: Key) -> u64 {
        mix(self.seed ^ key.0)
    }

    /// A number below `limit`; 0 when that is 0.
    pub fn below(self, key: Key, limit: u64) -> u64 {
        self.draw(key).checked_rem(limit).unwrap_or(0)
    }

    /// A time from `least` to `most`, inclusive.
    pub fn between(self, key: Key, least: u64, most: u64) -> Millis {
        Millis(least + self.below(key, most - least + 1))
    }

    /// Whether something of this probability happens.
    pub fn chance(self, key: Key, probability: f64) -> bool {
        // 53 bits, as many as an f64 holds.
        ((self.draw(key) >> 11) as f64) < probability * (1u64 << 53) as f64
    }

    /// Draws in sequence, for what is not shrunk.
    pub const fn stream(self, key: Key) -> Stream {
        Stream { state: self.draw(key) }
    }
}

/// Draws in sequence.
#[derive(Clone, Debug)]
pub struct Stream {
    state: u64,
}

impl Stream {
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number below `limit`; 0 when that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw().checked_rem(limit).unwrap_or(0)
    }

    /// A number from `least` to `most`, inclusive.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// From 0 to 1, exclusive.
    pub fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(GOLDEN);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
