//! A turn in a live client, followed by the client's own record and status until it is over.

use std::io::{Read, Seek, SeekFrom};

use anyhow::Context as _;

use super::{Ending, close, judge, kept};
use crate::agent::rules::Reader;
use crate::attempt::{Receipt, State};
use crate::config::Config;
use crate::ctx::{establish, live, sync};
use crate::event::{Body, End, Event, Evidence, Outcome};
use crate::extract::{Extractor, Format};
use crate::policy::Verdict;
use crate::proc;
use crate::session::{Condition, Process, Session};
use crate::store::{OpenAttempt, Seen, Standing, Store};
use crate::task::Task;
use crate::tmux::Tmux;
use crate::when::{self, Ms};

/// A client at rest without an end on its record is looked at again for so long before a person is asked.
const PATIENCE: Ms = 4_000;

/// A client that works on after an Escape is given another one after so long. Two at rest would open a dialog.
const ESCAPE_AGAIN: Ms = 5_000;

/// One look at an attempt in a live client. Returns where it was moved, and why.
pub fn follow(
    store: &mut Store,
    config: &Config,
    a: &OpenAttempt,
    now: Ms,
) -> anyhow::Result<Option<(&'static str, String)>> {
    let Some(receipt) = &a.receipt else { return Ok(None) };
    let sessions = store.sessions()?;
    let Some(session) = sessions.into_iter().find(|s| Some(s.id) == a.session) else {
        return Ok(None);
    };
    let task = store.need_task(a.name.task)?;
    let seen = sync::glance(&session, config)?;
    let seen = seen.filter(|s| Some(&s.incarnation) == a.incarnation.as_ref());
    // a client in a shell may have ended, and another begun, while the pane's own process stayed
    let Some(seen) = seen.filter(|s| process(s) == receipt.client) else {
        return gone(store, config, a, receipt, &task);
    };
    if a.state == State::Unknown && !late(store, config, a, receipt, &task, &seen, now)? {
        return Ok(None);
    }
    if matches!(seen.condition, Condition::Working(_) | Condition::Waiting(_))
        && overdue(a, &task, now).is_some()
        && receipt.escaped.is_none_or(|t| now - t > ESCAPE_AGAIN)
        && store.mark_escaped(a, now)?
    {
        // ended as a person would end it: what comes of that is seen at a later look
        Tmux::at(&session.incarnation.socket).press(&seen.incarnation, "Escape")?;
    }
    match &seen.condition {
        // what it left running will wake it again
        Condition::Idle | Condition::Error(_) | Condition::Blocked(_) if seen.background => {
            Ok(None)
        }
        Condition::Working(_) => {
            Ok(store.turn(a, State::Running, None, now)?.then(|| ("running", "it works".into())))
        }
        Condition::Waiting(why) => {
            Ok(store.turn(a, State::Waiting, Some(why), now)?.then(|| ("waiting", why.clone())))
        }
        Condition::Starting | Condition::Unknown(_) | Condition::Dead => Ok(None),
        Condition::Idle
        | Condition::Error(_)
        | Condition::RateLimited(_)
        | Condition::Blocked(_) => at_rest(store, config, a, receipt, &task, &session, &seen, now),
    }
}

fn process(seen: &Seen) -> Option<String> {
    seen.agent.as_ref()?.process.as_ref().map(ToString::to_string)
}

/// Why the turn is to be ended.
fn overdue(a: &OpenAttempt, task: &Task, now: Ms) -> Option<String> {
    let late = task.timeout.zip(a.started_at).filter(|(t, begun)| now - begun >= *t);
    a.cancel_asked.clone().or_else(|| late.map(|(t, _)| format!("timed out after {} s", t / 1000)))
}

/// Late evidence: the record shows that a prompt of which nobody knew was taken after all.
fn late(
    store: &mut Store,
    config: &Config,
    a: &OpenAttempt,
    receipt: &Receipt,
    task: &Task,
    seen: &Seen,
    now: Ms,
) -> anyhow::Result<bool> {
    let agent = seen.agent.as_ref();
    let Some(record) = agent.and_then(|g| g.record.clone()) else { return Ok(false) };
    // another record than at the paste is a conversation that was begun since: it is read whole, from the claim on
    let from = if receipt.record.as_deref() == Some(&record) { receipt.from } else { 0 };
    let Some(from) = typed_at(config, a, task, &record, from)? else { return Ok(false) };
    let receipt =
        Receipt { evidence: Some("record".into()), record: Some(record), from, ..receipt.clone() };
    store.submitted(a, &receipt, agent.and_then(|g| g.session_id.as_deref()), now)
}

/// Where the record has the attempt's own prompt.
fn typed_at(
    config: &Config,
    a: &OpenAttempt,
    task: &Task,
    record: &str,
    from: u64,
) -> anyhow::Result<Option<u64>> {
    let Some(rules) = config.profile(&task.provider)?.live else { return Ok(None) };
    let (lead, text) = rules.deliverable(&task.content);
    Ok(live::has_prompt(record, from, a.claimed_at, &lead.unwrap_or_default(), &text))
}

#[allow(clippy::too_many_arguments)]
fn at_rest(
    store: &mut Store,
    config: &Config,
    a: &OpenAttempt,
    receipt: &Receipt,
    task: &Task,
    session: &Session,
    seen: &Seen,
    now: Ms,
) -> anyhow::Result<Option<(&'static str, String)>> {
    let asked = overdue(a, task, now);
    let agent = seen.agent.as_ref();
    let own = agent.filter(|g| a.agent_session.is_none() || g.session_id == a.agent_session);
    let path = own.and_then(|g| g.record.clone()).or_else(|| receipt.record.clone());
    let end = match path {
        Some(path) => turn_of(store, config, a, task, &path, receipt.from, now)?,
        None => {
            let (end, over) = shown_turn(config, session, task, receipt, seen)?;
            if !over && asked.is_none() {
                return Ok(None);
            }
            end
        }
    };
    let ending = match (asked, end) {
        (Some(why), _) if a.cancel_asked.is_some() => plain(Verdict::Cancelled, why),
        (_, Some(end)) if !is_interrupt(&end) => {
            if let Some(why) = refused_by_account(&end) {
                store.pause(&session.name, Some(&why))?;
            }
            let verify =
                |command: &str| establish::run_in(&task.context, config, command, &[], || None);
            judge(task, end, None, None, verify)?
        }
        (Some(why), _) => plain(Verdict::Failed, why),
        (None, end) => {
            let rested = seen.since.or(a.started_at).is_none_or(|t| now - t > PATIENCE);
            if end.is_none() && !rested {
                return Ok(None);
            }
            let why = end
                .and_then(|e| e.reason)
                .unwrap_or_else(|| "its turn is over without an end on its record".into());
            return Ok(store.turn(a, State::Waiting, Some(&why), now)?.then_some(("waiting", why)));
        }
    };
    settle(store, config, a, task, &ending)
}

/// The turn of a client that keeps no record: over when the composer is empty again below the prompt that was sent, and
/// what stands between them is its answer.
fn shown_turn(
    config: &Config,
    session: &Session,
    task: &Task,
    receipt: &Receipt,
    seen: &Seen,
) -> anyhow::Result<(Option<End>, bool)> {
    let live = config.profile(&task.provider)?.live.filter(|l| l.record == Reader::None);
    let Some(live) = live else { return Ok((None, true)) };
    // a row of an answer can look like a draft
    if seen.composer.as_deref() != Some("") {
        return Ok((None, false));
    }
    let began = receipt.evidence.as_deref() == Some("screen");
    let i = &session.incarnation;
    let rows = Tmux::at(&i.socket).scrollback(&i.pane_id)?;
    let answer = live.answer_to(&rows, &task.content).filter(|_| began);
    let end = answer.map(|answer| End {
        outcome: Outcome::Complete,
        evidence: Evidence::Pattern,
        confidence: 0.5,
        reason: Some("its composer is empty again".into()),
        because: Vec::new(),
        answer: Some(answer),
        note: None,
        resets: Default::default(),
    });
    Ok((end, true))
}

fn plain(verdict: Verdict, why: String) -> Ending {
    Ending { verdict, reason: Some(why), end: None, exit_code: None }
}

fn is_interrupt(end: &End) -> bool {
    end.reason.as_deref().is_some_and(|r| r.contains("interrupted by the user"))
}

/// The client is gone: by its record if that has an end, lost if nothing of it runs.
fn gone(
    store: &mut Store,
    config: &Config,
    a: &OpenAttempt,
    receipt: &Receipt,
    task: &Task,
) -> anyhow::Result<Option<(&'static str, String)>> {
    // its tmux server may be silent for another reason
    let client: Option<Process> = receipt.client.as_ref().and_then(|c| c.parse().ok());
    let lives = client.is_some_and(|c| proc::is_alive(&c));
    if lives {
        return Ok(None);
    }
    // of a prompt that was perhaps never sent, no other one's end tells
    let from = match &receipt.record {
        Some(path) if a.state == State::Unknown => {
            typed_at(config, a, task, path, receipt.from)?.map(|from| (path, from))
        }
        other => other.as_ref().map(|path| (path, receipt.from)),
    };
    let end = match from {
        Some((path, from)) => turn_of(store, config, a, task, path, from, when::now())?,
        None => None,
    };
    let ending = match end.filter(|e| !is_interrupt(e)) {
        Some(end) => {
            let verify =
                |command: &str| establish::run_in(&task.context, config, command, &[], || None);
            judge(task, end, None, None, verify)?
        }
        None if a.state == State::Unknown => return Ok(None),
        None => plain(Verdict::Lost, "its client ended within the turn".into()),
    };
    settle(store, config, a, task, &ending)
}

fn settle(
    store: &mut Store,
    config: &Config,
    a: &OpenAttempt,
    task: &Task,
    ending: &Ending,
) -> anyhow::Result<Option<(&'static str, String)>> {
    if !close(store, config, a, task, ending)? {
        return Ok(None);
    }
    let state = store.attempt(a.name)?.context("attempt")?.state;
    Ok(Some((state.as_str(), ending.reason.clone().unwrap_or_default())))
}

/// The end of the attempt's turn, as the client's record has it; what the record says is kept on the way.
fn turn_of(
    store: &mut Store,
    config: &Config,
    a: &OpenAttempt,
    task: &Task,
    path: &str,
    from: u64,
    now: Ms,
) -> anyhow::Result<Option<End>> {
    let format = config.profile(&task.provider)?.format;
    let Some(events) = read(path, from, format) else { return Ok(None) };
    let lines: Vec<_> = events.iter().map(|e| kept(e, Standing::Owner, None)).collect();
    // the same lines have the same numbers: what was kept before is not kept again
    store.record(a, &format!("record:{from}"), &lines, now)?;
    let prompts =
        events.iter().filter(|e| matches!(&e.body, Body::Message { role, .. } if role == "user"));
    let mixed = prompts.count() > 1;
    let last = events.into_iter().rev().find(|e| match &e.body {
        Body::TurnEnd(_) => true,
        Body::Message { role, .. } => role == "user",
        _ => false,
    });
    Ok(match last.map(|e| e.body) {
        Some(Body::TurnEnd(end)) if mixed => {
            let also = "somebody else's prompt went into the same turn";
            let note = end.note.map_or(also.to_owned(), |n| format!("{n}; {also}"));
            Some(End { note: Some(note), ..end })
        }
        Some(Body::TurnEnd(end)) => Some(end),
        _ => None,
    })
}

fn read(path: &str, from: u64, format: Format) -> Option<Vec<Event>> {
    let mut file = std::fs::File::open(path).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let (mut extractor, mut events) = (Extractor::new(format), Vec::new());
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(events),
            n => extractor.push(&buffer[..n], &mut events),
        }
    }
}

/// The account's word that it will not serve: to try again would only be refused again.
fn refused_by_account(end: &End) -> Option<String> {
    let reason = end.reason.as_deref()?;
    let head: String = reason.chars().take(200).collect::<String>().to_lowercase();
    let says = [
        "api_error 401",
        "api_error 403",
        "status 401",
        "status 403",
        "invalid api key",
        "please run /login",
    ];
    says.iter()
        .any(|s| head.contains(s))
        .then(|| format!("authentication failed: {}", crate::clean::line(reason)))
}
