//! Running other programs: quietly with a log, within a time, or in the foreground.
//!
//! Every program gets a process group of its own. A signal that asks this program to end is passed on to the groups that
//! run; from then on nothing more is started, and every function here fails with "interrupted". So this program ends by
//! the same way as after any other error, and what it holds (the Docker engine, temporary folders) is given back.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::heartbeat::Heartbeat;
use crate::workspace::Workspace;

/// How often a running program is looked at, at most and at least: one that just started may end at once.
const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));
/// How long a program that was told to end may take before it is killed. The local server removes containers in it.
const GRACE: Duration = Duration::from_secs(30);
/// How long a program that only prints something may take: `cargo metadata` may have to fetch the registry's index.
const OUTPUT_LIMIT: Duration = Duration::from_secs(10 * 60);

/// What is said of a program that failed without a word.
const NOTHING: &str = "it printed nothing";

/// The groups that signals are passed on to. Locked while a program starts and while one is reaped, so that a signal
/// misses none, and reaches none that has taken over the id.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());
/// When the first signal came.
static INTERRUPTED: OnceLock<Instant> = OnceLock::new();

/// From now on, signals that ask this program to end are passed on to the programs that it runs.
///
/// # Errors
///
/// When the system does not let it listen for signals.
pub fn forward_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen for signals")?;
    thread::spawn(move || {
        for number in signals.forever() {
            let groups = groups();
            INTERRUPTED.get_or_init(Instant::now);
            for group in groups.iter() {
                signal(*group, if number == SIGINT { Signal::INT } else { Signal::TERM });
            }
        }
    });
    Ok(())
}

/// Whether a signal asked this program to end.
pub fn interrupted() -> bool {
    INTERRUPTED.get().is_some()
}

/// # Errors
///
/// When a signal asked this program to end.
pub fn check_interrupted() -> Result<()> {
    if interrupted() {
        bail!("interrupted");
    }
    Ok(())
}

/// A command as a person would type it.
pub fn shown(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let _ = write!(line, " {}", argument.to_string_lossy());
    }
    line
}

/// Its program and what that is to do, without the folder and the rest.
fn short(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    command.get_args().next().map_or_else(|| program.clone(), |first| format!("{program} {}", first.to_string_lossy()))
}

/// What a program prints, trimmed.
///
/// # Errors
///
/// When it is missing or fails; the message has its last words.
pub fn output(command: &mut Command) -> Result<String> {
    output_within(OUTPUT_LIMIT, command)
}

/// The same for a program that may hang.
///
/// # Errors
///
/// The same, and when it takes longer than `limit`.
pub fn output_within(limit: Duration, command: &mut Command) -> Result<String> {
    let line = shown(command);
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let stdout = running.child.stdout.take().map(read_all);
    let stderr = running.child.stderr.take().map(read_all);
    let status = running.finish(Instant::now() + limit)?;
    let [stdout, stderr] = [stdout, stderr].map(|thread| thread.and_then(|thread| thread.join().ok()));
    check_interrupted()?;
    match status {
        Some(status) if status.success() => Ok(stdout.unwrap_or_default().trim().to_owned()),
        Some(_) => bail!("`{line}` failed: {}", last_line(&stderr.unwrap_or_default()).unwrap_or(NOTHING)),
        None => bail!("`{line}` did not end within {} s", limit.as_secs()),
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read until an error is all there is.
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs a program with its output in a log under the tools' folder. While it takes long, the log's last line is shown now and
/// then.
///
/// # Errors
///
/// When it is missing or fails, which the message says with the name of the log; when a signal ended it.
pub fn logged(workspace: &Workspace, name: &str, command: &mut Command) -> Result<()> {
    let [line, silent] = [shown(command), format!("{} still runs", short(command))];
    let folder = workspace.tools().join("log");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let path = folder.join(format!("{name}.log"));
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let running = Running::start(command.stdout(log.try_clone()?).stderr(log))?;
    let mut heartbeat = Heartbeat::start();
    let status = running.finish_while(None, || {
        heartbeat.tick(|| last_line(&fs::read_to_string(&path).unwrap_or_default()).unwrap_or(&silent).to_owned());
    })?;
    check_interrupted()?;
    if status.is_some_and(|status| status.success()) {
        return Ok(());
    }
    let ended = status.map_or_else(|| "it was ended".to_owned(), |status| status.to_string());
    let text = fs::read_to_string(&path).unwrap_or_default();
    bail!(
        "`{line}` failed ({ended}): {}; all of its output is in {}",
        last_line(&text).unwrap_or(NOTHING),
        path.display()
    );
}

/// Runs a program that may take no longer than `limit`; `None` when it was ended for taking longer.
///
/// # Errors
///
/// When it is missing, or when a signal ended it.
pub fn within(limit: Duration, command: &mut Command) -> Result<Option<ExitStatus>> {
    let status = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?.finish(Instant::now() + limit)?;
    check_interrupted()?;
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
/// When it is missing, or when a signal ended it, unless it then ended with success.
pub fn foreground(command: &mut Command) -> Result<ExitStatus> {
    match Running::start(command)?.finish(None)? {
        Some(status) if status.success() || !interrupted() => Ok(status),
        Some(_) | None => bail!("interrupted"),
    }
}

/// Runs a program in the foreground, passes its standard output on, and shows each line to `on_line`. One that is silent for
/// long is said to run still.
///
/// # Errors
///
/// When it is missing, or when a signal asked this program to end.
pub fn watched(command: &mut Command, limit: Duration, mut on_line: impl FnMut(&str)) -> Result<Ended> {
    let mut running = Running::start(command.stdout(Stdio::piped()))?;
    let deadline = Instant::now() + limit;
    let mut heartbeat = Heartbeat::start();
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = running.child.stdout.take() {
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
    while !out_of_time(Some(deadline)) {
        match lines.recv_timeout(POLL.1) {
            Ok(text) => {
                let _ = write!(std::io::stdout(), "{text}");
                on_line(text.trim_end());
                heartbeat.heard();
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => heartbeat.tick(|| format!("{} still runs", short(command))),
        }
    }
    let status = running.finish(deadline)?;
    check_interrupted()?;
    Ok(status.map_or(Ended::TimedOut, Ended::Exited))
}

/// A program that runs beside others. Signals are not passed on to it: whoever holds it ends it, after them.
pub struct Service(Child);

impl Service {
    /// # Errors
    ///
    /// When the program is missing, or a signal asked this one to end.
    pub fn start(command: &mut Command) -> Result<Self> {
        check_interrupted()?;
        spawn(command).map(Self)
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// # Errors
    ///
    /// When the system does not tell.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// Asks it to end, and insists when that takes longer than `grace`.
    ///
    /// # Errors
    ///
    /// When the system does not tell whether it ended.
    pub fn end(&mut self, grace: Duration) -> Result<()> {
        if self.has_ended()? {
            return Ok(());
        }
        let group = Pid::from_child(&self.0);
        signal(group, Signal::TERM);
        let deadline = Instant::now() + grace;
        while !self.has_ended()? {
            if Instant::now() >= deadline {
                signal(group, Signal::KILL);
                self.0.wait()?;
            }
            thread::sleep(POLL.1);
        }
        Ok(())
    }
}

/// A program that signals are passed on to.
struct Running {
    child: Child,
    group: Pid,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let mut groups = groups();
        check_interrupted()?;
        let child = spawn(command)?;
        let group = Pid::from_child(&child);
        groups.push(group);
        Ok(Self { child, group })
    }

    /// Waits until it ends, or ends it at the deadline, or some time after a signal; `None` when it had to be ended.
    fn finish(self, deadline: impl Into<Option<Instant>>) -> Result<Option<ExitStatus>> {
        self.finish_while(deadline.into(), || {})
    }

    /// The same, with something to do each time that it has not ended yet.
    fn finish_while(mut self, deadline: Option<Instant>, mut meanwhile: impl FnMut()) -> Result<Option<ExitStatus>> {
        let mut pause = POLL.0;
        let status = loop {
            if let Some(status) = self.reap()? {
                break Some(status);
            }
            if out_of_time(deadline) {
                break None;
            }
            meanwhile();
            thread::sleep(pause);
            pause = (pause * 2).min(POLL.1);
        };
        if status.is_none() || interrupted() {
            self.end_all()?;
        }
        Ok(status)
    }

    /// Ends what is left of the group: asks first, then insists.
    fn end_all(&mut self) -> Result<()> {
        signal(self.group, Signal::TERM);
        let deadline = *INTERRUPTED.get().unwrap_or(&Instant::now()) + GRACE;
        loop {
            let ended = self.reap()?.is_some();
            if ended && test_kill_process_group(self.group).is_err() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                break;
            }
            thread::sleep(POLL.1);
        }
        signal(self.group, Signal::KILL);
        self.child.wait()?;
        Ok(())
    }

    fn reap(&mut self) -> Result<Option<ExitStatus>> {
        let mut groups = groups();
        let status = self.child.try_wait()?;
        if status.is_some() {
            groups.retain(|group| *group != self.group);
        }
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        groups().retain(|group| *group != self.group);
    }
}

fn spawn(command: &mut Command) -> Result<Child> {
    let line = shown(command);
    command.stdin(Stdio::null()).process_group(0).spawn().with_context(|| format!("cannot run `{line}`"))
}

/// A program that was interrupted gets some time, whatever its deadline.
fn out_of_time(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
        || INTERRUPTED.get().is_some_and(|since| since.elapsed() >= GRACE)
}

fn groups() -> MutexGuard<'static, Vec<Pid>> {
    // No step of a change to the list can fail halfway.
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn signal(group: Pid, signal: Signal) {
    // It may be gone already, which is what was wanted.
    let _ = kill_process_group(group, signal);
}

fn last_line(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty())
}
