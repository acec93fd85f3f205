//! How an attempt came out: the child's end and its record make one outcome.

use std::time::{Duration, Instant};

use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::clean::{self, Secrets};
use crate::ctx::establish;
use crate::event::{End, Evidence, Exit, Outcome};
use crate::extract::{Extractor, Format};
use crate::feedback::{self, Ending};
use crate::policy::Verdict;
use crate::proc;
use crate::provider::Answer;
use crate::when;

use super::work::{Message, TAIL, Work};
use super::{Job, Outcomes, is_record, warn_of};

/// How long the reader of an attempt that was ended has for the rest.
const TO_SHOW: Duration = Duration::from_secs(1);

impl Work<'_> {
    /// The child has ended and what it printed is read: the record first, then what a slow reader has not taken yet.
    pub(super) fn finish(mut self, status: std::process::ExitStatus) -> anyhow::Result<Outcomes> {
        let ended = self.ending.is_some();
        let outcomes = self.conclude(status)?;
        let begun = Instant::now();
        self.printer.drain(|| {
            let signal =
                matches!(self.receive.try_recv(), Ok(Message::Signal(SIGTERM | SIGHUP | SIGINT)));
            signal || (ended && begun.elapsed() > TO_SHOW)
        });
        Ok(outcomes)
    }

    /// What is left to say, and the move that follows.
    fn conclude(&mut self, status: std::process::ExitStatus) -> anyhow::Result<Outcomes> {
        use std::os::unix::process::ExitStatusExt;
        let exit = match (status.code(), status.signal()) {
            (Some(c), _) => Exit::Code(c),
            (None, s) => Exit::Signal(s.unwrap_or(0)),
        };
        let code = match exit {
            Exit::Code(c) => c,
            Exit::Signal(s) => 128 + s,
        };
        let before = self.events.len();
        let extractor = std::mem::replace(&mut self.extractor, Extractor::new(Format::Text));
        extractor.finish(Some(exit), &mut self.events);
        if is_record(self.job.profile.format) && !self.job.raw {
            for e in &self.events[before..] {
                self.show(e);
            }
        }
        let end = self.events.last().and_then(|e| e.body.task_end()).cloned();
        self.raw = None;
        self.insist(Work::keep)?;
        // a shell whose terminal went away says nothing about the context
        let hit = matches!(exit, Exit::Signal(SIGHUP));
        if let Some(why) = self.refused.take().filter(|_| self.ending.is_none() && !hit) {
            self.insist(|w| feedback::refuse(w.store, w.config, w.a, &w.started.task, &why))?;
            warn_of(self.a, &why);
            return Ok(Outcomes { exit_code: 1 });
        }
        // a record beside the attempt's own exit code
        let _ = self.store.note(
            "exit",
            Some(self.a),
            None,
            None,
            json!({"exit_code": code}),
            when::now(),
        );
        let mut end = end.unwrap_or_else(|| unknown_end(exit));
        if self.job.profile.answer == Answer::Output {
            end.answer = Some(tail_text(&self.tail, &self.secrets));
        }
        let ending = self.ending(self.redacted(end), exit, i64::from(code))?;
        self.insist(|w| {
            feedback::close(w.store, w.config, w.a, &w.started.task, &ending).map(drop)
        })?;
        Ok(Outcomes { exit_code: u8::try_from(code).unwrap_or(1) })
    }

    /// Nothing that goes onto the attempt holds a secret.
    fn redacted(&self, end: End) -> End {
        let clean =
            |t: Option<String>| t.map(|t| self.secrets.redact(&t)).filter(|t| !t.is_empty());
        End { answer: clean(end.answer), reason: clean(end.reason), note: clean(end.note), ..end }
    }

    fn ending(&mut self, end: End, exit: Exit, code: i64) -> anyhow::Result<Ending> {
        let of = |verdict, reason| Ending {
            verdict,
            reason: Some(reason),
            end: None,
            exit_code: Some(code),
        };
        if let Some((verdict, why, _)) = self.ending.take() {
            let names: Vec<String> =
                proc::carriers(&self.marks()).iter().map(ToString::to_string).collect();
            return Ok(match (verdict, names.is_empty()) {
                (Verdict::Lost, false) => of(
                    Verdict::Unknown { survivors: true },
                    format!("{why}, still running: {}", names.join(", ")),
                ),
                (v, true) => of(v, why),
                (v, false) => of(v, format!("{why}; survivors: {}", names.join(", "))),
            });
        }
        if let Some(signal) = foreign_signal(exit, &end, self.job) {
            return Ok(of(Verdict::Lost, format!("killed by signal {signal}")));
        }
        let marks: Vec<(String, String)> = self
            .marks()
            .iter()
            .filter_map(|m| m.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let (task, config) = (&self.started.task, self.config);
        let begun = Instant::now();
        let stop = || match self.receive.try_recv() {
            Ok(Message::Signal(SIGTERM | SIGHUP | SIGINT)) => Some("ended by a signal".to_owned()),
            _ => {
                let late =
                    self.job.timeout.is_some_and(|t| begun.elapsed().as_millis() as i64 >= t);
                late.then(|| "timed out".to_owned())
            }
        };
        let verify =
            |command: &str| establish::run_in(&task.context, config, command, &marks, stop);
        feedback::judge(task, end, None, Some(code), verify)
    }
}

/// A signal that is not ours ended the agent before its record said how it went. Agents that catch TERM or HUP
/// exit with 128+n; of a shell's command that is an ordinary exit.
fn foreign_signal(exit: Exit, end: &End, job: &Job) -> Option<i32> {
    match exit {
        _ if end.evidence == Evidence::Protocol => None,
        Exit::Signal(s) => Some(s),
        Exit::Code(c @ (129 | 130 | 137 | 143)) if is_record(job.profile.format) => Some(c - 128),
        Exit::Code(_) => None,
    }
}

fn unknown_end(exit: Exit) -> End {
    End {
        outcome: Outcome::Unknown,
        evidence: Evidence::None,
        confidence: 0.0,
        reason: Some(format!("no outcome ({exit:?})")),
        because: Vec::new(),
        answer: None,
        note: None,
        resets: Default::default(),
        rule: None,
    }
}

/// The end of what was printed, without secrets: taken out before anything is cut.
fn tail_text(bytes: &[u8], secrets: &Secrets) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let text = secrets.redact(&clean::text(&text));
    let from = text.len().saturating_sub(TAIL);
    let from = (from..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len());
    text[from..].trim_end().to_owned()
}
