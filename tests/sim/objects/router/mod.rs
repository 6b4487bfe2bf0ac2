//! An isolate of the Worker: the requests of users, and what is remembered between them.
//!
//! What decides is the real code: [`Routing`], [`Owner`](cf_warm_pools::core::gateway::Owner),
//! [`RouteCache`](cf_warm_pools::core::gateway::RouteCache), [`Dispatch`] and
//! [`hint`](cf_warm_pools::core::gateway::hint). The asynchronous code around them, `src/edge/client/{pool,asking,isolate}.rs`, is
//! told again here with a state for each of its awaits:
//!
//! | there | here |
//! |---|---|
//! | `Pool::dispatch`, `ask`, `served` | [`way`] |
//! | `Pool::acquire`, `at_owner`, `correct_owner` | [`owner`] |
//! | `isolate`, background work, the calls | [`turn`] |
//!
//! All of it is in memory. A request begins with the pool as the configuration known then has it; its shard count is looked
//! up anew with each question. One for a pool that is not known there waits, as in the gateway, for the answer to the
//! question that it asks the coordinator, if it is time for one. Its answer is told to the oracle exactly once, and what goes on after that (a question
//! that was overtaken by a hint, a hint to be written, a stub that is held) belongs to the same request.
//!
//! Other than at the edge:
//! - a container has [`FETCH_LIMIT`] to answer; there it has as long as the user waits;
//! - one in two isolates remembers only a few ids, so that forgetting happens;
//! - an object behind a wrong binding is only told of: see [`turn`];
//! - every kind of request waits for the coordinator when its pool is not known, not only those with a route to be found;
//! - a call that nobody awaits while a hint is tried may run into its deadline, though there it would be looked at late.

mod owner;
pub mod tests;
mod turn;
mod way;

use std::collections::BTreeMap;

use cf_warm_pools::config::Config;
use cf_warm_pools::config::resolved::{BindingName, Millis, PoolName, ShardCount};
use cf_warm_pools::core::gateway::dispatch::MAX_SENDS;
use cf_warm_pools::core::gateway::{Destination, Replay};
use cf_warm_pools::core::id::SessionId;
use cf_warm_pools::core::plan::PlanVersion;
use cf_warm_pools::wire::coordinator::{PlanQuestion, PlanReply};

use super::Object;
use crate::dice::Key;
use crate::oracle::Fate;
use crate::world::message::{Addr, Answer, CallId, Request, RequestNo, Response, Then, pool_name};
use crate::world::{Private, World, hash};
use owner::{AtOwner, MAX_ASKS, MAX_TOLD, Question, What};
use turn::{Isolate, Turn};
use way::Way;

/// The deadlines of `src/edge/rpc.rs`.
const DEADLINE: Millis = Millis::from_secs(15);
const ACQUIRE_MARGIN: Millis = Millis::from_secs(10);
/// How long a shard may take to tell its plan, or to take one.
const PLAN_DEADLINE: Millis = Millis::from_secs(5);
/// How long a container has to answer a request, in this world.
const FETCH_LIMIT: Millis = Millis::from_secs(30);
/// The most questions of one request: one for the first assignment, one after that has failed.
const MAX_QUESTIONS: u64 = 2;
/// How long a request waits for the coordinator whose pool is not known.
const FOUND_WITHIN: Millis = Millis::from_secs(2);
/// The longest that any request of a schedule can take, where no deploy has its pool.
const LONGEST: Millis = Millis::from_secs(3_600);
/// The longest a user holds on to a container before using it.
const LONGEST_HELD: Millis = Millis::from_secs(90);

/// An isolate of the Worker.
pub struct RouterObject {
    addr: Addr,
    isolate: Option<Isolate>,
    /// The requests under way, or with something of them still going on.
    tasks: BTreeMap<RequestNo, Task>,
    /// Those whose pool is not known; the coordinator has been asked.
    seekers: BTreeMap<RequestNo, Seeker>,
}

/// A request that waits to hear whether there is such a pool.
struct Seeker {
    pool: PoolName,
    id: SessionId,
    wish: Wish,
    /// How long it may take from then on.
    longest: Millis,
}

/// What a user wants.
#[derive(Clone, Copy)]
enum Wish {
    Request(Replay),
    Container,
    Owner(What),
}

struct Task {
    pool: Pool,
    id: SessionId,
    is_answered: bool,
    work: Work,
}

/// The pool as a request knows it.
struct Pool {
    name: PoolName,
    container: BindingName,
    id_cache: Option<BindingName>,
    acquire_timeout: Millis,
    shards: ShardCount,
}

enum Work {
    Dispatch(Box<Way>),
    GetContainer(Held),
    AtOwner(Box<AtOwner>),
}

/// A container that a user gets, and uses some time later: once, whatever becomes of it.
enum Held {
    Asks(Box<Question>),
    Holds(Destination),
    Uses,
}

/// Whether anything of a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Waits,
    Over,
}

/// What a request has waited for.
enum Event {
    Question(Answer),
    Call(Answer),
    KvRead,
    HeldFetch,
}

impl RouterObject {
    pub fn new(index: u32) -> Self {
        Self { addr: Addr::Router(index), isolate: None, tasks: BTreeMap::new(), seekers: BTreeMap::new() }
    }

    /// The version of the configuration that it routes by, if it has served anything since it was last dropped.
    pub fn version(&self) -> Option<PlanVersion> {
        self.isolate.as_ref().map(Isolate::version)
    }

    /// A user's request to the container of its id: `Pool::fetch`, and the gateway.
    pub fn request(&mut self, world: &mut World, request: RequestNo, pool: u32, id: &SessionId, replay: Replay) {
        self.begin(world, request, pool, id, Wish::Request(replay));
    }

    /// `Pool::get_container`, and one request by the stub it returns, up to [`LONGEST_HELD`] later. The answer is
    /// [`Fate::Done`] when the user has the stub.
    pub fn get_container(&mut self, world: &mut World, request: RequestNo, pool: u32, id: &SessionId) {
        self.begin(world, request, pool, id, Wish::Container);
    }

    /// `Pool::release`.
    pub fn release(&mut self, world: &mut World, request: RequestNo, pool: u32, id: &SessionId) {
        self.begin(world, request, pool, id, Wish::Owner(What::Release));
    }

    /// `Pool::lookup`.
    pub fn lookup(&mut self, world: &mut World, request: RequestNo, pool: u32, id: &SessionId) {
        self.begin(world, request, pool, id, Wish::Owner(What::Lookup));
    }

    fn begin(&mut self, world: &mut World, request: RequestNo, number: u32, id: &SessionId, wish: Wish) {
        let isolate = self.isolate.get_or_insert_with(|| Isolate::load(world, self.addr));
        let name = pool_name(number);
        let pool = Pool::of(&isolate.config(), &name);
        let now = world.clock(self.addr);
        let due = isolate.question(now);
        let question = due.or_else(|| isolate.question_without_route(now).filter(|_| pool.is_none()));
        let question = question.map(|known| Request::Plan(PlanQuestion { known }));
        match (pool, question) {
            (Some(pool), question) => {
                if let Some(question) = question {
                    world.call(self.addr, Addr::Coordinator, question, DEADLINE, Then::Routing);
                }
                world.oracle.asked(world.now, request, number, id, world.now + wish.longest(&pool));
                self.start(world, request, pool, id.clone(), wish);
            }
            (None, Some(question)) => {
                let deployed = world.deploys.made.iter().filter_map(|deploy| Pool::of(&deploy.config, &name));
                let longest = deployed.map(|pool| wish.longest(&pool)).max().unwrap_or(LONGEST);
                world.oracle.asked(world.now, request, number, id, world.now + FOUND_WITHIN + longest);
                self.seekers.insert(request, Seeker { pool: name, id: id.clone(), wish, longest });
                world.call(self.addr, Addr::Coordinator, question, FOUND_WITHIN, Then::Request(request));
            }
            (None, None) => {
                world.oracle.asked(world.now, request, number, id, world.now);
                self.no_pool(world, request);
            }
        }
    }

    /// The coordinator has answered a request whose pool was not known, or not.
    fn sought(&mut self, world: &mut World, request: RequestNo, seeker: Seeker, answer: Answer) {
        self.routing_ended(world, answer);
        let Seeker { pool, id, wish, longest } = seeker;
        match self.isolate.as_ref().and_then(|isolate| Pool::of(&isolate.config(), &pool)) {
            Some(pool) => {
                assert!(wish.longest(&pool) <= longest, "request {} may take longer than thought", request.0);
                self.start(world, request, pool, id, wish);
            }
            None => self.no_pool(world, request),
        }
    }

    fn no_pool(&self, world: &mut World, request: RequestNo) {
        world.trace.note(world.now, || format!("{:?}, request {}: NoPool", self.addr, request.0));
        world.oracle.answered(world.now, request, Fate::NoPool);
    }

    fn start(&mut self, world: &mut World, request: RequestNo, pool: Pool, id: SessionId, wish: Wish) {
        let Some(isolate) = &mut self.isolate else { return };
        let mut is_answered = false;
        let mut turn =
            Turn { world, isolate, router: self.addr, request, pool: &pool, id: &id, is_answered: &mut is_answered };
        let (work, flow) = wish.begin(&mut turn);
        match flow {
            Flow::Waits => {
                let other = self.tasks.insert(request, Task { pool, id, is_answered, work });
                assert!(other.is_none(), "two requests have the number {}", request.0);
            }
            Flow::Over => assert!(is_answered, "request {} has no answer", request.0),
        }
    }

    /// The coordinator has answered whether another configuration is in force, or not.
    fn routing_ended(&mut self, world: &mut World, answer: Answer) {
        let Some(isolate) = &mut self.isolate else { return };
        match answer {
            Ok(Response::RoutePlan(PlanReply::Changed(view))) => {
                let (before, version) = (isolate.version(), view.version);
                if isolate.adopt(*view) {
                    world.oracle.routes_by(world.now, self.addr, before, version);
                    world.trace.note(world.now, || format!("{:?} routes by {version:?}", self.addr));
                }
            }
            Ok(Response::RoutePlan(PlanReply::Current)) => isolate.confirm(),
            Err(_) => isolate.unanswered(),
            Ok(other) => unreachable!("not an answer to a router: {other:?}"),
        }
    }

    /// A request goes on. One that is over, with something under way that it did not wait for, hears of nothing.
    fn resume(&mut self, world: &mut World, request: RequestNo, event: Event) {
        let (Some(isolate), Some(task)) = (&mut self.isolate, self.tasks.get_mut(&request)) else { return };
        let Task { pool, id, is_answered, work } = task;
        let mut turn = Turn { world, isolate, router: self.addr, request, pool, id, is_answered };
        let flow = match work {
            Work::Dispatch(way) => {
                match event {
                    Event::Question(answer) => way.question_ended(&mut turn, answer),
                    Event::Call(answer) => way.sent(&mut turn, answer),
                    Event::KvRead => way.read(&mut turn),
                    Event::HeldFetch => unreachable!("a request holds nothing"),
                }
                way.flow()
            }
            Work::GetContainer(held) => held.resume(&mut turn, event),
            Work::AtOwner(asked) => match event {
                Event::Call(answer) => asked.ended(&mut turn, answer),
                Event::Question(_) | Event::KvRead | Event::HeldFetch => unreachable!("only the owner is asked"),
            },
        };
        if flow == Flow::Over {
            assert!(task.is_answered, "request {} has no answer", request.0);
            self.tasks.remove(&request);
        }
    }
}

impl Wish {
    fn begin(self, turn: &mut Turn<'_>) -> (Work, Flow) {
        match self {
            Self::Request(replay) => {
                let way = Way::begin(turn, replay);
                let flow = way.flow();
                (Work::Dispatch(Box::new(way)), flow)
            }
            Self::Container => (Work::GetContainer(Held::Asks(Box::new(Question::ask(turn, None)))), Flow::Waits),
            Self::Owner(what) => (Work::AtOwner(Box::new(AtOwner::ask(turn, what))), Flow::Waits),
        }
    }

    /// How long it can take, once the pool is known.
    fn longest(self, pool: &Pool) -> Millis {
        match self {
            Self::Request(_) => pool.longest_dispatch(),
            Self::Container => pool.longest_question(),
            Self::Owner(_) => times(DEADLINE, u64::from(MAX_ASKS)) + times(PLAN_DEADLINE, u64::from(MAX_TOLD)),
        }
    }
}

impl Held {
    fn resume(&mut self, turn: &mut Turn<'_>, event: Event) -> Flow {
        let (next, flow) = match (std::mem::replace(self, Self::Uses), event) {
            (Self::Asks(mut question), Event::Question(answer)) => match question.ended(turn, answer) {
                None => (Self::Asks(question), Flow::Waits),
                Some(Ok(assignment)) => {
                    turn.answered(Fate::Done);
                    let key = HELD.of(hash(&turn.router)).of(turn.request.0);
                    let pause = turn.world.dice.between(key, 0, LONGEST_HELD.0);
                    turn.world.later(turn.router, pause, Private::HeldFetch(turn.request));
                    (Self::Holds(Destination::from(&assignment)), Flow::Waits)
                }
                Some(Err(failure)) => {
                    turn.answered(failure.fate());
                    (Self::Uses, Flow::Over)
                }
            },
            (Self::Holds(to), Event::HeldFetch) => match turn.send(&to) {
                None => (Self::Uses, Flow::Waits),
                Some(_) => (Self::Uses, Flow::Over),
            },
            // Whatever it says: what reached the process, that has told the oracle.
            (Self::Uses, Event::Call(_)) => (Self::Uses, Flow::Over),
            (_, _) => unreachable!("not what a held container waits for"),
        };
        *self = next;
        flow
    }
}

impl Pool {
    fn of(config: &Config, name: &PoolName) -> Option<Self> {
        let settings = config.pools.get(name)?;
        Some(Self {
            name: name.clone(),
            container: settings.container.clone(),
            id_cache: settings.id_cache.clone(),
            acquire_timeout: settings.acquire_timeout,
            shards: settings.shards,
        })
    }

    /// How long one question to the shards can take.
    fn longest_question(&self) -> Millis {
        times(self.acquire_timeout + ACQUIRE_MARGIN, u64::from(MAX_ASKS)) + times(PLAN_DEADLINE, u64::from(MAX_TOLD))
    }

    /// How long a request can take, all in all.
    fn longest_dispatch(&self) -> Millis {
        times(self.longest_question(), MAX_QUESTIONS) + times(FETCH_LIMIT, u64::from(MAX_SENDS))
    }
}

impl Object for RouterObject {
    fn arrives(&mut self, _world: &mut World, _call: CallId, _from: Option<Addr>, request: Request) {
        unreachable!("nobody calls a router: {request:?}");
    }

    fn ended(&mut self, world: &mut World, then: Then, answer: Answer) {
        match then {
            Then::Request(request) => match self.seekers.remove(&request) {
                Some(seeker) => self.sought(world, request, seeker, answer),
                None => self.resume(world, request, Event::Call(answer)),
            },
            Then::Question(request) => self.resume(world, request, Event::Question(answer)),
            Then::Routing => self.routing_ended(world, answer),
            other => unreachable!("not a call of a router: {other:?}"),
        }
    }

    fn private(&mut self, world: &mut World, what: Private) {
        match what {
            Private::KvRead(request) => self.resume(world, request, Event::KvRead),
            Private::HeldFetch(request) => self.resume(world, request, Event::HeldFetch),
            other => unreachable!("a router does not wait for this: {other:?}"),
        }
    }

    fn alarm(&mut self, _world: &mut World) {
        unreachable!("a router has no alarm");
    }

    fn forget(&mut self, world: &mut World) {
        if self.isolate.take().is_none() {
            return;
        }
        let tasks = std::mem::take(&mut self.tasks).into_iter().map(|(request, task)| (request, task.is_answered));
        let seekers = std::mem::take(&mut self.seekers).into_keys().map(|request| (request, false));
        for (request, is_answered) in tasks.chain(seekers) {
            if !is_answered {
                world.trace.note(world.now, || format!("{:?}, request {}: Lost", self.addr, request.0));
                world.oracle.answered(world.now, request, Fate::Lost);
            }
        }
        world.trace.note(world.now, || format!("{:?} is dropped from memory", self.addr));
        world.drop_memory(self.addr);
    }
}

fn times(duration: Millis, count: u64) -> Millis {
    Millis(duration.0 * count)
}

const HELD: Key = Key::new(200);
