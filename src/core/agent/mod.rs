//! The life of one container, as its own Durable Object sees it.
//!
//! What always holds:
//!
//! - **One life.** An object starts its container at most once. What has stopped, or was told to stop before it ever started,
//!   fails every later start, and nothing but its owner's start request starts it.
//! - **Written first.** A step changes the [`Record`] before the effect that acts on it: the adapter writes, then acts. The
//!   machine is a function of its record; what it keeps besides (callers, a lease, a probe) may be lost at any time.
//! - **Fenced.** A request is served when it comes from the owner's pool, under a lease its owner granted for that id and
//!   epoch, and a container is bound to the first id that gets one: no other id is ever served.
//! - **Gone means gone.** Every end, also one by itself, goes through `destroy`, is retried until the process is known not to
//!   run, and is then reported to the owner until it is acknowledged. What ended by itself is looked at once more with fresh
//!   eyes: a local engine restarts what exits with an error, and the object that saw the exit can neither see nor end that.
//!
//! | state | is left by |
//! |---|---|
//! | New | a start request: Starting; a stop or destroy request: Stopped |
//! | Starting | every port answers and the setup is done: Ready; an exit, an error, the deadline, a stop: Stopping |
//! | Ready | an exit, a stop, a destroy, idleness: Stopping |
//! | Stopping | the process is confirmed gone: Stopped |
//! | Stopped | [`FORGET_AFTER`] after the report: New, with nothing stored |
//!
//! [`machine`] is the state machine, [`boot`] the way to readiness, [`fence`] the lease, [`record`] what is stored.

pub mod boot;
pub mod fence;
pub mod io;
pub mod machine;
pub mod record;

pub use fence::{Admission, LeaseAnswer, LeaseKey, MAX_REDIRECTS, Refusal};
pub use io::{Caller, Destruction, Effect, Input, ProbeResult, Reply, SetupResult};
pub use machine::{Agent, FORGET_AFTER, Save};
pub use record::{End, Life, Orders, Record, Report};
