//! What the coordinator has stored of what has happened: each event once, whatever the network repeats.

use std::collections::BTreeMap;

use cf_warm_pools::core::journal::Change;
use serde_json::Value;

/// Every event that was stored.
#[derive(Debug, Default)]
pub struct Told {
    /// The number of the last one.
    last: u64,
    /// The number of the event by which each container was given away: it happens once in its life.
    assigned: BTreeMap<String, u64>,
}

impl Told {
    /// Pages were written. Says what is wrong with them.
    pub fn stored(&mut self, changes: &[&Change]) -> Option<String> {
        let mut fresh = Vec::new();
        for change in changes {
            let Change::Put(pool, page) = change else { continue };
            for text in page.events.iter().rev() {
                let event: Value = serde_json::from_str(text).unwrap();
                let seq = event["seq"].as_u64().unwrap();
                if seq <= self.last {
                    break;
                }
                fresh.push((seq, pool, event));
            }
        }
        fresh.sort_by_key(|&(seq, ..)| seq);
        for (seq, pool, event) in fresh {
            if seq != self.last + 1 {
                return Some(format!("event {seq} comes after {}", self.last));
            }
            self.last = seq;
            let Some(container) = event["container"].as_str().filter(|_| event["kind"] == "assigned") else { continue };
            if let Some(before) = self.assigned.insert(container.to_owned(), seq) {
                return Some(format!("events {before} and {seq} of {pool} tell that {container} was assigned"));
            }
        }
        None
    }
}
