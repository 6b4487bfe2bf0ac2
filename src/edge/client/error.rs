//! What can go wrong for a caller, and what to do about it.

use crate::config::ConfigErrors;
use crate::config::resolved::{BindingName, PoolName};
use crate::core::agent::Refusal as FenceRefusal;
use crate::core::gateway::{Denial, DenialCode};
use crate::core::id::{ContainerId, SessionIdError};
use crate::core::outcome::{Refusal, RefusalCode};
use crate::edge::js::CallError;

/// Why a caller did not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Worker lacks a binding: add it to `wrangler.jsonc`.
    #[error("the Worker has no Durable Object binding `{binding}`: add it to wrangler.jsonc")]
    MissingBinding {
        /// The binding.
        binding: String,
        /// What the runtime says.
        #[source]
        source: worker::Error,
    },
    /// The configuration has no such pool: correct the name, or add the pool.
    #[error("the configuration has no pool {name:?}{}", nearest.as_ref().map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default())]
    UnknownPool {
        /// The name asked for.
        name: String,
        /// The name that comes nearest.
        nearest: Option<PoolName>,
    },
    /// The options of a pool configured by code are not valid: correct what is listed.
    #[error("the pool's options are not valid")]
    Options(#[source] ConfigErrors),
    /// The Worker that has the pools has no binding to the container class, or more than one.
    #[error("the pool {pool} cannot have its containers: {message}")]
    Class {
        /// The pool.
        pool: PoolName,
        /// What to mend.
        message: String,
    },
    /// The id cannot be one: see [`SessionId`](crate::core::id::SessionId).
    #[error("the id cannot be used")]
    BadId(#[from] SessionIdError),
    /// The shard gave no container; its code and message say why, and after how long to try again.
    #[error("no container: {}", .0.message)]
    Refused(Refusal),
    /// A shard or the coordinator could not be reached. Whether the call arrived is not known; all of them may be repeated.
    #[error("the pool {pool} could not be reached")]
    PoolUnreachable {
        /// The pool.
        pool: PoolName,
        /// What the call said.
        #[source]
        source: CallError,
    },
    /// The container turned the request away, of which nothing has reached it: get the id's container again.
    #[error("the container {container} does not serve this id (any more)")]
    Fenced {
        /// The container.
        container: ContainerId,
        /// Why.
        refusal: FenceRefusal,
    },
    /// The call to the container failed. It may have arrived.
    #[error("the container {container} could not be reached")]
    ContainerUnreachable {
        /// The container.
        container: ContainerId,
        /// What the call said.
        #[source]
        source: CallError,
    },
    /// The request got no answer, after all that could be tried.
    #[error("{}", .0.message)]
    Denied(Denial),
    /// The runtime did not accept a request or response: its body was already read, or the container's binding is missing.
    #[error("the request or its response cannot be passed on")]
    Http(#[source] CallError),
}

impl Error {
    pub(crate) fn missing_binding(binding: &BindingName, source: worker::Error) -> Self {
        Self::MissingBinding { binding: binding.to_string(), source }
    }

    /// How it is told over HTTP. Causes stay out: they are for the log.
    pub(crate) fn denial(&self) -> Denial {
        match self {
            Self::MissingBinding { .. } => Denial::new(DenialCode::Misconfigured, self.to_string()),
            Self::UnknownPool { .. } => Denial::new(DenialCode::Refused(RefusalCode::UnknownPool), self.to_string()),
            Self::Options(_) | Self::Class { .. } => Denial::new(DenialCode::Misconfigured, self.to_string()),
            Self::BadId(cause) => Denial::new(DenialCode::BadId, format!("{self}: {cause}")),
            Self::Refused(refusal) => Denial::from(refusal),
            Self::PoolUnreachable { .. } => Denial::new(DenialCode::PoolUnreachable, format!("{self}; try again")),
            Self::Fenced { refusal: FenceRefusal::Unconfirmed, .. } => {
                Denial::new(DenialCode::Unconfirmed, self.to_string())
            }
            Self::Fenced { .. } => Denial::new(DenialCode::ContainerChanged, self.to_string()),
            Self::ContainerUnreachable { .. } => Denial::new(DenialCode::ContainerUnreachable, self.to_string()),
            Self::Denied(denial) => denial.clone(),
            Self::Http(_) => Denial::new(DenialCode::Internal, self.to_string()),
        }
    }
}
