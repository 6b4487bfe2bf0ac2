//! Which configuration is in force, how its totals are split over shards, and which shard has not heard of it yet.
//!
//! Always true between steps:
//! - the version only grows; a configuration in force was accepted whole;
//! - a change that the admin API asks for is made over a version that its caller has seen, or not at all (see `change`);
//! - every change of what is asked for is on record (see `history`);
//! - what the admin API set outranks what is deployed; of two deploys the later made wins, whichever code runs, so that
//!   old code that still runs beside new code never flips the configuration back;
//! - a pool's shard count changes by a migration, one at a time: until every shard of the former and of the new count has said that
//!   it has nothing left to hand over, the plans name both, and another change waits (see `migration`);
//! - shards of a container class never have more credits than its limit by what is done here (see `credits`);
//! - the warm targets of a pool's shards sum to the pool's (see `shares`);
//! - every shard in force either has acknowledged the version in force, or a push to it is under way or timed; likewise what
//!   a shard has to be told besides is under way, timed, or told by the reply to its next report.
//!
//! Durable are the [`Registry`], what each shard has acknowledged, a [`LedgerRow`] per shard, and the last of what has
//! happened in each pool (see [`journal`]), which changes nothing. What shards say of
//! themselves is not: it is heard anew.
//!
//! Never on the path of a request: shards and gateways go on with what they have when it does not answer. A step costs what the
//! shards of one pool cost, or of one class where credits are lacking; a new version, what all shards do.

mod allot;
mod change;
mod credits;
mod events;
mod history;
mod later;
mod ledger;
mod migration;
mod outbox;
mod preview;
mod push;
mod recall;
mod registry;
mod room;
mod shares;
mod view;

use crate::config::resolved::{BindingName, Config, Millis, PoolName};
use crate::core::allotment::{Allotment, ShardReport};
use crate::core::id::ShardId;
use crate::core::journal::{self, Archive, Batch};
use crate::core::mutants::{self, Mutant};
use crate::core::plan::{PLAN_FORMAT, Plan, PlanVersion, Share};

use allot::Asked;
pub use allot::{MAX_STOCKED, TELL_AGAIN};
pub use change::{Ask, Change, Stale};
pub use credits::Capacity;
pub use history::{Action, KEPT_CONFIGS, KEPT_RECORDS, Record};
pub use later::HEAR_FOR;
pub use ledger::LedgerRow;
pub use migration::{ASK_AGAIN, Migration};
pub use outbox::{ALLOT_RETRY, CONCURRENT_ALLOTMENTS, MAX_ALLOT_RETRY};
pub use push::{CONCURRENT_PUSHES, PUSH_RETRY};
pub use recall::{RECALL_AGAIN, RECALL_FOR};
pub use registry::{ConfigSource, Deployed, InForce, Registry, Removed, Resharding};
pub use room::MAX_HOLD;
pub use shares::{DEMAND_KNOWN_AFTER, MIN_STOCK};
pub use view::{HEARD_EMPTY_FOR, HEARD_FOR};

use crate::core::sorted::Map;
use credits::Class;
use events::Told;
use later::Later;
use ledger::Ledger;
use outbox::Outbox;
use push::Pushes;
use room::NoRoom;
use view::PoolView;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing but that time has passed.
    Woken,
    /// Code runs that was deployed with this.
    Deployed(Box<Deployed>),
    /// The admin API changes the configuration.
    Change(Box<Change>),
    /// A push has ended: the shard works by this version.
    Acknowledged(ShardId, PlanVersion),
    /// A push did not arrive, or whether it did is not known.
    PushFailed(ShardId),
    /// A shard reports, and is replied its [plan](Coordinator::plan_of) and its [allotment](Coordinator::allotment_of) as they are
    /// after this step.
    Reported(Box<ShardReport>),
    /// An allotment has ended: the shard answers with its report. It is replied nothing.
    Answered(Box<ShardReport>),
    /// An allotment did not arrive, or whether it did is not known.
    AllotFailed(ShardId),
    /// A shard tells what has happened, and is replied what was [recorded](Coordinator::recorded) of it after this step.
    Record(Box<Batch>),
}

/// What a step wants done.
#[derive(Debug, Default)]
pub struct Effects {
    /// Rows to write, in one transaction; at most one per row.
    pub writes: Vec<Write>,
    /// Plans to send once they are written; each ends with [`Input::Acknowledged`] or [`Input::PushFailed`].
    pub pushes: Vec<(ShardId, Plan)>,
    /// Allotments to send once all is written; each ends with [`Input::Answered`] or [`Input::AllotFailed`].
    pub allotments: Vec<(ShardId, Allotment)>,
    /// The change was refused: it was asked for over versions that are not in force.
    pub stale: Option<Stale>,
}

/// A row to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Replace the registry.
    PutRegistry(Box<Registry>),
    /// Insert or replace what a shard has acknowledged.
    PutAcknowledged(ShardId, PlanVersion),
    /// Insert or replace the ledger's row of a shard.
    PutLedger(ShardId, LedgerRow),
    /// Insert a record, or replace that of its version; of older ones no more than [`KEPT_RECORDS`] and [`KEPT_CONFIGS`] are kept.
    PutRecord(Box<Record>),
    /// Insert, replace or delete a page of events.
    Events(journal::Change),
}

/// The coordinator machine.
#[derive(Debug)]
pub struct Coordinator {
    registry: Registry,
    registry_changed: bool,
    /// Changes of this step.
    records: Vec<Record>,
    acknowledged: Map<ShardId, PlanVersion>,
    ledger: Ledger,
    /// The time of the last step.
    now: Millis,
    classes: Map<BindingName, Class>,
    views: Map<PoolName, PoolView>,
    no_room: NoRoom,
    pushes: Pushes,
    outbox: Outbox,
    /// The shard whose report the last step took: it has its reply by the next.
    replying: Option<ShardId>,
    /// When shards that have to hand something over are asked again.
    ask_at: Option<Millis>,
    /// When shards are told again that have not been heard to know what they have.
    tell_at: Option<Millis>,
    /// When credits are called back again.
    recall_again: Option<Millis>,
    /// Whether the rows were written by code that knew less: the first step completes them.
    is_incomplete: bool,
    later: Later,
    archive: Archive,
    told_of: Told,
}

impl Coordinator {
    /// The coordinator whose rows are these. It does nothing by itself: step it with [`Input::Woken`] at
    /// [`Self::next_timeout`], which takes up whatever was under way when they were written.
    pub fn load(registry: Registry, acknowledged: Map<ShardId, PlanVersion>, ledger: Map<ShardId, LedgerRow>) -> Self {
        let mut machine = Self {
            registry,
            registry_changed: false,
            records: Vec::new(),
            acknowledged,
            ledger: Ledger::load(ledger),
            now: Millis(0),
            classes: Map::new(),
            views: Map::new(),
            no_room: NoRoom::new(),
            pushes: Pushes::default(),
            outbox: Outbox::default(),
            replying: None,
            ask_at: None,
            tell_at: None,
            recall_again: None,
            is_incomplete: false,
            later: Later::default(),
            archive: Archive::default(),
            told_of: Told::default(),
        };
        machine.told_of = machine.to_tell();
        for (pool, terms) in &machine.registry.terms {
            machine.ledger.begin(pool, terms.generation);
        }
        machine.classify();
        machine.resume_pushes();
        machine.tell_at = (!machine.ledger.untold().is_empty()).then_some(Millis(0));
        machine.ask_at = (!machine.registry.migrations.is_empty()).then_some(Millis(0));
        machine.later.until = (machine.registry.overtaken_by > 0).then_some(Millis(0));
        machine.is_incomplete = machine.lacks_terms() || !machine.shares_fit();
        machine
    }

    /// The one entry.
    pub fn step(&mut self, now: Millis, input: Input, fx: &mut Effects) {
        if let Some(shard) = self.replying.take() {
            self.told(&shard);
        }
        self.now = now;
        if std::mem::take(&mut self.is_incomplete) {
            self.put_in_force();
        }
        self.record_what_is();
        match input {
            Input::Woken => {}
            Input::Deployed(deployed) => self.deployed(*deployed),
            Input::Change(change) => fx.stale = self.change(*change).err(),
            Input::Acknowledged(shard, version) => {
                self.pushed(&shard);
                self.note_later(&shard, version, None);
                self.acknowledge(&shard, version, fx);
                self.ask_if_moving(&shard);
            }
            Input::PushFailed(shard) => self.pushes.failed(shard, now),
            Input::Reported(report) => {
                if self.registry.knows(&report.shard) {
                    self.outbox.replied(&report.shard);
                    self.replying = Some(report.shard.clone());
                    self.reported(*report, Asked::No, fx);
                }
            }
            Input::Answered(report) => {
                self.outbox.answered(&report.shard);
                if self.registry.knows(&report.shard) {
                    self.reported(*report, Asked::Yes, fx);
                }
            }
            Input::AllotFailed(shard) => self.outbox.failed(shard, now),
            Input::Record(batch) => {
                if self.registry.knows(&batch.shard) {
                    self.archive.take(*batch);
                }
            }
        }
        self.fire();
        if self.ledger.untold().is_empty() {
            self.tell_at = None;
        } else {
            self.tell_at.get_or_insert(now + TELL_AGAIN);
        }
        self.push(fx);
        for shard in self.outbox.take_due() {
            if let Some(allotment) = self.allotment_of(&shard) {
                self.told(&shard);
                fx.allotments.push((shard, allotment));
            }
        }
        if std::mem::take(&mut self.registry_changed) && !mutants::on(Mutant::RegistryNotWritten) {
            fx.writes.push(Write::PutRegistry(Box::new(self.registry.clone())));
        }
        fx.writes.extend(self.ledger.take_changes());
        fx.writes.extend(self.records.drain(..).map(Box::new).map(Write::PutRecord));
        self.tell(fx);
    }

    /// When to step next, if nothing comes in before.
    pub fn next_timeout(&self) -> Option<Millis> {
        let all = [
            self.pushes.retry_at(),
            self.outbox.next_retry(),
            self.ask_at,
            self.tell_at,
            self.recall_again,
            self.later.until,
        ];
        all.into_iter().flatten().min()
    }

    /// The version in force.
    pub fn version(&self) -> PlanVersion {
        self.registry.version()
    }

    /// Where the configuration in force came from.
    pub fn source(&self) -> ConfigSource {
        match (&self.registry.admin, &self.registry.deployed) {
            (Some(_), _) => ConfigSource::Admin,
            (None, Some(deployed)) => deployed.source,
            (None, None) => ConfigSource::Bundled,
        }
    }

    /// The configuration in force, with the shard counts in force.
    pub fn config(&self) -> Config {
        self.registry.in_force()
    }

    /// Whether a pool of this name is, or ever was, in force.
    pub fn has_had(&self, pool: &PoolName) -> bool {
        self.registry.pools.contains_key(pool)
    }

    /// What is in force, for those who route by it.
    pub fn in_force(&self) -> InForce {
        InForce {
            version: self.version(),
            source: self.source(),
            config: self.config(),
            moving_from: self.moving_from(),
            credits: self.registry.terms.clone(),
        }
    }

    /// The plan in force of a shard; none when no pool of this name was ever in force. Its share of the stock is the one that the
    /// shard is allotted.
    pub fn plan_of(&self, shard: &ShardId) -> Option<Plan> {
        let pool = self.registry.pools.get(&shard.pool)?.clone();
        let credits = self.terms_of(&shard.pool);
        let share = Share {
            warm_target: self.warm_target_of(shard),
            max_instances: credits.map(|terms| terms.base(shard.index)),
        };
        let moving = self.registry.migrations.get(&shard.pool).filter(|_| !mutants::on(Mutant::FormerCountNotTold));
        let plan = Plan {
            version: self.version(),
            pool,
            active: true,
            pinned: self.registry.admin.is_some(),
            from: moving.map(|resharding| resharding.from),
            credits,
            share,
            fingerprint: None,
            format: PLAN_FORMAT,
        };
        Some(if self.registry.is_active(&shard.pool) { plan } else { plan.retired(self.version()) })
    }

    /// Every shard of every pool that was ever in force, and while ids move also those that there were before.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.registry.shards()
    }

    /// How many shards of a pool take part, while ids move also those that there were before; and how many there have ever been.
    pub fn shard_counts(&self, pool: &PoolName) -> (u32, u32) {
        (self.registry.taking_part(pool), self.registry.ever(pool))
    }

    fn deployed(&mut self, deployed: Deployed) {
        let newer = self.registry.deployed.as_ref().is_none_or(|has| {
            // With equal stamps the same build runs with another variable.
            deployed.stamp > has.stamp
                || ((deployed.stamp == has.stamp || mutants::on(Mutant::OlderDeployWins)) && deployed != *has)
        });
        if newer {
            let from = self.registry.version;
            self.registry.deployed = Some(deployed);
            if mutants::on(Mutant::AdminLostOnDeploy) {
                self.registry.admin = None;
            }
            self.put_in_force();
            self.record_deploy(from);
        }
    }

    /// Makes a new version of what is asked for, and sees to it that everybody hears of it.
    fn put_in_force(&mut self) {
        self.registry.version += u64::from(!mutants::on(Mutant::VersionStandsStill));
        self.registry_changed = true;
        if self.registry.overtaken_by > 0 {
            // It is once shards have been heard (see `later`).
            return;
        }
        let changed = self.registry.adopt();
        self.classify();
        self.set_terms();
        self.share_out(&changed);
        self.restart_pushes();
        for (pool, view) in &mut self.views {
            let began = self.registry.migrations.get(pool).map(|resharding| resharding.since);
            if began.is_none_or(|began| began == self.registry.version) {
                view.done.clear();
            }
        }
        let moves = !self.registry.migrations.is_empty();
        self.ask_at = moves.then_some(self.now + ASK_AGAIN);
        let classes: Vec<BindingName> = self.classes.keys().cloned().collect();
        for class in classes {
            self.serve(&class);
        }
    }

    fn reported(&mut self, report: ShardReport, asked: Asked, fx: &mut Effects) {
        let ShardReport { shard, plan, standing } = report;
        let Some(plan) = plan else { return self.hear_nothing(&shard) };
        self.note_later(&shard, plan, standing.as_ref());
        self.acknowledge(&shard, plan, fx);
        let Some(standing) = standing else { return self.hear_nothing(&shard) };
        let (to_move, no_room_for) = (standing.to_move, standing.no_room_for);
        self.note_told(&shard, plan, &standing, asked);
        self.take_credits(&shard, standing.credits);
        self.hear(&shard, plan, standing);
        self.note_room(&shard, no_room_for);
        self.note_progress(&shard, plan, to_move);
        self.reweigh(&shard.pool);
        if let Some(class) = self.registry.pools.get(&shard.pool).map(|pool| pool.container.clone()) {
            self.serve(&class);
        }
    }

    /// Does what is due.
    fn fire(&mut self) {
        let now = self.now;
        self.put_above_later();
        self.outbox.retry(now);
        if take_due(&mut self.ask_at, now, ASK_AGAIN) {
            self.ask_all_that_move();
            self.ask_at = (!self.registry.migrations.is_empty()).then_some(now + ASK_AGAIN);
        }
        if take_due(&mut self.tell_at, now, TELL_AGAIN) {
            self.tell_again();
        }
        if take_due(&mut self.recall_again, now, RECALL_AGAIN) {
            let is_short =
                |class: &Class| class.pools.iter().any(|pool| self.views.get(pool).is_some_and(|view| view.is_short));
            let short = self.classes.iter().filter(|(_, class)| is_short(class));
            for class in short.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
                self.serve(&class);
            }
        }
    }
}

/// Takes a time that has come. One that is further off than it can have been set, because the clock went back, is put nearer.
fn take_due(timer: &mut Option<Millis>, now: Millis, longest: Millis) -> bool {
    *timer = timer.map(|at| at.min(now + longest));
    timer.take_if(|at| *at <= now).is_some()
}
