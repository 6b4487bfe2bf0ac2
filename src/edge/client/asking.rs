//! Asking the shard that owns an id, and going on to another when it says that another does.
//!
//! [`Owner`] decides; here is what it takes to carry that out.

use futures::future::join_all;

use super::error::Error;
use super::isolate;
use super::pool::Pool;
use crate::config::resolved::{self, Millis};
use crate::core::gateway::{Correction, Known, Owner};
use crate::core::id::{ContainerId, SessionId, ShardIndex};
use crate::core::outcome::{Assignment, Refusal, RefusalCode};
use crate::core::plan::{Plan, PlanVersion};
use crate::edge::background;
use crate::edge::bundled::bundled;
use crate::edge::js::CallError;
use crate::edge::rpc::ShardClient;
use crate::wire::shard::{AcquireReply, AcquireRequest};

/// How long a shard may take to tell its plan, or to take one, while a request waits.
const PLAN_DEADLINE: Millis = Millis::from_secs(5);

impl Pool {
    /// Asks the shard for the container of `id`.
    pub(crate) async fn acquire(&self, id: &SessionId, suspect: Option<ContainerId>) -> Result<Assignment, Error> {
        self.tell_shards();
        let mut told = false;
        let mut failed = false;
        let mut owner = self.owner(id);
        loop {
            let index = owner.shard();
            let request = AcquireRequest { id: id.clone(), shards: Some(owner.shards().get()), suspect };
            let refusal = match self.shard(index).acquire(&request, self.acquire_timeout).await {
                Ok(AcquireReply::Assigned(assignment)) => {
                    if let Some(binding) = &assignment.binding {
                        isolate::note_fence(&self.env, binding, assignment.fenced);
                    }
                    return Ok(assignment);
                }
                Ok(AcquireReply::Refused(refusal)) | Err(CallError::Refused(refusal)) => refusal,
                // Asking twice gives no second container.
                Err(CallError::Threw(error)) if !failed => {
                    self.once_more(index, &error);
                    failed = true;
                    continue;
                }
                Err(error) => return Err(self.failed(error)),
            };
            match (refusal.code, &self.by_code) {
                (RefusalCode::WrongShard, _) => self.correct_owner(&mut owner, refusal).await?,
                (RefusalCode::UnknownPool, Some(settings)) if !told => {
                    let tell = self.shard(index).configure(&self.plan_by_code(settings, index)).await;
                    tell.map_err(|error| self.failed(error))?;
                    told = true;
                }
                (
                    RefusalCode::AtCapacity
                    | RefusalCode::Timeout
                    | RefusalCode::StartFailed
                    | RefusalCode::Overloaded
                    | RefusalCode::UnknownPool,
                    _,
                ) => return Err(Error::Refused(refusal)),
            }
        }
    }

    /// Calls the shard that owns `id`, and another when it says that another does. A call that throws is repeated once: what is
    /// called here may be.
    pub(super) async fn at_owner<T>(
        &self,
        id: &SessionId,
        call: impl AsyncFn(&ShardClient<'_>) -> Result<T, CallError>,
    ) -> Result<T, Error> {
        let mut failed = false;
        let mut owner = self.owner(id);
        loop {
            let index = owner.shard();
            match call(&self.shard(index)).await {
                Ok(answer) => return Ok(answer),
                Err(CallError::Refused(refusal)) if refusal.code == RefusalCode::WrongShard => {
                    self.correct_owner(&mut owner, refusal).await?;
                }
                Err(CallError::Threw(error)) if !failed => {
                    self.once_more(index, &error);
                    failed = true;
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    fn owner(&self, id: &SessionId) -> Owner {
        // What code states is in no configuration.
        let known = isolate::known_shards(&self.env, &self.name).filter(|_| self.by_code.is_none());
        Owner::new(self.name.clone(), id.clone(), known.unwrap_or_else(|| Known::guess(self.shards)))
    }

    /// Does what makes the owner worth asking again: learns from the shard that has refused, or tells it what it does not know.
    async fn correct_owner(&self, owner: &mut Owner, refusal: Refusal) -> Result<(), Error> {
        let own = |index| isolate::plan_for(&self.env, &self.name, index).filter(|_| self.by_code.is_none());
        let mut correction = owner.refused(&refusal, own);
        loop {
            if self.by_code.is_none() {
                isolate::correct_shards(&self.env, &self.name, owner.known());
            }
            match correction {
                Correction::AskAgain => return Ok(()),
                Correction::HandOver { to, plan } => {
                    if let Err(error) = self.shard(to).within(PLAN_DEADLINE).configure(&plan).await {
                        tracing::warn!(pool = %self.name, shard = to.0, %error, "a shard that is behind could not be told the plan");
                    }
                    return Ok(());
                }
                Correction::Fetch(from) => {
                    let plan = self.shard(from).within(PLAN_DEADLINE).plan().await.unwrap_or_else(|error| {
                        tracing::warn!(pool = %self.name, shard = from.0, %error, "a shard could not be asked for its plan");
                        None
                    });
                    correction = owner.fetched(plan.as_ref());
                }
                Correction::GiveUp => return Err(Error::Refused(refusal)),
            }
        }
    }

    /// Tells the shards of a pool configured by code its settings, once in an isolate's life (again when that fails) and in
    /// the background: so a deploy with other settings reaches them.
    pub(super) fn tell_shards(&self) {
        if self.by_code.is_none() || !isolate::must_tell(&self.env, &self.name) {
            return;
        }
        let pool = self.clone();
        background::run(async move {
            let Some(settings) = &pool.by_code else { return };
            let tells = pool.all_shards().map(|index| {
                let (pool, plan) = (&pool, pool.plan_by_code(settings, index));
                async move { pool.shard(index).configure(&plan).await }
            });
            let mut result = Ok(());
            for error in join_all(tells).await.into_iter().filter_map(Result::err) {
                // One that never heard of the pool says so when it is asked for a container.
                tracing::warn!(pool = %pool.name, %error, "a shard could not be told its configuration");
                result = Err(error);
            }
            isolate::told(&pool.env, &pool.name, result);
        });
    }

    fn plan_by_code(&self, settings: &resolved::Pool, index: ShardIndex) -> Plan {
        let version = PlanVersion { version: 0, stamp: bundled(&self.env).stamp };
        Plan::fixed(version, settings.clone(), settings.max_instances, index)
    }

    /// A call threw, most likely because the object was restarted, and is repeated.
    fn once_more(&self, shard: ShardIndex, error: &str) {
        tracing::warn!(pool = %self.name, shard = shard.0, error, "a shard could not be reached; once more");
    }
}
