//! How an attempt came out: the child's end and its record make one outcome.

use serde_json::json;

use crate::clean;
use crate::event::{End, Evidence, Exit, Outcome};
use crate::extract::{Extractor, Format};
use crate::feedback::{self, Ending};
use crate::policy::Verdict;
use crate::proc;
use crate::provider::Answer;
use crate::when;

use super::work::{TAIL, Work};
use super::{Job, Outcomes, context_failed, is_record};

impl Work<'_> {
    /// The child has ended and what it printed is read: what is left to say, and the move that follows.
    pub(super) fn finish(mut self, status: std::process::ExitStatus) -> anyhow::Result<Outcomes> {
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
        self.keep()?;
        if let Some(why) = self.refused.take().filter(|_| self.ending.is_none()) {
            return context_failed(self.store, self.config, self.started, &why);
        }
        self.store.note(
            "exit",
            Some(self.a),
            None,
            None,
            json!({"exit_code": code}),
            when::now(),
        )?;
        let mut end = end.unwrap_or_else(|| unknown_end(exit));
        if self.job.profile.answer == Answer::Output {
            end.answer = Some(tail_text(&self.tail));
        }
        end.answer = end.answer.map(|t| self.secrets.redact(&t)).filter(|t| !t.is_empty());
        end.reason = end.reason.map(|t| self.secrets.redact(&t));
        self.conclude(&end, exit, i64::from(code))?;
        Ok(Outcomes { exit_code: u8::try_from(code).unwrap_or(1) })
    }

    fn conclude(&mut self, end: &End, exit: Exit, code: i64) -> anyhow::Result<()> {
        let task = &self.started.task;
        let close = |w: &mut Self, verdict, reason, end| {
            let ending = Ending { verdict, reason: Some(reason), end, exit_code: Some(code) };
            feedback::close(w.store, w.config, w.a, task, &ending)
        };
        if let Some((verdict, why, _)) = self.ending.take() {
            let alive = proc::carriers(&self.marks());
            let names: Vec<String> = alive.iter().map(ToString::to_string).collect();
            return match (verdict, names.is_empty()) {
                (Verdict::Lost, false) => {
                    let why = format!("{why}, still running: {}", names.join(", "));
                    close(self, Verdict::Unknown { survivors: true }, why, None).map(drop)
                }
                (v, true) => close(self, v, why, None).map(drop),
                (v, false) => {
                    close(self, v, format!("{why}; survivors: {}", names.join(", ")), None)
                        .map(drop)
                }
            };
        }
        // a person may have asked while the child ended by itself
        if let Some(why) = self.store.renew(self.a, when::now())?
            && end.outcome != Outcome::Complete
        {
            return close(self, Verdict::Cancelled, why, None).map(drop);
        }
        if let Some(signal) = foreign_signal(exit, end, self.job) {
            let reason = format!("killed by signal {signal}");
            return close(self, Verdict::Lost, reason, None).map(drop);
        }
        feedback::conclude(self.store, self.config, self.a, task, end, None, Some(code)).map(drop)
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
    }
}

fn tail_text(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(TAIL);
    let text = String::from_utf8_lossy(&bytes[from..]);
    clean::text(&text.replace("\r\n", "\n")).trim_end().to_owned()
}
