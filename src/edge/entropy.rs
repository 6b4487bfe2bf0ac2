//! Randomness for the machines.

use crate::core::shard::Entropy;

/// Random numbers of the runtime.
pub struct RuntimeEntropy;

impl Entropy for RuntimeEntropy {
    fn unique(&mut self) -> u128 {
        uuid::Uuid::new_v4().as_u128()
    }

    fn jitter(&mut self, below: u64) -> u64 {
        // Below 2^53, where f64 is exact; the cast saturates.
        (js_sys::Math::random() * below as f64) as u64
    }
}
