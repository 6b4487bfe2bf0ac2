//! The pool object of `cf-container-warm-pool`, in our world: the model of [`crate::peer`] with the calls it makes.
//!
//! Its clients are our routers: a question for a container stands for the `configure` and `getContainer` that its client sends.
//! What it has no word for (a release, a look-up) does nothing. Its storage never fails.

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::{Millis, Pool};
use cf_warm_pools::core::id::{ContainerId, Epoch, SessionId, ShardId, ShardIndex};
use cf_warm_pools::core::outcome::{Assignment, Outcome};
use cf_warm_pools::wire::agent::{LeaseReply, StartRequest, Status};
use cf_warm_pools::wire::coordinator::ShardReport;
use cf_warm_pools::wire::shard::{AcquireReply, AcquireRequest};

use super::Object;
use crate::dice::Key;
use crate::peer::{CallNo, PeerCall, PeerCaller, PeerEffect, PeerInput, PeerPool, PeerResult, PeerRows, PeerStatus};
use crate::world::message::{Addr, Answer, CallError, CallId, Request, Response, Then, pool_name};
use crate::world::platform::Kind;
use crate::world::{Private, World, hash};

/// How long until the runtime itself gives a call up: the library sets no deadlines.
const RUNTIME_DEADLINE: Millis = Millis::from_secs(60);

/// The one object of a pool.
pub struct PeerObject {
    pool: u32,
    addr: Addr,
    rows: PeerRows,
    memory: Option<Memory>,
    drawn: u64,
}

struct Memory {
    machine: PeerPool,
    waiting: BTreeMap<PeerCaller, Waiting>,
    under_way: BTreeMap<CallNo, (ContainerId, PeerCall)>,
}

struct Waiting {
    call: CallId,
    id: Option<SessionId>,
    since: Millis,
}

impl PeerObject {
    pub fn new(pool: u32) -> Self {
        Self { pool, addr: Addr::Shard { pool, index: 0 }, rows: PeerRows::default(), memory: None, drawn: 0 }
    }

    /// What it has stored.
    pub fn rows(&self) -> &PeerRows {
        &self.rows
    }

    fn settings(&self, world: &World) -> Option<Pool> {
        world.deploy_of(self.addr).config.pools.get(&pool_name(self.pool)).cloned()
    }

    fn step(&mut self, world: &mut World, input: PeerInput) {
        let mut memory = self.memory.take().unwrap_or_else(|| Memory {
            machine: PeerPool::load(self.rows.clone()),
            waiting: BTreeMap::new(),
            under_way: BTreeMap::new(),
        });
        world.trace.note(world.now, || format!("peer {} <- {input:?}", self.pool));
        let mut effects = Vec::new();
        let (drawn, dice, key) = (&mut self.drawn, world.dice, UNIQUE.of(hash(&self.addr)));
        let mut unique = || {
            *drawn += 1;
            u128::from(dice.draw(key.of(*drawn))) << 64 | u128::from(dice.draw(key.of(*drawn).of(1)))
        };
        memory.machine.step(world.clock(self.addr), input, &mut unique, &mut effects);
        for effect in effects {
            self.perform(world, &mut memory, effect);
        }
        self.memory = Some(memory);
    }

    fn perform(&mut self, world: &mut World, memory: &mut Memory, effect: PeerEffect) {
        match effect {
            PeerEffect::Save(rows) => {
                world.oracle.peer_saved(self.pool, &rows.containers());
                self.rows = rows;
            }
            PeerEffect::SetAlarm(at) => world.set_alarm(self.addr, Some(at)),
            PeerEffect::Call { call, container, what } => {
                memory.under_way.insert(call, (container, what));
                world.platform.addressed(container, Kind::Class);
                let request = match what {
                    PeerCall::GetState => Request::GetState,
                    PeerCall::Stop => Request::Stop,
                    PeerCall::Renew => Request::Renew,
                    PeerCall::Start => match self.settings(world) {
                        Some(pool) => Request::Start(Box::new(StartRequest {
                            container,
                            owner: ShardId { pool: pool_name(self.pool), index: ShardIndex(0) },
                            start: pool.start,
                            sleep_after: pool.sleep_after,
                            lease_ttl: pool.lease_ttl,
                            drain_timeout: pool.drain_timeout,
                        })),
                        // Not in the configuration any more: nobody would start it either.
                        None => Request::GetState,
                    },
                };
                if what == PeerCall::Stop {
                    world.oracle.peer_stops(container);
                }
                let to = Addr::Container(container);
                world.call(self.addr, to, request, RUNTIME_DEADLINE, Then::Peer(call.0));
            }
            PeerEffect::Reply { caller, result } => {
                let Some(Waiting { call, id, since }) = memory.waiting.remove(&caller) else { return };
                match (result, id) {
                    (Ok(Some(container)), Some(id)) => {
                        world.oracle.peer_replied(world.now, (self.pool, id), container, since);
                        let assignment = Assignment {
                            container,
                            epoch: Epoch(0),
                            fenced: false,
                            outcome: Outcome::Sticky,
                            reason: None,
                            shard: ShardIndex(0),
                            binding: None,
                        };
                        world.answer(call, Response::Acquired(AcquireReply::Assigned(assignment)));
                    }
                    (Ok(_), _) => world.answer(call, Response::SentAway),
                    (Err(message), _) => world.throw(call, &message),
                }
            }
        }
    }

    fn ask(&mut self, world: &mut World, call: CallId, id: Option<SessionId>) {
        if let Some(pool) = self.settings(world) {
            let (warm_target, refresh_interval) = (pool.warm_target, pool.refresh_interval);
            self.step(world, PeerInput::Configure { warm_target, refresh_interval });
        }
        let caller = PeerCaller(call.0);
        if self.memory.is_none() {
            self.step(world, PeerInput::ReportStopped(String::new()));
        }
        if let Some(memory) = &mut self.memory {
            memory.waiting.insert(caller, Waiting { call, id: id.clone(), since: world.now });
        }
        self.step(
            world,
            match id {
                Some(id) => PeerInput::GetContainer { caller, id },
                None => PeerInput::ShutdownPrewarmed { caller },
            },
        );
    }
}

impl Object for PeerObject {
    fn arrives(&mut self, world: &mut World, call: CallId, _from: Option<Addr>, request: Request) {
        match request {
            Request::Acquire(AcquireRequest { id, .. }) => self.ask(world, call, Some(id)),
            Request::ShutdownPrewarmed => self.ask(world, call, None),
            Request::ReportStopped { container, .. } => {
                // As its README says: `this.ctx.id.toString()`, 64 hexadecimal digits.
                self.step(world, PeerInput::ReportStopped(format!("{:064x}", hash(&container))));
                world.answer(call, Response::Heard(false));
            }
            Request::Lookup(_) => world.answer(call, Response::Found),
            Request::Release(_) => world.answer(call, Response::Released),
            Request::ConfirmLease(_) => world.answer(call, Response::Lease(LeaseReply::Denied)),
            Request::Configure(plan) => world.answer(call, Response::Configured(plan.version)),
            Request::GetPlan => world.answer(call, Response::ShardPlan(None)),
            Request::Allot(_) => {
                let shard = ShardId { pool: pool_name(self.pool), index: ShardIndex(0) };
                let report = ShardReport { shard, plan: None, standing: None };
                world.answer(call, Response::Standing(Box::new(report)));
            }
            other => unreachable!("not a method of a pool: {other:?}"),
        }
    }

    fn ended(&mut self, world: &mut World, then: Then, answer: Answer) {
        let Then::Peer(number) = then else { return };
        let call = CallNo(number);
        let asked = self.memory.as_mut().and_then(|memory| memory.under_way.remove(&call));
        let result = match answer {
            Ok(Response::State(status)) => PeerResult::State(match status {
                Status::Running => PeerStatus::Running,
                Status::Healthy => PeerStatus::Healthy,
                Status::Stopping => PeerStatus::Stopping,
                Status::Stopped => PeerStatus::Stopped,
                Status::StoppedWithCode => PeerStatus::StoppedWithCode,
            }),
            Ok(_) => PeerResult::Done,
            Err(CallError::Threw(message)) => PeerResult::Threw(message),
            Err(CallError::Late) => PeerResult::Threw("Network connection lost.".to_owned()),
        };
        if let Some((container, PeerCall::GetState)) = asked {
            world.oracle.peer_saw(container, matches!(result, PeerResult::Threw(_)));
        }
        self.step(world, PeerInput::Ended { call, result });
    }

    fn private(&mut self, _world: &mut World, what: Private) {
        unreachable!("a pool waits for nothing by itself: {what:?}");
    }

    fn alarm(&mut self, world: &mut World) {
        self.step(world, PeerInput::Alarm);
    }

    fn forget(&mut self, world: &mut World) {
        if self.memory.take().is_some() {
            world.drop_memory(self.addr);
        }
    }
}

const UNIQUE: Key = Key::new(30);
