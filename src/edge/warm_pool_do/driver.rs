//! Steps, writes, effects of a shard: see the folder's documentation.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures::channel::oneshot;
use wasm_bindgen::JsValue;
use worker::{Env, State};

use super::checks::{self, Checks, Listener};
use super::plans::plan_of_this_deploy;
use crate::config::resolved::Millis;
use crate::core::id::{ContainerId, SessionId, ShardId};
use crate::core::journal::{Batch, Ended};
use crate::core::outcome::{Assignment, Refusal};
use crate::core::plan::CodeVersion;
use crate::core::shard::{Action, Answer, Call, Effects, Event, Input, Shard, WaiterId};
use crate::core::sorted::Map;
use crate::edge::abort::abort;
use crate::edge::alarm::Alarm;
use crate::edge::bundled::bundled;
use crate::edge::entropy::RuntimeEntropy;
use crate::edge::js::{self, future_to_promise};
use crate::edge::rpc::CoordinatorClient;
use crate::edge::{background, container_rpc, log};
use crate::store::{Database, StoreError, load_shard, save_shard};

/// How long a report to the coordinator, or a call to a sibling, may take.
pub const PEER_DEADLINE: Millis = Millis::from_secs(5);

/// The shard and what it acts on.
pub struct Driver {
    state: State,
    pub(super) env: Env,
    /// The shard, or why there is none: then every call fails with it.
    shard: Result<Loaded, String>,
    /// Who waits for a container.
    waiters: Waiters<Assignment>,
    /// Who waits to be told of one.
    locators: Waiters<Option<Assignment>>,
    next_waiter: Cell<u64>,
    alarm: Alarm,
    /// Memory is ahead of the rows: the object is about to be loaded anew, and does nothing more.
    broken: Cell<bool>,
    /// The ids by which container objects know themselves, as far as they were asked for.
    pub(super) hex_ids: RefCell<Map<String, ContainerId>>,
    listener: Listener,
}

type Waiters<T> = RefCell<Map<WaiterId, oneshot::Sender<Result<T, Refusal>>>>;

/// What came of a step, besides what is under way.
pub(super) struct Driven {
    pub events: Vec<Event>,
    /// What a sibling that asked is told.
    pub answer: Option<Answer>,
}

pub(super) struct Loaded {
    pub id: ShardId,
    pub machine: RefCell<Shard>,
    database: Database,
}

impl Driver {
    /// Loads the shard and takes up what was under way, by way of the alarm.
    pub fn new(state: State, env: Env) -> Rc<Self> {
        let shard = load(&state, &env);
        let alarm = Alarm::of(&state);
        if let Ok(loaded) = &shard {
            alarm.set(loaded.machine.try_borrow().ok().and_then(|machine| machine.next_timeout()));
        }
        Rc::new_cyclic(|driver| Self {
            state,
            env,
            shard,
            waiters: RefCell::new(Map::new()),
            locators: RefCell::new(Map::new()),
            next_waiter: Cell::new(0),
            alarm,
            broken: Cell::new(false),
            hex_ids: RefCell::new(Map::new()),
            listener: Listener::new(driver.clone()),
        })
    }

    /// The alarm rang.
    pub fn alarm_rang(self: &Rc<Self>) {
        self.alarm.rang();
        if let Err(error) = self.drive(Input::Woken) {
            self.log_failure(&error);
            self.alarm.retry();
        }
    }

    /// The shard, unless there is none or it is done for.
    pub(super) fn loaded(&self) -> Result<&Loaded, String> {
        if self.broken.get() {
            return Err("the object is being restarted; try again".to_owned());
        }
        self.shard.as_ref().map_err(Clone::clone)
    }

    /// Runs something on the machine that writes nothing.
    pub fn with<T>(&self, body: impl FnOnce(&mut Shard) -> T) -> Result<T, JsValue> {
        let loaded = self.loaded().map_err(|error| js::js_error(&error))?;
        let mut machine = loaded.machine.try_borrow_mut().map_err(|error| js::js_error(&error.to_string()))?;
        Ok(body(&mut machine))
    }

    /// Finds the container of an id, and does something with it: at once when the shard knows it, else when it was told its plan,
    /// or what a sibling has of the id. Throws a refusal when it is not this shard that would know.
    pub fn with_found(
        self: &Rc<Self>,
        id: SessionId,
        body: impl FnOnce(&Rc<Self>, &SessionId, Option<Assignment>) -> Result<JsValue, JsValue> + 'static,
    ) -> Result<JsValue, JsValue> {
        if self.with(|shard| shard.plan().is_some() && !shard.must_ask(&id))? {
            let found = self.find(&id)?;
            return body(self, &id, found);
        }
        let driver = Rc::clone(self);
        let told = async move {
            driver.ensure_plan().await?;
            let found = match driver.with(|shard| shard.must_ask(&id))? {
                true => driver.locate(id.clone()).await?,
                false => driver.find(&id)?,
            };
            body(&driver, &id, found)
        };
        Ok(future_to_promise(told).into())
    }

    /// The container of an id, or a refusal when it is not this shard that would know.
    fn find(&self, id: &SessionId) -> Result<Option<Assignment>, JsValue> {
        let (found, refusal) = self.with(|shard| (shard.lookup(id), shard.not_here(id, None)))?;
        match (found, refusal) {
            (None, Some(refusal)) => Err(js::refusal_error(&refusal)),
            (found, _) => Ok(found),
        }
    }

    /// The same, of an id of which a sibling may have something.
    async fn locate(self: &Rc<Self>, id: SessionId) -> Result<Option<Assignment>, JsValue> {
        let answer = self.wait(&self.locators, |waiter| Input::Locate { waiter, id })?.await;
        answer.map_err(|_| restarted())?.map_err(|refusal| js::refusal_error(&refusal))
    }

    pub fn sticky(&self, id: &SessionId) -> Result<Option<Assignment>, JsValue> {
        self.with(|shard| shard.sticky(id))
    }

    /// Whether the shard has nothing to hear from code with these settings.
    pub fn heeds(&self, code: &CodeVersion) -> bool {
        self.with(|shard| shard.not_told(code).is_none()).unwrap_or(false)
    }

    /// The step: see the module's documentation.
    pub fn drive(self: &Rc<Self>, input: Input) -> Result<Driven, String> {
        let loaded = self.loaded()?;
        let mut entropy = RuntimeEntropy;
        let mut fx = Effects::new(&mut entropy);
        {
            let mut machine = loaded.machine.try_borrow_mut().map_err(|error| error.to_string())?;
            machine.step(js::now(), input, &mut fx);
            if let Err(error) = save_shard(&loaded.database, &fx.writes) {
                let error = log::error_chain(&error);
                self.broken.set(true);
                abort(&self.state, &error);
                return Err(error);
            }
            self.alarm.set(machine.next_timeout());
        }
        let Effects { actions, events, answer, .. } = fx;
        for event in &events {
            log::shard_event(&loaded.id, event);
        }
        let mut checks = Checks::new();
        for action in actions {
            match action {
                Action::Call { container, binding, call: Call::Check } => {
                    checks.entry(binding).or_default().push(container);
                }
                action => self.run(&loaded.id, action),
            }
        }
        checks::perform(self, &self.env, &self.state, &self.listener, checks);
        Ok(Driven { events, answer })
    }

    fn run(self: &Rc<Self>, owner: &ShardId, action: Action) {
        match action {
            Action::Reply(waiter, reply) => tell(&self.waiters, waiter, reply),
            Action::Located(waiter, answer) => tell(&self.locators, waiter, answer),
            Action::Call { container, binding, call } => {
                let (driver, owner) = (Rc::clone(self), owner.clone());
                background::run_in(&self.state, async move {
                    if let Some(input) = container_rpc::perform(&driver.env, &owner, container, &binding, call).await {
                        driver.drive_logged(input);
                    }
                });
            }
            Action::Report => {
                let driver = Rc::clone(self);
                background::run_in(&self.state, async move {
                    if let Err(error) = driver.report(PEER_DEADLINE).await {
                        tracing::debug!(%error, "the coordinator did not answer a report");
                    }
                });
            }
            Action::Borrow { from } => {
                let (driver, me) = (Rc::clone(self), owner.clone());
                background::run_in(&self.state, async move { driver.borrow(&me, from).await });
            }
            Action::Pull { from, id, plan } => {
                let (driver, me) = (Rc::clone(self), owner.clone());
                background::run_in(&self.state, async move { driver.pull(&me, from, id, *plan).await });
            }
            Action::Deliver { to, delivery } => {
                let (driver, me) = (Rc::clone(self), owner.clone());
                background::run_in(&self.state, async move { driver.deliver(&me, to, *delivery).await });
            }
            Action::Record(batch) => {
                let driver = Rc::clone(self);
                background::run_in(&self.state, async move { driver.record(*batch).await });
            }
        }
    }

    /// Tells the coordinator what has happened.
    async fn record(self: &Rc<Self>, batch: Batch) {
        let ended = if bundled(&self.env).has_coordinator {
            let answer = CoordinatorClient::new(&self.env).record(&batch, PEER_DEADLINE).await;
            let answer = answer.inspect_err(|error| tracing::debug!(%error, "the coordinator did not take events"));
            answer.map_or(Ended::Failed, Ended::Answered)
        } else {
            Ended::Nobody
        };
        self.drive_logged(Input::Recorded { number: batch.number, ended });
    }

    pub fn drive_logged(self: &Rc<Self>, input: Input) {
        if let Err(error) = self.drive(input) {
            self.log_failure(&error);
        }
    }

    fn log_failure(&self, error: &str) {
        let id: Option<ShardId> = self.state.id().name().and_then(|name| name.parse().ok());
        let (pool, shard) = (id.as_ref().map(|id| id.pool.as_str()), id.as_ref().map(|id| id.index.0));
        tracing::error!(pool, shard, error, "a shard could not take a step");
    }

    pub async fn acquire(
        self: &Rc<Self>,
        id: SessionId,
        shards: Option<u32>,
        suspect: Option<ContainerId>,
        code: Option<&CodeVersion>,
    ) -> Result<Result<Assignment, Refusal>, JsValue> {
        self.ensure_plan().await?;
        if let Some(code) = code
            && let Some(refusal) = self.with(|shard| shard.not_told(code))?
        {
            return Ok(Err(refusal));
        }
        let answer = self.wait(&self.waiters, |waiter| Input::Acquire { waiter, id, shards, suspect })?.await;
        answer.map_err(|_| restarted())
    }

    /// Takes in a question whose answer comes from the receiver.
    fn wait<T>(
        self: &Rc<Self>,
        waiters: &Waiters<T>,
        question: impl FnOnce(WaiterId) -> Input,
    ) -> Result<oneshot::Receiver<Result<T, Refusal>>, JsValue> {
        let waiter = WaiterId(self.next_waiter.get());
        self.next_waiter.set(waiter.0 + 1);
        let (sender, receiver) = oneshot::channel();
        waiters.try_borrow_mut().map_err(|error| js::js_error(&error.to_string()))?.insert(waiter, sender);
        if let Err(error) = self.drive(question(waiter)) {
            // The answer will never come.
            forget(waiters, waiter);
            return Err(js::js_error(&error));
        }
        Ok(receiver)
    }
}

fn tell<T>(waiters: &Waiters<T>, waiter: WaiterId, answer: Result<T, Refusal>) {
    if let Some(waiter) = forget(waiters, waiter) {
        // A caller that is gone does not mind.
        waiter.send(answer).ok();
    }
}

fn forget<T>(waiters: &Waiters<T>, waiter: WaiterId) -> Option<oneshot::Sender<Result<T, Refusal>>> {
    waiters.try_borrow_mut().ok()?.remove(&waiter)
}

fn restarted() -> JsValue {
    js::js_error("the shard was restarted; try again")
}

fn load(state: &State, env: &Env) -> Result<Loaded, String> {
    let id: ShardId = match state.id().name() {
        Some(name) => name.parse().map_err(|error| format!("{error}, not {name:?}"))?,
        None => return Err("a WarmPool object must be addressed by name, as `{pool}/{shard}`".to_owned()),
    };
    // An instance that could not be loaded must not be kept: with the next call a new one looks again.
    let thrown_away = |error: StoreError| {
        let error = log::error_chain(&error);
        abort(state, &error);
        error
    };
    let (database, rows) = load_shard(state).map_err(thrown_away)?;
    let mut machine = Shard::load(id.clone(), rows, js::now());
    if let Some(plan) = plan_of_this_deploy(&machine, env) {
        let mut entropy = RuntimeEntropy;
        let mut fx = Effects::new(&mut entropy);
        machine.adopt(js::now(), plan, &mut fx);
        save_shard(&database, &fx.writes).map_err(thrown_away)?;
        for event in &fx.events {
            log::shard_event(&id, event);
        }
    }
    Ok(Loaded { id, machine: RefCell::new(machine), database })
}
