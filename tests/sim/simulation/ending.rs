//! The end of a run: nothing goes wrong any more, and all must be well.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::resolved::{Millis, Pool, PoolName};
use cf_warm_pools::core::coordinator::Coordinator;
use cf_warm_pools::core::gateway::Replay;
use cf_warm_pools::core::id::{ContainerId, ShardId, ShardIndex};
use cf_warm_pools::core::outcome::RefusalCode;
use cf_warm_pools::core::shard::{Spec, State};

use super::Simulation;
use crate::objects::peer::PeerObject;
use crate::objects::shard::ShardObject;
use crate::oracle::{Fate, Move};
use crate::schedule::{Climate, session};
use crate::world::Happening;
use crate::world::message::{Addr, pool_name, pool_number};
use crate::world::platform::Kind;

/// How long the last requests may take.
const AFTERWARDS: Millis = Millis::from_secs(130);
/// The ids that are asked for at last: some that are known, some that are new.
const PROBES: [u32; 5] = [0, 1, 2, 1_000, 1_001];
/// As long as five starts take, one after the other.
const LONGEST_STARTS: Millis = Millis::from_secs(20);
/// How long after its process has ended a container may still have its id: checks come in every refresh, and are confirmed.
const LONGEST_DEAD: Millis = Millis::from_secs(90);
/// No caller waits longer for a shard: not for two checks of a container that it doubts, and then for its own time.
const LONGEST_WAIT: Millis = Millis::from_secs(120);
/// How long a container may be on its way from one shard to another.
const LONGEST_MOVE: Millis = Millis::from_secs(30);
/// How long after the last fault somebody looks at the pools: by then a router asks the coordinator again.
const LOOKS_AFTER: Millis = Millis::from_secs(10);
/// How often, and with which pause, it is looked at whether all is well before something is wrong: for longer than three of the
/// longest refresh intervals, the time that a surplus has to go.
const LOOKS: u32 = 80;
const LOOK_AGAIN: Millis = Millis(500);

impl Simulation<'_> {
    /// Nothing goes wrong any more.
    pub(super) fn heal(&mut self) {
        let now = self.world.now;
        self.world.trace.note(now, || "* all is well from here on".to_owned());
        // Whatever still runs old code is loaded anew.
        if now < self.world.deploys.rolling_until {
            self.world.deploys.rolling_until = now;
            for addr in self.all() {
                self.forget(addr);
            }
        }
        self.world.faults.heal();
        self.world.reconnect();
        self.world.platform.heal();
        self.world.after(LOOKS_AFTER, Happening::Looks);
    }

    /// Somebody looks at the pools, as somebody does.
    pub(super) fn look(&mut self) {
        for pool in self.schedule.configs[0].pools.keys().map(pool_number).collect::<Vec<_>>() {
            for router in 0..self.routers.len() {
                let request = self.request_no();
                self.routers[router].lookup(&mut self.world, request, pool, &session(0));
            }
        }
    }

    /// By now all must be well; and users ask.
    pub(super) fn settled(&mut self) {
        if !self.is_well(Happening::Settled) {
            return;
        }
        self.looks = 0;
        self.world.after(AFTERWARDS, Happening::Ends);
        let now = self.world.now;
        self.world.trace.note(now, || "* all is well, and must stay so".to_owned());
        for pool in self.world_pools() {
            for id in PROBES {
                let request = self.request_no();
                let router = id as usize % self.routers.len();
                self.world.oracle.watch(request);
                self.probes.insert(request, pool);
                self.routers[router].request(&mut self.world, request, pool, &session(id), Replay::Anytime);
            }
        }
    }

    fn world_pools(&self) -> Vec<u32> {
        self.coordinator.reloaded().config().pools.keys().map(pool_number).collect()
    }

    pub(super) fn end(&mut self) {
        if !self.is_well(Happening::Ends) {
            return;
        }
        self.over = true;
        let now = self.world.now;
        let coordinator = self.coordinator.reloaded();
        let config = coordinator.config();
        for (request, pool) in self.probes.clone() {
            let settings = config.pools.get(&pool_name(pool));
            // Where there is a limit some ids may find it reached; where a start may take longer than callers wait, they may
            // wait in vain: one start after the other, for the five of them.
            let limited = coordinator.capacity(&pool_name(pool)).is_some();
            let hurried = settings.is_some_and(|pool| pool.acquire_timeout < LONGEST_STARTS);
            match self.world.oracle.fate_of(request).cloned() {
                Some(Fate::Served(_)) => {}
                Some(Fate::Refused(RefusalCode::AtCapacity)) if limited => {}
                Some(Fate::Refused(RefusalCode::Timeout)) if limited || hurried => {}
                // Nothing has been started for long, and what is started now does not come in time.
                Some(Fate::Refused(RefusalCode::StartFailed)) if limited || hurried => {}
                other => {
                    let promise = if self.peers.is_some() { "unwedgeable" } else { "converging" };
                    self.world.oracle.broken(now, promise, format!("the last {request:?} came to {other:?}"));
                }
            }
        }
        if self.schedule.climate.serves_everybody() && self.peers.is_none() {
            self.check_service();
        }
        for shard in self.shards.values() {
            let since = shard.longest_waiting().filter(|&since| now > since + LONGEST_WAIT);
            if let Some(since) = since {
                let what = format!("a caller of {} waits for {:?}", shard.id(), now - since);
                self.world.oracle.broken(now, "answered", what);
            }
        }
        let in_force = self.coordinator.reloaded().version();
        // Of those that were asked for something lately.
        let probed = PROBES.iter().filter(|_| !self.probes.is_empty());
        let asked: BTreeSet<usize> = probed.map(|&id| id as usize % self.routers.len()).collect();
        for (index, router) in self.routers.iter().enumerate().filter(|(index, _)| asked.contains(index)) {
            if self.peers.is_none() && router.version().is_some_and(|version| version < in_force) {
                let what = format!("router {index} routes by {:?}, and {in_force:?} is in force", router.version());
                self.world.oracle.broken(now, "converging", what);
            }
        }
        for overdue in self.world.oracle.overdue(now) {
            self.world.oracle.broken(now, "answered", format!("{overdue} was never answered"));
        }
    }

    /// Where nothing went wrong, nobody was turned away.
    fn check_service(&mut self) {
        let promise = match self.schedule.climate {
            Climate::NoCoordinator => "coordinator-free",
            Climate::Calm | Climate::Swarm => "converging",
        };
        let turned_away: Vec<String> = self
            .world
            .oracle
            .fates()
            .iter()
            .filter(|(fate, _)| !["served", "done"].contains(fate))
            .map(|(fate, count)| format!("{count} {fate}"))
            .collect();
        if !turned_away.is_empty() {
            let now = self.world.now;
            self.world.oracle.broken(now, promise, format!("requests came to {turned_away:?}"));
        }
    }

    /// Whether all is well. Containers come and go also when nothing is wrong, so that it need not be at this very moment, but
    /// soon: until then it is looked at again.
    fn is_well(&mut self, again: Happening) -> bool {
        let wrong = self.what_is_wrong();
        if wrong.is_empty() {
            return true;
        }
        self.looks += 1;
        if self.looks < LOOKS {
            self.world.after(LOOK_AGAIN, again);
            return false;
        }
        for (promise, what) in wrong {
            let now = self.world.now;
            self.world.oracle.broken(now, promise, what);
        }
        true
    }

    fn what_is_wrong(&self) -> Vec<(&'static str, String)> {
        if let Some(peers) = &self.peers {
            return self.what_is_wrong_with(peers);
        }
        let mut wrong = Vec::new();
        for container in self.world.oracle.untracked() {
            match self.world.platform.kind(container) {
                Kind::Agent => wrong.push(("accounted", format!("{container} runs and is on no books"))),
                Kind::Class => {}
            }
        }
        let coordinator = self.coordinator.reloaded();
        for shard in self.coordinator.behind() {
            wrong.push(("converging", format!("{shard} has not acknowledged {:?}", coordinator.version())));
        }
        let active = coordinator.config();
        for (pool, from) in coordinator.moving_from() {
            wrong.push(("converging", format!("{pool} still moves from {from:?}: {:?}", coordinator.migration(&pool))));
        }
        for shard in coordinator.shards() {
            let is_active = active.pools.contains_key(&shard.pool);
            if let Err(what) = self.check_shard(&shard, is_active, &coordinator) {
                wrong.push(("converging", format!("{shard}: {what}")));
            }
        }
        for shard in self.shards.values() {
            let count = self.coordinator.registry().pools.get(&shard.id().pool).map_or(0, |pool| pool.shards.get());
            if shard.id().index.0 >= count
                && let Err(what) = self.check_removed(shard)
            {
                wrong.push(("converging", format!("{} is no more, and {what}", shard.id())));
            }
        }
        for (name, pool) in &active.pools {
            if let Err(what) = self.check_pool(name, pool) {
                wrong.push(("converging", format!("{name}: {what}")));
            }
        }
        wrong
    }

    fn what_is_wrong_with(&self, peers: &BTreeMap<u32, PeerObject>) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let untracked = self.world.oracle.peer_untracked();
        if let Some(container) = untracked.first() {
            let what = format!("{container} and {} more run and are not tracked", untracked.len() - 1);
            wrong.push(("accounted", what));
        }
        for (&pool, peer) in peers {
            let deploy = self.world.deploy_of(Addr::Shard { pool, index: 0 });
            let Some(settings) = deploy.config.pools.get(&pool_name(pool)) else { continue };
            let warm =
                peer.rows().warm().iter().filter(|container| self.world.platform.is_running(**container)).count();
            if warm != settings.warm_target as usize {
                wrong.push(("converging", format!("pool {pool} has {warm} warm of {}", settings.warm_target)));
            }
        }
        wrong
    }

    /// Whether a shard has what it should have.
    fn check_shard(&self, shard: &ShardId, is_active: bool, coordinator: &Coordinator) -> Result<(), String> {
        let addr = Addr::of_shard(shard);
        let Some(object) = self.shards.get(&addr) else { return Err("it was never called".to_owned()) };
        let rows = object.rows();
        let plan = rows.plan.as_ref().ok_or("it has no plan")?;
        if plan.version < coordinator.version() {
            return Err(format!("it works by {:?}, and {:?} is in force", plan.version, coordinator.version()));
        }
        if plan.active != is_active {
            return Err(format!("it is active: {}, and should be: {is_active}", plan.active));
        }
        let now = self.world.now;
        let spec = Spec::of(&plan.pool).id();
        let (mut warm, mut count) = (0, 0);
        for (row, since) in self.world.oracle.books().rows_of(addr) {
            count += 1;
            let running = self.world.platform.is_running(row.container);
            let longest = match &row.state {
                State::Starting => Some(Millis::from_secs(60)),
                State::Draining { .. } => Some(plan.pool.drain_timeout + Millis::from_secs(40)),
                State::Warm { .. } | State::Assigned { .. } | State::Moving { .. } => None,
            };
            if longest.is_some_and(|longest| now > since + longest) {
                return Err(format!("{} is {:?} since {:?}", row.container, row.state, now - since));
            }
            if let State::Assigned { .. } = row.state
                && self.world.oracle.dead_since(row.container).is_some_and(|end| now > end + LONGEST_DEAD)
            {
                return Err(format!("{} has an id, and does not run any more", row.container));
            }
            if let State::Warm { .. } = row.state {
                if row.spec != spec {
                    continue;
                }
                warm += 1;
                if !running && now > since + Millis::from_secs(30) {
                    return Err(format!("{} is warm and does not run", row.container));
                }
            }
        }
        if let Some((container, gift)) = self.world.oracle.books().moves().of(addr).next()
            && now > gift.since + LONGEST_MOVE
        {
            return Err(format!("{container} is on its way to {:?} since {:?}", gift.to, now - gift.since));
        }
        let target = self.world.oracle.books().target_of(addr);
        let caps = self.world.oracle.caps();
        let full = caps.is_full(pool_number(&shard.pool), self.world.oracle.books());
        if warm > target || (warm < target && !full) {
            let others = self.whereabouts(pool_number(&shard.pool));
            return Err(format!("{warm} are warm of {target}, {count} in all; containers and credits: {others}"));
        }
        Ok(())
    }

    /// How many containers and credits each shard of a pool has, of those that have any, for people.
    fn whereabouts(&self, pool: u32) -> String {
        let (books, caps) = (self.world.oracle.books(), self.world.oracle.caps());
        let of_pool = books.plans().keys().filter(|addr| pool_of(**addr) == Some(pool));
        let told = of_pool.filter_map(|&addr| {
            let (count, credits) = (books.count(addr), caps.credits_of(addr, books));
            let Addr::Shard { index, .. } = addr else { return None };
            let is_worth_it = count > 0 || credits.is_some_and(|credits| credits > 0);
            is_worth_it.then(|| format!("{index}: {count} of {credits:?}"))
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// A shard beyond the count in force has nothing left, and keeps no credit from the others.
    fn check_removed(&self, shard: &ShardObject) -> Result<(), String> {
        let (addr, oracle) = (Addr::of_shard(shard.id()), &self.world.oracle);
        let count = oracle.books().count(addr) as usize + oracle.books().moves().of(addr).count();
        let credits = oracle.caps().credits_of(addr, oracle.books()).unwrap_or(0);
        let generation = oracle.caps().row_of(addr).map_or(0, |credits| credits.generation);
        // Of those by code alone the coordinator knows nothing, nor does it need them.
        if count > 0 || (credits > 0 && generation > 0) {
            return Err(format!("has {count} containers and {credits} credits"));
        }
        Ok(())
    }

    /// The shards of a pool together.
    fn check_pool(&self, name: &PoolName, pool: &Pool) -> Result<(), String> {
        let (number, oracle) = (pool_number(name), &self.world.oracle);
        let all = || (0..pool.shards.get()).map(|index| Addr::Shard { pool: number, index });
        let targets: Vec<u32> = all().map(|addr| oracle.books().target_of(addr)).collect();
        if targets.iter().sum::<u32>() != pool.warm_target {
            return Err(format!("its shards are to keep {targets:?} warm, and it {}", pool.warm_target));
        }
        let Some(terms) = self.coordinator.registry().terms.get(name) else { return Ok(()) };
        // What the coordinator takes to be with the shards is with them: no credit is stranded on the way.
        let mut known: i128 =
            (0..pool.shards.get().max(terms.shards.get())).map(|index| i128::from(terms.base(ShardIndex(index)))).sum();
        for (shard, row) in self.coordinator.ledger() {
            if shard.pool == *name && row.generation == terms.generation {
                known += i128::from(row.given) - i128::from(row.returned);
            }
        }
        let mut had = 0;
        for (addr, _) in oracle.books().plans().iter().filter(|(addr, _)| pool_of(**addr) == Some(number)) {
            let Some(credits) = oracle.caps().row_of(*addr).filter(|row| row.generation == terms.generation) else {
                continue;
            };
            let moved = credits.moved.get(&credits.generation).copied().unwrap_or_default();
            had += i128::from(credits.base) + i128::from(credits.given) - i128::from(credits.returned);
            had += i128::from(moved);
        }
        let with_credit = |(_, gift): &(ContainerId, &Move)| {
            gift.credit == Some(terms.generation) && pool_of(gift.giver) == Some(number)
        };
        had += oracle.books().moves().all_open().filter(with_credit).count() as i128;
        if known != had {
            let rows: Vec<_> = self.coordinator.ledger().iter().filter(|(shard, _)| shard.pool == *name).collect();
            let credits: Vec<_> = all().map(|addr| (addr, oracle.caps().row_of(addr))).collect();
            return Err(format!(
                "the coordinator takes {known} credits to be with the shards, which have {had}: {terms:?}, {rows:?}, {credits:?}"
            ));
        }
        Ok(())
    }
}

fn pool_of(addr: Addr) -> Option<u32> {
    match addr {
        Addr::Shard { pool, .. } => Some(pool),
        Addr::Router(_) | Addr::Coordinator | Addr::Container(_) | Addr::Admin => None,
    }
}
