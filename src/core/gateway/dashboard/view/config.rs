//! The configuration: what a change would change, what is wrong with it, and what there was before.

use serde_json::Value;

use super::read;

/// A value that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where: `pools.python.warm_target`.
    pub path: String,
    /// As JSON; none when it was not there.
    pub from: Option<String>,
    /// As JSON; none when it is gone.
    pub to: Option<String>,
}

/// Every value that differs between two configurations, by path.
pub fn changes(from: &Value, to: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare("", Some(from), Some(to), &mut changes);
    changes
}

fn compare(path: &str, from: Option<&Value>, to: Option<&Value>, changes: &mut Vec<Change>) {
    if from == to {
        return;
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (from, to) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let added = after.keys().filter(|key| !before.contains_key(*key));
            for key in before.keys().chain(added) {
                compare(&below(key), before.get(key), after.get(key), changes);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for at in 0..before.len().max(after.len()) {
                compare(&format!("{path}[{at}]"), before.get(at), after.get(at), changes);
            }
        }
        _ => {
            let text = |value: Option<&Value>| value.map(Value::to_string);
            changes.push(Change { path: path.to_owned(), from: text(from), to: text(to) });
        }
    }
}

/// Something wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake<'d> {
    /// Where; empty when it is about the whole.
    pub path: &'d str,
    /// What, and what to do.
    pub message: &'d str,
}

/// What an answer that refuses a configuration lists; else what it says.
pub fn mistakes(document: &Value) -> Vec<Mistake<'_>> {
    let error = document.get("error").unwrap_or(&Value::Null);
    let mistake = |document| Mistake {
        path: read::text(document, "path").unwrap_or_default(),
        message: read::text(document, "message").unwrap_or("the Worker does not say what is wrong"),
    };
    match read::list(error, "errors") {
        [] => vec![mistake(error)],
        errors => errors.iter().map(mistake).collect(),
    }
}

/// What a change does to the containers of a pool.
pub struct PoolPlan<'d> {
    /// Which pool.
    pub pool: &'d str,
    /// What becomes of it: added, removed, changed.
    pub change: &'d str,
    /// What follows, in words.
    pub effects: Vec<String>,
}

/// The pools that a checked change touches; none when the answer has no plan.
pub fn plan(document: &Value) -> Option<Vec<PoolPlan<'_>>> {
    let pools = document.pointer("/plan/pools")?.as_array()?;
    let touched = pools.iter().filter(|pool| read::text(pool, "change") != Some("unchanged"));
    Some(touched.map(pool_plan).collect())
}

fn pool_plan(document: &Value) -> PoolPlan<'_> {
    let containers = |count: u64| if count == 1 { "1 container".to_owned() } else { format!("{count} containers") };
    let some = |key| read::number(document, key).filter(|count| *count > 0);
    let start = some("start").map(|count| format!("starts {}", containers(count)));
    let drain = some("drain").map(|count| format!("sends {} away", containers(count)));
    let moves = document.get("move").filter(|moves| moves.is_object()).map(|moves| {
        let count = |key| read::number(moves, key).unwrap_or_default();
        format!("moves ids from {} to {} shards", count("from"), count("to"))
    });
    let restarts = document.get("restart").and_then(Value::as_bool).unwrap_or_default();
    let restart = restarts.then(|| "replaces its warm containers".to_owned());
    PoolPlan {
        pool: read::text(document, "pool").unwrap_or_default(),
        change: read::text(document, "change").unwrap_or("changed"),
        effects: [start, drain, moves, restart].into_iter().flatten().collect(),
    }
}

/// A configuration that was in force.
pub struct Revision<'d> {
    /// Its version.
    pub version: u64,
    /// Since when, in ms since 1970.
    pub at: Option<u64>,
    /// Who put it in force.
    pub by: &'d str,
    /// By what: a deploy, a change, …
    pub action: &'d str,
}

/// What a document of `GET /_warm/v1/config/history` lists; none when it has no such list.
pub fn revisions(document: &Value) -> Option<Vec<Revision<'_>>> {
    let versions = document.get("versions")?.as_array()?;
    let revision = |document| {
        Some(Revision {
            version: read::number(document, "version")?,
            at: read::number(document, "at"),
            by: read::text(document, "by").unwrap_or_default(),
            action: read::text(document, "action").unwrap_or_default(),
        })
    };
    Some(versions.iter().filter_map(revision).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_diff_has_every_value_that_differs_and_no_other() {
        let from = json!({ "pools": { "a": { "warm_target": 2, "shards": 1 }, "b": { "x": 1 } }, "routes": [{ "pool": "a" }] });
        let to =
            json!({ "pools": { "a": { "warm_target": 3, "shards": 1, "env": {} } }, "routes": [{ "pool": "a" }, "r"] });
        let change = |path: &str, from: Option<&str>, to: Option<&str>| Change {
            path: path.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        assert_eq!(
            changes(&from, &to),
            [
                change("pools.a.warm_target", Some("2"), Some("3")),
                change("pools.a.env", None, Some("{}")),
                change("pools.b", Some(r#"{"x":1}"#), None),
                change("routes[1]", None, Some(r#""r""#)),
            ]
        );
        assert!(changes(&from, &from).is_empty());
    }

    #[test]
    fn every_mistake_is_told_and_an_error_without_a_list_by_its_message() {
        let refused = json!({ "error": { "message": "2 mistakes", "errors": [
            { "path": "pools.a", "message": "x" }, { "path": "routes", "message": "y" }] } });
        assert_eq!(mistakes(&refused).iter().map(|each| each.path).collect::<Vec<_>>(), ["pools.a", "routes"]);
        let other = json!({ "error": { "code": "too_large", "message": "too large" } });
        assert_eq!(mistakes(&other), [Mistake { path: "", message: "too large" }]);
    }

    #[test]
    fn a_plan_says_what_becomes_of_containers() {
        let document = json!({ "valid": true, "plan": { "pools": [
            { "pool": "a", "change": "changed", "start": 1, "drain": 0, "move": { "from": 1, "to": 2 }, "restart": true },
            { "pool": "b", "change": "unchanged", "start": 0, "drain": 0 },
            { "pool": "c", "change": "removed", "start": 0, "drain": 3 }] } });
        let plan = plan(&document).unwrap();
        assert_eq!(
            plan.iter().map(|pool| (pool.pool, pool.effects.join(", "))).collect::<Vec<_>>(),
            [
                ("a", "starts 1 container, moves ids from 1 to 2 shards, replaces its warm containers".to_owned()),
                ("c", "sends 3 containers away".to_owned()),
            ]
        );
        assert!(super::plan(&json!({ "valid": true })).is_none());
    }
}
