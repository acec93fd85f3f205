//! What events mean for a task: whether an end is believed, and the move that follows.

mod bind;
mod feed;
mod follow;

pub use bind::{Address, Bound, bind};
pub use feed::{Fed, feed};
pub use follow::follow;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::json;

use crate::config::Config;
use crate::ctx::establish;
use crate::event::{End, Event, Evidence};
use crate::extract::{Extractor, Format};
use crate::policy::{self, Ended, Verdict};
use crate::session::SessionId;
use crate::store::{Line, OpenAttempt, Standing, Store};
use crate::task::Task;
use crate::tmux::Tmux;
use crate::{proc, quote, when};

/// Between two looks at a live client, or at what a person says of it.
const LOOK: Duration = Duration::from_millis(200);

/// What an end from the owner's channel comes to: whether its evidence is accepted, and whether `--verify` agrees.
/// `run`: runs the verification, in the task's context.
pub fn judge(
    task: &Task,
    end: End,
    accept: Option<Evidence>,
    exit_code: Option<i64>,
    run: impl FnOnce(&str) -> Result<(), String>,
) -> anyhow::Result<Ending> {
    let accept = accept.unwrap_or(task.accept);
    let mut verdict = policy::verdict(&end, when::now());
    let mut reason = end.reason.clone();
    if end.evidence < accept && !matches!(verdict, Verdict::Unknown { .. }) {
        let said = serde_json::to_value(end.outcome)?.as_str().unwrap_or_default().to_owned();
        reason = Some(format!(
            "said to be {said}, by {} only: {} is accepted{}",
            end.evidence.as_str(),
            accept.as_str(),
            reason.map(|r| format!(" ({r})")).unwrap_or_default()
        ));
        verdict = Verdict::Unknown { survivors: false };
    }
    if let (Verdict::Complete { .. }, Some(command)) = (&verdict, &task.verify)
        && let Err(why) = run(command)
    {
        verdict = Verdict::Failed;
        reason = Some(format!("verify failed: {why}"));
    }
    Ok(Ending { verdict, reason, end: Some(end), exit_code })
}

/// How an attempt ends, as its owner sees it.
#[derive(Clone, Debug)]
pub struct Ending {
    pub verdict: Verdict,
    pub reason: Option<String>,
    pub end: Option<End>,
    pub exit_code: Option<i64>,
}

/// Applies the policy and keeps what follows.
pub fn close(
    store: &mut Store,
    config: &Config,
    a: &OpenAttempt,
    task: &Task,
    e: &Ending,
) -> anyhow::Result<bool> {
    let now = when::now();
    let account = config.profile(&task.provider).ok().and_then(|p| p.account);
    let end = e.end.as_ref();
    let evidence = match (&e.verdict, end) {
        (_, Some(end)) => end.evidence,
        (Verdict::Failed | Verdict::Cancelled, None) => Evidence::Exit,
        _ => Evidence::None,
    };
    let ended = Ended {
        task,
        number: a.name.number,
        counted: store.tried(task)?.0,
        account: account.as_deref(),
        reason: e.reason.clone(),
        evidence,
        confidence: end.map(|end| end.confidence),
        answer: end.and_then(|end| end.answer.clone()),
        exit_code: e.exit_code,
    };
    let closing = policy::settle(&ended, &e.verdict, &config.retry, now);
    store.close(a, &closing, now)
}

/// Ends an attempt whose task was not handed over.
pub fn refuse(
    store: &mut Store,
    config: &Config,
    a: &OpenAttempt,
    task: &Task,
    why: &str,
) -> anyhow::Result<()> {
    let reason = Some(crate::clean::line(why));
    let ending = Ending { verdict: Verdict::ContextFailed, reason, end: None, exit_code: None };
    close(store, config, a, task, &ending).map(drop)
}

/// Has what a live client's pane prints read until the attempt is over. Where that cannot be, it is noted, and only the
/// passes of orch-assign look after the attempt.
pub fn watch(store: &mut Store, a: &OpenAttempt) -> anyhow::Result<()> {
    let why = match put_on(store, a) {
        Ok(true) => return Ok(()),
        Ok(false) => "another command already has the pane's output".to_owned(),
        Err(e) => crate::clean::line(&format!("{e:#}")),
    };
    let body = json!({"watched": false, "reason": why});
    store.note("watch", Some(a), None, a.session, body, when::now())
}

/// The program that follows an attempt, and its arguments.
fn watcher(store: &Store, a: &OpenAttempt) -> anyhow::Result<(PathBuf, Vec<String>)> {
    let db = store.path().to_str().context("database path: not UTF-8")?.to_owned();
    let of = [a.name.task.to_string(), "--attempt".into(), a.name.number.to_string()];
    let args = ["--watch".into(), "--db".into(), db, "--task".into()].into_iter().chain(of);
    Ok((proc::sibling("orch-feedback")?, args.collect()))
}

fn put_on(store: &Store, a: &OpenAttempt) -> anyhow::Result<bool> {
    let i = a.incarnation.as_ref().context("no pane")?;
    let line = |program: &Path, args: &[String]| -> anyhow::Result<String> {
        let program = program.to_str().context("own path: not UTF-8")?;
        let words = std::iter::once(program).chain(args.iter().map(String::as_str));
        Ok(words.map(quote::word).collect::<Vec<_>>().join(" "))
    };
    let extract = ["--format", "tty", "--only", "turn_end,permission_request"].map(str::to_owned);
    let extract = line(&proc::sibling("orch-extract")?, &extract)?;
    let (program, args) = watcher(store, a)?;
    // the server's environment is not this one: the same profiles must hold there
    let config = match std::env::var("XDG_CONFIG_HOME") {
        Ok(dir) if !dir.is_empty() => format!("XDG_CONFIG_HOME={} ", quote::word(&dir)),
        _ => String::new(),
    };
    let command = format!("exec {extract} | {config}{}", line(&program, &args)?);
    let (tmux, begun) = (Tmux::at(&i.socket), Instant::now());
    // the watch of the turn before takes itself off at its next look
    while begun.elapsed() < 3 * LOOK {
        if tmux.pipe(i, &command)? {
            return Ok(true);
        }
        std::thread::sleep(LOOK / 10);
    }
    Ok(false)
}

/// Runs a task's verification where its attempt ran, until the attempt is to end.
fn verify(
    store: &Store,
    config: &Config,
    a: &OpenAttempt,
    task: &Task,
    command: &str,
) -> Result<(), String> {
    let mut looked = Instant::now();
    let stop = || {
        if looked.elapsed() < LOOK {
            return None;
        }
        looked = Instant::now();
        // a database that is busy is asked again
        let a = store.attempt(a.name).ok()??;
        if a.state.is_open() {
            follow::overdue(&a, task, when::now())
        } else {
            Some("ended".into())
        }
    };
    establish::run_in(&task.context, config, command, &[], stop)
}

/// The last act of an attempt: its session's next task, without waiting for cron.
pub fn chain(store: &Store, session: Option<SessionId>) -> anyhow::Result<()> {
    let Some(id) = session else { return Ok(()) };
    let Some(session) = store.sessions()?.into_iter().find(|s| s.id == id) else { return Ok(()) };
    let db = store.path().to_str().context("database path")?.to_owned();
    let args =
        ["--session".into(), session.name, "--when-idle".into(), "3s".into(), "--db".into(), db];
    proc::spawn_detached(&proc::sibling("orch-assign")?, &args).context("orch-assign")
}

/// Takes in one call of an agent's hook. It speaks for the attempt whose agent session it names, and for no other.
/// Returns that attempt if it is in a live client: its turn is worth a look.
pub fn hook(store: &mut Store, input: &[u8]) -> anyhow::Result<Option<OpenAttempt>> {
    let mut extractor = Extractor::new(Format::Hook);
    let mut events = Vec::new();
    extractor.push(input, &mut events);
    extractor.finish(None, &mut events);
    let Some(session) = events.iter().find_map(|e| e.session_id.clone()) else {
        if events.is_empty() {
            bail!("no hook record on standard input");
        }
        return Ok(None);
    };
    let Some(attempt) = store.attempt_of_agent(&session)? else { return Ok(None) };
    let standing = if attempt.state.is_open() { Standing::Owner } else { Standing::Refused };
    let now = when::now();
    let stream = format!("hook:{now}:{}", std::process::id());
    let lines: Vec<Line> = events.iter().map(|e| kept(e, standing, None)).collect();
    store.record(&attempt, &stream, &lines, now)?;
    Ok(Some(attempt).filter(|a| a.state.is_open() && a.receipt.is_some()))
}

/// An event as it is kept, without the values that must not be written down.
pub fn kept(e: &Event, standing: Standing, secrets: Option<&crate::clean::Secrets>) -> Line {
    let value = serde_json::to_value(e).unwrap_or_default();
    let kind = value["type"].as_str().unwrap_or("note").to_owned();
    let text = value.to_string();
    let body = secrets.filter(|s| !s.is_empty()).map_or(text.clone(), |s| s.redact(&text));
    Line { seq: e.seq as i64, standing, kind, body, event: Some(e.clone()) }
}
