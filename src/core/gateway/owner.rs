//! Which shard to ask for an id, and what to do when it says that another one owns it.
//!
//! While the shard count changes, routers and shards hear of it one by one. Who is behind is told by who is not: a shard that
//! works by a newer plan than the router knows corrects the router's count; one that works by an older plan is handed the newer
//! one, which the router builds from its own configuration ([`Routing::plan_for`](super::Routing::plan_for)) or fetches from the
//! shard that told it. So neither waits for the coordinator.
//!
//! For one question about one id:
//!
//! ```text
//!   ask shard() ──wrong_shard──> refused() ──┬─ AskAgain ───────────────────────────> ask shard() again
//!                                            ├─ HandOver { to, plan }: configure(plan) at `to` ──> ask shard() again
//!                                            ├─ Fetch(from): getPlan() at `from` ──> fetched() ──> one of the others
//!                                            └─ GiveUp: the refusal is the answer
//! ```
//!
//! What holds: each round raises a version, the router's for this pool or the shard's, or repeats a hand-over that was lost, once;
//! and there are at most [`MAX_ROUNDS`]. A count that the Worker was built with, or that code states, is a guess: any shard knows better, and it is
//! never handed over.

use crate::config::resolved::{PoolName, ShardCount};
use crate::core::id::{SessionId, ShardIndex};
use crate::core::outcome::Refusal;
use crate::core::plan::{Plan, PlanVersion};
use crate::core::route::shard_of;

/// How often a question is sent on, or a shard handed a plan, before its refusal is the answer.
pub const MAX_ROUNDS: u32 = 6;
/// How often a shard is handed the same plan: the first time may have been lost.
const MAX_HAND_OVERS: u32 = 2;

/// How many shards a pool has, as far as a router knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The count.
    pub shards: ShardCount,
    /// The plan that says so; the least of all for a guess.
    pub version: PlanVersion,
    /// The shard that works by it and has said so; none when the router has it from a configuration.
    pub told_by: Option<ShardIndex>,
}

impl Known {
    /// What the Worker was built with, or what code states.
    pub fn guess(shards: ShardCount) -> Self {
        Self { shards, version: PlanVersion::default(), told_by: None }
    }

    fn is_guess(&self) -> bool {
        self.version == PlanVersion::default() && self.told_by.is_none()
    }
}

/// What to do about a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Correction {
    /// Ask [`Owner::shard`]: the router was behind. [`Owner::known`] is news for other requests too.
    AskAgain,
    /// The shard is behind: hand it this plan, and then ask [`Owner::shard`], also when it is not known whether it has arrived.
    HandOver {
        /// Which shard.
        to: ShardIndex,
        /// The plan, as that shard's.
        plan: Box<Plan>,
    },
    /// The shard is behind, and the router has no plan to hand over: ask this one for its own, and tell [`Owner::fetched`].
    Fetch(ShardIndex),
    /// The refusal is the answer.
    GiveUp,
}

/// The shard that owns an id, as far as is known, for one question.
#[derive(Debug)]
pub struct Owner {
    pool: PoolName,
    id: SessionId,
    known: Known,
    rounds: u32,
    handed: Option<Handed>,
}

/// Who was handed a plan last, which, and how often.
#[derive(Clone, Copy, Debug)]
struct Handed {
    to: ShardIndex,
    version: PlanVersion,
    times: u32,
}

impl Owner {
    /// The owner of `id` in `pool`, by what the router knows.
    pub fn new(pool: PoolName, id: SessionId, known: Known) -> Self {
        Self { pool, id, known, rounds: 0, handed: None }
    }

    /// The shard to ask.
    pub fn shard(&self) -> ShardIndex {
        shard_of(&self.pool, &self.id, self.known.shards)
    }

    /// The shard count by which it is the one.
    pub fn shards(&self) -> ShardCount {
        self.known.shards
    }

    /// What is known by now.
    pub fn known(&self) -> Known {
        self.known
    }

    /// [`Self::shard`] has refused with [`WrongShard`](crate::core::outcome::RefusalCode::WrongShard). `own` makes a plan for
    /// a shard from the router's configuration, if it knows enough for that.
    pub fn refused(&mut self, refusal: &Refusal, own: impl FnOnce(ShardIndex) -> Option<Plan>) -> Correction {
        let by = self.shard();
        self.rounds += 1;
        let Some(shards) = refusal.shards.and_then(|shards| ShardCount::try_from(shards).ok()) else {
            return Correction::GiveUp;
        };
        if self.rounds > MAX_ROUNDS {
            return Correction::GiveUp;
        }
        let Some(version) = refusal.plan else { return self.follow_untold(shards) };
        if version > self.known.version || (self.known.is_guess() && shards != self.known.shards) {
            self.known = Known { shards, version, told_by: Some(by) };
            return Correction::AskAgain;
        }
        let handed = self.handed.filter(|handed| handed.to == by && handed.version >= self.known.version);
        if version == self.known.version || handed.is_some_and(|handed| handed.times >= MAX_HAND_OVERS) {
            return Correction::GiveUp;
        }
        match self.known.told_by {
            Some(from) => Correction::Fetch(from),
            None => own(by).map_or(Correction::GiveUp, |plan| self.hand_over(plan)),
        }
    }

    /// The shard named by [`Correction::Fetch`] has told its plan; none when it could not be asked or has none.
    pub fn fetched(&mut self, plan: Option<&Plan>) -> Correction {
        let Some(plan) = plan.filter(|plan| plan.version >= self.known.version) else { return Correction::GiveUp };
        self.hand_over(plan.of_sibling(self.shard()))
    }

    /// Hands the plan to the shard that has just refused; from here on the router goes by it too.
    fn hand_over(&mut self, plan: Plan) -> Correction {
        let to = self.shard();
        if plan.version > self.known.version {
            self.known = Known { shards: plan.pool.shards, version: plan.version, told_by: self.known.told_by };
        }
        let before = self.handed.filter(|handed| handed.to == to && handed.version == plan.version);
        let times = before.map_or(1, |handed| handed.times + 1);
        self.handed = Some(Handed { to, version: plan.version, times });
        Correction::HandOver { to, plan: Box::new(plan) }
    }

    /// A shard of older code does not say by which plan. Its count is followed, and is no news for anybody else.
    fn follow_untold(&mut self, shards: ShardCount) -> Correction {
        if shards == self.known.shards {
            return Correction::GiveUp;
        }
        self.known.shards = shards;
        Correction::AskAgain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::outcome::RefusalCode;

    const POOL: &str = "python";

    fn count(shards: u32) -> ShardCount {
        ShardCount::try_from(shards).unwrap()
    }

    fn version(version: u64) -> PlanVersion {
        PlanVersion { version, stamp: 100 }
    }

    fn known(shards: u32, at: u64) -> Known {
        Known { shards: count(shards), version: version(at), told_by: None }
    }

    fn owner(known: Known) -> Owner {
        let (pool, id) = (POOL.to_owned().try_into().unwrap(), "alice".to_owned().try_into().unwrap());
        Owner::new(pool, id, known)
    }

    fn refusal(shards: Option<u32>, plan: Option<PlanVersion>) -> Refusal {
        let message = "another owns it".to_owned();
        Refusal { code: RefusalCode::WrongShard, message, retry_after_millis: None, plan, shards }
    }

    fn plan(shards: u32, at: u64, index: ShardIndex) -> Plan {
        let text = format!(r#"{{"pools": {{"python": {{"container": "PYTHON", "shards": {shards}}}}}}}"#);
        let pool = crate::config::parse_json(&text).unwrap().pools.into_values().next().unwrap();
        Plan::fixed(version(at), pool, None, index)
    }

    fn nothing(_: ShardIndex) -> Option<Plan> {
        None
    }

    #[test]
    fn a_router_that_is_behind_follows_the_shard() {
        let mut owner = owner(known(1, 4));
        let correction = owner.refused(&refusal(Some(16), Some(version(5))), |_| panic!("no plan is needed"));
        assert_eq!(correction, Correction::AskAgain);
        let told_by = Some(ShardIndex(0));
        assert_eq!(owner.known(), Known { shards: count(16), version: version(5), told_by });
        assert_eq!(owner.shard(), shard_of(&owner.pool, &owner.id, count(16)));
    }

    #[test]
    fn a_shard_that_is_behind_is_handed_the_routers_plan_and_once_more_if_that_was_lost() {
        let mut owner = owner(known(4, 5));
        let by = owner.shard();
        let behind = refusal(Some(1), Some(version(4)));
        for _ in 0..2 {
            let expected = Correction::HandOver { to: by, plan: Box::new(plan(4, 5, by)) };
            assert_eq!(owner.refused(&behind, |index| Some(plan(4, 5, index))), expected);
            assert_eq!(owner.shard(), by, "and asked again");
        }
        assert_eq!(owner.refused(&behind, |index| Some(plan(4, 5, index))), Correction::GiveUp);
    }

    #[test]
    fn what_a_shard_has_told_is_fetched_from_it_for_one_that_is_behind() {
        let mut owner = owner(known(16, 4));
        let teller = owner.shard();
        assert_eq!(owner.refused(&refusal(Some(1), Some(version(5))), nothing), Correction::AskAgain);
        let behind = owner.shard();
        assert_ne!(teller, behind, "else the test shows nothing");
        assert_eq!(owner.refused(&refusal(Some(16), Some(version(4))), nothing), Correction::Fetch(teller));
        // By now the teller has heard of more.
        let correction = owner.fetched(Some(&plan(3, 6, teller)));
        assert_eq!(correction, Correction::HandOver { to: behind, plan: Box::new(plan(3, 6, behind)) });
        assert_eq!(owner.shards(), count(3));
    }

    #[test]
    fn what_cannot_be_fetched_or_is_no_news_ends_the_question() {
        for fetched in [None, Some(plan(16, 4, ShardIndex(0)))] {
            let mut owner = owner(known(16, 4));
            owner.refused(&refusal(Some(1), Some(version(5))), nothing);
            owner.refused(&refusal(Some(16), Some(version(4))), nothing);
            assert_eq!(owner.fetched(fetched.as_ref()), Correction::GiveUp);
        }
    }

    #[test]
    fn a_guess_is_never_handed_over_and_gives_way_to_any_shard() {
        for plan in [PlanVersion::default(), PlanVersion { version: 0, stamp: 7 }, version(3)] {
            let mut owner = owner(Known::guess(count(8)));
            let own = |_| panic!("a guess is handed over");
            assert_eq!(owner.refused(&refusal(Some(2), Some(plan)), own), Correction::AskAgain, "{plan:?}");
            assert_eq!(owner.shards(), count(2));
        }
    }

    #[test]
    fn a_shard_that_says_nothing_new_is_believed() {
        let mut owner = owner(known(4, 5));
        for refusal in [
            refusal(Some(1), Some(version(5))),
            refusal(None, Some(version(6))),
            refusal(Some(0), Some(version(6))),
            refusal(Some(4), None),
        ] {
            assert_eq!(owner.refused(&refusal, |index| Some(plan(4, 5, index))), Correction::GiveUp, "{refusal:?}");
        }
    }

    #[test]
    fn a_shard_of_older_code_is_followed_but_no_news_for_others() {
        let mut owner = owner(known(4, 5));
        assert_eq!(owner.refused(&refusal(Some(2), None), nothing), Correction::AskAgain);
        assert_eq!((owner.shards(), owner.known().version), (count(2), version(5)));
    }

    #[test]
    fn rounds_are_bounded() {
        let mut owner = owner(known(1, 1));
        for round in 1..=u64::from(MAX_ROUNDS) {
            let news = refusal(Some(u32::try_from(round % 5).unwrap() + 1), Some(version(round + 1)));
            assert_eq!(owner.refused(&news, nothing), Correction::AskAgain);
        }
        assert_eq!(owner.refused(&refusal(Some(9), Some(version(99))), nothing), Correction::GiveUp);
    }
}
