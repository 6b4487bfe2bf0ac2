//! What a runtime does for a container's object, and how that goes wrong: the same for both kinds of objects.

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::ContainerId;

use crate::dice::Key;
use crate::faults::Fault;
use crate::world::message::Addr;
use crate::world::{Private, World, hash};

/// What an object draws a lot for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u64)]
pub enum Purpose {
    /// Whether a record can be written.
    Write = 100,
    /// How the platform shows that it starts nothing.
    Refusal,
    /// Whether a monitor is lost while the process runs.
    Monitor,
    /// What a monitor says of the end.
    End,
    Probe,
    Setup,
    Destruction,
    /// How long the process takes to answer.
    Answer,
    Rebuild,
    Poll,
    /// The text of an error that has several.
    Text,
    /// An answer of `getState`.
    State,
    /// When the end of a process is noticed.
    Notice,
    /// Which shard hears of it.
    Shard,
    Alarm,
}

/// The lots of one container's object, over all its lives. Each purpose has its own sequence, so that one fault more or less
/// does not change the luck of everything after it.
pub struct Luck {
    container: u64,
    drawn: BTreeMap<Purpose, u64>,
}

impl Luck {
    pub fn new(container: ContainerId) -> Self {
        Self { container: hash(&container), drawn: BTreeMap::new() }
    }

    /// From `least` to `most` ms, inclusive.
    pub fn between(&mut self, world: &World, purpose: Purpose, least: u64, most: u64) -> Millis {
        world.dice.between(self.key(purpose), least, most)
    }

    /// A number below `limit`.
    pub fn below(&mut self, world: &World, purpose: Purpose, limit: u64) -> u64 {
        world.dice.below(self.key(purpose), limit)
    }

    pub fn chance(&mut self, world: &World, purpose: Purpose, probability: f64) -> bool {
        world.dice.chance(self.key(purpose), probability)
    }

    pub fn strikes(&mut self, world: &mut World, purpose: Purpose, fault: Fault) -> bool {
        let key = self.key(purpose);
        world.faults.strikes(world.dice, fault, key)
    }

    fn key(&mut self, purpose: Purpose) -> Key {
        let drawn = self.drawn.entry(purpose).or_default();
        *drawn += 1;
        Key::new(purpose as u64).of(self.container).of(*drawn)
    }
}

/// Attempts to destroy a process that are under way, each with what waits for it. There may be several at once, for who loses
/// patience tries again.
pub struct Attempts<T> {
    by_time: BTreeMap<(Millis, u64), (T, Outcome)>,
    begun: u64,
}

/// How an attempt will end.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Killed,
    /// It throws, and the process has ended all the same.
    KilledAndThrows,
    Throws,
}

/// How an attempt has ended.
pub struct Attempt<T> {
    pub waiting: T,
    pub result: Result<(), String>,
    /// Whether it ended the process.
    pub killed: bool,
}

impl<T> Attempts<T> {
    pub fn new() -> Self {
        Self { by_time: BTreeMap::new(), begun: 0 }
    }

    /// Begins one. It ends with a [`Private::Destroyed`].
    pub fn begin(&mut self, world: &mut World, luck: &mut Luck, addr: Addr, waiting: T) {
        let (delay, outcome) = if luck.strikes(world, Purpose::Destruction, Fault::DestroyFails) {
            let outcome =
                if luck.chance(world, Purpose::Destruction, 0.3) { Outcome::KilledAndThrows } else { Outcome::Throws };
            // The longest that an object waits for it.
            (luck.between(world, Purpose::Destruction, 20, 15_000), outcome)
        } else {
            (luck.between(world, Purpose::Destruction, 5, 300), Outcome::Killed)
        };
        self.begun += 1;
        self.by_time.insert((world.now + delay, self.begun), (waiting, outcome));
        world.later(addr, delay, Private::Destroyed);
    }

    /// Ends the one whose time has come.
    pub fn end(&mut self, world: &mut World, container: ContainerId) -> Option<Attempt<T>> {
        let (_, (waiting, outcome)) = self.by_time.pop_first()?;
        let (kills, result) = match outcome {
            Outcome::Killed => (true, Ok(())),
            Outcome::KilledAndThrows => (true, Err("internal error; the container was not destroyed".to_owned())),
            Outcome::Throws => (false, Err("it did not end within 15000 ms".to_owned())),
        };
        let killed = kills && world.end_process(container);
        Some(Attempt { waiting, result, killed })
    }
}
