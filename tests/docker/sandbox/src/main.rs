//! The container side of `@cloudflare/sandbox` 0.12, as far as `sandbox.exec(command)` goes.
//!
//! It stands in for the published image, which tests cannot pull. It runs the commands for real, with the image's
//! `/bin/sh`. On port 3000 it speaks what the `Sandbox` class asks over its default transport, plain HTTP:
//!
//! | request | answer |
//! |---|---|
//! | `GET /ping`, `GET /api/ping` | 200; the class polls the first until the port answers |
//! | `GET /api/version` | the version of the package whose requests are understood here |
//! | `POST /api/session/create` `{id, env?, cwd?}` | 200, or 409 when it exists, which the class takes for success |
//! | `POST /api/execute` `{command, sessionId, env?, cwd?}` | what the command printed, and its exit code |
//!
//! A session here is an environment and a working directory. In the published image it is one shell that lives on; here
//! each command gets a new one, so what a command exports, or where it changes to, is gone after it. What this server
//! does not know it refuses: other paths with 404, other fields (a time limit) with 400.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

const PORT: u16 = 3000;
const VERSION: &str = "0.12.10";
const SHELL: &str = "/bin/sh";

type Environment = BTreeMap<String, String>;
type Body<T> = Result<Json<T>, JsonRejection>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateSession {
    id: String,
    #[serde(default)]
    env: Environment,
    cwd: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Execute {
    command: String,
    session_id: String,
    #[serde(default)]
    env: Environment,
    cwd: Option<PathBuf>,
}

#[derive(Clone)]
struct Session {
    env: Environment,
    cwd: PathBuf,
}

#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<HashMap<String, Session>>>);

impl Sessions {
    fn find(&self, id: &str) -> Option<Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// False when there is one of that id, which stays as it is.
    fn create(&self, id: String, session: Session) -> bool {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.contains_key(&id) {
            return false;
        }
        sessions.insert(id, session);
        true
    }
}

/// An answer that the class turns into an error of the type that belongs to the code.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    context: Value,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "code": self.code,
            "message": self.message,
            "context": self.context,
            "httpStatus": self.status.as_u16(),
            "timestamp": now(),
        });
        (self.status, Json(body)).into_response()
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "VALIDATION_FAILED",
            message: rejection.body_text(),
            context: json!({}),
        }
    }
}

fn main() -> ExitCode {
    let serve = || tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve());
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve port {PORT}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM, which the first process of a container has to ask for.
async fn serve() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let routes = Router::new()
        .route("/ping", get(ping))
        .route("/api/ping", get(ping))
        .route("/api/version", get(async || answer(json!({ "version": VERSION }))))
        .route("/api/session/create", post(create_session))
        .route("/api/execute", post(execute))
        .with_state(Sessions::default());
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT))).await?;
    tokio::select! {
        result = axum::serve(listener, routes) => result,
        _ = terminate.recv() => Ok(()),
    }
}

async fn ping() -> Json<Value> {
    answer(json!({ "message": "pong" }))
}

async fn create_session(State(sessions): State<Sessions>, body: Body<CreateSession>) -> Result<Json<Value>, Refusal> {
    let Json(CreateSession { id, env, cwd }) = body?;
    let session = Session { env, cwd: cwd.unwrap_or_else(|| PathBuf::from("/")) };
    if !sessions.create(id.clone(), session) {
        return Err(Refusal {
            status: StatusCode::CONFLICT,
            code: "SESSION_ALREADY_EXISTS",
            message: format!("there is a session {id:?} already"),
            context: json!({ "sessionId": id, "containerPlacementId": null }),
        });
    }
    let message = format!("session {id:?} is ready");
    Ok(answer(json!({ "id": id, "message": message, "containerPlacementId": null })))
}

async fn execute(State(sessions): State<Sessions>, body: Body<Execute>) -> Result<Json<Value>, Refusal> {
    let Json(Execute { command, session_id, env, cwd }) = body?;
    let Some(session) = sessions.find(&session_id) else {
        return Err(Refusal {
            status: StatusCode::GONE,
            code: "SESSION_DESTROYED",
            message: format!("there is no session {session_id:?}"),
            context: json!({ "sessionId": session_id }),
        });
    };
    let output = Command::new(SHELL)
        .arg("-c")
        .arg(&command)
        .envs(session.env)
        .envs(env)
        .current_dir(cwd.unwrap_or(session.cwd))
        .stdin(Stdio::null())
        // The caller has hung up when this request ends early: nobody waits for the command any more.
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| Refusal {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "COMMAND_EXECUTION_ERROR",
            message: format!("cannot run {SHELL}: {error}"),
            context: json!({ "command": command }),
        })?;
    // What a shell would report of a shell that a signal ended.
    let exit_code = output.status.code().or_else(|| Some(128 + output.status.signal()?));
    Ok(answer(json!({
        "success": output.status.success(),
        "exitCode": exit_code,
        "stdout": String::from_utf8_lossy(&output.stdout),
        "stderr": String::from_utf8_lossy(&output.stderr),
        "command": command,
    })))
}

/// An answer of success with what every one has.
fn answer(mut body: Value) -> Json<Value> {
    if let Value::Object(fields) = &mut body {
        fields.entry("success").or_insert(Value::Bool(true));
        fields.insert("timestamp".to_owned(), Value::String(now()));
    }
    Json(body)
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
