//! A Docker engine for the tests: the one that answers, else one of our own for as long as the tests run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{self, Service};
use crate::setup::apt;
use crate::workspace::Workspace;

/// How long an engine may take to say its version: one that hangs counts as none.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// It stops its containers first, which get 10 s from it.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);
/// With no address given, the engine of Debian 12 names no gateway for its bridge, and workerd cannot reach a port.
const BRIDGE: &str = "172.17.0.1/16";

/// The version of the engine that answers.
///
/// # Errors
///
/// When none does within 10 s; the message has the reason.
pub fn answering() -> Result<String> {
    version(None)
}

fn version(socket: Option<&Path>) -> Result<String> {
    let mut docker = Command::new("docker");
    docker.args(["version", "--format", "{{.Server.Version}}"]);
    if let Some(socket) = socket {
        docker.env("DOCKER_HOST", host(socket));
    }
    process::output_within(ANSWER_TIMEOUT, &mut docker)
}

fn host(socket: &Path) -> String {
    format!("unix://{}", socket.display())
}

/// An engine that ends when this value is dropped, with its containers, its images and its storage. What it set up in the
/// kernel stays, as after any dockerd: the bridge `docker0` and the chains in iptables.
pub struct Engine {
    service: Service,
    folder: tempfile::TempDir,
}

impl Engine {
    /// Installs Debian's Docker where it is missing, and starts an engine with a socket and storage of its own.
    ///
    /// # Errors
    ///
    /// When this is not root, the packages cannot be installed, or the engine does not answer in time.
    pub fn start(workspace: &Workspace) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("only root can start a Docker engine; start one yourself");
        }
        let installed = |program: &str| process::output(Command::new(program).arg("--version")).is_ok();
        if !(installed("dockerd") && installed("docker") && installed("iptables")) {
            apt::install(workspace, "there is no Docker engine", &["docker.io", "iptables"])?;
        }
        let folder = tempfile::Builder::new()
            .prefix("warm-pool-docker-")
            .tempdir()
            .context("cannot create a temporary folder")?;
        let path = |name: &str| folder.path().join(name);
        let log = File::create(path("log")).context("cannot write the engine's log")?;
        let mut dockerd = Command::new("dockerd");
        dockerd
            .args(["--bip", BRIDGE, "--host", &host(&path("docker.sock")), "--data-root"])
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .stdout(log.try_clone()?)
            .stderr(log);
        // Signals are for the tests, which need the engine to clean up.
        let mut engine = Self { service: Service::start(&mut dockerd)?, folder };
        engine.wait()?;
        Ok(engine)
    }

    /// What `DOCKER_HOST` must be to use it.
    pub fn host(&self) -> String {
        host(&self.socket())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while version(Some(&self.socket())).is_err() {
            let ended = self.service.has_ended()?;
            if ended || Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                let last: String = last.into_iter().rev().map(|line| format!("\n  {line}")).collect();
                bail!("the Docker engine {}:{last}", if ended { "ended at once" } else { "does not answer" });
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(error) = self.service.end(STOP_TIMEOUT) {
            eprintln!("warning: the Docker engine with process id {} does not end: {error:#}", self.service.id());
        }
        // The engine mounts its storage onto itself and leaves that behind; the folder could not be removed.
        let data = self.folder.path().join("data");
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        if data.to_str().is_some_and(|data| mounts.split_whitespace().any(|word| word == data))
            && let Err(error) = process::output(Command::new("umount").arg("--lazy").arg(&data))
        {
            eprintln!("warning: {} stays mounted: {error:#}", data.display());
        }
    }
}
