//! What happened, one line each.

use serde_json::Value;

use super::read;

/// Something that happened.
pub struct Event<'d> {
    /// When, in ms since 1970.
    pub at: u64,
    /// In which pool, if in one.
    pub pool: Option<&'d str>,
    /// At which shard.
    pub shard: Option<u64>,
    /// What.
    pub kind: &'d str,
    /// Whether somebody should look.
    pub is_bad: bool,
    /// What else is known, by name: container, session (a hash), outcome, reason, …
    pub details: Vec<(&'static str, String)>,
    /// What was said.
    pub message: Option<&'d str>,
}

/// What an event may say besides, in the order in which it is shown.
const DETAILS: [&str; 8] = ["container", "session", "outcome", "reason", "from", "to", "limit", "version"];

/// The events of a document of `GET /_warm/v1/events`, newest first; none when there is no such list.
pub fn events(document: &Value) -> Option<Vec<Event<'_>>> {
    let list = document.get("events")?.as_array()?;
    Some(list.iter().rev().map(event).collect())
}

fn event(document: &Value) -> Event<'_> {
    let kind = read::text(document, "kind").unwrap_or("unknown");
    let detail = |key: &'static str| match document.get(key)? {
        // Enough to tell containers apart; the whole name is in the API.
        Value::String(name) if key == "container" => Some((key, name.get(..8).unwrap_or(name).to_owned())),
        Value::String(text) => Some((key, text.clone())),
        Value::Number(number) => Some((key, number.to_string())),
        _ => None,
    };
    Event {
        at: read::number(document, "at").unwrap_or_default(),
        pool: read::text(document, "pool"),
        shard: read::number(document, "shard"),
        kind,
        is_bad: matches!(kind, "start-failed" | "breaker-opened" | "ceiling-learned"),
        details: DETAILS.into_iter().filter_map(detail).collect(),
        message: read::text(document, "message"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_comes_first_and_an_unknown_kind_is_told_all_the_same() {
        let document = json!({ "events": [
            { "seq": 1, "at": 10, "pool": "p", "shard": 0, "kind": "start-failed", "message": "boom" },
            { "seq": 2, "at": 20, "pool": "p", "kind": "grown", "container": "d621f586-5980", "reason": "exhausted",
              "from": 2, "epoch": null },
        ]});
        let events = events(&document).unwrap();
        assert_eq!(
            events.iter().map(|event| (event.at, event.kind, event.is_bad)).collect::<Vec<_>>(),
            [(20, "grown", false), (10, "start-failed", true)]
        );
        let details: Vec<_> = events[0].details.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(details, [("container", "d621f586"), ("reason", "exhausted"), ("from", "2")]);
        assert!(super::events(&json!({ "error": {} })).is_none());
    }
}
