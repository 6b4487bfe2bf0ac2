//! Steps, writes, effects: in one synchronous function borrow, step, write, set the alarm, release; then carry out the
//! effects, each of which comes back as an input. So no borrow crosses an await, and nothing is done before it is written. A
//! write that fails throws the object away, to be built anew from what is stored.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Request, RequestInit, Response};
use worker::{Delay, Env, State};

use super::super::abort::{abort, rebuild};
use super::super::alarm::Alarm;
use super::super::background;
use super::super::container::MonitorEnd;
use super::super::js;
use super::super::rpc::ShardClient;
use super::process::Process;
use super::storage::{Storage, StorageError};
use crate::config::resolved::{Millis, PoolName};
use crate::core::agent::{
    Admission, Agent, Caller, Destruction, Effect, Input, LeaseAnswer, LeaseKey, ProbeResult, Reply, Save, SetupResult,
};
use crate::core::id::{ContainerId, ShardId};
use crate::core::sorted::Map;
use crate::wire::agent::{LeaseReply, LeaseRequest};
use crate::wire::shard::Forwarded;

/// The agent and what it acts on.
pub struct Driver {
    state: State,
    env: Env,
    storage: Storage,
    process: Process,
    agent: RefCell<Agent>,
    waiting: RefCell<Map<Caller, oneshot::Sender<Reply>>>,
    /// Requests that the container has not answered yet: they are let go when it ends, for its ports may stay open.
    unanswered: RefCell<Map<Caller, oneshot::Sender<Never>>>,
    next_caller: Cell<u64>,
    alarm: Alarm,
    outlook: Cell<Outlook>,
}

/// What is never sent: the end of the channel is the message.
enum Never {}

/// Whether the object goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outlook {
    Alive,
    /// It is about to be built anew: what it sees of the process means nothing any more.
    Ending,
    /// The same, and what it remembers is not what is stored: nothing must come of it.
    Broken,
}

impl Driver {
    /// Builds the agent from what is stored and takes up what was under way.
    ///
    /// # Errors
    ///
    /// When what is stored cannot be read.
    pub fn new(state: State, env: Env) -> Result<Rc<Self>, StorageError> {
        let storage = Storage::of(&state)?;
        // An instance that could not be loaded must not be kept: with the next call a new one looks again.
        let record = storage.read(RECORD).inspect_err(|error| abort(&state, &error.to_string()))?;
        let agent = Agent::new(record);
        let process = Process::of(&state, &env, &storage)?;
        let alarm = Alarm::of(&state);
        let driver = Rc::new(Self {
            state,
            env,
            storage,
            process,
            agent: RefCell::new(agent),
            waiting: RefCell::new(Map::new()),
            unanswered: RefCell::new(Map::new()),
            next_caller: Cell::new(0),
            alarm,
            outlook: Cell::new(Outlook::Alive),
        });
        let running = driver.process.running();
        driver.step(Input::Awoken { running });
        if running {
            driver.keep_beyond_object();
        }
        Ok(driver)
    }

    /// Takes in what happened, and carries out what follows.
    pub fn step(self: &Rc<Self>, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            if self.outlook.get() == Outlook::Broken {
                return;
            }
            match self.agent.try_borrow_mut() {
                Ok(mut agent) => {
                    agent.step(js::now(), input, &mut effects);
                    if let Err(error) = self.save(&mut agent) {
                        return self.give_up(&error.to_string());
                    }
                }
                Err(error) => return self.give_up(&error.to_string()),
            }
            inputs.extend(effects.into_iter().filter_map(|effect| self.carry_out(effect)));
        }
    }

    /// Asks the fence about a request. The answer to one that must wait comes from the receiver.
    pub fn admit(
        self: &Rc<Self>,
        pool: &PoolName,
        key: LeaseKey,
    ) -> Result<(Admission, Option<oneshot::Receiver<Reply>>), JsValue> {
        let caller = self.next_caller();
        let mut effects = Vec::new();
        let admission = {
            let mut agent = self.agent.try_borrow_mut().map_err(|error| js::js_error(&error.to_string()))?;
            agent.admit(js::now(), pool, key, caller, &mut effects)
        };
        let reply = match admission {
            Admission::Wait => Some(self.wait_as(caller)?),
            Admission::Serve | Admission::Refuse(_) => None,
        };
        for effect in effects {
            if let Some(input) = self.carry_out(effect) {
                self.step(input);
            }
        }
        Ok((admission, reply))
    }

    /// Takes in a question and waits for the answer to it.
    pub async fn ask(self: &Rc<Self>, question: impl FnOnce(Caller) -> Input) -> Result<Reply, JsValue> {
        let caller = self.next_caller();
        let reply = self.wait_as(caller)?;
        self.step(question(caller));
        reply.await.map_err(|_| js::js_error("The container's object was restarted; try again."))
    }

    /// Runs something on the machine that changes nothing.
    pub fn with<T>(&self, body: impl FnOnce(&Agent) -> T) -> Result<T, JsValue> {
        let agent = self.agent.try_borrow().map_err(|error| js::js_error(&error.to_string()))?;
        Ok(body(&agent))
    }

    /// The alarm rang.
    pub fn alarm_rang(self: &Rc<Self>) {
        self.alarm.rang();
        self.look();
        self.step(Input::Alarm);
        if self.outlook.get() == Outlook::Broken {
            // Nothing else may wake the object.
            self.alarm.retry();
        }
    }

    /// Notices a process that has ended without anybody saying so. Returns whether it did.
    pub fn look(self: &Rc<Self>) -> bool {
        let ended = self.is_missing();
        if ended {
            self.step(Input::FoundStopped { caller: None });
        }
        ended
    }

    /// Whether a process should run, and does not.
    pub fn is_missing(&self) -> bool {
        self.outlook.get() == Outlook::Alive
            && !self.process.running()
            && self.with(Agent::expects_process).unwrap_or(false)
    }

    /// Whether the object is about to be built anew.
    pub fn is_ending(&self) -> bool {
        self.outlook.get() != Outlook::Alive
    }

    /// Passes a request on to the port that serves, and waits for its answer as long as the container lives.
    pub async fn fetch(&self, request: &Request) -> Result<Response, JsValue> {
        let port = self.with(Agent::port)?.ok_or_else(|| js::js_error("no port is configured"))?;
        let answer = JsFuture::from(self.process.fetch(port, request)?);
        let (sender, ended) = oneshot::channel();
        let caller = self.next_caller();
        if let Ok(mut unanswered) = self.unanswered.try_borrow_mut() {
            unanswered.insert(caller, sender);
        }
        let answer = select(answer, ended).await;
        if let Ok(mut unanswered) = self.unanswered.try_borrow_mut() {
            unanswered.remove(&caller);
        }
        match answer {
            Either::Left((response, _)) => response?.dyn_into(),
            Either::Right(_) => Err(js::js_error("the container ended")),
        }
    }

    /// Does something in the background.
    pub fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        background::run_in(&self.state, work);
    }

    fn next_caller(&self) -> Caller {
        let caller = self.next_caller.get();
        self.next_caller.set(caller.wrapping_add(1));
        Caller(caller)
    }

    fn wait_as(&self, caller: Caller) -> Result<oneshot::Receiver<Reply>, JsValue> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.try_borrow_mut().map_err(|error| js::js_error(&error.to_string()))?;
        waiting.insert(caller, sender);
        Ok(receiver)
    }

    /// Throws the object away: what it remembers is not what is stored.
    fn give_up(&self, reason: &str) {
        self.outlook.set(Outlook::Broken);
        abort(&self.state, reason);
    }

    /// Writes what changed.
    fn save(&self, agent: &mut Agent) -> Result<(), StorageError> {
        let untouched = agent.record().is_none() && agent.next_alarm().is_none();
        match agent.unsaved() {
            // An object that was never used leaves no trace, not even of an alarm that is taken away.
            None if untouched => return Ok(()),
            None => {}
            Some(Save::Write(record)) => self.storage.write(RECORD, record)?,
            Some(Save::Erase) => {
                let erased = self.storage.erase()?;
                self.spawn(async move {
                    JsFuture::from(erased).await.ok();
                });
            }
        }
        self.alarm.set(agent.next_alarm());
        Ok(())
    }

    /// Does it, or begins to. What can be told at once is returned.
    fn carry_out(self: &Rc<Self>, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Start(orders) => match self.process.start(&orders) {
                Ok(()) => self.keep_beyond_object(),
                Err(message) => return Some(Input::StartThrew(message)),
            },
            Effect::Terminate => self.process.terminate(),
            Effect::Reply { caller, reply } => {
                let waiting = self.waiting.try_borrow_mut().ok().and_then(|mut waiting| waiting.remove(&caller));
                if let Some(waiting) = waiting {
                    // Who has gone away does not mind.
                    waiting.send(reply).ok();
                }
            }
            Effect::Monitor => {
                let driver = Rc::clone(self);
                self.then(|process| async move {
                    let end = process.monitor().await;
                    driver.let_go();
                    match end {
                        MonitorEnd::Exited(code) => Input::Exited { code: Some(code), message: None },
                        MonitorEnd::Lost(message) => Input::MonitorLost(message),
                    }
                });
            }
            Effect::Probe { port, path, after, within } => self.then(move |process| async move {
                pause(after).await;
                Input::Probed(probe(&process, port, path.as_deref().unwrap_or("/"), within).await)
            }),
            Effect::SetUp { port, setup } => self.then(move |process| async move {
                let answer = request(&process, port, &setup.method, &setup.path, setup.timeout).await;
                Input::SetUp(match answer {
                    Answer::Status(status) => SetupResult::Status(status),
                    Answer::Late => SetupResult::TimedOut,
                    Answer::Failed(message) => SetupResult::Failed(message),
                })
            }),
            Effect::Destroy => self.then(|process| async move { Input::Destroyed(destroy(&process).await) }),
            Effect::Report { owner, container } => {
                let env = self.env.clone();
                self.then(move |_| async move { Input::Reported(report(&env, &owner, container).await) });
            }
            Effect::AskLease { owner, container, key, asked_at } => {
                let env = self.env.clone();
                self.then(move |_| async move {
                    let answer = ask_lease(&env, &owner, container, &key).await;
                    Input::LeaseAnswered { key, asked_at, answer }
                });
            }
            Effect::Rebuild => self.look_anew(),
        }
        None
    }

    /// Begins something whose result is an input.
    fn then<F: Future<Output = Input> + 'static>(self: &Rc<Self>, begin: impl FnOnce(Process) -> F) {
        let driver = Rc::clone(self);
        let work = begin(self.process.clone());
        self.spawn(async move { driver.step(work.await) });
    }

    /// Lets the container live on while the object sleeps or is replaced, until it would have gone to sleep itself.
    fn keep_beyond_object(&self) {
        let orders = self.with(|agent| agent.record().and_then(|record| record.orders.clone()));
        if let Ok(Some(orders)) = orders {
            let process = self.process.clone();
            let longest = Millis(orders.sleep_after.0 + orders.drain_timeout.0 + OUTLIVES_BY.0);
            self.spawn(async move { process.outlive(longest).await });
        }
    }

    /// Lets those go who wait for a container that has ended.
    fn let_go(&self) {
        if let Ok(mut unanswered) = self.unanswered.try_borrow_mut() {
            unanswered.clear();
        }
    }

    fn look_anew(self: &Rc<Self>) {
        if self.is_ending() {
            return;
        }
        self.outlook.set(Outlook::Ending);
        let driver = Rc::clone(self);
        self.spawn(async move {
            driver.storage.flush().await;
            rebuild(&driver.state, "it looks at its container anew");
        });
    }
}

async fn pause(millis: Millis) {
    if millis.0 > 0 {
        Delay::from(Duration::from_millis(millis.0)).await;
    }
}

/// An answer is only believed while the process runs: an engine may have started it again after it ended.
async fn probe(process: &Process, port: u16, path: &str, within: Millis) -> ProbeResult {
    if !process.running() {
        return ProbeResult::NotRunning;
    }
    match request(process, port, "GET", path, within).await {
        _ if !process.running() => ProbeResult::NotRunning,
        Answer::Status(status) => ProbeResult::Status(status),
        Answer::Late | Answer::Failed(_) => ProbeResult::NoAnswer,
    }
}

enum Answer {
    Status(u16),
    Late,
    Failed(String),
}

/// A request of the agent's own, given up after a time.
async fn request(process: &Process, port: u16, method: &str, path: &str, within: Millis) -> Answer {
    let answer = async {
        let abort = AbortController::new()?;
        let init = RequestInit::new();
        init.set_method(method);
        init.set_signal(Some(&abort.signal()));
        // A redirect is an answer; whither it leads is not for the agent to see.
        init.set_redirect(web_sys::RequestRedirect::Manual);
        let request = Request::new_with_str_and_init(&format!("http://container{path}"), &init)?;
        let sent = JsFuture::from(process.fetch(port, &request)?);
        match select(sent, std::pin::pin!(pause(within))).await {
            Either::Left((answer, _)) => {
                let response: Response = answer?.dyn_into()?;
                if let Some(body) = response.body() {
                    JsFuture::from(body.cancel()).await.ok();
                }
                Ok(Answer::Status(response.status()))
            }
            Either::Right(((), _)) => {
                abort.abort();
                Ok(Answer::Late)
            }
        }
    };
    answer.await.unwrap_or_else(|error: JsValue| Answer::Failed(js::error_text(&error)))
}

async fn destroy(process: &Process) -> Result<Destruction, String> {
    let destroyed = std::pin::pin!(process.destroy());
    match select(destroyed, std::pin::pin!(pause(DESTROY_DEADLINE))).await {
        Either::Left((result, _)) => result,
        Either::Right(((), _)) => Err(format!("it did not end within {} ms", DESTROY_DEADLINE.0)),
    }
}

async fn report(env: &Env, owner: &ShardId, container: ContainerId) -> Result<(), String> {
    // A shard that has it no more has heard of its end already, or has handed it over just now: no other need be asked.
    let heard = owner_of(env, owner).pass_on_stopped(&container.to_string(), Forwarded::ToOwner).await;
    heard.map(drop).map_err(|error| {
        tracing::warn!(%owner, %error, "the end of a container could not be reported; it will be tried again");
        error.to_string()
    })
}

async fn ask_lease(env: &Env, owner: &ShardId, container: ContainerId, key: &LeaseKey) -> LeaseAnswer {
    let question = LeaseRequest { container, session: key.session.clone(), epoch: key.epoch };
    match owner_of(env, owner).confirm_lease(&question).await {
        Ok(LeaseReply::Granted(ttl)) => LeaseAnswer::Granted(ttl),
        Ok(LeaseReply::Denied) => LeaseAnswer::Denied,
        Ok(LeaseReply::Elsewhere(shard)) => LeaseAnswer::Elsewhere(shard),
        Err(error) => {
            tracing::warn!(%owner, %error, "a lease could not be confirmed");
            LeaseAnswer::Failed
        }
    }
}

fn owner_of<'e>(env: &'e Env, owner: &ShardId) -> ShardClient<'e> {
    ShardClient::new(env, owner.clone()).within(OWNER_DEADLINE)
}

/// The key of the agent's record.
const RECORD: &str = "agent";
/// How long a call to the owner may take.
const OWNER_DEADLINE: Millis = Millis::from_secs(10);
/// How long one attempt to destroy may take; the machine thinks one lost after 20 s.
const DESTROY_DEADLINE: Millis = Millis::from_secs(15);
/// What is added to `sleep_after` and `drain_timeout`: the alarm that ends an idle container may be a minute late.
const OUTLIVES_BY: Millis = Millis::from_secs(90);
