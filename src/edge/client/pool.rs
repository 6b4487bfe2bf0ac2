//! One pool, for callers.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use futures::future::{Either, select};
use serde_json::Value;
use web_sys::Request;
use worker::Env;

use super::code::ByCode;
use super::container::Container;
use super::error::Error;
use super::forward::{Parcel, Sent};
use super::isolate;
use crate::config::resolved::{self, BindingName, Millis, PoolName, Prices, ShardCount};
use crate::core::agent::Refusal as FenceRefusal;
use crate::core::gateway::hint::Correction;
use crate::core::gateway::{Denial, DenialCode, Destination, Dispatch, Next, Replay, Sticky, hint};
use crate::core::id::{ContainerId, SessionId, ShardId, ShardIndex};
use crate::core::outcome::{Assignment, Outcome};
use crate::core::plan::Plan;
use crate::core::stats::{MergedStats, Terms, merge};
use crate::edge::background;
use crate::edge::bundled::bundled;
use crate::edge::join::join_all;
use crate::edge::js::CallError;
use crate::edge::kv_cache::KvCache;
use crate::edge::rpc::{CoordinatorClient, ShardClient, acquire_deadline};

/// One pool. Cheap to make and to clone; for one request, or for as long as its configuration is to hold.
#[derive(Clone)]
pub struct Pool {
    pub(super) env: Env,
    pub(super) name: PoolName,
    container: BindingName,
    id_cache: Option<BindingName>,
    pub(super) acquire_timeout: Millis,
    pub(super) shards: ShardCount,
    /// The settings of a pool that no configuration has, to be told to its shards.
    pub(super) by_code: Option<Rc<ByCode>>,
    /// The settings of a pool that a configuration has, in the code of the Worker: for shards that have not heard of it.
    pub(super) fallback: Option<Rc<ByCode>>,
}

impl Pool {
    pub(super) fn configured(env: &Env, name: &PoolName, settings: &resolved::Pool) -> Self {
        Self {
            env: env.clone(),
            name: name.clone(),
            container: settings.container.clone(),
            id_cache: settings.id_cache.clone(),
            acquire_timeout: settings.acquire_timeout,
            shards: settings.shards,
            by_code: None,
            fallback: None,
        }
    }

    pub(super) fn by_code(env: &Env, name: &PoolName, code: ByCode) -> Self {
        let pool = Self::configured(env, name, &code.settings);
        Self { by_code: Some(Rc::new(code)), ..pool }
    }

    /// A pool of the configuration that the Worker has in its code. A coordinator puts that in force; shards that have not heard
    /// of it by then are told here.
    pub(super) fn in_code(self, code: Rc<ByCode>, has_coordinator: bool) -> Self {
        match has_coordinator {
            true => Self { fallback: Some(code), ..self },
            false => Self { by_code: Some(code), ..self },
        }
    }

    /// The binding of the container class.
    pub(crate) fn binding(&self) -> &BindingName {
        &self.container
    }

    /// The pool's name.
    pub fn name(&self) -> &PoolName {
        &self.name
    }

    /// The container of `id`. An id without one gets one: a warm one, or else one that starts for it.
    ///
    /// The shard that has the id lets its caller wait for at most `acquire_timeout`, and is given up when it has said nothing
    /// 10 s after that. Most calls ask one shard once. A call that threw is repeated once; and while the shard count changes, the
    /// caller may be sent on six times all in all. Before each of these it may have to tell a shard of the change (5 s at most),
    /// and to ask another for the plan first (5 s more). (A shard of a pool configured by code may have to be told its settings
    /// first: 15 s at most, and one wait more.)
    ///
    /// ```
    /// # async fn example(pool: cf_warm_pools::client::Pool, request: worker::Request) -> Result<worker::Response, cf_warm_pools::client::Error> {
    /// let container = pool.get_container("alice").await?;
    /// container.fetch(request).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BadId`], [`Error::Refused`], [`Error::PoolUnreachable`].
    pub async fn get_container(&self, id: &str) -> Result<Container, Error> {
        let id = SessionId::from_caller(id)?;
        let assignment = self.acquire(&id, None).await?;
        Ok(self.container(id, &assignment))
    }

    /// The container of `id`, if it has one; gives it none.
    ///
    /// # Errors
    ///
    /// [`Error::BadId`], [`Error::Refused`], [`Error::PoolUnreachable`].
    pub async fn lookup(&self, id: &str) -> Result<Option<Container>, Error> {
        let id = SessionId::from_caller(id)?;
        let assignment = self.find(&id).await?;
        Ok(assignment.map(|assignment| self.container(id, &assignment)))
    }

    /// What [`Self::lookup`] finds.
    pub(crate) async fn find(&self, id: &SessionId) -> Result<Option<Assignment>, Error> {
        self.at_owner(id, async |shard| shard.lookup(id).await).await
    }

    /// Ends the mapping of `id`: its container is stopped, and the next call gives it another. Returns whether it had one; when
    /// the first answer was lost and the shard asked again, that may be false though this very call has ended it.
    ///
    /// # Errors
    ///
    /// [`Error::BadId`], [`Error::Refused`], [`Error::PoolUnreachable`].
    pub async fn release(&self, id: &str) -> Result<bool, Error> {
        self.release_id(&SessionId::from_caller(id)?).await
    }

    /// [`Self::release`] of an id that was already read.
    pub(crate) async fn release_id(&self, id: &SessionId) -> Result<bool, Error> {
        let had_one = self.at_owner(id, async |shard| shard.release(id).await).await?;
        isolate::forget_id(&self.env, &self.name, id);
        if let Some(cache) = self.kv_cache() {
            let key = hint::key(&self.name, id);
            background::run(async move { cache.forget(&key).await });
        }
        Ok(had_one)
    }

    /// Sends `request` to the container of `id`, and again where that is safe and needed: after a container has changed
    /// hands or ended. Faster than [`Self::get_container`] for an id that this isolate has seen before, for then its
    /// shard is not asked. The URL of the request is passed on as it is.
    ///
    /// ```
    /// # async fn example(pool: cf_warm_pools::client::Pool, request: worker::Request) -> Result<worker::Response, cf_warm_pools::client::Error> {
    /// pool.fetch("alice", request).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BadId`], [`Error::Refused`], [`Error::PoolUnreachable`], or [`Error::Denied`] when the container could not
    /// be reached.
    pub async fn fetch(&self, id: &str, request: worker::Request) -> Result<worker::Response, Error> {
        let id = SessionId::from_caller(id)?;
        let url = super::container_url(&request.inner().url());
        let request = Clone::clone(request.inner());
        Ok(self.dispatch(&id, request, url).await?.into())
    }

    /// The pool's containers and what happened to them, over all shards.
    ///
    /// # Errors
    ///
    /// [`Error::PoolUnreachable`]. A shard that does not answer is listed as missing instead.
    pub async fn stats(&self) -> Result<MergedStats, Error> {
        if let Some(code) = &self.by_code {
            let (answers, plan) = self.stats_by_code(code).await?;
            let settings = plan.as_ref().map_or(&code.settings, |plan| &plan.pool);
            return Ok(merge(Terms { pool: settings, prices: &self.prices() }, answers));
        }
        let stats = CoordinatorClient::new(&self.env).pool_stats(&self.name).await;
        let stats = stats.map_err(|error| self.failed(error))?;
        stats.ok_or_else(|| Error::UnknownPool { name: self.name.to_string(), nearest: None })
    }

    /// What the configuration says that this Worker has brought along.
    fn prices(&self) -> Prices {
        bundled(&self.env).config.prices
    }

    /// The same as the admin API has it, with the pool's name and configuration.
    pub(crate) async fn stats_document(&self) -> Result<Value, Error> {
        let Some(code) = &self.by_code else {
            let stats = CoordinatorClient::new(&self.env).stats_of(&self.name).await;
            let stats = stats.map_err(|error| self.failed(error))?;
            return stats.ok_or_else(|| Error::UnknownPool { name: self.name.to_string(), nearest: None });
        };
        let (answers, plan) = self.stats_by_code(code).await?;
        // The settings in force: the caller may have others.
        let settings = plan.as_ref().map_or(&code.settings, |plan| &plan.pool);
        let terms = Terms { pool: settings, prices: &self.prices() };
        let document = merge(terms, answers).document(&self.name, settings);
        Ok(document.map_err(|error| self.failed(CallError::Threw(error.to_string())))?.into())
    }

    /// Replaces every container that is not assigned, as after a change of what they were started from. Returns how many
    /// there were.
    ///
    /// # Errors
    ///
    /// [`Error::PoolUnreachable`]: some shards may have done it.
    pub async fn shutdown_prewarmed(&self) -> Result<u32, Error> {
        if self.by_code.is_none() {
            let count = CoordinatorClient::new(&self.env).shutdown_prewarmed(&self.name).await;
            return count.map_err(|error| self.failed(error));
        }
        let plan = self.plan_in_force().await;
        let shards = self.all_shards(plan.as_ref());
        let counts = join_all(shards.map(|index| async move { self.shard(index).shutdown_prewarmed().await }));
        let counts: Vec<u32> =
            counts.await.into_iter().collect::<Result<_, _>>().map_err(|error| self.failed(error))?;
        Ok(counts.into_iter().fold(0, u32::saturating_add))
    }

    /// Tells the pool that a container has stopped, named by its UUID or by its object's hex id. Classes of this project
    /// do that themselves. Returns whether the pool had it.
    ///
    /// # Errors
    ///
    /// [`Error::PoolUnreachable`].
    pub async fn report_stopped(&self, container: &str) -> Result<bool, Error> {
        self.shard(ShardIndex(0)).report_stopped(container).await.map_err(|error| self.failed(error))
    }

    /// Sends a request to the container of `id`: see [`Dispatch`].
    pub(crate) async fn dispatch(
        &self,
        id: &SessionId,
        request: Request,
        url: String,
    ) -> Result<web_sys::Response, Error> {
        let method = request.method();
        let is_empty = || request.headers().get("content-length").is_ok_and(|length| length.as_deref() == Some("0"));
        if matches!(method.as_str(), "GET" | "HEAD") && request.body().is_some() && !is_empty() {
            let message = format!("a {method} with a body cannot be passed on: send it without one, or as a POST");
            return Err(Error::Denied(Denial::new(DenialCode::BodyNotAllowed, message)));
        }
        let parcel = Parcel::pack(request, url).await.map_err(Error::Http)?;
        let known = isolate::remembered(&self.env, &self.name, &self.container, id);
        let (way, next) = Dispatch::new(parcel.1, known);
        self.go_on(id, parcel, known, way, next).await
    }

    /// Goes on with a request that was sent to the container which was `known` of `id`, and not served.
    pub(crate) async fn resume(
        &self,
        id: &SessionId,
        parcel: (Parcel, Replay),
        known: Sticky,
        sent: Sent,
    ) -> Result<web_sys::Response, Error> {
        let (mut way, next) = Dispatch::new(parcel.1, Some(known));
        let next = match sent {
            Sent::Fenced(why) => self.fenced(id, &mut way, known.container, why),
            Sent::Failed(error) => self.unreachable(id, &mut way, known.container, &error),
            Sent::Answered(_) | Sent::Unsendable(_) => next,
        };
        self.go_on(id, parcel, Some(known), way, next).await
    }

    async fn go_on(
        &self,
        id: &SessionId,
        (parcel, replay): (Parcel, Replay),
        known: Option<Sticky>,
        mut way: Dispatch,
        mut next: Next,
    ) -> Result<web_sys::Response, Error> {
        let mut may_hint = known.is_none() && replay == Replay::Anytime;
        let mut tried: Option<Tried> = None;
        loop {
            next = match next {
                Next::Ask { suspect } => {
                    let asked = match tried.take() {
                        Some(tried) => Asked::Answer(self.after_wrong_hint(id, tried).await),
                        None => self.ask(id, suspect, std::mem::take(&mut may_hint)).await,
                    };
                    match asked {
                        Asked::Answer(Ok(assignment)) => way.assigned(&assignment),
                        Asked::Answer(Err(Error::Refused(refusal))) => way.refused(&refusal),
                        Asked::Answer(Err(error)) => return Err(error),
                        Asked::Hint(hint) => {
                            let next = way.hinted(hint.hint).unwrap_or(Next::Ask { suspect: None });
                            tried = Some(hint);
                            next
                        }
                    }
                }
                Next::Send(to) => {
                    match parcel.send(&self.env, to.binding(&self.container), &to, &self.name, id).await {
                        Sent::Answered(answer) => {
                            self.served(id, &to, known, tried);
                            return answer.into_response(to.outcome, to.reason).map_err(Error::Http);
                        }
                        Sent::Fenced(why) => self.fenced(id, &mut way, to.container, why),
                        Sent::Failed(error) => self.unreachable(id, &mut way, to.container, &error),
                        Sent::Unsendable(error) => return Err(Error::Http(error)),
                    }
                }
                Next::Refuse(denial) => return Err(Error::Denied(denial)),
            };
        }
    }

    fn fenced(&self, id: &SessionId, way: &mut Dispatch, by: ContainerId, why: FenceRefusal) -> Next {
        isolate::forget(&self.env, &self.name, id, by);
        way.fenced(why)
    }

    fn unreachable(&self, id: &SessionId, way: &mut Dispatch, container: ContainerId, error: &CallError) -> Next {
        isolate::forget(&self.env, &self.name, id, container);
        tracing::warn!(pool = %self.name, %container, %error, "a container could not be reached");
        way.unreachable()
    }

    /// Remembers who served, for the next request.
    fn served(&self, id: &SessionId, by: &Destination, known: Option<Sticky>, tried: Option<Tried>) {
        match by.sticky(&self.container) {
            Some(sticky) if known != Some(sticky) => self.remember(id, sticky),
            Some(_) | None => {}
        }
        let Some(Tried { hint, question }) = tried else { return };
        // The hint was right before the shard had answered; its answer is the better memory.
        let (pool, id) = (self.clone(), id.clone());
        background::run(async move {
            let Ok(assignment) = question.await else { return };
            let sticky = pool.sticky(&assignment);
            if let Some(sticky) = sticky {
                pool.remember(&id, sticky);
            }
            pool.correct(&id, hint, sticky).await;
        });
    }

    /// The shard's answer, after a hint has led to nobody who serves the id.
    async fn after_wrong_hint(&self, id: &SessionId, tried: Tried) -> Result<Assignment, Error> {
        let Tried { hint, question } = tried;
        let assignment = question.await?;
        let (pool, id, sticky) = (self.clone(), id.clone(), self.sticky(&assignment));
        background::run(async move { pool.correct(&id, hint, sticky).await });
        Ok(assignment)
    }

    /// Mends a hint that was tried, now that the shard has said what `id` has.
    async fn correct(&self, id: &SessionId, tried: Sticky, answer: Option<Sticky>) {
        let Some(cache) = self.kv_cache() else { return };
        let key = hint::key(&self.name, id);
        match hint::correction(tried, answer) {
            Some(Correction::Write(sticky)) => cache.write(&key, sticky).await,
            Some(Correction::Forget) => cache.forget(&key).await,
            None => {}
        }
    }

    /// Asks the shard, and beside it the id cache when a hint would be of use.
    async fn ask(&self, id: &SessionId, suspect: Option<ContainerId>, may_hint: bool) -> Asked {
        let Some(cache) = self.kv_cache() else { return Asked::Answer(self.acquire(id, suspect).await) };
        let key = hint::key(&self.name, id);
        if !may_hint || suspect.is_some() || !isolate::has_fence(&self.env, &self.container) {
            let answer = self.acquire(id, suspect).await;
            self.write_hint(id, cache, key, &answer);
            return Asked::Answer(answer);
        }
        let (pool, asked_for) = (self.clone(), id.clone());
        let question: Question = Box::pin(async move { pool.acquire(&asked_for, None).await });
        let reading = {
            let (cache, key) = (cache.clone(), key.clone());
            Box::pin(async move { cache.read(&key).await })
        };
        match select(question, reading).await {
            Either::Left((answer, reading)) => {
                let sticky = answer.as_ref().ok().and_then(|assignment| self.sticky(assignment));
                let Some(sticky) = sticky else { return Asked::Answer(answer) };
                background::run(async move {
                    if reading.await != Some(sticky) {
                        cache.write(&key, sticky).await;
                    }
                });
                Asked::Answer(answer)
            }
            Either::Right((Some(hint), question)) => Asked::Hint(Tried { hint, question }),
            Either::Right((None, question)) => {
                let answer = question.await;
                self.write_hint(id, cache, key, &answer);
                Asked::Answer(answer)
            }
        }
    }

    /// Writes a hint that is new, as far as this isolate knows: KV takes one write a second for a key.
    fn write_hint(&self, id: &SessionId, cache: KvCache, key: String, answer: &Result<Assignment, Error>) {
        let Ok(assignment) = answer else { return };
        let Some(sticky) = self.sticky(assignment) else { return };
        let known = isolate::remembered(&self.env, &self.name, &self.container, id);
        if assignment.outcome != Outcome::Sticky || known != Some(sticky) {
            background::run(async move { cache.write(&key, sticky).await });
        }
    }

    fn kv_cache(&self) -> Option<KvCache> {
        KvCache::open(&self.env, self.id_cache.as_ref()?)
    }

    /// What may be remembered of an assignment.
    fn sticky(&self, assignment: &Assignment) -> Option<Sticky> {
        Destination::from(assignment).sticky(&self.container)
    }

    fn remember(&self, id: &SessionId, sticky: Sticky) {
        isolate::remember(&self.env, &self.name, &self.container, id, sticky);
    }

    pub(crate) fn container(&self, id: SessionId, assignment: &Assignment) -> Container {
        // One that is not told comes from a shard of older code: then this is the best guess.
        let binding = assignment.binding.as_ref().unwrap_or(&self.container).clone();
        Container::new(self.env.clone(), binding, self.name.clone(), id, assignment)
    }

    /// The shards of the plan in force; while there is none, of the caller's settings.
    pub(super) fn all_shards(&self, plan: Option<&Plan>) -> impl Iterator<Item = ShardIndex> + use<> {
        (0..plan.map_or(self.shards.get(), Plan::taking_part)).map(ShardIndex)
    }

    pub(crate) fn shard(&self, index: ShardIndex) -> ShardClient<'_> {
        ShardClient::new(&self.env, ShardId { pool: self.name.clone(), index })
    }

    /// How long to wait for the shard's answer to a question for a container.
    pub(crate) fn acquire_deadline(&self) -> Millis {
        acquire_deadline(self.acquire_timeout)
    }

    /// A call that gave no answer: it was refused, or nothing is known of it.
    pub(crate) fn failed(&self, source: CallError) -> Error {
        if let CallError::Refused(refusal) = source {
            return Error::Refused(refusal);
        }
        tracing::warn!(pool = %self.name, error = %source, "a pool could not be reached");
        Error::PoolUnreachable { pool: self.name.clone(), source }
    }
}

type Question = Pin<Box<dyn Future<Output = Result<Assignment, Error>>>>;

enum Asked {
    /// The shard answered.
    Answer(Result<Assignment, Error>),
    /// The id cache did first.
    Hint(Tried),
}

/// A hint that is tried while the question to the shard is still open.
struct Tried {
    hint: Sticky,
    question: Question,
}
