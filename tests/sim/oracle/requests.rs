//! The users' requests: each has one answer, in time.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::gateway::DenialCode;
use cf_warm_pools::core::id::{ContainerId, SessionId};
use cf_warm_pools::core::outcome::RefusalCode;

use crate::world::message::RequestNo;

/// What became of a user's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// This container served it.
    Served(ContainerId),
    /// It was released, looked up, or whatever else it asked for.
    Done,
    /// The router's configuration has no such pool.
    NoPool,
    /// The shard refused it.
    Refused(RefusalCode),
    /// The router gave up.
    Denied(DenialCode),
    /// The shard did not answer.
    Unreachable,
    /// The isolate it ran in was lost.
    Lost,
}

impl Fate {
    const fn name(&self) -> &'static str {
        match self {
            Self::Served(_) => "served",
            Self::Done => "done",
            Self::NoPool => "no pool",
            Self::Refused(RefusalCode::AtCapacity) => "refused: at capacity",
            Self::Refused(RefusalCode::Timeout) => "refused: timeout",
            Self::Refused(RefusalCode::StartFailed) => "refused: start failed",
            Self::Refused(RefusalCode::Overloaded) => "refused: overloaded",
            Self::Refused(RefusalCode::WrongShard) => "refused: wrong shard",
            Self::Refused(RefusalCode::UnknownPool) => "refused: unknown pool",
            Self::Denied(_) => "denied",
            Self::Unreachable => "unreachable",
            Self::Lost => "isolate lost",
        }
    }
}

/// All requests.
#[derive(Debug, Default)]
pub struct Requests {
    open: BTreeMap<RequestNo, (u32, SessionId, Millis)>,
    count: u64,
    fates: BTreeMap<&'static str, u64>,
    watched: BTreeMap<RequestNo, Option<Fate>>,
    /// Those that are not safe to repeat.
    once: BTreeSet<RequestNo>,
    /// Those that have reached a process.
    reached: BTreeSet<RequestNo>,
}

impl Requests {
    pub fn at_most_once(&mut self, request: RequestNo) {
        self.once.insert(request);
    }

    /// A request has reached a process. False when it must not, for it has before.
    pub fn served(&mut self, request: RequestNo) -> bool {
        self.reached.insert(request) || !self.once.contains(&request)
    }

    pub fn has_reached(&self, request: RequestNo) -> bool {
        self.reached.contains(&request)
    }

    pub fn watch(&mut self, request: RequestNo) {
        self.watched.insert(request, None);
    }

    pub fn fate_of(&self, request: RequestNo) -> Option<&Fate> {
        self.watched.get(&request)?.as_ref()
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn fates(&self) -> &BTreeMap<&'static str, u64> {
        &self.fates
    }

    pub fn asked(&mut self, request: RequestNo, pool: u32, session: &SessionId, by: Millis) {
        self.count += 1;
        self.open.insert(request, (pool, session.clone(), by));
    }

    pub fn answered(&mut self, now: Millis, request: RequestNo, fate: Fate) -> Result<(), String> {
        *self.fates.entry(fate.name()).or_default() += 1;
        if let Some(watched) = self.watched.get_mut(&request) {
            *watched = Some(fate.clone());
        }
        let Some((pool, session, by)) = self.open.remove(&request) else {
            return Err(format!("{request:?} is answered twice, the second time {fate:?}"));
        };
        if now > by {
            return Err(format!(
                "{request:?} for {session:?} of pool {pool} is answered {:?} late: {fate:?}",
                now - by
            ));
        }
        Ok(())
    }

    pub fn overdue(&self, now: Millis) -> Vec<String> {
        let overdue = self.open.iter().filter(|(_, (_, _, by))| *by < now);
        overdue.map(|(request, (pool, session, _))| format!("{request:?} for {session:?} of pool {pool}")).collect()
    }
}
