//! What a request can do until it waits again, and the isolate it does it in.
//!
//! A container's object is found by its name *and* by the binding of its class. In this world an object has only one name, so
//! a request that goes by the wrong binding is answered here, as the object that it would reach would: an agent that was
//! never started refuses; a JavaScript class starts a container, of which no shard knows.

use std::rc::Rc;

use cf_warm_pools::config::Config;
use cf_warm_pools::config::resolved::{BindingName, Millis};
use cf_warm_pools::core::agent::Refusal as FenceRefusal;
use cf_warm_pools::core::coordinator::{ConfigSource, InForce};
use cf_warm_pools::core::gateway::hint::{self, Correction};
use cf_warm_pools::core::gateway::{Destination, Fences, Known, RouteCache, Routing, Sticky};
use cf_warm_pools::core::id::{SessionId, ShardIndex};
use cf_warm_pools::core::outcome::Assignment;
use cf_warm_pools::core::plan::{Plan, PlanVersion};

use super::{FETCH_LIMIT, Pool};
use crate::dice::Key;
use crate::oracle::Fate;
use crate::world::message::{Addr, Fetch, Fetched, Request, RequestNo, Then};
use crate::world::platform::Kind;
use crate::world::{Private, World, hash};

/// How many ids the forgetful isolates remember.
const SMALL_CACHE: usize = 6;
/// How long KV takes to answer, in ms: now and then longer than a shard that has a container warm.
const KV_LATENCY: (u64, u64) = (1, 40);

/// What an isolate knows between requests.
pub struct Isolate {
    routing: Routing,
    pub cache: RouteCache,
    fences: Fences,
}

impl Isolate {
    /// One that has served nothing yet, of whichever deploy runs there.
    pub fn load(world: &World, router: Addr) -> Self {
        let deploy = world.deploy_of(router);
        let key = CACHE.of(hash(&router)).of(u64::from(world.life(router)));
        let forgetful = world.dice.chance(key, 0.5);
        Self {
            routing: Routing::carried(deploy.config, ConfigSource::Bundled, deploy.stamp),
            cache: if forgetful { RouteCache::with_capacity(SMALL_CACHE) } else { RouteCache::default() },
            fences: Fences::default(),
        }
    }

    pub fn config(&self) -> Rc<Config> {
        Rc::clone(self.routing.config())
    }

    /// The version to ask the coordinator about, if it is time to.
    pub fn question(&mut self, now: Millis) -> Option<PlanVersion> {
        self.routing.question(now)
    }

    /// The question of a request without a route, when none is due.
    pub fn question_without_route(&self, now: Millis) -> Option<PlanVersion> {
        self.routing.question_without_route(now)
    }

    pub fn confirm(&mut self) {
        self.routing.confirm();
    }

    /// The coordinator has not answered.
    pub fn unanswered(&mut self) {
        self.routing.unanswered();
    }

    pub fn version(&self) -> PlanVersion {
        self.routing.version()
    }

    pub fn adopt(&mut self, in_force: InForce) -> bool {
        self.routing.adopt(in_force)
    }

    /// A shard has said of a container whether it has a fence.
    pub fn note_fence(&mut self, assignment: &Assignment) {
        if let Some(binding) = &assignment.binding {
            self.fences.note(binding, assignment.fenced);
        }
    }
}

/// One request, until it waits again.
pub struct Turn<'a> {
    pub world: &'a mut World,
    pub isolate: &'a mut Isolate,
    pub router: Addr,
    pub request: RequestNo,
    pub pool: &'a Pool,
    pub id: &'a SessionId,
    pub is_answered: &'a mut bool,
}

impl Turn<'_> {
    /// The user has its answer.
    pub fn answered(&mut self, fate: Fate) {
        assert!(!*self.is_answered, "{:?} is answered twice", self.request);
        *self.is_answered = true;
        self.note(|| format!("{fate:?}"));
        self.world.oracle.answered(self.world.now, self.request, fate);
    }

    /// Writes down what the request does.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        let Self { world, router, request, pool, id, .. } = self;
        world.trace.note(world.now, || {
            let (pool, id) = (pool.name.as_str(), id.as_str());
            format!("{router:?}, request {} of {pool}/{id}: {}", request.0, what())
        });
    }

    /// How many shards the pool has.
    pub fn known(&self) -> Known {
        self.isolate.routing.known(&self.pool.name).unwrap_or_else(|| Known::guess(self.pool.shards))
    }

    /// What has been told of that is news for others, too.
    pub fn correct_shards(&mut self, told: Known) {
        self.isolate.routing.correct_shards(&self.pool.name, told);
    }

    /// A plan for a shard that has an older one.
    pub fn plan_for(&self, index: ShardIndex) -> Option<Plan> {
        self.isolate.routing.plan_for(&self.pool.name, index)
    }

    pub fn remembered(&mut self) -> Option<Sticky> {
        self.isolate.cache.get(&self.pool.name, &self.pool.container, self.id)
    }

    pub fn remember(&mut self, sticky: Sticky) {
        self.isolate.cache.put(&self.pool.name, &self.pool.container, self.id, sticky);
    }

    /// What may be remembered of an assignment.
    pub fn sticky(&self, assignment: &Assignment) -> Option<Sticky> {
        Destination::from(assignment).sticky(&self.pool.container)
    }

    /// Sends the request to a container, which ends with [`Then::Request`]; or tells at once what becomes of it.
    pub fn send(&mut self, to: &Destination) -> Option<Fetched> {
        let container = to.container;
        self.note(|| format!("to {container} at {:?}, {}", to.fence, to.outcome.as_str()));
        let binding = to.binding(&self.pool.container);
        if !self.world.platform.is_behind(container, binding) {
            return Some(self.misled(to, binding));
        }
        let fetch =
            Fetch { pool: self.pool.name.clone(), session: self.id.clone(), fence: to.fence, request: self.request };
        let then = Then::Request(self.request);
        self.world.call(self.router, Addr::Container(container), Request::Fetch(fetch), FETCH_LIMIT, then);
        None
    }

    /// The request reaches another object of the container's name.
    fn misled(&mut self, to: &Destination, binding: &BindingName) -> Fetched {
        self.note(|| format!("which is not behind {binding}"));
        match Kind::of_binding(binding) {
            Kind::Agent => Fetched::Fenced(FenceRefusal::Gone),
            Kind::Class => {
                let what =
                    format!("a request for {} went to {binding}, whose class starts a container for it", to.container);
                self.world.oracle.broken(self.world.now, "accounted", what);
                Fetched::Failed
            }
        }
    }

    pub fn has_id_cache(&self) -> bool {
        self.pool.id_cache.is_some()
    }

    /// Whether the pool's class is known to check whom it serves, so that a hint may be followed.
    pub fn has_fence(&self) -> bool {
        self.isolate.fences.has(&self.pool.container)
    }

    /// Begins to read the id cache, which ends with [`Private::KvRead`].
    pub fn begin_reading(&mut self) {
        let key = KV_READ.of(hash(&self.router)).of(self.request.0);
        let latency = self.world.dice.between(key, KV_LATENCY.0, KV_LATENCY.1);
        self.world.later(self.router, latency, Private::KvRead(self.request));
    }

    /// What the id cache says.
    pub fn read_hint(&mut self) -> Option<Sticky> {
        let value = self.world.kv_read(&hint::key(&self.pool.name, self.id)).ok().flatten();
        value.and_then(|value| hint::parse(&value))
    }

    /// Writes into the id cache, unless it says the same.
    pub fn update_hint(&mut self, sticky: Sticky) {
        if self.read_hint() != Some(sticky) {
            self.write_hint(Some(sticky));
        }
    }

    /// Mends a hint that was tried, now that the shard has said what the id has.
    pub fn correct_hint(&mut self, tried: Sticky, answer: Option<Sticky>) {
        match hint::correction(tried, answer).filter(|_| self.has_id_cache()) {
            Some(Correction::Write(sticky)) => self.write_hint(Some(sticky)),
            Some(Correction::Forget) => self.write_hint(None),
            None => {}
        }
    }

    /// Writes into the id cache, or clears it. What fails there is of no interest.
    pub fn write_hint(&mut self, hint: Option<Sticky>) {
        let key = hint::key(&self.pool.name, self.id);
        self.world.kv_write(&key, hint.map(hint::value)).ok();
    }
}

const CACHE: Key = Key::new(201);
const KV_READ: Key = Key::new(202);
