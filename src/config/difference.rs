//! What differs between two pools, by path: what a change of the configuration changes.

use serde_json::{Map, Value};

use super::document;
use super::reader::join;
use super::resolved::{Pool, PoolName};

/// A value that is not the same in two configurations.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where it is, as mistakes say it: `pools.python.start.env.MODE`.
    pub path: String,
    /// What it was; null when it was not there.
    pub from: Value,
    /// What it is; null when it is not there.
    pub to: Value,
}

impl Pool {
    /// What is not the same in `latter`, of the pool of this name, in the order of the paths. Tables are compared key by key, all else
    /// as a whole.
    pub fn differences(&self, name: &PoolName, latter: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        compare(&join("pools", name.as_str()), &document::pool(self), &document::pool(latter), &mut found);
        found
    }
}

fn compare(path: &str, from: &Value, to: &Value, found: &mut Vec<Difference>) {
    match (from, to) {
        (Value::Object(former), Value::Object(latter)) => {
            let mut keys: Vec<&String> = former.keys().chain(latter.keys()).collect();
            keys.sort();
            keys.dedup();
            let of = |table: &Map<String, Value>, key: &str| table.get(key).cloned().unwrap_or_default();
            for key in keys {
                compare(&join(path, key), &of(former, key), &of(latter, key), found);
            }
        }
        _ if from == to => {}
        _ => found.push(Difference { path: path.to_owned(), from: from.clone(), to: to.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_that_differs_is_told_by_its_path() {
        let from = json!({ "a": 1, "b": { "c": [1, 2], "d": "x" }, "gone": true, "same": null });
        let to = json!({ "a": 2, "b": { "c": [2, 1], "d": "x", "e.f": {} }, "same": null });
        let of = |from: &Value, to: &Value| {
            let mut found = Vec::new();
            compare("p", from, to, &mut found);
            found.into_iter().map(|each| (each.path, each.from, each.to)).collect::<Vec<_>>()
        };
        let expected = [
            ("p.a", json!(1), json!(2)),
            ("p.b.c", json!([1, 2]), json!([2, 1])),
            ("p.b.\"e.f\"", json!(null), json!({})),
            ("p.gone", json!(true), json!(null)),
        ];
        assert_eq!(of(&from, &to), expected.map(|(path, from, to)| (path.to_owned(), from, to)));
        assert_eq!(of(&to, &to), []);
    }
}
