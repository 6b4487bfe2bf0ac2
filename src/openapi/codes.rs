//! The codes of the admin API's errors: a closed list, with what each means and the status it comes with.

use serde_json::{Map, Value, json};

use crate::core::gateway::denial::MAX_RETRY_AFTER_SECS;

/// Status, code, and what it means.
pub(super) const CODES: &[(u16, &str, &str)] = &[
    (400, "bad_actor", "`x-warm-actor` has more than 100 characters, or one that cannot be printed"),
    (400, "bad_body", "the body could not be read, or is not what it should be"),
    (400, "bad_encoding", "the path or the body is not UTF-8"),
    (400, "bad_id", "the id has no bytes, more than 256, a control character, or U+FFFD"),
    (400, "bad_if_match", "`If-Match` is neither a list of `ETag`s nor `*`"),
    (400, "bad_query", "a parameter of the query is not what it may be"),
    (401, "unauthorized", "the token is missing or wrong"),
    (403, "admin_closed", "the Worker has no secret `ADMIN_TOKEN`"),
    (404, "no_container", "the id has no container"),
    (404, "no_coordinator", "the Worker has no coordinator, which keeps the events"),
    (404, "not_found", "there is no such path"),
    (404, "unknown_pool", "the configuration has no such pool"),
    (404, "unknown_version", "the version is not kept"),
    (405, "method_not_allowed", "the path has other methods: see `Allow`"),
    (412, "stale_version", "another version is in force than `If-Match` names; nothing was changed"),
    (413, "too_large", "the body has too many bytes"),
    (422, "invalid_config", "the configuration has mistakes, which `errors` lists; nothing was changed"),
    (500, "internal", "a fault of this project"),
    (500, "misconfigured", "the Worker lacks a binding, or has another fault of its deployment"),
    (502, "start_failed", "the pool's containers do not start; the message has the last error"),
    (503, "at_capacity", "the pool has as many containers as it may have, and none came free in time"),
    (503, "overloaded", "too many callers wait"),
    (503, "pool_unreachable", "a shard or the coordinator could not be reached"),
    (503, "timeout", "no container was ready in time"),
    (503, "unknown_pool", "the shard does not know the pool yet"),
    (503, "wrong_shard", "the id is on its way from one shard to another"),
];

/// The codes that no operation has: a request with these was for none.
pub(super) const OF_NO_OPERATION: &[&str] = &["not_found", "method_not_allowed"];

/// What an error with a code has besides: the code, the key, and what stands there.
type Further = (&'static str, &'static str, fn() -> Value);

const MORE: &[Further] = &[
    ("invalid_config", "errors", mistakes),
    (
        "stale_version",
        "version",
        || json!({ "description": "With `stale_version`: what is in force.", "type": "integer" }),
    ),
];

fn mistakes() -> Value {
    let text = "With `invalid_config`: the mistakes, in the order of the document; the first of them when there are very many.";
    json!({ "description": text, "type": "array", "items": { "$ref": "#/components/schemas/ConfigError" } })
}

/// What every error has.
pub(super) fn schema() -> Value {
    let mut codes: Vec<&str> = CODES.iter().map(|(_, code, _)| *code).collect();
    codes.sort_unstable();
    codes.dedup();
    let mut properties = json!({
        "code": { "description": "What went wrong. A code keeps its meaning.", "enum": codes },
        "message": { "description": "What happened and what to do, for people.", "type": "string" },
    });
    for (_, key, schema) in MORE {
        properties[key] = schema();
    }
    let error = json!({ "type": "object", "required": ["code", "message"], "properties": properties });
    json!({
        "description": "Every answer from status 400.",
        "type": "object",
        "required": ["error"],
        "properties": { "error": error },
    })
}

/// An answer with one of these codes.
pub(super) fn response(status: u16, codes: &[&str]) -> Value {
    let meanings: Vec<String> = CODES
        .iter()
        .filter(|(of, code, _)| *of == status && codes.contains(code))
        .map(|(_, code, meaning)| format!("`{code}`: {meaning}."))
        .collect();
    let more = MORE.iter().filter(|(code, ..)| codes.contains(code)).map(|(_, key, _)| *key);
    let required: Vec<&str> = ["code", "message"].into_iter().chain(more).collect();
    let code = json!({ "properties": { "code": { "enum": codes } }, "required": required });
    let narrowed = json!({ "properties": { "error": code } });
    let schema = json!({ "allOf": [{ "$ref": "#/components/schemas/Error" }, narrowed] });
    let mut response = Map::new();
    response.insert("description".to_owned(), meanings.join(" ").into());
    if let Some((name, header)) = header(status) {
        response.insert("headers".to_owned(), json!({ name: header }));
    }
    response.insert("content".to_owned(), json!({ "application/json": { "schema": schema } }));
    response.into()
}

/// The header that every answer of a status has.
fn header(status: u16) -> Option<(&'static str, Value)> {
    match status {
        401 => Some((
            "www-authenticate",
            json!({ "required": true, "schema": { "const": "Bearer realm=\"cf-warm-pools\"" } }),
        )),
        503 => {
            let text = "After how many seconds a retry has a chance.";
            let schema = json!({ "type": "integer", "minimum": 1, "maximum": MAX_RETRY_AFTER_SECS });
            Some(("retry-after", json!({ "description": text, "required": true, "schema": schema })))
        }
        _ => None,
    }
}

/// What an answer with these codes is called.
pub(super) fn response_name(status: u16, codes: &[&str]) -> String {
    let words = codes.iter().flat_map(|code| code.split('_'));
    let camel = words.flat_map(|word| word[..1].to_uppercase().chars().chain(word[1..].chars()).collect::<Vec<_>>());
    match (codes.len(), status) {
        (0..=3, _) => camel.collect(),
        (_, 400) => "BadRequest".to_owned(),
        (_, 503) => "Unavailable".to_owned(),
        (count, _) => format!("Errors{status}Of{count}"),
    }
}
