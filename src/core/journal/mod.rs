//! What has happened, for people: from the shards, where it happens, to the coordinator, which keeps the last of it.
//!
//! | file | part |
//! |---|---|
//! | `entry` | one event: its closed set of kinds, what it tells |
//! | `buffer` | a shard's events that the coordinator has not stored yet: bounded, in numbered batches, sent again until answered |
//! | `archive` | what the coordinator keeps of each pool: pages of events, each batch once |
//! | `query` | which of them somebody wants to read, and in which pages they are |
//!
//! Nothing depends on an event: what cannot be kept is dropped and counted. No id of a session is in one, only its hash.

mod archive;
mod buffer;
mod entry;
mod query;

pub use archive::{Archive, Change, KEPT, Page, PageKey};
pub use buffer::{BATCH, Batch, CAPACITY, DELAY, Ended, Journal, MAX_PAUSE};
pub use entry::{Entry, Kind, SessionHash};
pub use query::Query;
