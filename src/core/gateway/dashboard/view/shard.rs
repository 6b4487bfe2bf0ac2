//! The shards of a pool, one by one and side by side.

use serde_json::Value;

use super::read;

/// A shard in numbers.
pub struct ShardView {
    /// Its index.
    pub index: u64,
    /// Its containers: starting, warm, assigned, draining, moving. None for a shard that did not answer.
    pub states: Option<[u64; 5]>,
    /// Its share of the warm target.
    pub warm_target: Option<u64>,
    /// The most containers it may have now. None without a limit, too.
    pub limit: Option<u64>,
    /// Callers that wait.
    pub waiting: Option<u64>,
    /// How long until a start is tried again, in ms.
    pub backoff_millis: u64,
    /// Whether its starts fail so often that one at a time is tried.
    pub breaker_open: bool,
    /// A limit learned from the platform, while it is believed.
    pub ceiling: Option<u64>,
}

impl ShardView {
    /// One that did not answer.
    pub fn missing(index: u64) -> Self {
        Self {
            index,
            states: None,
            warm_target: None,
            limit: None,
            waiting: None,
            backoff_millis: 0,
            breaker_open: false,
            ceiling: None,
        }
    }

    /// One as its document has it.
    pub fn of(document: &Value) -> Self {
        let count = |key| read::number(document, key).unwrap_or_default();
        Self {
            index: count("shard"),
            states: Some(super::pool::STATES.map(|(key, _)| count(key))),
            warm_target: read::number(document, "warmTarget"),
            limit: read::number(document, "maxInstances"),
            waiting: read::number(document, "waiting"),
            backoff_millis: count("backoffMillis"),
            breaker_open: document.get("breakerOpen").and_then(Value::as_bool).unwrap_or_default(),
            ceiling: read::number(document, "ceiling"),
        }
    }

    /// What hinders it, if anything does; for people.
    pub fn trouble(&self) -> Option<String> {
        if self.states.is_none() {
            return Some("no answer".to_owned());
        }
        let breaker = self.breaker_open.then(|| "starts keep failing".to_owned());
        let backoff = || (self.backoff_millis > 0).then(|| "waits before the next start".to_owned());
        let ceiling = || Some(format!("the platform gave it no more than {}", self.ceiling?));
        breaker.or_else(backoff).or_else(ceiling)
    }

    fn load(&self) -> Option<u64> {
        self.states.map(|[_, _, assigned, _, _]| assigned)
    }

    fn stock(&self) -> Option<u64> {
        self.states.map(|[_, warm, _, _, _]| warm)
    }
}

/// All shards side by side, each with a bar for its load and one for its stock.
pub struct Strip {
    /// What it shows, in a sentence.
    pub summary: String,
    /// For each shard: its index and the heights of load (assigned) and stock (warm), in parts of [`Strip::FULL`]; none for one that did
    /// not answer.
    pub bars: Vec<(u64, Option<(u64, u64)>)>,
    /// What a bar of full height stands for.
    pub top: u64,
}

impl Strip {
    /// The height of the highest bar.
    pub const FULL: u64 = 40;
}

/// The strip of these shards. Load and stock have one scale, so that they can be compared.
pub fn strip(shards: &[ShardView]) -> Strip {
    let loads = || shards.iter().filter_map(ShardView::load);
    let stocks = || shards.iter().filter_map(ShardView::stock);
    let top = loads().chain(stocks()).max().unwrap_or_default().max(1);
    // What is there is seen, however little it is.
    let height = |count: u64| if count == 0 { 0 } else { (count * Strip::FULL / top).max(2) };
    let bars = shards.iter().map(|shard| {
        let pair = shard.load().zip(shard.stock());
        (shard.index, pair.map(|(load, stock)| (height(load), height(stock))))
    });
    let range = |counts: Option<(u64, u64)>| match counts {
        Some((least, most)) if least == most => format!("{least}"),
        Some((least, most)) => format!("{least} to {most}"),
        None => "an unknown number".to_owned(),
    };
    let silent = shards.iter().filter(|shard| shard.states.is_none()).count();
    let silence = if silent > 0 { format!("; no answer from {silent}") } else { String::new() };
    let (number, plural) = (shards.len(), if shards.len() == 1 { "" } else { "s" });
    let summary = format!(
        "{number} shard{plural}: {} assigned and {} warm in each{silence}",
        range(loads().min().zip(loads().max())),
        range(stocks().min().zip(stocks().max())),
    );
    Strip { summary, bars: bars.collect(), top }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bars_share_one_scale_and_a_silent_shard_has_none() {
        let shards = [
            ShardView::of(&json!({ "shard": 0, "assigned": 100, "warm": 1 })),
            ShardView::of(&json!({ "shard": 1, "assigned": 50, "warm": 0 })),
            ShardView::missing(2),
        ];
        let strip = strip(&shards);
        assert_eq!(strip.bars, [(0, Some((40, 2))), (1, Some((20, 0))), (2, None)]);
        assert_eq!(strip.top, 100);
        assert_eq!(strip.summary, "3 shards: 50 to 100 assigned and 0 to 1 warm in each; no answer from 1");
    }

    #[test]
    fn the_worst_of_what_hinders_a_shard_is_told() {
        let trouble = |document: Value| ShardView::of(&document).trouble();
        assert_eq!(trouble(json!({ "breakerOpen": false, "backoffMillis": 0, "ceiling": null })), None);
        assert_eq!(trouble(json!({ "ceiling": 3 })).as_deref(), Some("the platform gave it no more than 3"));
        assert_eq!(
            trouble(json!({ "breakerOpen": true, "backoffMillis": 9, "ceiling": 3 })).as_deref(),
            Some("starts keep failing")
        );
        assert_eq!(ShardView::missing(1).trouble().as_deref(), Some("no answer"));
    }
}
