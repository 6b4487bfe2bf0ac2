//! What the gateway decides, without doing any of it: which route and id a request has, what it remembers between
//! requests, when a request is sent again, and how a failure is told.
//!
//! Always true:
//! - nothing that is remembered is trusted: an entry of [`RouteCache`] or a [`hint`] is only ever followed to a class whose
//!   containers check pool, id and epoch themselves, so a stale or forged one costs one retry and shows nobody another's
//!   container. An entry is a shard's word about the container itself; of a hint's class, [`Fences`] has to know;
//! - a request is sent to at most [`dispatch::MAX_SENDS`] containers, and again only when nothing of it can have reached one,
//!   or when it is safe to repeat;
//! - what is remembered is bounded;
//! - a question for an id goes to the shard that owns it by the newest plan that anybody asked knows: see [`owner`].

pub mod admin;
mod cache;
pub mod change;
pub mod dashboard;
pub mod denial;
pub mod dispatch;
mod event_query;
mod fences;
pub mod hint;
mod identify;
pub mod owner;
mod routing;
mod target;
mod telling;
mod token;

pub use cache::{CACHE_CAPACITY, RouteCache, Sticky};
pub use denial::{Denial, DenialCode};
pub use dispatch::{Class, Destination, Dispatch, Next, Replay};
pub use event_query::event_query;
pub use fences::Fences;
pub use identify::{IdProblem, session_id};
pub use owner::{Correction, Known, Owner};
pub use routing::{REFRESH_EVERY, Routing};
pub use target::Target;
pub use telling::{GIVEN_UP_AFTER, Telling};
pub use token::{MAX_TOKEN_LEN, bearer, token_matches};
