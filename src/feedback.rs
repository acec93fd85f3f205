//! What events mean for a task: who says it, whether it is believed, and the move that follows.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::attempt::{Name, State};
use crate::config::Config;
use crate::ctx::establish;
use crate::event::{self, End, Event, Evidence, Outcome};
use crate::extract::{Extractor, Format};
use crate::policy::{self, Ended, Verdict};
use crate::proc;
use crate::store::{Line, Open, OpenAttempt, Standing, Started, Store};
use crate::task::{Task, TaskId};
use crate::when;

/// Events are kept at most this long after they could be read.
const LATEST: Duration = Duration::from_millis(50);

/// Which attempt a stream of events is about, as far as options and environment say.
#[derive(Clone, Debug, Default)]
pub struct Address {
    pub task: Option<TaskId>,
    pub attempt: Option<i64>,
}

/// The attempt that a stream is bound to, and what its word is worth.
#[derive(Debug)]
pub struct Bound {
    pub attempt: OpenAttempt,
    pub task: Task,
    pub standing: Standing,
    /// Why its word is refused, where it is.
    pub refused: Option<String>,
}

/// Finds the attempt. By hand, outside of any attempt, a queued or held task begins one here.
pub fn bind(store: &mut Store, address: &Address) -> anyhow::Result<Bound> {
    let inside = surrounding(store)?;
    match (address.task, inside) {
        (Some(task), None) => by_hand(store, task, address.attempt),
        (Some(task), Some(inner)) => {
            let attempt = match address.attempt {
                Some(number) => store.attempt(Name { task, number })?,
                None if inner.name.task == task => Some(inner.clone()),
                None => store.open_attempt(task)?,
            };
            let attempt = attempt.with_context(|| {
                format!("task {task}: inside attempt {} no other task can be begun", inner.name)
            })?;
            claim(store, attempt)
        }
        (None, Some(inner)) => claim(store, inner),
        (None, None) => {
            let attempt = of_pane(store)?
                .context("no task: give --task ID, or run in the pane of an open attempt")?;
            let task = store.need_task(attempt.name.task)?;
            Ok(Bound { attempt, task, standing: Standing::Owner, refused: None })
        }
    }
}

fn by_hand(store: &mut Store, id: TaskId, number: Option<i64>) -> anyhow::Result<Bound> {
    let task = store.need_task(id)?;
    let open = store.open_attempt(id)?;
    if let Some(number) = number {
        let name = Name { task: id, number };
        let attempt = store.attempt(name)?.with_context(|| format!("no attempt {name}"))?;
        let stale = !attempt.state.is_open();
        let refused =
            stale.then(|| format!("attempt {name} has ended: it is {}", attempt.state.as_str()));
        let standing = if stale { Standing::Refused } else { Standing::Owner };
        return Ok(Bound { attempt, task, standing, refused });
    }
    if let Some(attempt) = open {
        return Ok(Bound { attempt, task, standing: Standing::Owner, refused: None });
    }
    let owner = proc::own();
    let begun =
        Open { session: None, incarnation: None, agent_session: None, owner: &owner, fed: true };
    let Started { attempt, task } = store.begin_by_hand(id, &begun, when::now())?;
    Ok(Bound { attempt, task, standing: Standing::Owner, refused: None })
}

fn claim(store: &Store, attempt: OpenAttempt) -> anyhow::Result<Bound> {
    let task = store.need_task(attempt.name.task)?;
    let stale = !attempt.state.is_open();
    let refused = stale
        .then(|| format!("attempt {} has ended: it is {}", attempt.name, attempt.state.as_str()));
    let standing = if stale { Standing::Refused } else { Standing::Claim };
    Ok(Bound { attempt, task, standing, refused })
}

/// The attempt that this process runs inside of: by its environment, or because an ancestor is that attempt's orch-wrap.
fn surrounding(store: &Store) -> anyhow::Result<Option<OpenAttempt>> {
    let set = |n: &str| std::env::var(n).ok().filter(|v| !v.is_empty());
    let here = set("ORCH_DB").is_none_or(|db| std::path::Path::new(&db) == store.path());
    if let Some(text) = set("ORCH_ATTEMPT").filter(|_| here) {
        let name: Name = text.parse().map_err(anyhow::Error::msg).context("ORCH_ATTEMPT")?;
        return Ok(Some(
            store.attempt(name)?.with_context(|| format!("ORCH_ATTEMPT: no attempt {name}"))?,
        ));
    }
    let above = proc::ancestors(i64::from(std::process::id()));
    let owns = |a: &OpenAttempt| {
        !a.fed
            && a.owner.as_ref().is_some_and(|o| above.contains(&o.pid) && proc::is_alive(o))
            && a.state != State::Claimed
    };
    Ok(store.open_attempts()?.into_iter().find(owns))
}

fn of_pane(store: &Store) -> anyhow::Result<Option<OpenAttempt>> {
    let (Ok(pane), Ok(tmux)) = (std::env::var("TMUX_PANE"), std::env::var("TMUX")) else {
        return Ok(None);
    };
    let socket = tmux.rsplitn(3, ',').last().unwrap_or_default();
    store.attempt_of_pane(socket, &pane)
}

/// How feeding a stream came out.
#[derive(Debug, Default)]
pub struct Fed {
    /// The last outcome that was read.
    pub outcome: Option<Outcome>,
    /// Lines that were no event.
    pub bad: Vec<u64>,
}

/// Keeps event lines and moves the attempt by the outcome at their end; with `tee`, passes each line on.
pub fn feed(
    store: &mut Store,
    config: &Config,
    bound: &Bound,
    accept: Option<Evidence>,
    input: impl std::io::Read + Send + 'static,
    mut tee: Option<&mut dyn Write>,
) -> anyhow::Result<Fed> {
    let lines = read_in_background(input);
    let mut fed = Fed::default();
    let mut batch: Vec<Line> = Vec::new();
    let mut stream = String::new();
    let mut end: Option<End> = None;
    let mut number = 0u64;
    let mut oldest: Option<Instant> = None;
    let mut passed_on: Vec<u8> = Vec::new();
    let mut unread: Option<std::io::Error> = None;
    let mut named = bound.attempt.agent_session.is_some();
    loop {
        let wait = oldest.map_or(Duration::from_secs(3600), |t| LATEST.saturating_sub(t.elapsed()));
        let next = lines.recv_timeout(wait);
        let over = matches!(next, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
        if let Ok(line) = next {
            let line = line.context("standard input")?;
            number += 1;
            if tee.is_some() {
                passed_on.extend_from_slice(&line);
                oldest = oldest.or_else(|| Some(Instant::now()));
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if stream.is_empty() {
                stream = stream_name(bound.standing, &line);
            }
            match read_line(bound, &line) {
                Some(read) => {
                    if let (Standing::Owner | Standing::Claim, Some(e)) =
                        (read.standing, read.event.as_ref())
                    {
                        if let Some(task_end) = e.body.task_end() {
                            fed.outcome = Some(task_end.outcome);
                            end = Some(task_end.clone());
                        }
                        if read.standing == Standing::Owner
                            && !named
                            && let Some(id) = &e.session_id
                        {
                            store.bind_agent(&bound.attempt, id)?;
                            named = true;
                        }
                    }
                    batch.push(read);
                    oldest = oldest.or_else(|| Some(Instant::now()));
                }
                None => fed.bad.push(number),
            }
        }
        if over || oldest.is_some_and(|t| t.elapsed() >= LATEST) || batch.len() >= 4096 {
            store.record(&bound.attempt, &stream, &batch, when::now())?;
            batch.clear();
            oldest = None;
            // kept first; a reader that went away does not end the work
            if let Some(out) = tee.as_deref_mut()
                && let Err(e) = out.write_all(&passed_on).and_then(|()| out.flush())
            {
                unread = Some(e);
                tee = None;
            }
            passed_on.clear();
        }
        if over {
            break;
        }
    }
    if bound.standing == Standing::Owner {
        let end = end.unwrap_or_else(no_outcome);
        let fed_by_hand = bound.attempt.fed;
        if fed_by_hand || end.evidence != Evidence::None {
            let verify = |command: &str| {
                establish::run_in(&bound.task.context, config, command, &[], || None)
            };
            let ending = judge(&bound.task, end, accept, None, verify)?;
            close(store, config, &bound.attempt, &bound.task, &ending)?;
        }
    }
    match unread {
        Some(e) => Err(e).context("standard output"),
        None => Ok(fed),
    }
}

fn no_outcome() -> End {
    End {
        outcome: Outcome::Unknown,
        evidence: Evidence::None,
        confidence: 0.0,
        reason: Some("its input ended without an outcome".into()),
        because: Vec::new(),
        answer: None,
        note: None,
        resets: Default::default(),
    }
}

fn read_in_background(
    input: impl std::io::Read + Send + 'static,
) -> std::sync::mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (send, receive) = std::sync::mpsc::sync_channel(8192);
    std::thread::spawn(move || {
        let mut input = std::io::BufReader::with_capacity(1 << 16, input);
        loop {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => {
                    if send.send(Ok(line)).is_err() {
                        return;
                    }
                }
                Err(e) => {
                    // nobody listens any more: nothing to tell
                    let _ = send.send(Err(e));
                    return;
                }
            }
        }
    });
    receive
}

/// Streams of the same session, or with the same first line, are the same: a replay adds nothing. Claims have streams
/// of their own, so that they cannot take the numbers of the owner's.
fn stream_name(standing: Standing, first: &[u8]) -> String {
    let session = serde_json::from_slice::<Value>(first)
        .ok()
        .and_then(|v| Some(v["session_id"].as_str()?.to_owned()));
    let id = session.unwrap_or_else(|| crate::context::hex(&Sha256::digest(first)[..8]));
    match standing {
        Standing::Owner => format!("feed:{id}"),
        Standing::Claim | Standing::Refused => {
            format!("{}:{}:{id}", standing.as_str(), std::process::id())
        }
    }
}

/// One line as it is kept; `None`: no event. A line that names another task, attempt or token is refused.
fn read_line(bound: &Bound, line: &[u8]) -> Option<Line> {
    let text = String::from_utf8_lossy(line);
    let value: Value = serde_json::from_str(&text).ok()?;
    let kind = value["type"].as_str()?.to_owned();
    let seq = value["seq"].as_i64()?;
    if value["v"].as_u64() != Some(event::VERSION.into()) {
        return None;
    }
    let a = &bound.attempt;
    let says = |field: &str| match &value[field] {
        Value::Null => None,
        Value::String(s) => Some(s.clone()),
        other => Some(other.to_string()),
    };
    let other = says("token").is_some_and(|t| t != a.token)
        || says("task").is_some_and(|t| t != a.name.task.to_string())
        || says("attempt")
            .is_some_and(|t| t != a.name.to_string() && t != a.name.number.to_string());
    let standing = if other { Standing::Refused } else { bound.standing };
    let mut body = value.clone();
    if let Some(o) = body.as_object_mut() {
        // the token stays in its one place
        o.remove("token");
    }
    let event = serde_json::from_value::<Event>(value).ok();
    Some(Line {
        seq: if other { -seq } else { seq },
        standing,
        kind,
        body: body.to_string(),
        event,
    })
}

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

/// Takes in one call of an agent's hook. It speaks for the attempt whose agent session it names, and for no other.
pub fn hook(store: &mut Store, input: &[u8]) -> anyhow::Result<bool> {
    let mut extractor = Extractor::new(Format::Hook);
    let mut events = Vec::new();
    extractor.push(input, &mut events);
    extractor.finish(None, &mut events);
    let Some(session) = events.iter().find_map(|e| e.session_id.clone()) else {
        if events.is_empty() {
            bail!("no hook record on standard input");
        }
        return Ok(false);
    };
    let Some(attempt) = store.attempt_of_agent(&session)? else { return Ok(false) };
    let standing = if attempt.state.is_open() { Standing::Owner } else { Standing::Refused };
    let now = when::now();
    let stream = format!("hook:{now}:{}", std::process::id());
    let lines: Vec<Line> = events.iter().map(|e| kept(e, standing, None)).collect();
    store.record(&attempt, &stream, &lines, now)?;
    Ok(true)
}

/// An event as it is kept, without the values that must not be written down.
pub fn kept(e: &Event, standing: Standing, secrets: Option<&crate::clean::Secrets>) -> Line {
    let value = serde_json::to_value(e).unwrap_or_default();
    let kind = value["type"].as_str().unwrap_or("note").to_owned();
    let text = value.to_string();
    let body = secrets.filter(|s| !s.is_empty()).map_or(text.clone(), |s| s.redact(&text));
    Line { seq: e.seq as i64, standing, kind, body, event: Some(e.clone()) }
}
