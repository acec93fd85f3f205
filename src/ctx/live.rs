//! What a live client's pane, processes and records give: the raw material of a decision about it. Types nothing.

use std::io::{Read, Seek, SeekFrom};
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::agent::rules::{Live, Reader, is_prompt};
use crate::agent::{Material, Record, Status};
use crate::event::{self, End, Outcome};
use crate::extract::{Extractor, Format};
use crate::proc;
use crate::provider::Profile;
use crate::quote::Shell;
use crate::tmux::{Pane, Shown, Tmux};
use crate::when::{self, Ms};

/// Of a conversation's end, so much is read to tell how its last turn ended.
const TAIL: u64 = 256 * 1024;

/// A client that fills a pane, and the process that is the client itself.
pub struct Client<'a> {
    pub provider: &'a str,
    pub live: &'a Live,
    pub pid: i64,
}

/// The process of a pane that may be a client: its own, or what has its shell's terminal.
pub fn front(p: &Pane) -> Option<i64> {
    if p.dead {
        return None;
    }
    let mut pid = p.pid;
    // a shell in a shell
    for _ in 0..8 {
        if proc::program(pid)?.parse::<Shell>().is_err() {
            return Some(pid);
        }
        pid = beneath(pid, &p.tty)?;
    }
    None
}

/// What runs in front of a shell: another process group's leader, or, where the shell has no job control (a script, `sh -c`),
/// what it has started on its own terminal.
pub fn beneath(shell: i64, tty: &str) -> Option<i64> {
    let stat = proc::stat(shell)?;
    if stat.foreground != stat.group {
        return Some(stat.foreground).filter(|pid| *pid > 0);
    }
    if !is_scripted(&proc::argv(shell)) {
        return None;
    }
    let of_pane = |file: PathBuf| file.as_os_str() == tty || file.as_os_str() == "/dev/tty";
    let reads = |pid: i64| proc::stdin(pid).is_some_and(of_pane);
    let of_group = |pid: i64| proc::stat(pid).is_some_and(|s| s.group == stat.group && !s.zombie);
    proc::children(shell).into_iter().find(|pid| of_group(*pid) && reads(*pid))
}

/// Whether a shell was started for a script or for `-c`, and so has no prompt of its own.
fn is_scripted(argv: &[String]) -> bool {
    const WITH_VALUE: [&str; 8] =
        ["--rcfile", "--init-file", "-o", "+o", "-O", "+O", "-C", "--init-command"];
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&word.as_str()) {
            words.next();
        } else if let Some(flags) = word.strip_prefix('-').filter(|f| !f.starts_with('-')) {
            if flags.contains('c') || flags.contains('i') {
                return !flags.contains('i');
            }
        } else if !word.starts_with(['-', '+']) {
            return true;
        }
    }
    false
}

/// The client that a process is, or has started first of all: a launcher stands before some.
pub fn client_of<'a>(
    pid: i64,
    profiles: impl Iterator<Item = (&'a String, &'a Profile)>,
) -> Option<Client<'a>> {
    let name = proc::program(pid)?;
    let mut below: Option<Vec<(i64, String)>> = None;
    for (provider, profile) in profiles {
        let Some(live) = &profile.live else { continue };
        if live.processes.contains(&name) {
            return Some(Client { provider, live, pid });
        }
        // an interpreter that runs the launcher
        if name != "node" && !name.starts_with("python") {
            continue;
        }
        let below = below.get_or_insert_with(|| {
            let children = proc::children(pid).into_iter();
            children.filter_map(|c| Some((c, proc::program(c)?))).collect()
        });
        if let Some((pid, _)) = below.iter().find(|(_, n)| live.processes.contains(n)) {
            return Some(Client { provider, live, pid: *pid });
        }
    }
    None
}

/// The server's and the pane's processes, now.
pub fn process_of(tmux: &Tmux, id: &str) -> anyhow::Result<Option<(i64, i64)>> {
    let listing = tmux.panes()?;
    Ok(listing.and_then(|l| l.panes.iter().find(|p| p.id == id).map(|p| (p.server_pid, p.pid))))
}

/// Everything that tells what the client is doing now.
pub fn material(c: &Client, pane: &Pane, shown: Shown, now: Ms) -> Material {
    let record = match c.live.record {
        Reader::None => None,
        Reader::Claude => claude(c.pid, now),
        Reader::Codex => codex(c.pid, now),
    };
    let (record, version) = record.map_or((None, None), |(r, v)| (Some(r), v));
    Material {
        v: 1,
        at: now,
        provider: c.provider.to_owned(),
        version,
        started: proc::age(pane.pid).map(|age| now - age),
        record,
        tools: proc::children(c.pid)
            .into_iter()
            .filter_map(|p| proc::stat(p).map(|s| s.name))
            .collect(),
        title: shown.title,
        screen: shown.rows,
    }
}

/// A variable of the environment that a process was started with.
fn variable(pid: i64, name: &str) -> Option<String> {
    let environ = proc::environment(pid)?;
    let of = |v: &[u8]| {
        String::from_utf8(v.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec()).ok()
    };
    environ.split(|b| *b == 0).find_map(of).filter(|v| !v.is_empty())
}

/// Claude's session file: `sessions/PID.json` under its configuration directory. A killed client leaves its file: it
/// counts only for the very process that wrote it.
fn claude(pid: i64, now: Ms) -> Option<(Record, Option<String>)> {
    let home = || Some(Path::new(&variable(pid, "HOME")?).join(".claude"));
    let dir = variable(pid, "CLAUDE_CONFIG_DIR").map(PathBuf::from).or_else(home)?;
    let text = std::fs::read_to_string(dir.join(format!("sessions/{pid}.json"))).ok()?;
    let v: Value = serde_json::from_str(&text).ok()?;
    let field = |k: &str| v[k].as_str().map(str::to_owned);
    let start = proc::stat(pid)?.start;
    if v["pid"].as_i64() != Some(pid) || field("procStart").is_some_and(|s| s != start.to_string())
    {
        return None;
    }
    let session = field("sessionId");
    let path = session.as_ref().and_then(|id| transcript(&dir, id));
    let waits = field("waitingFor").unwrap_or_default();
    let mut record = Record {
        source: "session file".into(),
        session_id: session,
        status: match v["status"].as_str()? {
            "busy" => Status::Working,
            "idle" => Status::Idle,
            "waiting" if waits.contains("permission") => Status::Permission,
            "waiting" if waits.contains("dialog") => Status::Dialog,
            "waiting" => Status::Question,
            _ => Status::Unknown,
        },
        detail: Some(waits).filter(|w| !w.is_empty()),
        since: v["statusUpdatedAt"].as_i64(),
        path: path.as_ref().map(|p| p.to_string_lossy().into_owned()),
    };
    if let (Status::Idle, Some(path)) = (record.status, &path) {
        qualify(&mut record, path, Format::Claude, now);
    }
    Some((record, field("version")))
}

/// The conversation's file: its directory is named after the one the client began in, or was moved to.
fn transcript(dir: &Path, session: &str) -> Option<PathBuf> {
    let name = format!("{session}.jsonl");
    let entries = std::fs::read_dir(dir.join("projects")).ok()?;
    entries.flatten().map(|e| e.path().join(&name)).find(|p| p.is_file())
}

/// Codex's rollout: the one that the client itself holds open, so that no other pane's can be taken for it.
fn codex(pid: i64, now: Ms) -> Option<(Record, Option<String>)> {
    let is_rollout = |p: &PathBuf| {
        let name = p.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name.starts_with("rollout-") && name.ends_with(".jsonl")
    };
    // the newest: a thread that was left may still be open
    let modified = |p: &PathBuf| std::fs::metadata(p).and_then(|m| m.modified()).ok();
    let Some(path) = proc::open_files(pid).into_iter().filter(is_rollout).max_by_key(modified)
    else {
        return daemon(pid).map(|r| (r, None));
    };
    let stem = path.file_stem()?.to_str()?;
    let session = stem.get(stem.len().checked_sub(36)?..)?.to_owned();
    let (status, since) = last_mark(&path)?;
    let mut record = Record {
        source: "rollout".into(),
        session_id: Some(session),
        status,
        since,
        path: Some(path.to_string_lossy().into_owned()),
        ..Record::default()
    };
    if record.status == Status::Idle {
        qualify(&mut record, &path, Format::Codex, now);
    }
    Some((
        record,
        first_line(&path).and_then(|v| Some(v["payload"]["cli_version"].as_str()?.to_owned())),
    ))
}

/// A Codex whose conversation is kept by a daemon that all of a user's clients share: which of the daemon's rollouts is this
/// one's, nothing tells.
fn daemon(pid: i64) -> Option<Record> {
    let is_daemon = |argv: &[String]| {
        let says = |w: &str| argv.iter().any(|a| a == w);
        says("app-server") && says("--managed-daemon")
    };
    let home = |pid: i64| {
        variable(pid, "CODEX_HOME").or_else(|| Some(format!("{}/.codex", variable(pid, "HOME")?)))
    };
    if proc::argv(pid).iter().any(|a| a == "--no-daemon") {
        return None;
    }
    let mut others = proc::named("codex").into_iter();
    others.find(|other| is_daemon(&proc::argv(*other)) && home(*other) == home(pid))?;
    let why = "its conversation is kept by Codex's shared daemon: start it with --no-daemon";
    Some(Record { source: "rollout".into(), detail: Some(why.into()), ..Record::default() })
}

/// A prompt of the user's on a record.
pub struct Prompt {
    /// Its line's first byte.
    pub at: u64,
    pub time: Option<Ms>,
    pub text: String,
}

/// The user's prompts on a record, from a byte on.
pub fn prompts(path: &str, from: u64) -> Vec<Prompt> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let mut at = from;
    let mut all = Vec::new();
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        all.extend(prompt_of(line).map(|(time, text)| Prompt { at, time, text }));
        at += line.len() as u64;
    }
    all
}

/// Where a record shows, from a byte on and within a time, this very prompt of the user's: its line's first byte. Some
/// conversations begin with a copy of an older one.
pub fn has_prompt(
    path: &str,
    from: u64,
    time: impl RangeBounds<Ms>,
    lead: &str,
    text: &str,
) -> Option<u64> {
    let meant =
        |p: &Prompt| p.time.is_none_or(|t| time.contains(&t)) && is_prompt(&p.text, lead, text);
    prompts(path, from).into_iter().find(meant).map(|p| p.at)
}

/// The user's words of one line of a record, and when they were said.
fn prompt_of(line: &[u8]) -> Option<(Option<Ms>, String)> {
    let v: Value = serde_json::from_slice(line).ok()?;
    let content = match v["type"].as_str()? {
        "user" => &v["message"]["content"],
        "event_msg" if v["payload"]["item"]["type"] == "UserMessage" => {
            &v["payload"]["item"]["content"]
        }
        "event_msg" if v["payload"]["type"] == "user_message" => &v["payload"]["message"],
        _ => return None,
    };
    let time = v["timestamp"].as_str().and_then(|t| when::instant(t, 0).ok());
    if let Some(text) = content.as_str() {
        return Some((time, text.to_owned()));
    }
    let parts = content.as_array()?.iter().filter_map(|p| p["text"].as_str());
    Some((time, parts.collect::<Vec<_>>().join("\n")))
}

fn first_line(path: &Path) -> Option<Value> {
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(std::fs::File::open(path).ok()?),
        &mut line,
    )
    .ok()?;
    serde_json::from_str(&line).ok()
}

/// Whether a rollout's last turn runs: the last of its turn marks, looked for from the end.
fn last_mark(path: &Path) -> Option<(Status, Option<Ms>)> {
    let mut file = std::fs::File::open(path).ok()?;
    let mut end = file.metadata().ok()?.len();
    let mut rest: Vec<u8> = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(TAIL);
        let mut chunk = vec![0u8; usize::try_from(end - begin).ok()?];
        file.seek(SeekFrom::Start(begin)).ok()?;
        file.read_exact(&mut chunk).ok()?;
        chunk.append(&mut rest);
        // a line that begins before this chunk is looked at with the one before
        let whole = if begin == 0 {
            0
        } else {
            memchr::memchr(b'\n', &chunk).map_or(chunk.len(), |i| i + 1)
        };
        for line in chunk[whole..].split(|b| *b == b'\n').rev() {
            if let Some(found) = mark(line) {
                return Some(found);
            }
        }
        rest = chunk[..whole].to_vec();
        end = begin;
    }
    Some((Status::Idle, None))
}

fn mark(line: &[u8]) -> Option<(Status, Option<Ms>)> {
    let head = &line[..line.len().min(300)];
    let says = |t: &str| memchr::memmem::find(head, t.as_bytes()).is_some();
    if !says("\"event_msg\"") {
        return None;
    }
    let v: Value = serde_json::from_slice(line).ok()?;
    let status = match v["payload"]["type"].as_str()? {
        "task_started" => Status::Working,
        "task_complete" | "turn_aborted" => Status::Idle,
        _ => return None,
    };
    Some((status, v["timestamp"].as_str().and_then(|t| when::instant(t, 0).ok())))
}

/// How the last turn of an agent at rest ended, where that is not well.
fn qualify(record: &mut Record, path: &Path, format: Format, now: Ms) {
    let Some(end) = last_turn(path, format) else { return };
    record.detail = end.reason.clone();
    match end.outcome {
        Outcome::RateLimited => {
            record.status = Status::RateLimited;
            record.since = when::resolve(&end.resets, record.since.unwrap_or(now));
        }
        Outcome::Failed => record.status = Status::Error,
        _ => {}
    }
}

fn last_turn(path: &Path, format: Format) -> Option<End> {
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    let from = if length > TAIL { memchr::memchr(b'\n', &bytes).map_or(0, |i| i + 1) } else { 0 };
    let (mut extractor, mut events) = (Extractor::new(format), Vec::new());
    extractor.push(&bytes[from..], &mut events);
    event::last_turn(&events).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_with_a_script_has_no_prompt() {
        let scripted =
            |line: &str| is_scripted(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for line in ["bash -c true", "sh -lc true", "bash run.sh", "dash -e run.sh", "fish -c true"]
        {
            assert!(scripted(line), "{line}");
        }
        for line in [
            "-bash",
            "bash",
            "bash --norc -i",
            "bash --rcfile rc",
            "zsh -o vi",
            "bash -ic true",
            "fish -C true",
        ] {
            assert!(!scripted(line), "{line}");
        }
    }
}
