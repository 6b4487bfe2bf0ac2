//! The platform: which processes there are, what they are like, and whether it has room for more.
//!
//! This is the truth about containers. Objects see it only through what their runtime shows them.

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::{BindingName, Millis};
use cf_warm_pools::core::id::ContainerId;

use super::{Happening, World, hash};
use crate::dice::Key;
use crate::faults::Fault;

/// What kind of object a container belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The Rust agent.
    Agent,
    /// A class with the behaviour of `Container` of `@cloudflare/containers`.
    Class,
}

impl Kind {
    /// What the class behind a binding is.
    pub fn of_binding(binding: &BindingName) -> Self {
        if binding.as_str().starts_with("CLASS") { Self::Class } else { Self::Agent }
    }
}

/// What a process is like: drawn when it starts.
#[derive(Clone, Copy, Debug)]
pub struct Nature {
    /// How long until its ports answer; none: never.
    pub boot: Option<Millis>,
    /// How long after SIGTERM it ends; none: it ignores it.
    pub terminates_after: Option<Millis>,
}

/// One process.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub running: bool,
    pub started: Millis,
    pub nature: Nature,
    terminating: bool,
}

/// All processes.
#[derive(Debug)]
pub struct Platform {
    processes: BTreeMap<ContainerId, Process>,
    /// Which kind of object each container has, as its shard addressed it.
    kinds: BTreeMap<ContainerId, Kind>,
    /// By which binding, as far as it has told that.
    bindings: BTreeMap<ContainerId, BindingName>,
    running: u32,
    /// How many processes there is room for, until when.
    room: Option<(u32, Millis)>,
    /// Until when images are gone.
    no_image_until: Millis,
    /// How many starts each container had.
    starts: BTreeMap<ContainerId, u32>,
}

impl Platform {
    pub fn new() -> Self {
        Self {
            processes: BTreeMap::new(),
            kinds: BTreeMap::new(),
            bindings: BTreeMap::new(),
            running: 0,
            room: None,
            no_image_until: Millis(0),
            starts: BTreeMap::new(),
        }
    }

    /// The process of a container, if it ever had one.
    pub fn process(&self, container: ContainerId) -> Option<&Process> {
        self.processes.get(&container)
    }

    pub fn is_running(&self, container: ContainerId) -> bool {
        self.process(container).is_some_and(|process| process.running)
    }

    /// Every container whose process runs.
    pub fn running(&self) -> impl Iterator<Item = ContainerId> + '_ {
        self.processes.iter().filter(|(_, process)| process.running).map(|(&container, _)| container)
    }

    /// Which kind of object a container has; set by the first call to it.
    pub fn kind(&self, container: ContainerId) -> Kind {
        self.kinds.get(&container).copied().unwrap_or(Kind::Agent)
    }

    /// A shard addresses a container by a binding whose class is of this kind.
    pub fn addressed(&mut self, container: ContainerId, kind: Kind) {
        self.kinds.entry(container).or_insert(kind);
    }

    /// A shard addresses a container by this binding.
    pub fn addressed_by(&mut self, container: ContainerId, binding: &BindingName) {
        self.addressed(container, Kind::of_binding(binding));
        self.bindings.entry(container).or_insert_with(|| binding.clone());
    }

    /// Whether a binding leads to a container, rather than to another object of its name.
    pub fn is_behind(&self, container: ContainerId, binding: &BindingName) -> bool {
        match self.bindings.get(&container) {
            Some(its) => its == binding,
            None => Kind::of_binding(binding) == self.kind(container),
        }
    }

    /// There is room for so many processes, for a while.
    pub fn limit(&mut self, room: u32, until: Millis) {
        self.room = Some((room, until));
    }

    /// Images are gone for a while.
    pub fn lose_images(&mut self, until: Millis) {
        self.no_image_until = until;
    }

    /// Everything is as it should be again.
    pub fn heal(&mut self) {
        self.room = None;
        self.no_image_until = Millis(0);
    }
}

impl World {
    /// Starts a container's process. The error is the platform's text.
    pub fn start_process(&mut self, container: ContainerId) -> Result<(), &'static str> {
        let starts = self.platform.starts.entry(container).or_default();
        *starts += 1;
        let key = PROCESS.of(hash(&container)).of(u64::from(*starts));
        if self.platform.is_running(container) {
            return Ok(());
        }
        if self.now < self.platform.no_image_until {
            self.faults.count(Fault::BadImage);
            return Err("No such image available named x");
        }
        if self.platform.room.is_some_and(|(room, until)| self.now < until && self.platform.running >= room)
            || self.faults.strikes(self.dice, Fault::Capacity, key)
        {
            return Err("Maximum number of running container instances exceeded");
        }
        if self.faults.strikes(self.dice, Fault::RateLimited, key) {
            return Err("you are requesting too many containers per second");
        }
        let boot = if self.faults.strikes(self.dice, Fault::NeverReady, key) {
            None
        } else if self.faults.strikes(self.dice, Fault::StartSlow, key) {
            Some(self.dice.between(key.of(1), 5_000, 60_000))
        } else {
            Some(self.habitat.boot.unwrap_or_else(|| self.dice.between(key.of(1), 100, 3_000)))
        };
        let terminates_after = if self.faults.strikes(self.dice, Fault::IgnoresSigterm, key) {
            None
        } else {
            Some(self.dice.between(key.of(2), 0, 2_000))
        };
        let nature = Nature { boot, terminates_after };
        let process = Process { running: true, started: self.now, nature, terminating: false };
        self.platform.processes.insert(container, process);
        self.platform.running += 1;
        self.trace.note(self.now, || format!("process of {container} starts: {nature:?}"));
        self.oracle.process_started(self.now, container, self.platform.kind(container));
        if self.faults.strikes(self.dice, Fault::StartExits, key) {
            let longest = boot.map_or(3_000, |boot| boot.0);
            self.after(self.dice.between(key.of(3), 0, longest), Happening::ProcessEnds(container));
        } else if self.faults.strikes(self.dice, Fault::Dies, key) {
            self.after(self.dice.between(key.of(4), 0, 300_000), Happening::ProcessDies(container));
        }
        Ok(())
    }

    /// Whether the container's ports answer.
    pub fn listens(&self, container: ContainerId) -> bool {
        self.platform.process(container).is_some_and(|process| {
            process.running && process.nature.boot.is_some_and(|boot| self.now >= process.started + boot)
        })
    }

    /// SIGTERM.
    pub fn terminate_process(&mut self, container: ContainerId) {
        let Some(process) = self.platform.processes.get_mut(&container).filter(|process| process.running) else {
            return;
        };
        if !std::mem::replace(&mut process.terminating, true)
            && let Some(after) = process.nature.terminates_after
        {
            self.after(after, Happening::ProcessEnds(container));
        }
    }

    /// The process is gone, by whatever cause. Returns whether it ran.
    pub fn end_process(&mut self, container: ContainerId) -> bool {
        let Some(process) = self.platform.processes.get_mut(&container).filter(|process| process.running) else {
            return false;
        };
        process.running = false;
        self.platform.running -= 1;
        self.trace.note(self.now, || format!("process of {container} ends"));
        self.oracle.process_ended(self.now, container);
        true
    }
}

const PROCESS: Key = Key::new(5);
