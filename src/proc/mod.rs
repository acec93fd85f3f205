//! The operating system's processes, terminals and directories. Nothing else in the library knows which system it is.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;

use system::environments;
pub use system::{
    age, argv, boot_id, children, environment, named, network_file_system, open_files, program,
    stat, stdin, working_dir,
};

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::session::Process;

/// What the system says of a process.
#[derive(Clone, Debug)]
pub struct Stat {
    pub pid: i64,
    pub name: String,
    /// It has ended, and nobody has asked how.
    pub zombie: bool,
    pub parent: i64,
    pub group: i64,
    /// Foreground process group of its terminal, -1 without one.
    pub foreground: i64,
    /// Clock ticks since boot on Linux, seconds since 1970 elsewhere.
    pub start: i64,
}

/// This very process.
pub fn own() -> Process {
    identify(i64::from(std::process::id())).unwrap_or(Process { pid: 0, start: 0, boot: boot_id() })
}

pub fn identify(pid: i64) -> Option<Process> {
    Some(Process { pid, start: stat(pid)?.start, boot: boot_id() })
}

/// Whether that process, and not a later one with its number, is still there.
pub fn is_alive(p: &Process) -> bool {
    p.boot == boot_id() && stat(p.pid).is_some_and(|s| s.start == p.start && !s.zombie)
}

/// Whether two paths lead to one directory: device and inode.
pub fn same_place(a: &Path, b: &Path) -> bool {
    let id = |p: &Path| std::fs::metadata(p).ok().map(|m| (m.dev(), m.ino()));
    id(a).is_some_and(|x| Some(x) == id(b))
}

/// A process whose environment names an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    pub pid: i64,
    pub name: String,
}

impl std::fmt::Display for Survivor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", crate::clean::line(&self.name), self.pid)
    }
}

/// Living processes that were started with all of these `NAME=VALUE`; never the asking process itself.
pub fn carriers(wanted: &[String]) -> Vec<Survivor> {
    let has = |environ: &[u8], w: &String| environ.split(|b| *b == 0).any(|v| v == w.as_bytes());
    started_with(|environ| wanted.iter().all(|w| has(environ, w)))
}

/// Living processes that were started in a pane: `tmux` is the beginning of the pane's `$TMUX`.
pub fn of_pane(tmux: &str, pane: &str) -> Vec<Survivor> {
    let (server, pane) = (format!("TMUX={tmux}"), format!("TMUX_PANE={pane}"));
    started_with(|environ| {
        let mut words = environ.split(|b| *b == 0);
        let has_server = words.clone().any(|v| v.starts_with(server.as_bytes()));
        has_server && words.any(|v| v == pane.as_bytes())
    })
}

fn started_with(wanted: impl Fn(&[u8]) -> bool) -> Vec<Survivor> {
    let own = i64::from(std::process::id());
    let mut found = Vec::new();
    for (pid, environ) in environments().filter(|(pid, _)| *pid != own) {
        if wanted(&environ)
            && let Some(s) = stat(pid)
            && !s.zombie
        {
            found.push(Survivor { pid, name: s.name });
        }
    }
    found.sort_by_key(|s| s.pid);
    found
}

/// Names of the attempts of a database of which something lives.
pub fn attempts_alive(db: &Path) -> BTreeSet<String> {
    let db = format!("ORCH_DB={}", db.display());
    let mut all = BTreeSet::new();
    for (_, environ) in environments() {
        let words = || environ.split(|b| *b == 0);
        if words().any(|v| v == db.as_bytes()) {
            let names = words().filter_map(|v| v.strip_prefix(b"ORCH_ATTEMPT="));
            all.extend(names.map(|n| String::from_utf8_lossy(n).into_owned()));
        }
    }
    all
}

/// Ancestors of a process, the nearest first.
pub fn ancestors(pid: i64) -> Vec<i64> {
    let parent = |p: i64| stat(p).map(|s| s.parent).filter(|p| *p > 1);
    std::iter::successors(parent(pid), |p| parent(*p)).take(64).collect()
}

/// Whether a terminal reads whole lines: no line editor is at work in it.
pub fn is_canonical(tty: &str) -> std::io::Result<bool> {
    use rustix::fs::{Mode, OFlags};
    let fd = rustix::fs::open(
        tty,
        OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let t = rustix::termios::tcgetattr(&fd)?;
    Ok(t.local_modes.contains(rustix::termios::LocalModes::ICANON))
}

/// Sends a signal; a process that is gone is no error.
pub fn signal(pid: i64, signal: rustix::process::Signal) {
    if let Some(p) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(p, signal);
    }
}

/// Sends a signal to a process group.
pub fn signal_group(group: i64, signal: rustix::process::Signal) {
    if let Some(p) = i32::try_from(group).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(p, signal);
    }
}

/// Starts a program that outlives this one: it is to call `lead_session` first of all.
pub fn spawn_detached(program: &Path, args: &[String]) -> std::io::Result<()> {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .map(drop)
}

/// Leaves the terminal and its signals behind.
pub fn lead_session() {
    // fails only for a process that leads one already
    let _ = rustix::process::setsid();
}

/// A program of this toolkit: beside the running one.
pub fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    use anyhow::Context;
    let exe = std::env::current_exe().context("own path")?;
    let path = exe.with_file_name(name);
    anyhow::ensure!(
        path.is_file(),
        "{}: not there: install the programs side by side",
        path.display()
    );
    Ok(path)
}

/// Whether a program is to be found on PATH.
pub fn on_path(program: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let runs = |p: PathBuf| {
        std::fs::metadata(p).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return runs(program.into());
    }
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|d| runs(d.join(program))))
}

/// Where tests end this process by a signal of its own, to see that nothing is lost at that step. Not in a release.
#[cfg(not(debug_assertions))]
pub fn stop_for_test(_: &str) {}

/// Where tests end this process by a signal of its own, to see that nothing is lost at that step. Not in a release.
/// `ORCH_TEST_KILL=STEP@FILE`: once, by taking the file away. `ORCH_TEST_STOP=STEP`: it is stopped there.
#[cfg(debug_assertions)]
pub fn stop_for_test(step: &str) {
    // until the test lets it go on
    if std::env::var("ORCH_TEST_STOP").is_ok_and(|wanted| wanted == step) {
        signal(i64::from(std::process::id()), rustix::process::Signal::STOP);
    }
    let Ok(wanted) = std::env::var("ORCH_TEST_KILL") else { return };
    let meant = match wanted.split_once('@') {
        Some((s, file)) => s == step && std::fs::remove_file(file).is_ok(),
        None => wanted == step,
    };
    if meant {
        signal(i64::from(std::process::id()), rustix::process::Signal::KILL);
        std::thread::sleep(std::time::Duration::from_secs(5));
    }
}
