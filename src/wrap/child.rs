//! The child: a shell that leads its own session, on a terminal of its own or on pipes.

use std::fs::File;
use std::io::{IsTerminal, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::Context as _;
use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::{
    OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use super::script::{Then, script};
use crate::context::Context;
use crate::ctx::establish;

/// What is to be run, and how.
#[derive(Debug)]
pub struct Plan<'a> {
    pub shell: &'a str,
    pub then: Then,
    pub env: Vec<(String, String)>,
    pub context: &'a Context,
    /// The command reads its standard input from us.
    pub feeds_stdin: bool,
    /// Standard output is a record of events: a pipe also where there is a terminal.
    pub records: bool,
}

/// What has to be there before an attempt is begun: the two pipes of the hand-over, made first of all so that their
/// numbers are small (dash knows only one digit), and the signals, so that none of them ends us between start and work.
#[derive(Debug)]
pub struct Gate {
    pub(super) signals: Signals,
    report: (PipeReader, PipeWriter),
    go: (PipeReader, PipeWriter),
}

impl Gate {
    pub fn new() -> anyhow::Result<Gate> {
        let (report, go) = (std::io::pipe().context("pipe")?, std::io::pipe().context("pipe")?);
        let signals =
            Signals::new([SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGWINCH]).context("signals")?;
        Ok(Gate { signals, report, go })
    }
}

/// The running shell, and our ends of what connects us.
#[derive(Debug)]
pub struct Running {
    pub child: Child,
    /// Its terminal, if it has one of its own.
    pub terminal: Option<OwnedFd>,
    /// The record or, without a terminal, its output.
    pub output: Option<Box<dyn ReadSend>>,
    pub stdin: Option<ChildStdin>,
    pub report: PipeReader,
    pub go: PipeWriter,
    pub signals: Option<Signals>,
}

/// Something to read from in a thread.
pub trait ReadSend: std::io::Read + Send + std::fmt::Debug {}
impl<T: std::io::Read + Send + std::fmt::Debug> ReadSend for T {}

/// Starts the shell. It gets a terminal of its own when our standard output is one.
pub fn spawn(plan: &Plan, gate: Gate) -> anyhow::Result<Running> {
    let (report, go) = (gate.report, gate.go);
    let text =
        script(&plan.context.prerequisites, &plan.then, report.1.as_raw_fd(), go.0.as_raw_fd());
    let mut command = Command::new(std::env::current_exe().context("own path")?);
    let pty = if std::io::stdout().is_terminal() { Some(open_pty()?) } else { None };
    command.arg("--lead");
    command.arg(pty.as_ref().map_or_else(|| PathBuf::from("-"), |p| p.path.clone()));
    command.arg("--").args([plan.shell, "-c", &text, plan.shell]);
    establish::without_redirects(&mut command, plan.context);
    command.envs(plan.env.iter().map(|(k, v)| (k, v)));
    if let Some(dir) = &plan.context.working_dir {
        command.current_dir(dir);
    }
    let tty = |p: &Pty| p.slave.try_clone().map(Stdio::from).context("terminal");
    command.stdin(match &pty {
        _ if plan.feeds_stdin => Stdio::piped(),
        Some(p) if std::io::stdin().is_terminal() => tty(p)?,
        _ => Stdio::inherit(),
    });
    command.stdout(match &pty {
        Some(p) if !plan.records => tty(p)?,
        _ => Stdio::piped(),
    });
    command.stderr(match &pty {
        Some(p) => tty(p)?,
        None => Stdio::inherit(),
    });
    for fd in [report.1.as_fd(), go.0.as_fd()] {
        rustix::io::fcntl_setfd(fd, FdFlags::empty()).map_err(std::io::Error::from)?;
    }
    let mut child = command.spawn().with_context(|| plan.shell.to_owned())?;
    let output = child.stdout.take().map(|o| Box::new(o) as Box<dyn ReadSend>);
    Ok(Running {
        stdin: child.stdin.take(),
        child,
        terminal: pty.map(|p| p.master),
        output,
        report: report.0,
        go: go.1,
        signals: Some(gate.signals),
    })
}

/// Run as `orch-wrap --lead TTY -- ARGV…`: leads a session, takes the terminal, becomes the program.
pub fn lead(tty: &Path, argv: &[std::ffi::OsString]) -> anyhow::Error {
    use std::os::unix::process::CommandExt;
    crate::proc::lead_session();
    if tty != Path::new("-")
        && let Err(e) = take_terminal(tty)
    {
        return e.context(tty.display().to_string());
    }
    let Some((program, rest)) = argv.split_first() else {
        return anyhow::anyhow!("nothing to run");
    };
    let e = Command::new(program).args(rest).exec();
    anyhow::Error::from(e).context(program.to_string_lossy().into_owned())
}

/// A session leader without a terminal takes the one that it opens; some systems want to be asked besides.
fn take_terminal(tty: &Path) -> anyhow::Result<()> {
    let fd = rustix::fs::open(tty, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(std::io::Error::from)?;
    // already taken by opening it, where that suffices
    let _ = rustix::process::ioctl_tiocsctty(&fd);
    Ok(())
}

#[derive(Debug)]
struct Pty {
    master: OwnedFd,
    slave: OwnedFd,
    path: PathBuf,
}

fn open_pty() -> anyhow::Result<Pty> {
    let io = std::io::Error::from;
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).map_err(io)?;
    // not every system takes the flag at once
    rustix::io::fcntl_setfd(&master, FdFlags::CLOEXEC).map_err(io)?;
    rustix::pty::grantpt(&master).map_err(io)?;
    rustix::pty::unlockpt(&master).map_err(io)?;
    let name = rustix::pty::ptsname(&master, Vec::new()).map_err(io)?;
    let path = PathBuf::from(name.to_str().context("terminal name")?);
    let slave =
        rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
            .map_err(io)?;
    let stdout = std::io::stdout();
    if let Ok(size) = tcgetwinsize(stdout.as_fd()) {
        tcsetwinsize(&slave, size).map_err(io)?;
    }
    if let Ok(modes) = tcgetattr(stdout.as_fd()) {
        tcsetattr(&slave, OptionalActions::Now, &modes).map_err(io)?;
    }
    Ok(Pty { master, slave, path })
}

/// Gives the child's terminal the size of ours.
pub fn follow_size(terminal: &OwnedFd) {
    let size: Result<Winsize, _> = tcgetwinsize(std::io::stdout().as_fd());
    if let Ok(size) = size {
        // a terminal that is gone needs no size
        let _ = tcsetwinsize(terminal, size);
    }
}

/// Our terminal in raw mode: every key goes to the child's. As it was, again, when dropped.
#[derive(Debug)]
pub struct Raw(Termios);

impl Raw {
    pub fn enter() -> Option<Raw> {
        let stdin = std::io::stdin();
        let before = stdin.is_terminal().then(|| tcgetattr(stdin.as_fd()).ok()).flatten()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin.as_fd(), OptionalActions::Now, &raw).ok()?;
        Some(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin().as_fd(), OptionalActions::Now, &self.0);
    }
}

/// A file of its own on a descriptor.
pub fn file(fd: &OwnedFd) -> anyhow::Result<File> {
    Ok(fd.try_clone().context("terminal")?.into())
}
