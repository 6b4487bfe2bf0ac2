//! A container that an id has.

use worker::{Env, Request, Response, Stub};

use super::error::Error;
use super::forward::{Parcel, Sent};
use crate::config::resolved::{BindingName, PoolName};
use crate::core::gateway::Destination;
use crate::core::id::{ContainerId, Epoch, SessionId, ShardIndex};
use crate::core::outcome::{Assignment, Outcome, Reason};

/// A container that an id has, at the time of the answer.
pub struct Container {
    env: Env,
    binding: BindingName,
    pool: PoolName,
    session: SessionId,
    assignment: Assignment,
}

impl Container {
    pub(super) fn new(
        env: Env,
        binding: BindingName,
        pool: PoolName,
        session: SessionId,
        assignment: &Assignment,
    ) -> Self {
        Self { env, binding, pool, session, assignment: assignment.clone() }
    }

    /// The container: its Durable Object has this name.
    pub fn id(&self) -> ContainerId {
        self.assignment.container
    }

    /// The epoch at which the id has it.
    pub fn epoch(&self) -> Epoch {
        self.assignment.epoch
    }

    /// How the id came by it.
    pub fn outcome(&self) -> Outcome {
        self.assignment.outcome
    }

    /// Why it is not the one before, or why it was not warm.
    pub fn reason(&self) -> Option<Reason> {
        self.assignment.reason
    }

    /// The shard that has it on its books.
    pub fn shard(&self) -> ShardIndex {
        self.assignment.shard
    }

    /// Whether it checks itself whom it serves: classes of this project do, classes of `@cloudflare/containers` do not.
    pub fn is_fenced(&self) -> bool {
        self.assignment.fenced
    }

    /// Sends a request to it, once. For requests that are sent again where that is safe and needed, see
    /// [`Pool::fetch`](super::Pool::fetch).
    ///
    /// # Errors
    ///
    /// [`Error::Fenced`] when the id has another container by now, [`Error::ContainerUnreachable`], [`Error::Http`].
    pub async fn fetch(&self, request: Request) -> Result<Response, Error> {
        let url = super::container_url(&request.inner().url());
        let request = Clone::clone(request.inner());
        let (parcel, _) = Parcel::pack(request, url).await.map_err(Error::Http)?;
        let to = Destination::from(&self.assignment);
        let container = to.container;
        match parcel.send(&self.env, &self.binding, &to, &self.pool, &self.session).await {
            Sent::Answered(answer) => Ok(answer.into_response(to.outcome, to.reason).map_err(Error::Http)?.into()),
            Sent::Fenced(refusal) => Err(Error::Fenced { container, refusal }),
            Sent::Failed(source) => Err(Error::ContainerUnreachable { container, source }),
            Sent::Unsendable(source) => Err(Error::Http(source)),
        }
    }

    /// A stub of its object, for calls of its own methods. A class of this project answers no plain request sent by it,
    /// for that carries neither pool nor id nor epoch; use [`Self::fetch`]. Make a new one after an error.
    ///
    /// # Errors
    ///
    /// [`Error::MissingBinding`].
    pub fn stub(&self) -> Result<Stub, Error> {
        let missing = |source| Error::missing_binding(&self.binding, source);
        self.env
            .durable_object(self.binding.as_str())
            .map_err(missing)?
            .get_by_name(&self.id().to_string())
            .map_err(missing)
    }
}
