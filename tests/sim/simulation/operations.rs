//! What a schedule does to the deployment from outside.

use std::rc::Rc;

use cf_warm_pools::config::resolved::{Millis, ShardCount};
use cf_warm_pools::core::gateway::Replay;
use cf_warm_pools::core::id::ContainerId;

use super::Simulation;
use crate::dice::Key;
use crate::faults::Fault;
use crate::schedule::{Target, What, session};
use crate::world::message::{Addr, Request, RequestNo, Then, pool_name};
use crate::world::network::By;
use crate::world::{Deploy, Happening, hash};

impl Simulation<'_> {
    pub(super) fn operate(&mut self, what: &What) {
        let now = self.world.now;
        self.world.trace.note(now, || format!("* {what:?}"));
        match *what {
            What::Request { router, pool, id, replay } => {
                let request = self.request_no();
                let session = session(id);
                if replay != Replay::Anytime {
                    self.world.oracle.at_most_once(request);
                }
                self.routers[router as usize].request(&mut self.world, request, pool, &session, replay);
            }
            What::GetContainer { router, pool, id } => {
                let request = self.request_no();
                self.routers[router as usize].get_container(&mut self.world, request, pool, &session(id));
            }
            What::Release { router, pool, id } => {
                let request = self.request_no();
                self.routers[router as usize].release(&mut self.world, request, pool, &session(id));
            }
            What::Lookup { router, pool, id } => {
                let request = self.request_no();
                self.routers[router as usize].lookup(&mut self.world, request, pool, &session(id));
            }
            What::ShutdownPrewarmed { pool, index } => {
                let shard = Addr::Shard { pool, index };
                if self.shards.contains_key(&shard) || (self.peers.is_some() && index == 0) {
                    self.admin(shard, Request::ShutdownPrewarmed);
                }
            }
            What::PutConfig(config) => {
                let config = Box::new((*self.schedule.configs[config]).clone());
                self.admin(Addr::Coordinator, Request::PutConfig(config));
            }
            What::Reshard { pool, shards } => self.reshard(pool, shards),
            What::DropOverride => self.admin(Addr::Coordinator, Request::DeleteConfig),
            What::Deploy { config, within } => self.deploy(config, within),
            What::Evict(target) => {
                if let Some(addr) = self.target(target) {
                    self.world.faults.count(Fault::Evicted);
                    self.forget(addr);
                }
            }
            What::CutOff { target, by, duration } => {
                if let Some(addr) = self.target(target) {
                    self.world.faults.count(Fault::Partition);
                    self.world.cut_off(addr, by, duration);
                }
            }
            What::CoordinatorDown { duration } => {
                self.world.faults.count(Fault::CoordinatorDown);
                self.world.cut_off(Addr::Coordinator, By::Anybody, duration);
            }
            What::Strand { router, nth, duration } => self.strand(router, nth, duration),
            What::Kill { nth } => {
                let running: Vec<ContainerId> = self.world.platform.running().collect();
                if let Some(&container) = running.get(nth as usize % running.len().max(1)) {
                    self.world.faults.count(Fault::Dies);
                    self.process_ends(container);
                }
            }
            What::Limit { room, duration } => {
                self.world.faults.count(Fault::Capacity);
                self.world.platform.limit(room, now + duration);
            }
            What::LoseImages { duration } => self.world.platform.lose_images(now + duration),
            What::ClockJump { target, by } => {
                if let Some(addr) = self.target(target) {
                    self.world.faults.count(Fault::ClockJump);
                    if by.unsigned_abs() > SMALL_JUMP {
                        self.world.oracle.clock_jumped(now, addr);
                    }
                    self.world.clock_jumps(addr, by);
                }
            }
            What::Count => {
                let census = self.world.oracle.books().census();
                self.counts.push(census);
            }
        }
    }

    /// What an administrator does who reads what is in force, changes a number in it, and sets it.
    fn reshard(&mut self, pool: u32, shards: u32) {
        let mut config = self.coordinator.reloaded().config();
        let settings = config.pools.get_mut(&pool_name(pool)).filter(|_| self.peers.is_none());
        let Some(settings) = settings else { return };
        let most = settings.max_instances.unwrap_or(u32::MAX);
        let Ok(count) = ShardCount::try_from(shards.min(most)) else { return };
        settings.shards = count;
        self.admin(Addr::Coordinator, Request::PutConfig(Box::new(config)));
    }

    fn strand(&mut self, router: u32, nth: u32, duration: Millis) {
        let Some((container, shard, (pool, session))) = self.world.oracle.books().nth_assigned(nth) else { return };
        self.world.faults.count(Fault::Partition);
        self.world.cut_off(Addr::Container(container), By::Objects, duration);
        self.forget(shard);
        for _ in 0..3 {
            let request = self.request_no();
            let router = &mut self.routers[router as usize];
            router.request(&mut self.world, request, pool, &session, Replay::Anytime);
        }
        let request = self.request_no();
        self.routers[router as usize].release(&mut self.world, request, pool, &session);
    }

    pub(super) fn request_no(&mut self) -> RequestNo {
        self.next_request += 1;
        RequestNo(self.next_request)
    }

    fn admin(&mut self, to: Addr, request: Request) {
        self.world.call(Addr::Admin, to, request, Millis::from_secs(15), Then::Nothing);
    }

    fn target(&self, target: Target) -> Option<Addr> {
        match target {
            Target::Shard { pool, index } => {
                let addr = Addr::Shard { pool, index };
                self.shards.contains_key(&addr).then_some(addr)
            }
            Target::Coordinator => Some(Addr::Coordinator),
            Target::Router(index) => Some(Addr::Router(index)),
            Target::Container { nth } => {
                let count = self.containers.len().max(1);
                self.containers.keys().nth(nth as usize % count).map(|&container| Addr::Container(container))
            }
        }
    }

    /// New code rolls out: each object is loaded anew at some time of it, with the new code or once more with the old one;
    /// at its end all run the new one.
    fn deploy(&mut self, config: usize, within: Millis) {
        let now = self.world.now;
        self.world.faults.count(Fault::Deploy);
        let newest = self.world.deploys.made.last().map_or(0, |deploy| deploy.stamp);
        let stamp = now.0.max(newest + 1);
        let config = &self.schedule.configs[config];
        self.world.oracle.deployed(stamp, config);
        self.world.deploys.made.push(Deploy { stamp, config: Rc::clone(config) });
        self.world.deploys.rolling_until = now + within;
        for addr in self.all() {
            let key = ROLL.of(hash(&addr)).of(self.world.deploys.made.len() as u64);
            let at = now + self.world.dice.between(key, 0, within.0);
            self.world.at(at, Happening::Drops(addr));
            self.world.at(now + within, Happening::Drops(addr));
        }
    }

    pub(super) fn all(&self) -> Vec<Addr> {
        let routers = (0..self.schedule.routers).map(Addr::Router);
        let containers = self.containers.keys().map(|&container| Addr::Container(container));
        routers.chain([Addr::Coordinator]).chain(self.shards.keys().copied()).chain(containers).collect()
    }
}

/// What two clocks may be off by during a lease, together, and the fence still holds: half of its margin each.
const SMALL_JUMP: u64 = 400;

const ROLL: Key = Key::new(22);
