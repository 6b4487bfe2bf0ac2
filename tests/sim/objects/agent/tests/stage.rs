//! A container's object alone, with an owner that grants every lease and hears every report.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::resolved::{Millis, Ready, Start};
use cf_warm_pools::core::id::{ContainerId, Epoch, SessionId};
use cf_warm_pools::wire::agent::{LeaseReply, StartRequest, Status};

use crate::faults::Rates;
use crate::objects::Object;
use crate::schedule::Schedule;
use crate::trace::Trace;
use crate::world::message::{Addr, Answer, Fetch, Request, RequestNo, Response, Then, pool_name};
use crate::world::platform::Kind;
use crate::world::{Happening, World};

pub struct Stage<O> {
    pub world: World,
    pub object: O,
    process_ended: fn(&mut O, &mut World),
    answers: BTreeMap<RequestNo, Answer>,
    calls: u64,
    /// How often an alarm has rung.
    pub alarms: u32,
    /// How often the owner was asked for a lease.
    pub leases: u32,
    /// How often a shard was told of the end.
    pub reports: u32,
}

/// The container.
pub const fn container() -> ContainerId {
    ContainerId::from_random(42)
}

impl<O: Object> Stage<O> {
    pub fn new(kind: Kind, object: O, process_ended: fn(&mut O, &mut World), rates: Rates) -> Self {
        let schedule = Schedule { rates, ..Schedule::of_seed(1) };
        let mut world = World::new(&schedule, Trace::silent());
        world.platform.addressed(container(), kind);
        let answers = BTreeMap::new();
        Self { world, object, process_ended, answers, calls: 0, alarms: 0, leases: 0, reports: 0 }
    }

    /// Calls it, and lets all happen until that ends.
    pub fn call(&mut self, request: Request) -> Answer {
        let number = self.begin(request);
        loop {
            if let Some(answer) = self.answers.remove(&number) {
                return answer;
            }
            self.happens();
        }
    }

    /// Calls it.
    pub fn begin(&mut self, request: Request) -> RequestNo {
        self.calls += 1;
        let number = RequestNo(self.calls);
        self.world.call(CALLER, Addr::Container(container()), request, PATIENCE, Then::Request(number));
        number
    }

    pub fn state(&mut self) -> Status {
        match self.call(Request::GetState) {
            Ok(Response::State(status)) => status,
            other => panic!("no state: {other:?}"),
        }
    }

    /// Lets so much time pass.
    pub fn pass(&mut self, millis: u64) {
        let until = self.world.now + Millis(millis);
        self.world.at(until, Happening::Settled);
        while !self.happens() {}
    }

    /// Whether a call has ended by now, and how.
    pub fn ended(&mut self, number: RequestNo) -> Option<Answer> {
        self.answers.remove(&number)
    }

    pub fn forget(&mut self) {
        self.object.forget(&mut self.world);
    }

    /// The process ends by itself.
    pub fn kill(&mut self) {
        assert!(self.world.end_process(container()));
        (self.process_ended)(&mut self.object, &mut self.world);
    }

    pub fn runs(&self) -> bool {
        self.world.platform.is_running(container())
    }

    /// The promises that were broken, but for those of the shard that is not there.
    pub fn broken(&self) -> BTreeSet<&'static str> {
        let violations = self.world.oracle.violations().iter().map(|violation| violation.promise);
        violations.filter(|&promise| promise == "durable").collect()
    }

    /// One thing. True for the end of a wait.
    fn happens(&mut self) -> bool {
        let Self { world, object, .. } = self;
        match world.next().expect("something is under way") {
            Happening::Arrives(call) => {
                let Some(arrival) = world.arrives(call) else { return false };
                match (arrival.to, arrival.request) {
                    (Addr::Container(_), request) => object.arrives(world, call, arrival.from, request),
                    (Addr::Shard { .. }, Request::ConfirmLease(_)) => {
                        self.leases += 1;
                        world.answer(call, Response::Lease(LeaseReply::Granted(Millis(60_000))));
                    }
                    (Addr::Shard { .. }, Request::ReportStopped { .. }) => {
                        self.reports += 1;
                        world.answer(call, Response::Heard(true));
                    }
                    (to, request) => panic!("{to:?} was asked {request:?}"),
                }
            }
            happening @ (Happening::Answered(call) | Happening::Expires(call)) => {
                let ended = match happening {
                    Happening::Answered(_) => world.answered(call),
                    _ => world.expires(call),
                };
                match ended.map(|ended| (ended.by, ended.then, ended.answer)) {
                    Some((CALLER, Then::Request(number), answer)) => drop(self.answers.insert(number, answer)),
                    Some((_, then, answer)) => object.ended(world, then, answer),
                    None => {}
                }
            }
            Happening::Private { addr, life, what } => {
                if world.life(addr) == life {
                    object.private(world, what);
                }
            }
            Happening::Alarm { addr, armed } => {
                if world.alarm_rings(addr, armed) {
                    self.alarms += 1;
                    object.alarm(world);
                }
            }
            Happening::ProcessEnds(_) => {
                if world.end_process(container()) {
                    (self.process_ended)(object, world);
                }
            }
            Happening::Settled => return true,
            other => panic!("not of a container: {other:?}"),
        }
        false
    }
}

pub fn start() -> Request {
    Request::Start(Box::new(StartRequest {
        container: container(),
        owner: Addr::Shard { pool: 0, index: 1 }.shard_id().unwrap(),
        start: Start {
            ports: vec![8080],
            env: BTreeMap::new(),
            entrypoint: None,
            enable_internet: false,
            labels: BTreeMap::new(),
            ready: Ready { path: None, timeout: Millis(20_000) },
            setup: None,
        },
        sleep_after: Millis(300_000),
        lease_ttl: Millis(60_000),
        drain_timeout: Millis(15_000),
    }))
}

/// A request of this id, at the first epoch.
pub fn fetch(session: &str) -> Request {
    Request::Fetch(Fetch {
        pool: pool_name(0),
        session: SessionId::try_from(session.to_owned()).unwrap(),
        fence: Some(Epoch(1)),
        request: RequestNo(1),
    })
}

const CALLER: Addr = Addr::Router(0);
const PATIENCE: Millis = Millis(300_000);
