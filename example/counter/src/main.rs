//! A counter and a small key-value store that live in memory: what one session writes, only a request that
//! reaches the same container can read.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | who served it, the count, the number of keys |
//! | `POST /increment` | the same, one higher |
//! | `PUT`, `GET`, `DELETE /kv/{key}` | 204; the value or 404; 204 or 404 |
//! | `GET /healthz`, `GET /exit?code=N` | see the `common` crate, which also has the faults |

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use common::Boot;
use serde_json::{Value, json};

struct Session {
    boot: Boot,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    count: u64,
    entries: BTreeMap<String, Bytes>,
}

impl Session {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, memory: &Memory) -> Json<Value> {
        Json(json!({
            "service": "counter",
            "hostname": self.boot.hostname,
            "count": memory.count,
            "keys": memory.entries.len(),
        }))
    }
}

fn main() -> ExitCode {
    common::serve(0, |boot| {
        Router::new()
            .route("/", get(index))
            .route("/increment", post(increment))
            .route("/kv/{key}", get(read).put(write).delete(remove))
            .with_state(Arc::new(Session { boot, memory: Mutex::default() }))
    })
}

async fn index(State(session): State<Arc<Session>>) -> Json<Value> {
    session.describe(&session.memory())
}

async fn increment(State(session): State<Arc<Session>>) -> Json<Value> {
    let mut memory = session.memory();
    memory.count += 1;
    session.describe(&memory)
}

async fn read(State(session): State<Arc<Session>>, Path(key): Path<String>) -> Result<Bytes, StatusCode> {
    session.memory().entries.get(&key).cloned().ok_or(StatusCode::NOT_FOUND)
}

async fn write(State(session): State<Arc<Session>>, Path(key): Path<String>, value: Bytes) -> StatusCode {
    session.memory().entries.insert(key, value);
    StatusCode::NO_CONTENT
}

async fn remove(State(session): State<Arc<Session>>, Path(key): Path<String>) -> StatusCode {
    match session.memory().entries.remove(&key) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}
