//! A pool: how its containers are, how ids came by theirs, what hinders it, and what it costs.

use serde_json::Value;

use super::read;
use super::shard::ShardView;

/// The states of a container, in the order of its life but with those that count first: key in documents, word on pages.
pub(super) const STATES: [(&str, &str); 5] = [
    ("starting", "starting"),
    ("warm", "warm"),
    ("assigned", "assigned"),
    ("draining", "draining"),
    ("moving", "moving"),
];

/// How ids come by containers, best first.
const OUTCOMES: [&str; 4] = ["sticky", "warm", "borrowed", "cold"];

/// How many containers are in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Its word.
    pub name: &'static str,
    /// How many there are; none when not known.
    pub count: Option<u64>,
}

/// Something counted, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted<'d> {
    /// Its word.
    pub name: &'d str,
    /// How often.
    pub count: u64,
}

/// How long something took.
pub struct Latency<'d> {
    /// What: an outcome, or a start.
    pub name: &'d str,
    /// How often it was measured.
    pub count: u64,
    /// Half of them took no longer; in s. None when there were none.
    pub p50: Option<f64>,
    /// 95 of 100 took no longer.
    pub p95: Option<f64>,
    /// 99 of 100 took no longer.
    pub p99: Option<f64>,
    /// How many fell into each of the buckets, the quickest first.
    pub buckets: Vec<u64>,
}

/// What the last start said that failed so.
pub struct StartError<'d> {
    /// What kind of failure.
    pub class: &'d str,
    /// What was said.
    pub message: &'d str,
    /// When, in ms since 1970.
    pub at: Option<u64>,
    /// At which shard.
    pub shard: Option<u64>,
}

/// What a pool costs, in dollars, by the prices of memory and disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// An hour as it is now.
    pub per_hour: Option<f64>,
    /// Of that, for containers that serve nobody.
    pub idle_per_hour: Option<f64>,
    /// Since counting began.
    pub so_far: Option<f64>,
    /// Of that, for containers that served nobody.
    pub idle_so_far: Option<f64>,
}

/// How a pool is, in one word and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Good(String),
    /// On its way there.
    Busy(String),
    /// Somebody should look.
    Trouble(String),
}

/// A pool as its document has it.
pub struct PoolView<'d> {
    /// Its name.
    pub name: &'d str,
    /// Its containers.
    pub states: [State; 5],
    /// How many should be warm.
    pub warm_target: Option<u64>,
    /// The most there may be at once. None without a limit, too.
    pub max_instances: Option<u64>,
    /// Callers that wait.
    pub waiting: Option<u64>,
    /// How it is.
    pub status: Status,
    /// How ids came by containers; empty when not known.
    pub outcomes: Vec<Counted<'d>>,
    /// Why they were cold, or other than before; most often first.
    pub reasons: Vec<Counted<'d>>,
    /// Why some got none; most often first.
    pub refusals: Vec<Counted<'d>>,
    /// How long ids waited for a container and containers for their start; empty when not known.
    pub latencies: Vec<Latency<'d>>,
    /// Starts that made a container ready.
    pub starts_ready: Option<u64>,
    /// Starts that were asked for again.
    pub starts_retried: Option<u64>,
    /// Starts that failed, by class.
    pub starts_failed: Vec<Counted<'d>>,
    /// The last failure of each class.
    pub last_errors: Vec<StartError<'d>>,
    /// What it costs; none when not known.
    pub cost: Option<Cost>,
    /// Its instance type; none when not known.
    pub instance_type: Option<String>,
    /// Its shards, those included that did not answer, by index.
    pub shards: Vec<ShardView>,
}

impl<'d> PoolView<'d> {
    /// The pool of a document of `GET /_warm/v1/pools/{pool}`.
    pub fn of(document: &'d Value) -> Self {
        let config = document.get("config").unwrap_or(&Value::Null);
        let warm_target = read::number(config, "warmTarget").or_else(|| read::number(document, "warmTarget"));
        let mut shards: Vec<ShardView> = read::list(document, "shards").iter().map(ShardView::of).collect();
        let missing = read::list(document, "missing").iter().filter_map(Value::as_u64);
        shards.extend(missing.map(ShardView::missing));
        shards.sort_by_key(|shard| shard.index);
        let outcomes = read::counts(document, "outcomes").map(|counts| {
            let count = |name: &str| counts.iter().find(|(other, _)| *other == name).map_or(0, |(_, count)| *count);
            OUTCOMES.map(|name| Counted { name, count: count(name) }).to_vec()
        });
        let cost = document.get("cost").filter(|cost| cost.is_object());
        Self {
            name: read::text(document, "name").unwrap_or_default(),
            states: STATES.map(|(key, name)| State { name, count: read::number(document, key) }),
            warm_target,
            max_instances: read::number(document, "maxInstances"),
            waiting: read::number(document, "waiting"),
            status: status(document, &shards, warm_target),
            outcomes: outcomes.unwrap_or_default(),
            reasons: most_first(read::counts(document, "reasons")),
            refusals: most_first(read::counts(document, "refusals")),
            latencies: latencies(document),
            starts_ready: read::number(document, "startsReady"),
            starts_retried: read::number(document, "startsRetried"),
            starts_failed: most_first(read::counts(document, "startsFailed")),
            last_errors: last_errors(document),
            cost: cost.map(|cost| Cost {
                per_hour: read::decimal(cost, "perHour"),
                idle_per_hour: read::decimal(cost, "idlePerHour"),
                so_far: read::decimal(cost, "soFar"),
                idle_so_far: read::decimal(cost, "idleSoFar"),
            }),
            instance_type: cost.and_then(|cost| cost.get("instanceType")).and_then(instance_type),
            shards,
        }
    }

    /// How many of its containers are in a state.
    pub fn count(&self, state: &str) -> Option<u64> {
        self.states.iter().find(|each| each.name == state)?.count
    }

    /// Its containers in whatever state; none when not all are known.
    pub fn containers(&self) -> Option<u64> {
        // Those that move stand on two shards' books.
        self.states.iter().map(|state| state.count).try_fold(0, |sum, count| Some(sum + count?))
    }

    /// How many answers with a container there were.
    pub fn acquired(&self) -> u64 {
        self.outcomes.iter().map(|outcome| outcome.count).sum()
    }
}

fn status(document: &Value, shards: &[ShardView], warm_target: Option<u64>) -> Status {
    let silent = shards.iter().filter(|shard| shard.states.is_none()).count();
    if silent > 0 {
        return Status::Trouble(format!("{silent} of {} shards do not answer", shards.len()));
    }
    let failing = shards.iter().filter(|shard| shard.breaker_open).count();
    if failing > 0 {
        return Status::Trouble(format!("starts keep failing at {failing} of {} shards", shards.len()));
    }
    if let Some(waiting @ 1..) = read::number(document, "waiting") {
        return Status::Busy(format!("{waiting} wait for a container"));
    }
    if let Some(moving) = document.get("migration").filter(|migration| migration.is_object()) {
        let count = |key| read::number(moving, key).unwrap_or_default();
        return Status::Busy(format!("moves from {} to {} shards", count("from"), count("to")));
    }
    match (read::number(document, "warm"), warm_target) {
        (Some(warm), Some(target)) if warm < target => Status::Busy(format!("{warm} of {target} warm")),
        (Some(_), Some(_)) => Status::Good("at its target".to_owned()),
        (None, _) | (_, None) => Status::Busy("its stock is not known".to_owned()),
    }
}

fn most_first(counts: Option<Vec<(&str, u64)>>) -> Vec<Counted<'_>> {
    let mut counts: Vec<Counted<'_>> =
        counts.unwrap_or_default().into_iter().map(|(name, count)| Counted { name, count }).collect();
    counts.retain(|counted| counted.count > 0);
    counts.sort_by(|a, b| b.count.cmp(&a.count).then(a.name.cmp(b.name)));
    counts
}

fn latencies(document: &Value) -> Vec<Latency<'_>> {
    let Some(all) = document.get("latencies") else { return Vec::new() };
    let acquire = all.get("acquire").unwrap_or(&Value::Null);
    let of_outcomes = OUTCOMES.iter().filter_map(|&name| latency(name, acquire.get(name)?));
    of_outcomes.chain(all.get("start").and_then(|start| latency("start", start))).collect()
}

fn latency<'d>(name: &'d str, document: &Value) -> Option<Latency<'d>> {
    Some(Latency {
        name,
        count: read::number(document, "count")?,
        p50: read::decimal(document, "p50"),
        p95: read::decimal(document, "p95"),
        p99: read::decimal(document, "p99"),
        buckets: read::list(document, "buckets").iter().filter_map(Value::as_u64).collect(),
    })
}

fn last_errors(document: &Value) -> Vec<StartError<'_>> {
    if let Some(errors) = document.get("lastErrors").and_then(Value::as_object) {
        return errors
            .iter()
            .map(|(class, error)| StartError {
                class,
                message: read::text(error, "message").unwrap_or_default(),
                at: read::number(error, "at"),
                shard: read::number(error, "shard"),
            })
            .collect();
    }
    let of_shard = |shard: &'_ Value| shard.get("lastFailure").filter(|failure| failure.is_object()).is_some();
    let shards = read::list(document, "shards").iter().filter(|shard| of_shard(shard));
    shards
        .filter_map(|shard| {
            let failure = shard.get("lastFailure")?;
            Some(StartError {
                class: read::text(failure, "class")?,
                message: read::text(failure, "message").unwrap_or_default(),
                at: None,
                shard: read::number(shard, "shard"),
            })
        })
        .collect()
}

fn instance_type(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.clone()),
        Value::Object(_) => Some("its own size".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_document_does_not_say_is_not_known() {
        let document = json!({});
        let pool = PoolView::of(&document);
        assert_eq!(pool.states.map(|state| state.count), [None; 5]);
        assert_eq!((pool.warm_target, pool.waiting, pool.cost, pool.containers()), (None, None, None, None));
        assert!(pool.outcomes.is_empty() && pool.latencies.is_empty() && pool.shards.is_empty());
        assert_eq!(pool.status, Status::Busy("its stock is not known".to_owned()));
    }

    #[test]
    fn a_full_document_is_told_in_full() {
        let document = json!({
            "name": "p", "warm": 2, "assigned": 7, "starting": 1, "draining": 0, "moving": 0, "waiting": 0,
            "config": { "warmTarget": 2 }, "maxInstances": 20, "outcomes": { "warm": 7, "sticky": 90, "cold": 2 },
            "reasons": { "filling": 1, "exhausted": 4, "at-capacity": 0 }, "refusals": { "at_capacity": 3 },
            "latencies": { "acquire": { "warm": { "count": 7, "sum": 0.1, "p50": 0.01, "p95": 0.02, "p99": null, "buckets": [0, 7] } },
                           "start": { "count": 0, "sum": 0, "p50": null, "p95": null, "p99": null, "buckets": [] } },
            "startsReady": 9, "startsFailed": { "exited": 2 }, "startsRetried": 1,
            "lastErrors": { "exited": { "message": "boom", "at": 5, "shard": 1 } },
            "cost": { "currency": "USD", "instanceType": "lite", "perHour": 0.5, "idlePerHour": 0.1, "soFar": 3, "idleSoFar": 1 },
            "shards": [{ "shard": 0, "warm": 2, "assigned": 7 }], "missing": [],
        });
        let pool = PoolView::of(&document);
        assert_eq!(pool.containers(), Some(10));
        assert_eq!(pool.outcomes.iter().map(|each| each.count).collect::<Vec<_>>(), [90, 7, 0, 2]);
        assert_eq!(pool.acquired(), 99);
        assert_eq!(pool.reasons, [Counted { name: "exhausted", count: 4 }, Counted { name: "filling", count: 1 }]);
        assert_eq!(pool.refusals, [Counted { name: "at_capacity", count: 3 }]);
        let names: Vec<_> = pool.latencies.iter().map(|each| (each.name, each.p50, each.p99)).collect();
        assert_eq!(names, [("warm", Some(0.01), None), ("start", None, None)]);
        assert_eq!((pool.last_errors[0].class, pool.last_errors[0].message), ("exited", "boom"));
        assert_eq!((pool.cost.unwrap().per_hour, pool.instance_type.as_deref()), (Some(0.5), Some("lite")));
        assert_eq!(pool.status, Status::Good("at its target".to_owned()));
    }

    #[test]
    fn the_worst_is_told_first() {
        let status = |document: Value| PoolView::of(&document).status;
        let pool = |more: Value| {
            let mut all =
                json!({ "warm": 1, "config": { "warmTarget": 2 }, "shards": [{ "shard": 0, "breakerOpen": true }] });
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        assert_eq!(status(pool(json!({ "missing": [1] }))), Status::Trouble("1 of 2 shards do not answer".to_owned()));
        assert_eq!(
            status(pool(json!({ "waiting": 3 }))),
            Status::Trouble("starts keep failing at 1 of 1 shards".to_owned())
        );
        assert_eq!(
            status(pool(json!({ "shards": [], "waiting": 3 }))),
            Status::Busy("3 wait for a container".to_owned())
        );
        let moving = json!({ "shards": [], "migration": { "from": 2, "to": 4 } });
        assert_eq!(status(pool(moving)), Status::Busy("moves from 2 to 4 shards".to_owned()));
        assert_eq!(status(pool(json!({ "shards": [] }))), Status::Busy("1 of 2 warm".to_owned()));
    }

    #[test]
    fn a_shard_that_did_not_answer_stands_in_its_place() {
        let document = json!({ "shards": [{ "shard": 0 }, { "shard": 2 }], "missing": [1] });
        let shards = PoolView::of(&document).shards;
        assert_eq!(
            shards.iter().map(|shard| (shard.index, shard.states.is_some())).collect::<Vec<_>>(),
            [(0, true), (1, false), (2, true)]
        );
    }
}
