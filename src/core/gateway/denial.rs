//! How a failure is told: status, code, message, and after how long a retry has a chance.

use super::identify::IdProblem;
use crate::core::outcome::{Reason, Refusal, RefusalCode};

/// What went wrong. Part of the API: a code keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DenialCode {
    /// The request has no id.
    MissingId,
    /// What it has is no id.
    BadId,
    /// It is a GET or HEAD with a body, which the runtime cannot pass on.
    BodyNotAllowed,
    /// No route matches.
    NoRoute,
    /// The shard gives the id no container.
    Refused(RefusalCode),
    /// The shard could not be reached.
    PoolUnreachable,
    /// The container could not make sure that it still serves the id.
    Unconfirmed,
    /// The id's container has just changed, and the request cannot be sent twice.
    ContainerChanged,
    /// The container could not be reached.
    ContainerUnreachable,
    /// The Worker has no such binding as the configuration names, or another fault of the deployment.
    Misconfigured,
    /// A fault of this project.
    Internal,
}

impl DenialCode {
    /// The word in error bodies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingId => "missing_id",
            Self::BadId => "bad_id",
            Self::BodyNotAllowed => "body_not_allowed",
            Self::NoRoute => "no_route",
            Self::Refused(code) => code.as_str(),
            Self::PoolUnreachable => "pool_unreachable",
            Self::Unconfirmed => "unconfirmed",
            Self::ContainerChanged => "container_changed",
            Self::ContainerUnreachable => "container_unreachable",
            Self::Misconfigured => "misconfigured",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::MissingId | Self::BadId | Self::BodyNotAllowed => 400,
            Self::NoRoute => 404,
            Self::Misconfigured | Self::Internal => 500,
            Self::Refused(RefusalCode::StartFailed) | Self::ContainerUnreachable => 502,
            Self::Refused(
                RefusalCode::AtCapacity
                | RefusalCode::Timeout
                | RefusalCode::Overloaded
                | RefusalCode::WrongShard
                | RefusalCode::UnknownPool,
            )
            | Self::PoolUnreachable
            | Self::Unconfirmed
            | Self::ContainerChanged => 503,
        }
    }
}

/// A request that got no answer of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What went wrong.
    pub code: DenialCode,
    /// What happened and what to do, for people.
    pub message: String,
    /// The header `Retry-After`, in whole seconds from 1; always there with a 503.
    pub retry_after_secs: Option<u32>,
    /// The header `x-warm-pool-reason`.
    pub reason: Option<Reason>,
}

/// The longest pause a caller is told, in seconds.
pub const MAX_RETRY_AFTER_SECS: u32 = 600;

impl Denial {
    /// A denial without a known pause: a 503 is worth a retry after a second.
    pub fn new(code: DenialCode, message: impl Into<String>) -> Self {
        let retry_after_secs = (code.status() == 503).then_some(1);
        Self { code, message: message.into(), retry_after_secs, reason: None }
    }
}

/// A pause in whole seconds, rounded up, from 1 to [`MAX_RETRY_AFTER_SECS`].
pub fn retry_after_secs(millis: u64) -> u32 {
    u32::try_from(millis.div_ceil(1000)).unwrap_or(MAX_RETRY_AFTER_SECS).clamp(1, MAX_RETRY_AFTER_SECS)
}

impl From<&Refusal> for Denial {
    fn from(refusal: &Refusal) -> Self {
        let Refusal { code, message, retry_after_millis, plan: _, shards: _ } = refusal;
        let reason = match code {
            RefusalCode::AtCapacity => Some(Reason::AtCapacity),
            RefusalCode::StartFailed => Some(Reason::StartsFailing),
            RefusalCode::Timeout | RefusalCode::Overloaded | RefusalCode::WrongShard | RefusalCode::UnknownPool => None,
        };
        let known = retry_after_millis.map(retry_after_secs);
        let denial = Self::new(DenialCode::Refused(*code), message.clone());
        Self { retry_after_secs: known.or(denial.retry_after_secs), reason, ..denial }
    }
}

impl From<&IdProblem> for Denial {
    fn from(problem: &IdProblem) -> Self {
        match problem {
            IdProblem::Missing(_) => Self::new(DenialCode::MissingId, problem.to_string()),
            IdProblem::NotUtf8(_) => Self::new(DenialCode::BadId, problem.to_string()),
            IdProblem::Bad(_, cause) => Self::new(DenialCode::BadId, format!("{problem}: {cause}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: RefusalCode, retry_after_millis: Option<u64>) -> Refusal {
        Refusal { code, message: "why".to_owned(), retry_after_millis, plan: None, shards: None }
    }

    #[test]
    fn a_pause_is_whole_seconds_from_one() {
        for (millis, secs) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (9_999, 10), (u64::MAX, MAX_RETRY_AFTER_SECS)] {
            assert_eq!(retry_after_secs(millis), secs, "{millis}");
        }
    }

    #[test]
    fn every_refusal_has_its_status_and_every_503_a_pause() {
        for (code, status, word) in [
            (RefusalCode::AtCapacity, 503, "at_capacity"),
            (RefusalCode::Timeout, 503, "timeout"),
            (RefusalCode::StartFailed, 502, "start_failed"),
            (RefusalCode::Overloaded, 503, "overloaded"),
            (RefusalCode::WrongShard, 503, "wrong_shard"),
            (RefusalCode::UnknownPool, 503, "unknown_pool"),
        ] {
            let denial = Denial::from(&refusal(code, None));
            assert_eq!((denial.code.status(), denial.code.as_str()), (status, word));
            assert_eq!(denial.message, "why");
            assert_eq!(denial.retry_after_secs, (status == 503).then_some(1));
            assert_eq!(Denial::from(&refusal(code, Some(2_500))).retry_after_secs, Some(3));
        }
        assert_eq!(Denial::from(&refusal(RefusalCode::AtCapacity, None)).reason, Some(Reason::AtCapacity));
    }
}
