//! What one isolate knows between requests: the configuration it routes by, and which container an id had last.
//!
//! Only data: nothing that belongs to a request (stubs, streams) is kept. Each function borrows, acts and lets go; no
//! borrow crosses an await.

use std::cell::RefCell;
use std::rc::Rc;

use worker::Env;

use crate::config::Config;
use crate::config::resolved::{BindingName, Millis, PoolName};
use crate::core::coordinator::ConfigSource;
use crate::core::gateway::{Fences, Known, RouteCache, Routing, Sticky, Telling};
use crate::core::id::{ContainerId, SessionId, ShardIndex};
use crate::core::plan::{CodeVersion, Plan, PlanVersion};
use crate::edge::background;
use crate::edge::bundled::bundled;
use crate::edge::js;
use crate::edge::rpc::{CoordinatorClient, DEADLINE, POOL_COORDINATOR};
use crate::wire::coordinator::{ConfigView, PlanReply};

/// How long a request waits for the coordinator that no known route matches.
const ANSWER_WITHIN: Millis = Millis::from_secs(2);

struct Isolate {
    routing: Routing,
    cache: RouteCache,
    fences: Fences,
    /// Which shards heed the settings of pools that are configured by code.
    telling: Telling,
}

thread_local! {
    static ISOLATE: RefCell<Option<Isolate>> = const { RefCell::new(None) };
}

fn with<T>(env: &Env, body: impl FnOnce(&mut Isolate) -> T) -> T {
    ISOLATE.with(|isolate| match isolate.try_borrow_mut() {
        Ok(mut isolate) => body(isolate.get_or_insert_with(|| Isolate::new(env))),
        // Not reached, for no body calls back; a memory that is lost would do no harm either.
        Err(_) => body(&mut Isolate::new(env)),
    })
}

impl Isolate {
    fn new(env: &Env) -> Self {
        let bundled = bundled(env);
        Self {
            routing: Routing::carried(Rc::new(bundled.config.clone()), bundled.source, bundled.stamp),
            cache: RouteCache::default(),
            fences: Fences::default(),
            telling: Telling::default(),
        }
    }
}

/// Forgets all, for the Worker carries another configuration than was thought.
pub fn forget_all() {
    ISOLATE.with(|isolate| {
        if let Ok(mut isolate) = isolate.try_borrow_mut() {
            *isolate = None;
        }
    });
}

/// The configuration to route by. Asks the coordinator in the background, now and then, whether it still holds.
pub fn config(env: &Env) -> Rc<Config> {
    let (config, question) = known(env);
    if let Some(question) = question {
        question.ask_in_background(env);
    }
    config
}

/// The configuration known, and the question whether it still holds when it is time to ask it.
pub fn known(env: &Env) -> (Rc<Config>, Option<Question>) {
    let now = js::now();
    with(env, |isolate| {
        let question = isolate.routing.question(now).map(Question);
        (Rc::clone(isolate.routing.config()), question)
    })
}

/// The configuration known, when it is not time to ask whether it still holds.
pub fn settled(env: &Env) -> Option<Rc<Config>> {
    let now = js::now();
    with(env, |isolate| isolate.routing.is_settled(now).then(|| Rc::clone(isolate.routing.config())))
}

/// The question for a request without a route, when none is due.
pub fn question_without_route(env: &Env) -> Option<Question> {
    let now = js::now();
    with(env, |isolate| isolate.routing.question_without_route(now).map(Question))
}

/// A question to the coordinator: whether this version is in force. It is to be asked, for it counts as asked.
#[must_use]
pub struct Question(PlanVersion);

impl Question {
    /// Asks it; what is in force is for later requests.
    pub fn ask_in_background(self, env: &Env) {
        let env = env.clone();
        background::run(async move { ask(&env, self.0, DEADLINE).await });
    }

    /// Asks it and waits for the answer, at most [`ANSWER_WITHIN`]. Returns the configuration known then.
    pub async fn ask(self, env: &Env) -> Rc<Config> {
        ask(env, self.0, ANSWER_WITHIN).await;
        with(env, |isolate| Rc::clone(isolate.routing.config()))
    }
}

/// The configuration to route by, after asking the coordinator. When it does not answer, what is known has to do.
pub async fn config_in_force(env: &Env) -> Rc<Config> {
    ask(env, version(env).0, DEADLINE).await;
    with(env, |isolate| Rc::clone(isolate.routing.config()))
}

/// The version routed by, and where it came from.
pub fn version(env: &Env) -> (PlanVersion, ConfigSource) {
    with(env, |isolate| (isolate.routing.version(), isolate.routing.source()))
}

/// Takes a configuration that the coordinator has put in force.
pub fn adopt(env: &Env, view: ConfigView) {
    let version = view.version;
    if with(env, |isolate| isolate.routing.adopt(view)) {
        tracing::info!(version = version.version, stamp = version.stamp, "another configuration is in force");
    }
}

async fn ask(env: &Env, known: PlanVersion, within: Millis) {
    if env.durable_object(POOL_COORDINATOR).is_err() {
        // Without a coordinator what the Worker carries is in force.
        return with(env, |isolate| isolate.routing.confirm());
    }
    match CoordinatorClient::new(env).plan(known, within).await {
        Ok(PlanReply::Current) => with(env, |isolate| isolate.routing.confirm()),
        Ok(PlanReply::Changed(view)) => adopt(env, *view),
        Err(error) => {
            with(env, |isolate| isolate.routing.unanswered());
            tracing::warn!(%error, "the coordinator did not answer; the known configuration serves on");
        }
    }
}

/// The shard count of a pool, and by which plan it is known; none for a pool that is not in the configuration.
pub fn known_shards(env: &Env, pool: &PoolName) -> Option<Known> {
    with(env, |isolate| isolate.routing.known(pool))
}

/// A shard said what the shard count is.
pub fn correct_shards(env: &Env, pool: &PoolName, told: Known) {
    with(env, |isolate| isolate.routing.correct_shards(pool, told));
}

/// The plan in force of a shard, when enough is known of it.
pub fn plan_for(env: &Env, pool: &PoolName, index: ShardIndex) -> Option<Plan> {
    with(env, |isolate| isolate.routing.plan_for(pool, index))
}

/// The container an id had last, if it is behind the binding.
pub fn remembered(env: &Env, pool: &PoolName, binding: &BindingName, id: &SessionId) -> Option<Sticky> {
    with(env, |isolate| isolate.cache.get(pool, binding, id))
}

/// An id has this container, which is behind the binding.
pub fn remember(env: &Env, pool: &PoolName, binding: &BindingName, id: &SessionId, sticky: Sticky) {
    with(env, |isolate| isolate.cache.put(pool, binding, id, sticky));
}

/// An id has this container no more.
pub fn forget(env: &Env, pool: &PoolName, id: &SessionId, container: ContainerId) {
    with(env, |isolate| isolate.cache.forget(pool, id, container));
}

/// An id was released.
pub fn forget_id(env: &Env, pool: &PoolName, id: &SessionId) {
    with(env, |isolate| isolate.cache.forget_id(pool, id));
}

/// A shard said of a container behind the binding whether it has a fence.
pub fn note_fence(env: &Env, binding: &BindingName, fenced: bool) {
    with(env, |isolate| isolate.fences.note(binding, fenced));
}

/// Whether the class behind the binding is known to have a fence.
pub fn has_fence(env: &Env, binding: &BindingName) -> bool {
    with(env, |isolate| isolate.fences.has(binding))
}

/// Whether a shard is known to heed the settings that code gives its pool.
pub fn is_heeding(env: &Env, pool: &PoolName, code: &CodeVersion, shard: ShardIndex) -> bool {
    with(env, |isolate| isolate.telling.is_heeding(pool, code, shard))
}

/// A shard heeds the settings that code gives its pool.
pub fn heeds(env: &Env, pool: &PoolName, code: &CodeVersion, shard: ShardIndex) {
    with(env, |isolate| isolate.telling.heeds(pool, code, shard));
}

/// Whether the caller has to tell the pool's shards their settings; if so, [`end_telling`] is to follow.
pub fn begin_telling(env: &Env, pool: &PoolName, code: &CodeVersion) -> bool {
    let now = js::now();
    with(env, |isolate| isolate.telling.begin(now, pool, code))
}

/// The pool's shards were told, as far as they could be.
pub fn end_telling(env: &Env, pool: &PoolName, code: &CodeVersion) {
    with(env, |isolate| isolate.telling.ended(pool, code));
}
