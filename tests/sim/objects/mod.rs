//! The objects: the machines of `src/core` with what the adapters of `src/edge` do around them.
//!
//! Each object has what is durable, and what it has in memory; the latter can be dropped between any two happenings.

pub mod agent;
pub mod class;
pub mod coordinator;
pub mod mutants;
pub mod peer;
pub mod router;
pub mod shard;

use crate::world::Private;
use crate::world::World;
use crate::world::message::{Addr, Answer, CallId, Request, Then};

/// Something that lives in the world.
pub trait Object {
    /// A call has reached it. It answers it with `world.answer` or `world.throw`, now or later.
    fn arrives(&mut self, world: &mut World, call: CallId, from: Option<Addr>, request: Request);

    /// A call of its own has ended.
    fn ended(&mut self, world: &mut World, then: Then, answer: Answer);

    /// Something that it waited for by itself.
    fn private(&mut self, world: &mut World, what: Private);

    /// Its alarm rings.
    fn alarm(&mut self, world: &mut World);

    /// It is dropped from memory, with all it had under way; what is stored stays. Calls `world.drop_memory`.
    fn forget(&mut self, world: &mut World);
}
