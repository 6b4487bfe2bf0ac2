//! Running other programs: quietly with a log, within a time, or in the foreground.
//!
//! A program in the foreground gets a process group of its own, and the signals that end this one are passed on to it,
//! so that nothing it started is left behind.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Once, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::workspace::Workspace;

/// How often a program that may run out of time is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long a program that was told to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(15);

/// The process group in the foreground; 0 when there is none.
static FOREGROUND: AtomicI32 = AtomicI32::new(0);
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static FORWARDING: Once = Once::new();

/// A command as a person would type it.
pub fn shown(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let _ = write!(line, " {}", argument.to_string_lossy());
    }
    line
}

/// What a program prints, trimmed.
///
/// # Errors
///
/// When it is missing or fails; the message has its last words.
pub fn output(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run `{line}`"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed: {}", last_line(&stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a program with its output in a log under the tools' folder.
///
/// # Errors
///
/// When it is missing or fails; the message names the log.
pub fn logged(workspace: &Workspace, name: &str, command: &mut Command) -> Result<()> {
    let line = shown(command);
    let folder = workspace.tools().join("log");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let path = folder.join(format!("{name}.log"));
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .with_context(|| format!("cannot run `{line}`"))?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(&path).unwrap_or_default();
    bail!("`{line}` failed ({status}): {}; all of its output is in {}", last_line(&text), path.display());
}

/// Runs a program that may take no longer than `limit`; `None` when it was ended for taking longer.
///
/// # Errors
///
/// When it is missing.
pub fn within(limit: Duration, command: &mut Command) -> Result<Option<ExitStatus>> {
    let line = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    let status = wait_until(&mut child, Instant::now() + limit)?;
    if status.is_none() {
        end_group(&mut child)?;
    }
    Ok(status)
}

/// How a program in the foreground ended.
pub enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It was ended for taking too long.
    TimedOut,
}

/// Runs a program in the foreground, with this program's standard output and error.
///
/// # Errors
///
/// When it is missing, or when a signal ended it.
pub fn foreground(command: &mut Command) -> Result<ExitStatus> {
    let line = shown(command);
    forward_signals()?;
    let mut child =
        command.stdin(Stdio::null()).process_group(0).spawn().with_context(|| format!("cannot run `{line}`"))?;
    FOREGROUND.store(group(&child), Ordering::SeqCst);
    let status = child.wait();
    FOREGROUND.store(0, Ordering::SeqCst);
    let status = status.with_context(|| format!("cannot wait for `{line}`"))?;
    if !status.success() && INTERRUPTED.load(Ordering::SeqCst) {
        bail!("interrupted");
    }
    Ok(status)
}

/// Runs a program in the foreground, passes its standard output on, and shows each line to `on_line`.
///
/// # Errors
///
/// When it is missing, or when a signal asked this program to end.
pub fn watched(command: &mut Command, limit: Duration, mut on_line: impl FnMut(&str)) -> Result<Ended> {
    let line = shown(command);
    forward_signals()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    FOREGROUND.store(group(&child), Ordering::SeqCst);
    let deadline = Instant::now() + limit;
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            // Bytes, not `lines()`: output that is not UTF-8 must not end the reading.
            let mut reader = BufReader::new(stdout);
            let mut bytes = Vec::new();
            while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
                if sender.send(String::from_utf8_lossy(&bytes).into_owned()).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
    }
    let mut timed_out = false;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(text) => {
                let _ = write!(std::io::stdout(), "{text}");
                on_line(text.trim_end());
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                timed_out = true;
                break;
            }
        }
    }
    let status = if timed_out { None } else { wait_until(&mut child, deadline)? };
    if status.is_none() {
        end_group(&mut child)?;
    }
    FOREGROUND.store(0, Ordering::SeqCst);
    if INTERRUPTED.load(Ordering::SeqCst) {
        bail!("interrupted");
    }
    Ok(status.map_or(Ended::TimedOut, Ended::Exited))
}

fn wait_until(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Ends a process group: asks first, then insists.
pub fn end_group(child: &mut Child) -> Result<()> {
    signal_group(group(child), Signal::TERM);
    if wait_until(child, Instant::now() + GRACE)?.is_none() {
        signal_group(group(child), Signal::KILL);
        child.wait()?;
    }
    Ok(())
}

fn group(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap_or(0)
}

fn signal_group(group: i32, signal: Signal) {
    // 0 would be this program's own group.
    if let Some(group) = (group > 0).then(|| Pid::from_raw(group)).flatten() {
        // It may be gone already, which is what was wanted.
        let _ = kill_process_group(group, signal);
    }
}

/// From now on, signals that ask this program to end are passed on; it ends when the program in the foreground does.
fn forward_signals() -> Result<()> {
    let mut failure = None;
    FORWARDING.call_once(|| match Signals::new([SIGINT, SIGTERM, SIGHUP]) {
        Ok(mut signals) => drop(thread::spawn(move || {
            for number in signals.forever() {
                INTERRUPTED.store(true, Ordering::SeqCst);
                match FOREGROUND.load(Ordering::SeqCst) {
                    0 => std::process::exit(128 + number),
                    group => signal_group(group, if number == SIGINT { Signal::INT } else { Signal::TERM }),
                }
            }
        })),
        Err(error) => failure = Some(error),
    });
    failure.map_or(Ok(()), |error| Err(error).context("cannot listen for signals"))
}

fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it printed nothing")
}
