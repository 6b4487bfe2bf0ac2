//! Asking the shard that owns an id, and going on to another when it says that another does.
//!
//! [`Owner`] decides; here is what it takes to carry that out.

use super::error::Error;
use super::isolate;
use super::pool::Pool;
use crate::config::resolved::Millis;
use crate::core::gateway::{Correction, Known, Owner};
use crate::core::id::{ContainerId, SessionId, ShardIndex};
use crate::core::outcome::{Assignment, Refusal, RefusalCode};
use crate::edge::js::CallError;
use crate::edge::rpc::ShardClient;
use crate::wire::shard::{AcquireReply, AcquireRequest};

/// How long a shard may take to tell its plan, or to take one, while a request waits.
const PLAN_DEADLINE: Millis = Millis::from_secs(5);

impl Pool {
    /// Asks the shard for the container of `id`.
    pub(crate) async fn acquire(&self, id: &SessionId, suspect: Option<ContainerId>) -> Result<Assignment, Error> {
        // Code with another shard count than is in force meets a second shard that has not heard of its settings.
        let mut told = None;
        let mut failed = false;
        let mut owner = self.owner(id);
        loop {
            let index = owner.shard();
            let code = self.question_of_code(index);
            let request = AcquireRequest { id: id.clone(), shards: Some(owner.shards().get()), suspect, code };
            let refusal = match self.shard(index).acquire(&request, self.acquire_timeout).await {
                Ok(AcquireReply::Assigned(assignment)) => {
                    self.heeded(index, request.code.as_ref());
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
            match (refusal.code, self.by_code.as_ref().or(self.fallback.as_ref())) {
                (RefusalCode::WrongShard, _) => self.correct_owner(&mut owner, refusal).await?,
                (RefusalCode::UnknownPool, Some(code)) if told != Some(index) => {
                    self.tell_first(code, index).await?;
                    told = Some(index);
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

    /// The shard that owns `id`, if all there is to say to it is the id: it is known to heed what the caller's code says.
    pub(crate) fn plain_shard(&self, id: &SessionId) -> Option<ShardIndex> {
        let index = self.owner(id).shard();
        self.question_of_code(index).is_none().then_some(index)
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

    /// A call threw, most likely because the object was restarted, and is repeated.
    fn once_more(&self, shard: ShardIndex, error: &str) {
        tracing::warn!(pool = %self.name, shard = shard.0, error, "a shard could not be reached; once more");
    }
}
