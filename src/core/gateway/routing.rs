//! By which configuration an isolate routes.
//!
//! It starts with what the Worker carries, and asks the coordinator in the background, with traffic and at most once in
//! [`REFRESH_EVERY`], whether another one is in force. A request waits for that only when it has no route by the configuration
//! known, and only by the question that it happens to ask. A shard that refuses an id because the pool has another shard
//! count corrects the count at once.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::config::resolved::{Config, Millis, PoolName, ShardCount};
use crate::core::coordinator::ConfigSource;
use crate::core::mutants::{self, Mutant};
use crate::core::plan::PlanVersion;

/// The least time between two questions to the coordinator. So long an isolate may route by an old configuration.
pub const REFRESH_EVERY: Millis = Millis::from_secs(5);

/// The configuration an isolate routes by.
#[derive(Debug)]
pub struct Routing {
    /// When the configuration that the Worker carries was made.
    carried_stamp: u64,
    version: PlanVersion,
    source: ConfigSource,
    config: Rc<Config>,
    /// Shard counts in force that shards have told.
    shards: BTreeMap<PoolName, ShardCount>,
    asked_at: Option<Millis>,
    /// Whether the coordinator has ever answered.
    heard: bool,
}

impl Routing {
    /// What the Worker carries, made at `stamp` (ms since 1970).
    pub fn carried(config: Rc<Config>, source: ConfigSource, stamp: u64) -> Self {
        let version = PlanVersion { version: 0, stamp };
        Self { carried_stamp: stamp, version, source, config, shards: BTreeMap::new(), asked_at: None, heard: false }
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

    /// How many shards the pool has; none when there is no such pool.
    pub fn shards(&self, pool: &PoolName) -> Option<ShardCount> {
        let configured = self.config.pools.get(pool)?.shards;
        Some(self.shards.get(pool).copied().unwrap_or(configured))
    }

    /// A shard said how many shards the pool has.
    pub fn correct_shards(&mut self, pool: &PoolName, shards: ShardCount) {
        if self.config.pools.contains_key(pool) {
            self.shards.insert(pool.clone(), shards);
        }
    }

    /// The version to ask the coordinator about, if it is time to ask. A question that is never answered counts too.
    pub fn question(&mut self, now: Millis) -> Option<PlanVersion> {
        // A clock that went back must not put the next question off for ever.
        if self.asked_at.is_some_and(|at| at <= now && now < at + REFRESH_EVERY) {
            return None;
        }
        self.asked_at = Some(now);
        Some(self.version)
    }

    /// The version to ask about before a request without a route is told so: at any time, until the coordinator has answered
    /// once, for what the Worker carries may be far from what is in force.
    pub fn first_question(&self) -> Option<PlanVersion> {
        (!self.heard).then_some(self.version)
    }

    /// The coordinator says that the configuration known is in force.
    pub fn confirm(&mut self) {
        self.heard = true;
    }

    /// The coordinator says that this one is in force. Returns whether it is taken: it must be newer, and, unless an
    /// administrator set it, no older than what this Worker carries, of which the coordinator may not have heard yet.
    pub fn adopt(&mut self, version: PlanVersion, source: ConfigSource, config: Config) -> bool {
        self.heard = true;
        let outdated = match source {
            ConfigSource::Admin => false,
            ConfigSource::Bundled | ConfigSource::Var => version.stamp < self.carried_stamp,
        };
        let known = version <= self.version && !mutants::on(Mutant::RoutingFlipsBack);
        if known || outdated || mutants::on(Mutant::RoutingStandsStill) {
            return false;
        }
        self.version = version;
        self.source = source;
        self.config = Rc::new(config);
        self.shards.clear();
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
        assert_eq!(routing.first_question(), Some(version(0, 100)), "the answer to the other is not there yet");
        routing.confirm();
        assert_eq!(routing.first_question(), None);
        let mut routing = carried();
        routing.adopt(version(1, 100), Bundled, Config::default());
        assert_eq!(routing.first_question(), None);
    }

    #[test]
    fn only_a_newer_configuration_is_taken() {
        let mut routing = carried();
        assert!(routing.adopt(version(1, 100), Bundled, Config::default()));
        assert!(!routing.adopt(version(1, 100), Bundled, Config::default()));
        assert!(routing.adopt(version(2, 100), Admin, Config::default()));
        assert!(!routing.adopt(version(1, 200), Bundled, Config::default()));
        assert_eq!((routing.version(), routing.source()), (version(2, 100), Admin));
    }

    #[test]
    fn an_older_deploy_does_not_flip_a_newer_one_back() {
        let mut routing = carried();
        assert!(!routing.adopt(version(7, 99), Bundled, Config::default()));
        assert!(routing.adopt(version(7, 99), Admin, Config::default()), "an administrator may");
    }
}
