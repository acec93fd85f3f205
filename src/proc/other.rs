//! Other systems: a library knows processes, ps(1) their terminals.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sysinfo::{
    Pid, Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind,
};

use super::Stat;

fn with<T>(pid: i64, read: impl FnOnce(&Process) -> Option<T>) -> Option<T> {
    let pid = Pid::from_u32(u32::try_from(pid).ok()?);
    let mut system = System::new();
    let what = ProcessRefreshKind::nothing()
        .with_exe(UpdateKind::Always)
        .with_cwd(UpdateKind::Always)
        .with_cmd(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, what);
    read(system.process(pid)?)
}

pub fn stat(pid: i64) -> Option<Stat> {
    let out =
        Command::new("ps").args(["-o", "pgid=,tpgid=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    let mut numbers = text.split_ascii_whitespace().map_while(|n| n.parse::<i64>().ok());
    let (group, foreground) = (numbers.next()?, numbers.next()?);
    with(pid, |p| {
        Some(Stat {
            pid,
            name: p.name().to_string_lossy().into_owned(),
            zombie: matches!(p.status(), ProcessStatus::Zombie | ProcessStatus::Dead),
            parent: p.parent().map_or(0, |p| i64::from(p.as_u32())),
            group,
            foreground,
            start: i64::try_from(p.start_time()).ok()?,
        })
    })
}

/// Differs after every start of the machine: pids and start times begin anew with it.
pub fn boot_id() -> String {
    System::boot_time().to_string()
}

/// The working directory of a process; `None` where it is gone or not ours to see.
pub fn working_dir(pid: i64) -> Option<PathBuf> {
    with(pid, |p| p.cwd().filter(|d| d.is_dir()).map(PathBuf::from))
}

/// The name of the program that a process runs: the shell behind `sh`, not the link.
pub fn program(pid: i64) -> Option<String> {
    with(pid, |p| Some(p.exe()?.file_name()?.to_str()?.to_owned()))
}

/// The words that a process was started with.
pub fn argv(pid: i64) -> Vec<String> {
    let words =
        |p: &Process| Some(p.cmd().iter().map(|w| w.to_string_lossy().into_owned()).collect());
    with(pid, words).unwrap_or_default()
}

/// The processes whose program has this name, by its own word.
pub fn named(name: &str) -> Vec<i64> {
    let mut system = System::new();
    system.refresh_processes(ProcessesToUpdate::All, true);
    let pids = system.processes().iter().filter(|(_, p)| p.name() == OsStr::new(name));
    pids.map(|(pid, _)| i64::from(pid.as_u32())).collect()
}

/// What the standard input of a process is: not to be had here.
pub fn stdin(_: i64) -> Option<PathBuf> {
    None
}

/// Pid and NUL-separated environment of every process that is ours to see.
pub fn environments() -> impl Iterator<Item = (i64, Vec<u8>)> {
    let mut system = System::new();
    let what = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    let all: Vec<_> = system
        .processes()
        .iter()
        .filter(|(_, p)| p.thread_kind().is_none())
        .map(|(pid, p)| {
            let words: Vec<&[u8]> = p.environ().iter().map(|v| OsStr::as_bytes(v)).collect();
            (i64::from(pid.as_u32()), words.join(&0))
        })
        .collect();
    all.into_iter()
}

/// Not told here.
pub fn network_file_system(_: &Path) -> Option<&'static str> {
    None
}

/// The processes that a process has started and that have not ended.
pub fn children(pid: i64) -> Vec<i64> {
    let mut system = System::new();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, ProcessRefreshKind::nothing());
    let parent = u32::try_from(pid).ok().map(Pid::from_u32);
    let mine =
        system.processes().iter().filter(|(_, p)| p.parent().is_some() && p.parent() == parent);
    mine.map(|(pid, _)| i64::from(pid.as_u32())).collect()
}

/// NUL-separated environment that a process was started with.
pub fn environment(pid: i64) -> Option<Vec<u8>> {
    environments().find(|(p, _)| *p == pid).map(|(_, e)| e)
}

/// Not told here.
pub fn open_files(_: i64) -> Vec<PathBuf> {
    Vec::new()
}

/// For how many milliseconds a process has run.
pub fn age(pid: i64) -> Option<i64> {
    with(pid, |p| i64::try_from(p.run_time()).ok()).map(|s| s * 1000)
}
