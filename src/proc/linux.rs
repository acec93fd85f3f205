//! Linux: /proc.

use std::path::PathBuf;

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

/// Pid and NUL-separated environment of every process that is ours to see.
pub fn environments() -> impl Iterator<Item = (i64, Vec<u8>)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i64>().ok());
    pids.filter_map(|pid| Some((pid, std::fs::read(format!("/proc/{pid}/environ")).ok()?)))
}
