//! One operation of the admin API, and how it is written down.

use std::collections::{BTreeMap, BTreeSet};

use schemars::Schema;
use serde_json::{Map, Value, json};

use super::codes;
use crate::core::id::MAX_SESSION_ID_LEN;

/// The pool of all examples: one of `config/pools.toml`.
pub(super) const POOL: &str = "counter";
/// The id of all examples.
pub(super) const ID: &str = "alice";

const JSON: &str = "application/json";
/// Text without control characters, nor what stands for text that could not be read.
const ID_TEXT: &str = r"^[^\u0000-\u001f\u007f-\u009f\ufffd]+$";

/// What a call does, takes and answers.
#[derive(Debug)]
pub(super) struct Operation {
    pub id: &'static str,
    pub method: &'static str,
    /// A template: `{name}` is a parameter.
    pub path: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: Option<&'static str>,
    pub is_open: bool,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
    errors: BTreeMap<u16, BTreeSet<&'static str>>,
}

impl Operation {
    /// The parameters of the path, and the errors that come with them and with the token, are known by it.
    pub(super) fn new(tag: &'static str, id: &'static str, line: &'static str, summary: &'static str) -> Self {
        let (method, path) = line.split_once(' ').unwrap_or_default();
        let operation = Self {
            id,
            method,
            path,
            tag,
            summary,
            description: None,
            is_open: false,
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
            errors: BTreeMap::new(),
        };
        let mut operation = operation.error(401, &["unauthorized"]).error(403, &["admin_closed"]);
        if path.contains("{pool}") {
            let schema = json!({ "type": "string" });
            operation = operation
                .parameter("path", "pool", true, "A pool of the configuration, percent-encoded.", schema, &POOL.into())
                .error(400, &["bad_encoding"])
                .error(404, &["unknown_pool"]);
        }
        if path.contains("{id}") {
            let schema =
                json!({ "type": "string", "minLength": 1, "maxLength": MAX_SESSION_ID_LEN, "pattern": ID_TEXT });
            let text = "1 to 256 bytes of UTF-8 without control characters and U+FFFD, percent-encoded.";
            operation = operation.parameter("path", "id", true, text, schema, &ID.into()).error(400, &["bad_id"]);
        }
        operation
    }

    pub(super) fn says(mut self, description: &'static str) -> Self {
        self.description = Some(description);
        self
    }

    /// Needs no token.
    pub(super) fn open(mut self) -> Self {
        self.is_open = true;
        self.errors.clear();
        self
    }

    pub(super) fn parameter(
        mut self,
        place: &str,
        name: &str,
        required: bool,
        text: &str,
        schema: Value,
        example: &Value,
    ) -> Self {
        self.parameters.push(json!({
            "in": place, "name": name, "required": required, "description": text, "schema": schema, "example": example,
        }));
        self
    }

    pub(super) fn body(mut self, text: &str, schema: &Schema, example: Value) -> Self {
        self.body = Some(json!({
            "required": true, "description": text, "content": { JSON: { "schema": schema, "example": example } },
        }));
        self
    }

    /// An answer of JSON.
    pub(super) fn json(self, status: u16, text: &str, schema: &Schema) -> Self {
        self.media(status, text, &[(JSON, schema)])
    }

    /// An answer of one of these media types.
    pub(super) fn media(self, status: u16, text: &str, types: &[(&str, &Schema)]) -> Self {
        let content: Map<String, Value> =
            types.iter().map(|(name, schema)| ((*name).to_owned(), json!({ "schema": schema }))).collect();
        self.answer(status, json!({ "description": text, "content": content }))
    }

    /// An answer without a body.
    pub(super) fn empty(self, status: u16, text: &str) -> Self {
        self.answer(status, json!({ "description": text }))
    }

    /// A header that the answer of this status always has.
    pub(super) fn header(mut self, status: u16, name: &str, text: &str) -> Self {
        let header = json!({ "description": text, "required": true, "schema": { "type": "string" } });
        let answer = self.answers.get_mut(&status).and_then(Value::as_object_mut);
        let headers = answer.map(|answer| answer.entry("headers").or_insert_with(|| json!({})));
        if let Some(headers) = headers.and_then(Value::as_object_mut) {
            headers.insert(name.to_owned(), header);
        }
        self
    }

    pub(super) fn error(mut self, status: u16, codes: &[&'static str]) -> Self {
        self.errors.entry(status).or_default().extend(codes);
        self
    }

    /// Asks the coordinator.
    pub(super) fn of_coordinator(self) -> Self {
        self.error(500, &["misconfigured"]).error(503, &["pool_unreachable"])
    }

    /// Asks shards.
    pub(super) fn of_shards(self) -> Self {
        let refused = ["at_capacity", "timeout", "overloaded", "wrong_shard", "unknown_pool", "pool_unreachable"];
        self.error(500, &["misconfigured", "internal"]).error(503, &refused)
    }

    fn answer(mut self, status: u16, answer: Value) -> Self {
        self.answers.insert(status, answer);
        self
    }

    pub(super) fn errors(&self) -> impl Iterator<Item = (u16, &'static str)> {
        self.errors.iter().flat_map(|(status, codes)| codes.iter().map(|code| (*status, *code)))
    }

    /// The operation as the document has it; errors are added to the answers that operations share.
    pub(super) fn render(&self, shared: &mut Map<String, Value>) -> Value {
        let mut answers = Map::new();
        for (status, answer) in &self.answers {
            answers.insert(status.to_string(), answer.clone());
        }
        for (status, codes) in &self.errors {
            let codes: Vec<&str> = codes.iter().copied().collect();
            let name = codes::response_name(*status, &codes);
            answers.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
            let response = codes::response(*status, &codes);
            let former = shared.insert(name.clone(), response.clone());
            assert!(former.is_none_or(|former| former == response), "two answers are called {name}");
        }
        let mut operation = Map::new();
        operation.insert("operationId".to_owned(), self.id.into());
        operation.insert("tags".to_owned(), json!([self.tag]));
        operation.insert("summary".to_owned(), self.summary.into());
        if let Some(description) = self.description {
            operation.insert("description".to_owned(), description.into());
        }
        if self.is_open {
            operation.insert("security".to_owned(), json!([]));
        }
        if !self.parameters.is_empty() {
            operation.insert("parameters".to_owned(), self.parameters.clone().into());
        }
        if let Some(body) = &self.body {
            operation.insert("requestBody".to_owned(), body.clone());
        }
        operation.insert("responses".to_owned(), answers.into());
        operation.into()
    }
}
