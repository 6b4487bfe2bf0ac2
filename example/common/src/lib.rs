//! What both example servers share: booting slowly, ending on SIGTERM, and misbehaving on request.
//!
//! A container's first process gets no default signal handling from the kernel (and is not always the first), so a server that
//! wants to end on SIGTERM has to ask for it: [`serve`] does, and exits with 0 at once.
//!
//! # Faults
//!
//! To see how a warm pool copes, set `FAULT` in the container's environment:
//!
//! | `FAULT` | the server |
//! |---|---|
//! | `never-listen` | runs, but never opens its port |
//! | `exit-at-once` | exits with code 1 before it listens |
//! | `ignore-sigterm` | works, and ignores SIGTERM |
//!
//! `GET /exit?code=N` ends a running server with exit code `N` (default 0).

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// The port that both images expose.
const PORT: u16 = 8080;

/// How a server is told to misbehave, from the variable `FAULT`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    NeverListen,
    ExitAtOnce,
    IgnoreSigterm,
}

impl Fault {
    fn from_env() -> Result<Self, String> {
        match std::env::var("FAULT").as_deref() {
            Err(_) | Ok("") => Ok(Self::None),
            Ok("never-listen") => Ok(Self::NeverListen),
            Ok("exit-at-once") => Ok(Self::ExitAtOnce),
            Ok("ignore-sigterm") => Ok(Self::IgnoreSigterm),
            Ok(other) => Err(format!("FAULT is {other:?}; it may be never-listen, exit-at-once or ignore-sigterm")),
        }
    }
}

/// What a server knows of its own start.
#[derive(Clone)]
pub struct Boot {
    /// The name the engine gave the container; no two running ones share it.
    pub hostname: String,
    /// How long it took from the first instruction to the open port, in milliseconds.
    pub booted_in_ms: u64,
}

/// Runs a server on port 8080 until SIGTERM.
///
/// It waits `BOOT_MS` (milliseconds, from the environment, else `default_boot_ms`) before it opens the port, as a
/// program that loads a model or fills a cache would. `routes` is called once the wait is over.
pub fn serve(default_boot_ms: u64, routes: impl FnOnce(Boot) -> Router) -> ExitCode {
    let run = || -> Result<ExitCode, Box<dyn std::error::Error>> {
        let fault = Fault::from_env()?;
        if fault == Fault::ExitAtOnce {
            eprintln!("FAULT=exit-at-once: exiting with code 1");
            return Ok(ExitCode::FAILURE);
        }
        let boot_time = boot_time(default_boot_ms)?;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(listen(fault, boot_time, routes))?;
        Ok(ExitCode::SUCCESS)
    };
    run().unwrap_or_else(|error| {
        eprintln!("cannot serve: {error}");
        ExitCode::FAILURE
    })
}

fn boot_time(default_ms: u64) -> Result<Duration, String> {
    match std::env::var("BOOT_MS") {
        Err(_) => Ok(Duration::from_millis(default_ms)),
        Ok(text) => text
            .parse()
            .map(Duration::from_millis)
            .map_err(|_| format!("BOOT_MS is {text:?}; it must be a number of milliseconds")),
    }
}

async fn listen(fault: Fault, boot_time: Duration, routes: impl FnOnce(Boot) -> Router) -> io::Result<()> {
    let started = Instant::now();
    let mut terminate = signal(SignalKind::terminate())?;
    let ended = async move {
        terminate.recv().await;
        // To ask for no signal would not do: where the process is not the first one, the kernel ends it then.
        if fault == Fault::IgnoreSigterm {
            std::future::pending::<()>().await;
        }
    };
    let served = async {
        tokio::time::sleep(boot_time).await;
        if fault == Fault::NeverListen {
            eprintln!("FAULT=never-listen: the port stays closed");
            std::future::pending::<()>().await;
        }
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT))).await?;
        let boot = Boot {
            hostname: hostname(),
            booted_in_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        println!("{} listens on {PORT} after {} ms", boot.hostname, boot.booted_in_ms);
        let router = routes(boot).route("/healthz", get(|| async { "ok\n" })).route("/exit", get(exit));
        axum::serve(listener, router).await
    };
    // Open connections are cut: whoever releases an id, or stops its container, is done with what is still being served.
    tokio::select! {
        result = served => result,
        () = ended => Ok(()),
    }
}

async fn exit(Query(query): Query<BTreeMap<String, String>>) {
    let code = query.get("code").and_then(|code| code.parse().ok()).unwrap_or(0);
    std::process::exit(code);
}

fn hostname() -> String {
    std::env::var("HOSTNAME")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}
