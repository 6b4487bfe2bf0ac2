//! A Docker engine for the tests: the one that answers, else one of our own for as long as the tests run.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::setup::apt;
use crate::workspace::Workspace;

const START_TIMEOUT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(200);
/// With no address given, the engine of Debian 12 names no gateway for its bridge, and workerd cannot reach a port.
const BRIDGE: &str = "172.17.0.1/16";

/// The version of the engine that answers.
///
/// # Errors
///
/// When none does; the message has the reason.
pub fn answering() -> Result<String> {
    version(None)
}

fn version(socket: Option<&Path>) -> Result<String> {
    let mut docker = Command::new("docker");
    docker.args(["version", "--format", "{{.Server.Version}}"]);
    if let Some(socket) = socket {
        docker.env("DOCKER_HOST", host(socket));
    }
    process::output(&mut docker)
}

fn host(socket: &Path) -> String {
    format!("unix://{}", socket.display())
}

/// An engine that ends, and leaves nothing behind, when this value is dropped.
pub struct Engine {
    child: Child,
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
        let child = Command::new("dockerd")
            .args(["--bip", BRIDGE, "--host", &host(&path("docker.sock")), "--data-root"])
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for the tests, which need the engine to clean up.
            .process_group(0)
            .spawn()
            .context("cannot run dockerd")?;
        let mut engine = Self { child, folder };
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
            let ended = self.child.try_wait()?.is_some();
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
        if let Err(error) = process::end_group(&mut self.child) {
            eprintln!("warning: the Docker engine with process id {} does not end: {error}", self.child.id());
        }
    }
}
