//! A turn in a live client, followed by the client's own record and status until it is over.

use std::io::{Read, Seek, SeekFrom};

use anyhow::Context as _;

use super::{Ending, close, judge, kept, verify, watcher};
use crate::agent::rules::Reader;
use crate::attempt::{Receipt, State};
use crate::config::Config;
use crate::ctx::{live, sync, wipe};
use crate::event::{self, Body, End, Event, Evidence, Outcome};
use crate::extract::{Extractor, Format};
use crate::policy::Verdict;
use crate::proc::{self, Survivor};
use crate::session::{Condition, Process, Session};
use crate::store::{OpenAttempt, Seen, Standing, Store};
use crate::task::Task;
use crate::tmux::Tmux;
use crate::when::Ms;

/// A client at rest without an end on its record is looked at again for so long before a person is asked.
const PATIENCE: Ms = 4_000;

/// A client that works on after an Escape is given another one after so long. Two at rest would open a dialog.
const ESCAPE_AGAIN: Ms = 5_000;

/// A turn, looked at.
struct Turn<'a> {
    store: &'a mut Store,
    config: &'a Config,
    a: &'a OpenAttempt,
    receipt: &'a Receipt,
    task: Task,
    session: Session,
    patient: bool,
    now: Ms,
}

/// Where an attempt was moved, and why.
type Moved = Option<(&'static str, String)>;

/// One look at an attempt in a live client. Who is `patient` runs its verification, the others have that done.
pub fn follow(
    store: &mut Store,
    config: &Config,
    a: &OpenAttempt,
    patient: bool,
    now: Ms,
) -> anyhow::Result<Moved> {
    let Some(receipt) = &a.receipt else { return Ok(None) };
    let sessions = store.sessions()?;
    let Some(session) = sessions.into_iter().find(|s| Some(s.id) == a.session) else {
        return Ok(None);
    };
    let task = store.need_task(a.name.task)?;
    Turn { store, config, a, receipt, task, session, patient, now }.look()
}

/// Why the turn is to be ended.
pub fn overdue(a: &OpenAttempt, task: &Task, now: Ms) -> Option<String> {
    let late = task.timeout.zip(a.started_at).filter(|(t, begun)| now - begun >= *t);
    a.cancel_asked.clone().or_else(|| late.map(|(t, _)| format!("timed out after {} s", t / 1000)))
}

impl Turn<'_> {
    fn look(mut self) -> anyhow::Result<Moved> {
        let (a, now) = (self.a, self.now);
        let seen = sync::glance(&self.session, self.config)?;
        let seen = seen.filter(|s| Some(&s.incarnation) == a.incarnation.as_ref());
        // a client in a shell may have ended, and another begun, while the pane's own process stayed
        let Some(seen) = seen.filter(|s| process(s) == self.receipt.client.as_ref()) else {
            return self.gone();
        };
        if a.state == State::Unknown && !self.late(&seen)? {
            return Ok(None);
        }
        let overdue = overdue(a, &self.task, now);
        if matches!(seen.condition, Condition::Working(_) | Condition::Waiting(_))
            && overdue.is_some()
            && self.receipt.escaped.is_none_or(|t| now - t > ESCAPE_AGAIN)
            && self.store.mark_escaped(a, now)?
        {
            // ended as a person would end it: what comes of that is seen at a later look
            self.tmux().press(&seen.incarnation, "Escape")?;
        }
        match &seen.condition {
            Condition::Working(_) => {
                let moved = self.store.turn(a, State::Running, None, now)?;
                Ok(moved.then(|| ("running", "it works".into())))
            }
            Condition::Waiting(why) => {
                let question = seen.menu.as_ref().map(|m| format!(": {}", m.line()));
                let why = format!("{why}{}", question.unwrap_or_default());
                let moved = self.store.turn(a, State::Waiting, Some(&why), now)?;
                Ok(moved.then_some(("waiting", why)))
            }
            Condition::Starting | Condition::Unknown(_) | Condition::Dead => Ok(None),
            Condition::Idle
            | Condition::Error(_)
            | Condition::RateLimited(_)
            | Condition::Blocked(_) => match overdue {
                // what it left running will wake it again
                None if seen.background => Ok(None),
                overdue => self.at_rest(&seen, overdue),
            },
        }
    }

    fn tmux(&self) -> Tmux {
        Tmux::at(&self.session.incarnation.socket)
    }

    /// Late evidence: the record shows that a prompt of which nobody knew was taken after all.
    fn late(&mut self, seen: &Seen) -> anyhow::Result<bool> {
        let agent = seen.agent.as_ref();
        let Some(record) = agent.and_then(|g| g.record.clone()) else { return Ok(false) };
        // another record than at the paste is a conversation that was begun since: it is read whole, from the claim on
        let known = self.receipt.record.as_deref() == Some(&record);
        let from = if known { self.receipt.from } else { 0 };
        let Some(from) = self.typed_at(&record, from)? else { return Ok(false) };
        // while the session works for another attempt, this one has to wait
        let others = self.store.open_attempts()?;
        if others
            .iter()
            .any(|o| o.id != self.a.id && o.session == self.a.session && o.state != State::Unknown)
        {
            return Ok(false);
        }
        let receipt = Receipt {
            evidence: Some("record".into()),
            record: Some(record),
            from,
            ..self.receipt.clone()
        };
        let id = agent.and_then(|g| g.session_id.as_deref());
        self.store.submitted(self.a, &receipt, id, self.now)
    }

    /// Where the record has the attempt's own prompt.
    fn typed_at(&self, record: &str, from: u64) -> anyhow::Result<Option<u64>> {
        let Some(rules) = self.config.profile(&self.task.provider)?.live else { return Ok(None) };
        let (lead, text) = rules.deliverable(&self.task.content);
        // the next attempt there may have the same words
        let until = self.store.next_claim(self.a)?.unwrap_or(Ms::MAX);
        let time = self.a.claimed_at..until;
        Ok(live::has_prompt(record, from, time, &lead.unwrap_or_default(), &text))
    }

    fn at_rest(&mut self, seen: &Seen, overdue: Option<String>) -> anyhow::Result<Moved> {
        let (a, receipt) = (self.a, self.receipt);
        let agent = seen.agent.as_ref();
        let own = agent.filter(|g| a.agent_session.is_none() || g.session_id == a.agent_session);
        let path = own.and_then(|g| g.record.clone()).or_else(|| receipt.record.clone());
        let end = match path {
            // what it has left running is no good end
            _ if seen.background => None,
            Some(path) => self.turn_of(&path, receipt.from)?,
            None => {
                let (end, over) = self.shown(seen)?;
                if !over && overdue.is_none() {
                    return Ok(None);
                }
                end
            }
        };
        let end = match (overdue, end) {
            (Some(why), _) if a.cancel_asked.is_some() => Err((Verdict::Cancelled, why)),
            (_, Some(end)) if !is_interrupt(&end) => Ok(end),
            (Some(why), _) => Err((Verdict::Failed, why)),
            (None, end) => {
                let rested = seen.since.or(a.started_at).is_none_or(|t| self.now - t > PATIENCE);
                if end.is_none() && !rested {
                    return Ok(None);
                }
                let why = end
                    .and_then(|e| e.reason)
                    .unwrap_or_else(|| "its turn is over without an end on its record".into());
                let moved = self.store.turn(a, State::Waiting, Some(&why), self.now)?;
                return Ok(moved.then_some(("waiting", why)));
            }
        };
        if receipt.escaped.is_some() {
            self.wipe(seen)?;
        }
        match end {
            Ok(end) => {
                if let Some(why) = refused_by_account(&end) {
                    self.store.pause(&self.session.name, Some(&why))?;
                }
                self.believe(end)
            }
            Err((verdict, why)) => self.settle(&plain(verdict, why)),
        }
    }

    /// A client that was interrupted before its first word gives the prompt back: it is not left there as somebody's draft.
    fn wipe(&self, seen: &Seen) -> anyhow::Result<()> {
        let Some(rules) = self.config.profile(&self.task.provider)?.live else { return Ok(()) };
        let (lead, text) = rules.deliverable(&self.task.content);
        let lead = lead.unwrap_or_default();
        let ours = |c: &str| rules.shows(c, &lead, &text);
        let alone = seen.touched.is_none_or(|t| self.now - t >= self.config.hands_off);
        if alone && seen.composer.as_deref().is_some_and(ours) {
            // where it cannot be, the session says what stands there
            let same = |s: &Seen| s.incarnation == seen.incarnation && process(s) == process(seen);
            wipe::wipe(self.config, &self.session, &self.tmux(), &same, seen.touched, &ours);
        }
        Ok(())
    }

    /// The turn of a client that keeps no record: over when the composer is empty again below the prompt that was sent, and
    /// what stands between them is its answer.
    fn shown(&self, seen: &Seen) -> anyhow::Result<(Option<End>, bool)> {
        let live = self.config.profile(&self.task.provider)?.live;
        let Some(live) = live.filter(|l| l.record == Reader::None) else { return Ok((None, true)) };
        // a row of an answer can look like a draft
        if seen.composer.as_deref() != Some("") {
            return Ok((None, false));
        }
        let began = self.receipt.evidence.as_deref() == Some("screen");
        let rows = self.tmux().scrollback(&self.session.incarnation.pane_id)?;
        let answer = live.answer_to(&rows, &self.task.content).filter(|_| began);
        let end = answer.map(|answer| End {
            outcome: Outcome::Complete,
            evidence: Evidence::Pattern,
            confidence: 0.5,
            reason: Some("its composer is empty again".into()),
            because: Vec::new(),
            answer: Some(answer),
            note: None,
            resets: Default::default(),
            rule: None,
        });
        Ok((end, true))
    }

    /// The client is gone: by its record if that has an end, lost if nothing of it runs.
    fn gone(&mut self) -> anyhow::Result<Moved> {
        // its tmux server may be silent for another reason
        if let Some(client) = self.receipt.client.as_ref().filter(|c| proc::is_alive(c)) {
            let Some(why) = overdue(self.a, &self.task, self.now) else { return Ok(None) };
            let why =
                format!("{why}; its client does not have the pane, and lives: {}", client.pid);
            let verdict = match self.a.cancel_asked {
                Some(_) => Verdict::Cancelled,
                None if self.a.state == State::Unknown => return Ok(None),
                None => Verdict::Unknown { survivors: true },
            };
            return self.settle(&plain(verdict, why));
        }
        // of a prompt that was perhaps never sent, no other one's end tells
        let from = match &self.receipt.record {
            Some(path) if self.a.state == State::Unknown => {
                self.typed_at(path, self.receipt.from)?.map(|from| (path, from))
            }
            other => other.as_ref().map(|path| (path, self.receipt.from)),
        };
        let end = match from {
            Some((path, from)) => self.turn_of(path, from)?,
            None => None,
        };
        let known = self.a.state != State::Unknown;
        match end.filter(|e| !is_interrupt(e)) {
            Some(end) => return self.believe(end),
            None if !known && !self.a.orphaned => return Ok(None),
            None => {}
        }
        let why = "its client ended within the turn";
        let names: Vec<String> = self.survivors()?.iter().map(ToString::to_string).collect();
        if names.is_empty() {
            return self.settle(&plain(Verdict::Lost, why.into()));
        }
        if !known {
            return Ok(None);
        }
        let why = format!("{why}, still running: {}", names.join(", "));
        self.settle(&plain(Verdict::Unknown { survivors: true }, why))
    }

    /// What the client had started in the turn and has left behind: of its pane, and of nothing that is there now.
    fn survivors(&self) -> anyhow::Result<Vec<Survivor>> {
        let i = self.a.incarnation.as_ref().unwrap_or(&self.session.incarnation);
        let now = live::process_of(&self.tmux(), &i.pane_id).ok().flatten();
        let pane = now.filter(|(server, _)| *server == i.server_pid).map(|(_, pid)| pid);
        let begun = self.a.claimed_at;
        let client = self.receipt.client.as_ref().map(|c| c.pid);
        let left = |s: &Survivor| {
            let above = proc::ancestors(s.pid);
            // while its last threads end, a client is dead and its children's parent
            let of_now = |p: i64| above.contains(&p) || s.pid == p;
            let there = pane.is_some_and(of_now) && !client.is_some_and(|c| above.contains(&c));
            let since = proc::age(s.pid).map(|age| self.now - age);
            Some(s.pid) != client
                && !s.name.starts_with("orch-")
                && since.is_some_and(|t| t >= begun)
                && !there
        };
        let all = proc::of_pane(&format!("{},{},", i.socket, i.server_pid), &i.pane_id);
        Ok(all.into_iter().filter(left).collect())
    }

    /// An end on the record, and whether the task's verification agrees: one looker runs that, the others wait for it.
    fn believe(&mut self, end: End) -> anyhow::Result<Moved> {
        let (a, own) = (self.a, proc::own());
        if self.task.verify.is_some() {
            if a.owner.as_ref().is_some_and(|o| *o != own && proc::is_alive(o)) {
                return Ok(None);
            }
            if !self.patient {
                // a watch that has nothing to read looks once
                let (program, args) = watcher(self.store, a)?;
                proc::spawn_detached(&program, &args).context("orch-feedback")?;
                return Ok(None);
            }
            if !self.store.take_end(a, &own)? {
                return Ok(None);
            }
        }
        let (store, config, task) = (&*self.store, self.config, &self.task);
        let verify = |command: &str| verify(store, config, a, task, command);
        let ending = judge(task, end, None, None, verify)?;
        self.settle(&ending)
    }

    fn settle(&mut self, ending: &Ending) -> anyhow::Result<Moved> {
        if !close(self.store, self.config, self.a, &self.task, ending)? {
            return Ok(None);
        }
        let state = self.store.attempt(self.a.name)?.context("attempt")?.state;
        Ok(Some((state.as_str(), ending.reason.clone().unwrap_or_default())))
    }

    /// The end of the attempt's turn, as the client's record has it; what the record says is kept on the way.
    fn turn_of(&mut self, path: &str, from: u64) -> anyhow::Result<Option<End>> {
        let format = self.config.profile(&self.task.provider)?.format;
        let until = match self.store.next_claim(self.a)? {
            Some(t) => {
                live::prompts(path, from).into_iter().find(|p| p.time.is_some_and(|x| x >= t))
            }
            None => None,
        };
        let Some(events) = read(path, from, until.map(|p| p.at), format) else { return Ok(None) };
        let lines: Vec<_> = events.iter().map(|e| kept(e, Standing::Owner, None)).collect();
        // the same lines have the same numbers: what was kept before is not kept again
        self.store.record(self.a, &format!("record:{from}"), &lines, self.now)?;
        let is_prompt =
            |e: &&Event| matches!(&e.body, Body::Message { role, .. } if role == "user");
        let mixed = events.iter().filter(is_prompt).count() > 1;
        let mut end = event::last_turn(&events).cloned();
        if let Some(end) = end.as_mut().filter(|_| mixed) {
            let also = "somebody else's prompt went into the same turn";
            end.note = Some(end.note.as_ref().map_or(also.into(), |n| format!("{n}; {also}")));
        }
        Ok(end)
    }
}

fn process(seen: &Seen) -> Option<&Process> {
    seen.agent.as_ref()?.process.as_ref()
}

fn plain(verdict: Verdict, why: String) -> Ending {
    Ending { verdict, reason: Some(why), end: None, exit_code: None }
}

fn is_interrupt(end: &End) -> bool {
    end.reason.as_deref().is_some_and(|r| r.contains("interrupted by the user"))
}

/// The events of a record from a byte on, up to another one.
fn read(path: &str, from: u64, until: Option<u64>, format: Format) -> Option<Vec<Event>> {
    let mut file = std::fs::File::open(path).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut file = file.take(until.map_or(u64::MAX, |end| end.saturating_sub(from)));
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
    // what an agent itself says of such things is no word of the service's
    let reason = end.reason.as_deref().filter(|_| end.outcome == Outcome::Failed)?;
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
