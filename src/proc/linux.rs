//! Linux: /proc.

use std::path::{Path, PathBuf};

use super::{Stat, same_place};

pub fn stat(pid: i64) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name may hold spaces and brackets: it ends at the last one
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let rest: Vec<&str> = text.get(close + 2..)?.split_ascii_whitespace().collect();
    let number = |i: usize| rest.get(i).and_then(|t| t.parse::<i64>().ok());
    Some(Stat {
        pid,
        name: text[open + 1..close].to_owned(),
        zombie: matches!(*rest.first()?, "Z" | "X"),
        parent: number(1)?,
        group: number(2)?,
        foreground: number(5)?,
        start: number(19)?,
    })
}

/// Differs after every start of the machine: pids and start times begin anew with it.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|s| s.trim().to_owned())
        .unwrap_or_default()
}

/// The working directory of a process; `None` where it is gone or not ours to see.
pub fn working_dir(pid: i64) -> Option<PathBuf> {
    let link = PathBuf::from(format!("/proc/{pid}/cwd"));
    let path = std::fs::read_link(&link).ok()?;
    // a removed directory reads as "… (deleted)": the path must lead to the same place
    same_place(&link, &path).then_some(path)
}

/// The name of the program that a process runs: the shell behind `sh`, not the link.
pub fn program(pid: i64) -> Option<String> {
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = exe.file_name()?.to_str()?;
    Some(name.trim_end_matches(" (deleted)").to_owned())
}

/// The words that a process was started with.
pub fn argv(pid: i64) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = bytes.split(|b| *b == 0).filter(|w| !w.is_empty());
    words.map(|w| String::from_utf8_lossy(w).into_owned()).collect()
}

/// What the standard input of a process is, by its name in the file system.
pub fn stdin(pid: i64) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/fd/0")).ok()
}

/// The processes whose program has this name, by its own word.
pub fn named(name: &str) -> Vec<i64> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i64>().ok());
    let says = |pid: &i64| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.trim_end() == name)
    };
    pids.filter(says).collect()
}

/// Pid and NUL-separated environment of every process that is ours to see.
pub fn environments() -> impl Iterator<Item = (i64, Vec<u8>)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i64>().ok());
    pids.filter_map(|pid| Some((pid, std::fs::read(format!("/proc/{pid}/environ")).ok()?)))
}

/// The kind of network file system that a directory is on: SQLite's shared memory does not hold between hosts.
pub fn network_file_system(dir: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(dir).ok()?.f_type;
    match kind as u64 & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("FUSE"),
        _ => None,
    }
}

/// The processes that a process has started and that have not ended.
pub fn children(pid: i64) -> Vec<i64> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i64>().ok());
    pids.filter(|p| stat(*p).is_some_and(|s| s.parent == pid && !s.zombie)).collect()
}

/// NUL-separated environment that a process was started with.
pub fn environment(pid: i64) -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{pid}/environ")).ok()
}

/// The files that a process holds open.
pub fn open_files(pid: i64) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|e| std::fs::read_link(e.path()).ok()).collect()
}

/// For how many milliseconds a process has run.
pub fn age(pid: i64) -> Option<i64> {
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split(' ').next()?.parse().ok()?;
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    Some(((seconds - stat(pid)?.start as f64 / ticks) * 1000.0) as i64)
}
