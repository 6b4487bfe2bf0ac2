//! An HTTP API that takes three seconds to boot (`BOOT_MS`), which is what a warm pool hides.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | who served it, how long its boot took, how many requests it has served |
//! | `POST /warmup` | 200; the pool calls it once before the container counts as warm |
//! | `POST /echo` | the body, streamed back while it still arrives |
//! | `GET /stream?n=5&ms=200` | `n` lines, one each `ms` milliseconds |
//! | `GET /env`, `GET /headers` | its environment, the headers it was sent |
//! | `GET /ws` | a WebSocket that echoes |
//! | `GET /healthz`, `GET /exit?code=N` | see the `common` crate, which also has the faults |

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use common::Boot;
use futures_util::stream;
use serde_json::{Value, json};

/// Longest `GET /stream`, in lines.
const MAX_LINES: u64 = 100_000;

struct Api {
    boot: Boot,
    served: AtomicU64,
    warmups: AtomicU64,
}

fn main() -> ExitCode {
    common::serve(3_000, |boot| {
        let api = Arc::new(Api { boot, served: AtomicU64::new(0), warmups: AtomicU64::new(0) });
        Router::new()
            .route("/", get(index))
            .route("/warmup", post(warm_up))
            .route("/echo", post(echo))
            .route("/stream", get(lines))
            .route("/env", get(environment))
            .route("/headers", any(headers))
            .route("/ws", any(|upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(echo_messages) }))
            .layer(middleware::from_fn_with_state(Arc::clone(&api), count))
            .with_state(api)
    })
}

async fn count(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    api.served.fetch_add(1, Ordering::Relaxed);
    next.run(request).await
}

async fn index(State(api): State<Arc<Api>>) -> Json<Value> {
    Json(json!({
        "service": "api",
        "hostname": api.boot.hostname,
        "booted_in_ms": api.boot.booted_in_ms,
        "served": api.served.load(Ordering::Relaxed),
        "warmups": api.warmups.load(Ordering::Relaxed),
    }))
}

async fn warm_up(State(api): State<Arc<Api>>) -> Json<Value> {
    Json(json!({ "warmups": api.warmups.fetch_add(1, Ordering::Relaxed) + 1 }))
}

async fn echo(body: Body) -> Body {
    body
}

async fn lines(Query(query): Query<BTreeMap<String, u64>>) -> Body {
    let count = query.get("n").copied().unwrap_or(5).min(MAX_LINES);
    let gap = Duration::from_millis(query.get("ms").copied().unwrap_or(200));
    Body::from_stream(stream::unfold(0, move |line| async move {
        if line >= count {
            return None;
        }
        if line > 0 {
            tokio::time::sleep(gap).await;
        }
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(format!("line {line}\n"))), line + 1))
    }))
}

async fn environment() -> Json<BTreeMap<String, String>> {
    Json(
        std::env::vars_os()
            .map(|(key, value)| (key.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect(),
    )
}

async fn headers(headers: HeaderMap) -> Json<BTreeMap<String, String>> {
    Json(
        headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
    )
}

async fn echo_messages(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let reply = match message {
            Message::Text(_) | Message::Binary(_) => message,
            // Answered by the library.
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => return,
        };
        if socket.send(reply).await.is_err() {
            return;
        }
    }
}
