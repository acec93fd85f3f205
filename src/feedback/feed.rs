//! Takes in a stream of event lines: each is kept once, and the outcome at their end moves the attempt.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::attempt::State;
use crate::config::Config;
use crate::event::{self, End, Event, Evidence, Outcome};
use crate::store::{Line, OpenAttempt, Standing, Store};
use crate::tmux::Tmux;
use crate::when;

use super::{Bound, LOOK, chain, close, follow, judge, verify};

/// Events are kept at most this long after they could be read.
const LATEST: Duration = Duration::from_millis(50);

/// How feeding a stream came out.
#[derive(Debug, Default)]
pub struct Fed {
    /// The last outcome that was read.
    pub outcome: Option<Outcome>,
    /// Lines that were no event.
    pub bad: Vec<u64>,
}

/// Keeps event lines and moves the attempt by the outcome at their end; with `tee`, passes each line on. A `watch` of a
/// live client's pane keeps them only: there the turn goes by the client's own record, and is over when that says so.
pub fn feed(
    store: &mut Store,
    config: &Config,
    bound: &Bound,
    watch: bool,
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
    let mut looked = Instant::now();
    let mut named = bound.attempt.agent_session.is_some();
    loop {
        let rest = if watch { LOOK } else { Duration::from_secs(3600) };
        let wait = oldest.map_or(rest, |t| LATEST.saturating_sub(t.elapsed()));
        let next = lines.recv_timeout(wait);
        if watch && looked.elapsed() >= LOOK {
            looked = Instant::now();
            // a database that is busy is asked again; the watch of a turn that is over is in the next one's way
            if let Ok(false) = goes_on(store, config, &bound.attempt) {
                let off = bound
                    .attempt
                    .incarnation
                    .as_ref()
                    .map(|i| Tmux::at(&i.socket).unpipe(&i.pane_id));
                let kept = store.record(&bound.attempt, &stream, &batch, when::now());
                chain(store, bound.attempt.session)?;
                return off.unwrap_or(Ok(())).and(kept.map(drop)).map(|()| fed);
            }
        }
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
            // whatever there is to see without the pane's output
            if let Some(a) =
                store.attempt(bound.attempt.name)?.filter(|a| watch && a.state.is_open())
            {
                follow(store, config, &a, true, when::now())?;
            }
            break;
        }
    }
    if bound.standing == Standing::Owner && !watch {
        let end = end.unwrap_or_else(no_outcome);
        let fed_by_hand = bound.attempt.fed;
        if fed_by_hand || end.evidence != Evidence::None {
            let (a, task) = (&bound.attempt, &bound.task);
            let verify = |command: &str| verify(store, config, a, task, command);
            let ending = judge(task, end, accept, None, verify)?;
            close(store, config, &bound.attempt, &bound.task, &ending)?;
        }
    }
    match unread {
        Some(e) => Err(e).context("standard output"),
        None => Ok(fed),
    }
}

/// One look at a turn in a live client. False: it is over.
fn goes_on(store: &mut Store, config: &Config, a: &OpenAttempt) -> anyhow::Result<bool> {
    let Some(a) = store.attempt(a.name)? else { return Ok(false) };
    let goes_on = matches!(a.state, State::Sending | State::Running | State::Waiting);
    if goes_on {
        follow(store, config, &a, true, when::now())?;
    }
    Ok(goes_on)
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
        rule: None,
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
