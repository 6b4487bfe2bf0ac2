//! By which configuration an isolate routes.
//!
//! It starts with what the Worker carries, and asks the coordinator in the background, with traffic and at most once in
//! [`REFRESH_EVERY`], whether another one is in force. A request waits for that only when it has no route by the configuration
//! known, and then by a question of its own. A shard that refuses an id because the pool has another shard
//! count corrects the count at once, by the plan that says so: see [`owner`](super::owner).

use std::rc::Rc;

use super::owner::Known;
use crate::config::resolved::{Config, Millis, PoolName, ShardCount};
use crate::core::allotment::CreditTerms;
use crate::core::coordinator::{ConfigSource, InForce};
use crate::core::id::ShardIndex;
use crate::core::mutants::{self, Mutant};
use crate::core::plan::{Plan, PlanVersion};
use crate::core::share;
use crate::core::sorted::Map;

/// The least time between two questions to the coordinator. So long an isolate may route by an old configuration.
pub const REFRESH_EVERY: Millis = Millis::from_secs(5);

/// The configuration an isolate routes by.
#[derive(Debug)]
pub struct Routing {
    /// When the configuration that the Worker carries was made.
    carried_stamp: u64,
    /// Whether there are pools in it.
    carries_pools: bool,
    version: PlanVersion,
    source: ConfigSource,
    config: Rc<Config>,
    moving_from: Map<PoolName, ShardCount>,
    credits: Map<PoolName, CreditTerms>,
    /// Shard counts in force that shards have told, by newer plans than the configuration's.
    corrected: Map<PoolName, Known>,
    asked_at: Option<Millis>,
    /// Whether the last question that was due may still be answered.
    open: bool,
    /// Whether the coordinator has ever answered.
    heard: bool,
}

impl Routing {
    /// What the Worker carries, made at `stamp` (ms since 1970).
    pub fn carried(config: Rc<Config>, source: ConfigSource, stamp: u64) -> Self {
        let version = PlanVersion { version: 0, stamp };
        Self {
            carried_stamp: stamp,
            carries_pools: !config.pools.is_empty(),
            version,
            source,
            config,
            moving_from: Map::new(),
            credits: Map::new(),
            corrected: Map::new(),
            asked_at: None,
            open: false,
            heard: false,
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Rc<Config> {
        &self.config
    }

    /// Its version.
    pub fn version(&self) -> PlanVersion {
        self.version
    }

    /// Where it came from.
    pub fn source(&self) -> ConfigSource {
        self.source
    }

    /// How many shards the pool has, and by which plan; none when there is no such pool.
    pub fn known(&self, pool: &PoolName) -> Option<Known> {
        let configured = self.config.pools.get(pool)?.shards;
        Some(self.corrected.get(pool).copied().unwrap_or_else(|| match self.is_carried() {
            true => Known::guess(configured),
            false => Known { shards: configured, version: self.version, told_by: None },
        }))
    }

    /// A shard said how many shards the pool has. Only what is newer than all that is known counts.
    pub fn correct_shards(&mut self, pool: &PoolName, told: Known) {
        let is_news = |known: Known| told.version > known.version || (known.told_by.is_none() && self.is_carried());
        if told.told_by.is_some() && self.known(pool).is_some_and(is_news) {
            self.corrected.insert(pool.clone(), told);
        }
    }

    /// The plan of a shard by the configuration in force, as the coordinator makes it but for the share of the stock, which is the
    /// even one: what a shard is allotted of it outranks that. None when not enough is known: of what the Worker carries, and of
    /// a pool that a shard has told news of.
    pub fn plan_for(&self, pool: &PoolName, index: ShardIndex) -> Option<Plan> {
        if self.is_carried() || self.corrected.contains_key(pool) {
            return None;
        }
        let settings = self.config.pools.get(pool)?.clone();
        let credits = self.credits.get(pool).copied();
        let is_limited = share::limits(&self.config).contains_key(pool);
        if is_limited && credits.is_none() {
            return None;
        }
        let plan = Plan::fixed(self.version, settings, None, index);
        let from = self.moving_from.get(pool).copied();
        Some(Plan { pinned: self.source == ConfigSource::Admin, from, credits, ..plan }.of_sibling(index))
    }

    /// Whether the coordinator has not spoken yet.
    fn is_carried(&self) -> bool {
        self.version.version == 0
    }

    /// Whether it is not time yet to ask the coordinator: [`Self::question`] would give nothing.
    pub fn is_settled(&self, now: Millis) -> bool {
        // A clock that went back must not put the next question off for ever.
        self.asked_lately(now)
    }

    /// The version to ask the coordinator about, if it is time to ask. A question that is never answered counts too.
    pub fn question(&mut self, now: Millis) -> Option<PlanVersion> {
        if self.is_settled(now) {
            return None;
        }
        self.asked_at = Some(now);
        self.open = true;
        Some(self.version)
    }

    /// The version to ask about before a request without a route is told so, when no question is due: until the coordinator has
    /// answered once, for what the Worker carries may be far from what is in force; and while the question of another request
    /// is open, for after a pause what is known may be old. (An answer can be waited for only by the request that asked.)
    pub fn question_without_route(&self, now: Millis) -> Option<PlanVersion> {
        (!self.heard || (self.open && self.asked_lately(now))).then_some(self.version)
    }

    fn asked_lately(&self, now: Millis) -> bool {
        self.asked_at.is_some_and(|at| at <= now && now < at + REFRESH_EVERY)
    }

    /// The coordinator says that the configuration known is in force.
    pub fn confirm(&mut self) {
        self.heard = true;
        self.open = false;
    }

    /// The coordinator has not answered: what is known serves on, and is all that a request without a route can be told by.
    pub fn unanswered(&mut self) {
        self.open = false;
    }

    /// The coordinator says that this one is in force. Returns whether it is taken: it must be newer, and, unless an
    /// administrator set it, no older than what this Worker carries, of which the coordinator may not have heard yet. Nor is it taken
    /// when it has no pools and comes from this very deploy: the code that has them has not run where the coordinator is. What
    /// shards have told of newer plans still holds.
    pub fn adopt(&mut self, in_force: InForce) -> bool {
        let InForce { version, source, config, moving_from, credits } = in_force;
        self.confirm();
        let outdated = match source {
            ConfigSource::Admin => false,
            ConfigSource::Bundled | ConfigSource::Var => version.stamp < self.carried_stamp,
        };
        let has_not_run = source == ConfigSource::Bundled
            && version.stamp == self.carried_stamp
            && self.carries_pools
            && config.pools.is_empty();
        let known = version <= self.version && !mutants::on(Mutant::RoutingFlipsBack);
        if known || outdated || has_not_run || mutants::on(Mutant::RoutingStandsStill) {
            return false;
        }
        self.version = version;
        self.source = source;
        self.config = Rc::new(config);
        self.moving_from = moving_from;
        self.credits = credits;
        self.corrected.retain(|_, told| told.version > version);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConfigSource::{Admin, Bundled};

    fn carried() -> Routing {
        Routing::carried(Rc::new(Config::default()), Bundled, 100)
    }

    fn version(version: u64, stamp: u64) -> PlanVersion {
        PlanVersion { version, stamp }
    }

    fn in_force(version: u64, stamp: u64, source: ConfigSource) -> InForce {
        let version = PlanVersion { version, stamp };
        let (moving_from, credits) = (Map::new(), Map::new());
        InForce { version, source, config: Config::default(), moving_from, credits }
    }

    #[test]
    fn the_coordinator_is_asked_at_most_once_in_a_while() {
        let mut routing = carried();
        assert_eq!(routing.question(Millis(10_000)), Some(version(0, 100)));
        assert_eq!(routing.question(Millis(10_000)), None);
        assert_eq!(routing.question(Millis(14_999)), None);
        assert_eq!(routing.question(Millis(15_000)), Some(version(0, 100)), "also when the last one was lost");
        assert_eq!(routing.question(Millis(3)), Some(version(0, 100)), "also when the clock went back");
    }

    #[test]
    fn a_request_without_a_route_asks_until_there_was_an_answer() {
        let mut routing = carried();
        assert_eq!(routing.question(Millis(10_000)), Some(version(0, 100)));
        let unknown = |routing: &Routing| routing.question_without_route(Millis(10_001));
        assert_eq!(unknown(&routing), Some(version(0, 100)), "the answer to the other is not there yet");
        routing.unanswered();
        assert_eq!(unknown(&routing), Some(version(0, 100)), "nor will it be");
        routing.confirm();
        assert_eq!(unknown(&routing), None);
        let mut routing = carried();
        routing.adopt(in_force(1, 100, Bundled));
        assert_eq!(unknown(&routing), None);
    }

    #[test]
    fn a_request_without_a_route_asks_while_the_question_of_another_is_open() {
        let mut routing = carried();
        routing.adopt(in_force(1, 100, Bundled));
        assert_eq!(routing.question(Millis(10_000)), Some(version(1, 100)), "after a pause");
        assert_eq!(routing.question_without_route(Millis(10_001)), Some(version(1, 100)));
        assert_eq!(routing.question_without_route(Millis(15_000)), None, "by then it is lost");
        routing.unanswered();
        assert_eq!(routing.question_without_route(Millis(10_001)), None, "the coordinator is away");
        assert_eq!(routing.question(Millis(15_000)), Some(version(1, 100)));
        routing.confirm();
        assert_eq!(routing.question_without_route(Millis(15_001)), None, "it has answered");
    }

    #[test]
    fn a_coordinator_that_has_not_run_the_code_with_the_pools_does_not_take_them_away() {
        let config = crate::config::parse_json(r#"{"pools": {"p": {"container": "C"}}}"#).unwrap();
        let mut routing = Routing::carried(Rc::new(config.clone()), Bundled, 100);
        assert!(!routing.adopt(in_force(1, 100, Bundled)), "it has none, of the same deploy");
        assert!(routing.config().pools.len() == 1);
        assert!(routing.adopt(InForce { config, ..in_force(2, 100, Bundled) }));
        assert!(routing.adopt(in_force(3, 101, Bundled)), "a later deploy has none");
        let mut routing = Routing::carried(Rc::clone(routing.config()), Bundled, 100);
        assert!(routing.adopt(in_force(1, 100, Admin)), "an administrator has taken them away");
    }

    #[test]
    fn only_a_newer_configuration_is_taken() {
        let mut routing = carried();
        assert!(routing.adopt(in_force(1, 100, Bundled)));
        assert!(!routing.adopt(in_force(1, 100, Bundled)));
        assert!(routing.adopt(in_force(2, 100, Admin)));
        assert!(!routing.adopt(in_force(1, 200, Bundled)));
        assert_eq!((routing.version(), routing.source()), (version(2, 100), Admin));
    }

    #[test]
    fn an_older_deploy_does_not_flip_a_newer_one_back() {
        let mut routing = carried();
        assert!(!routing.adopt(in_force(7, 99, Bundled)));
        assert!(routing.adopt(in_force(7, 99, Admin)), "an administrator may");
    }

    fn pool() -> PoolName {
        PoolName::try_from("python".to_owned()).unwrap()
    }

    fn with_pool(shards: u32) -> Config {
        let pool = format!(r#"{{"container": "PYTHON", "shards": {shards}}}"#);
        crate::config::parse_json(&format!(r#"{{"pools": {{"python": {pool}}}}}"#)).unwrap()
    }

    fn told(shards: u32, by: PlanVersion) -> Known {
        Known { shards: shards.try_into().unwrap(), version: by, told_by: Some(ShardIndex(0)) }
    }

    fn shards(routing: &Routing) -> u32 {
        routing.known(&pool()).unwrap().shards.get()
    }

    #[test]
    fn a_shard_corrects_the_count_by_newer_plans_only_until_a_configuration_is_newer_still() {
        let mut routing = carried();
        routing.adopt(InForce { config: with_pool(1), ..in_force(5, 100, Bundled) });
        routing.correct_shards(&pool(), told(9, version(4, 200)));
        routing.correct_shards(&pool(), told(9, version(5, 100)));
        assert_eq!(shards(&routing), 1);
        routing.correct_shards(&pool(), told(16, version(7, 100)));
        routing.correct_shards(&pool(), told(4, version(6, 100)));
        assert_eq!(shards(&routing), 16, "answers may overtake each other");
        assert!(routing.adopt(InForce { config: with_pool(4), ..in_force(6, 100, Bundled) }));
        assert_eq!(shards(&routing), 16, "the shard knows better");
        assert!(routing.adopt(InForce { config: with_pool(3), ..in_force(8, 100, Bundled) }));
        assert_eq!(routing.known(&pool()), Some(Known { told_by: None, ..told(3, version(8, 100)) }));
    }

    #[test]
    fn a_count_that_is_carried_gives_way_to_any_shard_and_is_handed_to_none() {
        let mut routing = Routing::carried(Rc::new(with_pool(8)), Bundled, 100);
        assert_eq!(routing.known(&pool()), Some(Known::guess(8.try_into().unwrap())));
        assert_eq!(routing.plan_for(&pool(), ShardIndex(0)), None);
        routing.correct_shards(&pool(), told(2, PlanVersion::default()));
        assert_eq!(shards(&routing), 2);
        routing.correct_shards(&pool(), told(4, version(0, 50)));
        assert_eq!(shards(&routing), 4);
        let nobody = PoolName::try_from("nobody".to_owned()).unwrap();
        routing.correct_shards(&nobody, told(4, version(9, 9)));
        assert_eq!(routing.known(&nobody), None);
    }

    #[test]
    fn a_plan_is_made_only_where_all_of_it_is_known() {
        let mut routing = carried();
        let mut config = with_pool(4);
        config.pools.get_mut(&pool()).unwrap().max_instances = Some(40);
        let terms = CreditTerms { generation: 3, total: 40, shards: 4.try_into().unwrap() };
        let known = InForce { config, credits: [(pool(), terms)].into(), ..in_force(5, 100, Admin) };
        routing.adopt(InForce { credits: Map::new(), ..known.clone() });
        assert_eq!(routing.plan_for(&pool(), ShardIndex(0)), None, "it has a limit, and nobody said how it is split");
        routing.adopt(InForce { version: version(6, 100), ..known });
        let plan = routing.plan_for(&pool(), ShardIndex(3)).unwrap();
        assert_eq!((plan.version, plan.credits, plan.pinned), (version(6, 100), Some(terms), true));
        assert_eq!(plan.share.max_instances, Some(10));
        routing.correct_shards(&pool(), told(16, version(7, 100)));
        assert_eq!(routing.plan_for(&pool(), ShardIndex(3)), None, "it is out of date");
    }
}
