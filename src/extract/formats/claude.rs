//! Claude Code: the lines of `--output-format stream-json`, and of its transcript files.

mod record;

use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

use self::record::{Block, Head, Last, Limits, System, result_text};
use crate::event::{Body, End, Evidence, Exit, Outcome, Resets, Severity};
use crate::extract::calls::{Calls, todos};
use crate::extract::decoder::{Decoder, Sink, lossy, parse};
use crate::extract::ending::{api_end, by_exit, judge, protocol, unknown};
use crate::extract::fence;
use crate::extract::scan::Scanner;
use crate::extract::{limit, phrase};

/// Refusals that are remembered, of ids no longer than these bytes.
const REFUSALS: usize = 4096;
const LONGEST_ID: usize = 256;

#[derive(Default)]
pub struct Claude {
    calls: Calls,
    /// The number of tool results so far, and which of them was the last success.
    results: u64,
    last_success: u64,
    /// Results that were errors, by the id of their call: for the denials of the last record.
    refused: HashMap<String, u64>,
    worked: bool,
    cost: f64,
    resets: Option<(Resets, u64)>,
    session: Option<String>,
    /// The end of the last turn; none while a turn is open.
    end: Option<End>,
    /// A line that was no JSON: what stderr said, where both were joined.
    stray: Option<String>,
    transcript: bool,
    last_text: Option<(String, u64)>,
    asked: Option<(String, u64)>,
    interrupted: bool,
}

impl Decoder for Claude {
    fn name(&self) -> &'static str {
        "claude"
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let text = lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let Some(head) = parse::<Head>(text) else {
            if !text.starts_with('{') {
                self.stray = Some(phrase::first_line(text));
                sink.put(Body::Note { text: phrase::clip(text, 2000) });
            }
            return;
        };
        if let Some(id) = head.session_id.as_ref().or(head.transcript_id.as_ref()) {
            sink.set_session(id);
        }
        self.transcript |=
            head.transcript_id.is_some() || (head.uuid.is_some() && head.session_id.is_none());
        sink.set_ts(head.timestamp.clone());
        let inner = head.parent_tool_use_id.is_some() || head.sidechain == Some(true);
        match &*head.kind {
            "system" => self.system(text, &head, sink),
            "assistant" => self.assistant(&head, inner, sink),
            "user" => self.user(&head, inner, sink),
            "rate_limit_event" => self.limits(text, sink),
            "result" => self.result(text, head.subtype.as_deref(), sink),
            _ => {}
        }
    }

    fn end(&self, exit: Option<Exit>) -> Option<End> {
        if let Some(end) = &self.end {
            return Some(end.clone());
        }
        if self.transcript && exit.is_none() {
            return Some(self.transcript_end());
        }
        let mut end = by_exit(exit, "the stream has no result record for its last turn");
        if let (Some(reason), Some(stray)) = (&mut end.reason, &self.stray) {
            reason.push_str(": ");
            reason.push_str(stray);
        }
        Some(end)
    }
}

impl Claude {
    fn system(&mut self, text: &str, head: &Head<'_>, sink: &mut Sink<'_>) {
        let Some(system) = parse::<System>(text) else { return };
        match head.subtype.as_deref() {
            Some("init") => {
                if self.session != head.session_id {
                    self.session.clone_from(&head.session_id);
                    sink.put(Body::SessionStart { cwd: system.cwd, model: system.model });
                }
                self.end = None;
            }
            Some("api_retry") => {
                let count = |n: Option<u64>| n.map_or("?".to_string(), |n| n.to_string());
                sink.put(Body::error(
                    Severity::Warning,
                    format!(
                        "retry {} of {}: {}",
                        count(system.attempt),
                        count(system.max_retries),
                        system.error.as_deref().unwrap_or("unknown")
                    ),
                    system.error_status.map(|s| s.to_string()),
                    "claude",
                ));
            }
            Some("permission_denied") => {
                sink.put(Body::PermissionRequest {
                    text: system.message.unwrap_or_default(),
                    tool: system.tool_name,
                });
            }
            Some("task_notification") => {
                sink.put(Body::Notification { text: system.summary.unwrap_or_default() });
            }
            Some("informational") => {
                sink.put(Body::Note { text: system.content.unwrap_or_default() });
            }
            // Transcripts alone have these; they close a turn.
            Some("turn_duration" | "stop_hook_summary")
                if self.transcript
                    && self.end.is_none()
                    && self.asked.is_none()
                    && self.last_text.is_some() =>
            {
                let end = self.spoken_end();
                self.close_turn(end, sink);
            }
            _ => {}
        }
    }

    fn assistant(&mut self, head: &Head<'_>, inner: bool, sink: &mut Sink<'_>) {
        let Some(spoken) = head.spoken() else { return };
        if !inner {
            self.end = None;
            self.interrupted = false;
        }
        if spoken.is_api_error_message == Some(true) {
            let words = spoken.text();
            let status = spoken.api_error_status;
            let seq = sink.put(error(&words, status.map(|s| s.to_string())));
            let limited = status == Some(429) || limit::is_limit(&words);
            let resets = limited.then(|| self.limited(&words, sink));
            if self.transcript && !inner {
                let end = api_end(&words, status, resets, vec![seq]);
                self.close_turn(end, sink);
            }
            return;
        }
        let done = spoken.stop_reason.as_deref() == Some("end_turn");
        for block in spoken.blocks {
            match block {
                Block::Text { text } if !text.trim().is_empty() => {
                    let role = if inner { "subagent" } else { "assistant" };
                    let seq = sink.put(Body::Message { role: role.into(), text: text.clone() });
                    fence::blocks(&text, sink);
                    if !inner {
                        self.last_text = Some((text, seq));
                    }
                }
                Block::ToolUse { id, name, input } => self.call(id, name, input, inner, sink),
                _ => {}
            }
        }
        if self.transcript && !inner && done && self.asked.is_none() {
            let end = self.spoken_end();
            self.close_turn(end, sink);
        }
    }

    fn call(&mut self, id: String, name: String, input: Value, inner: bool, sink: &mut Sink<'_>) {
        let field = |key: &str| input.get(key).and_then(Value::as_str);
        let object = field("command").or_else(|| field("file_path")).or(field("notebook_path"));
        if !inner {
            self.last_text = None;
        }
        let question = match name.as_str() {
            "AskUserQuestion" => {
                Some(input["questions"][0]["question"].as_str().unwrap_or("a question").to_string())
            }
            "ExitPlanMode" => Some("approve the plan?".to_string()),
            _ => None,
        };
        let todos = todos(&input);
        self.calls.open(&id, &name, object.unwrap_or_default());
        let seq = sink.put(Body::ToolCall { name, id: Some(id), input: Some(input) });
        if let Some(text) = question {
            sink.put(Body::Question { text: text.clone() });
            self.asked = Some((text, seq));
        }
        if let Some(text) = todos {
            sink.put(Body::Progress { text });
        }
    }

    fn user(&mut self, head: &Head<'_>, inner: bool, sink: &mut Sink<'_>) {
        let Some(spoken) = head.spoken() else { return };
        let meta = head.meta == Some(true);
        for block in spoken.blocks {
            match block {
                Block::ToolResult { tool_use_id, is_error, content } => {
                    self.tool_result(head, &tool_use_id, is_error == Some(true), content, sink);
                }
                Block::Text { text } if text.starts_with("[Request interrupted by user") => {
                    self.interrupted = true;
                    self.end = None;
                    sink.put(Body::TurnEnd(unknown("interrupted by the user")));
                }
                Block::Text { text } if !inner && !meta && !text.trim().is_empty() => {
                    self.end = None;
                    self.asked = None;
                    self.interrupted = false;
                    self.last_text = None;
                    self.worked &= !self.transcript;
                    // A finished sub-agent speaks in the user's name.
                    if text.trim_start().starts_with('<') {
                        sink.put(Body::Notification { text: phrase::clip(&text, 2000) });
                    } else {
                        sink.put(Body::Message { role: "user".into(), text });
                    }
                }
                _ => {}
            }
        }
    }

    fn tool_result(
        &mut self,
        head: &Head<'_>,
        id: &str,
        failed: bool,
        content: Option<&RawValue>,
        sink: &mut Sink<'_>,
    ) {
        self.results += 1;
        self.asked = None;
        if failed {
            if self.refused.len() < REFUSALS && id.len() <= LONGEST_ID {
                self.refused.insert(id.to_string(), self.results);
            }
        } else {
            self.last_success = self.results;
            self.worked = true;
        }
        let Some(call) = self.calls.close(id) else { return };
        match call.name.as_str() {
            "Bash" | "PowerShell" => {
                let words = result_text(content);
                let code = exit_code(&words, failed);
                // A denied command did not run.
                if failed && code.is_none() {
                    return;
                }
                sink.put(Body::Command {
                    command: call.object,
                    exit_code: code,
                    duration_ms: head.detail().and_then(|d| d.duration_ms),
                });
                Scanner::default().whole(&words, sink);
            }
            "BashOutput" | "TaskOutput" => Scanner::default().whole(&result_text(content), sink),
            // what a command in the background printed, read as a file
            "Read" if is_task_output(&call.object) => {
                let words = result_text(content);
                let rows: Vec<&str> = words.lines().map(unnumbered).collect();
                Scanner::default().whole(&rows.join("\n"), sink);
            }
            "Write" | "Edit" | "MultiEdit" | "NotebookEdit" if !failed => {
                let added = head.detail().is_some_and(|d| d.kind.as_deref() == Some("create"))
                    || result_text(content).starts_with("File created");
                let kind = if added { "add" } else { "update" };
                sink.put(Body::FileChange { path: call.object, kind: kind.into() });
            }
            _ => {}
        }
    }

    fn limits(&mut self, text: &str, sink: &mut Sink<'_>) {
        let Some(Limits { rate_limit_info: info }) = parse::<Limits>(text) else {
            return;
        };
        if info.status == "allowed" {
            return;
        }
        let resets =
            Resets { resets_at: info.resets_at.and_then(limit::instant), ..Resets::default() };
        let kind = info.kind.as_deref().unwrap_or("limit");
        let seq = sink.put(Body::RateLimit {
            text: format!("{kind}: {}", info.status),
            resets: resets.clone(),
        });
        if info.status == "rejected" {
            self.resets = Some((resets, seq));
        }
    }

    /// A `rate_limit` event, unless this limit was told already.
    fn limited(&mut self, words: &str, sink: &mut Sink<'_>) -> (Resets, u64) {
        let mut resets = limit::resets(words);
        if let Some((told, seq)) = &self.resets {
            if resets == Resets::default() || resets == *told {
                return (told.clone(), *seq);
            }
            // The record is exact where the words are a wall clock.
            if told.resets_at.is_some() && resets.resets_at.is_none() {
                resets = told.clone();
            }
        }
        let seq =
            sink.put(Body::RateLimit { text: phrase::clip(words, 2000), resets: resets.clone() });
        self.resets = Some((resets.clone(), seq));
        (resets, seq)
    }

    fn result(&mut self, text: &str, subtype: Option<&str>, sink: &mut Sink<'_>) {
        let Some(last) = parse::<Last>(text) else { return };
        let mut because = Vec::new();
        if let Some(tokens) = &last.usage {
            let cached = tokens.cache_read_input_tokens.unwrap_or(0);
            let cost = last.total_cost_usd.map(|total| {
                // The record carries the session's sum; the event carries this turn's share.
                let share = (total - self.cost).max(0.0);
                self.cost = total;
                share
            });
            sink.put(Body::Usage {
                input_tokens: tokens.input_tokens.unwrap_or(0)
                    + tokens.cache_creation_input_tokens.unwrap_or(0)
                    + cached,
                output_tokens: tokens.output_tokens.unwrap_or(0),
                cost_usd: cost,
            });
        }
        for (name, value, unit) in
            [("duration", last.duration_ms, Some("ms")), ("model_turns", last.num_turns, None)]
        {
            if let Some(value) = value {
                sink.put(Body::Metric { name: name.into(), value, unit: unit.map(Into::into) });
            }
        }
        because.extend(self.last_text.as_ref().map(|(_, seq)| *seq));
        // early clients called only errors of the API errors
        let stopped = subtype.is_some_and(|s| s.starts_with("error"));
        let end = match last.is_error {
            _ if stopped => self.bad_end(&last, subtype, because, sink),
            Some(false) => self.good_end(&last, because),
            Some(true) => self.bad_end(&last, subtype, because, sink),
            None => unknown("the result record does not say whether it is an error"),
        };
        self.close_turn(end, sink);
        self.worked = false;
    }

    fn good_end(&self, last: &Last, because: Vec<u64>) -> End {
        let words = last.result.clone().unwrap_or_default();
        let denials = last.permission_denials.as_deref().unwrap_or_default();
        let blocked = denials.iter().rev().find(|d| {
            let at = self.refused.get(&d.tool_use_id).copied().unwrap_or(self.results);
            at > self.last_success || asks(&d.tool_name)
        });
        let end = protocol(Outcome::Complete, because);
        // a slash command that the client ran itself: the model never saw the prompt
        if last.num_turns == Some(0.0) && last.terminal_reason.is_none() {
            let reason = format!("no turn was taken: {}", phrase::first_line(&words));
            return End { outcome: Outcome::Failed, reason: Some(reason), ..end };
        }
        if let Some(denial) = denials.last()
            && (blocked.is_some() || phrase::asks_approval(&words))
        {
            let denial = blocked.unwrap_or(denial);
            let reason = if asks(&denial.tool_name) {
                format!("{} was not answered", denial.tool_name)
            } else {
                format!("permission for {} was denied", denial.tool_name)
            };
            return End {
                outcome: Outcome::Waiting,
                reason: Some(reason),
                answer: Some(words),
                ..end
            };
        }
        // `--output-format json` gives this record alone: its turns tell of the work.
        let worked = self.worked || (self.results == 0 && last.num_turns > Some(1.0));
        judge(end, words, worked)
    }

    fn bad_end(
        &mut self,
        last: &Last,
        subtype: Option<&str>,
        mut because: Vec<u64>,
        sink: &mut Sink<'_>,
    ) -> End {
        let words = match (&last.result, &last.errors) {
            (Some(result), _) => result.clone(),
            (None, Some(errors)) => errors.join("; "),
            _ => String::new(),
        };
        let why = last.terminal_reason.as_deref().or(subtype).unwrap_or("error");
        let limited =
            last.api_error_status == Some(429) || (why == "api_error" && limit::is_limit(&words));
        if limited {
            let (resets, seq) = self.limited(&words, sink);
            because.push(seq);
            return api_end(&words, last.api_error_status, Some((resets, seq)), because);
        }
        let status = last.api_error_status.map(|s| format!(" {s}")).unwrap_or_default();
        End {
            reason: Some(format!("{why}{status}: {}", phrase::first_line(&words))),
            answer: last.result.clone(),
            ..protocol(Outcome::Failed, because)
        }
    }

    fn close_turn(&mut self, end: End, sink: &mut Sink<'_>) {
        sink.put(Body::TurnEnd(end.clone()));
        self.end = Some(end);
    }

    /// A turn of a transcript that ends with what was said last.
    fn spoken_end(&self) -> End {
        let (words, seq) = self.last_text.clone().unwrap_or_default();
        judge(protocol(Outcome::Complete, vec![seq]), words, self.worked)
    }

    /// A transcript has no last record: it may still be growing.
    fn transcript_end(&self) -> End {
        if self.interrupted {
            return unknown("interrupted by the user");
        }
        if let Some((text, seq)) = &self.asked {
            return End { reason: Some(text.clone()), ..protocol(Outcome::Waiting, vec![*seq]) };
        }
        match &self.last_text {
            Some((words, seq)) if self.calls.is_empty() => End {
                evidence: Evidence::Pattern,
                confidence: 0.5,
                ..judge(protocol(Outcome::Complete, vec![*seq]), words.clone(), self.worked)
            },
            _ => unknown("the transcript ends within a turn"),
        }
    }
}

/// The client keeps it under its own directory in `/tmp`.
fn is_task_output(path: &str) -> bool {
    path.contains("/claude") && path.contains("/tasks/") && path.ends_with(".output")
}

/// A row of a file without the number that the client puts before it.
fn unnumbered(row: &str) -> &str {
    let rest = row.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
    rest.strip_prefix('→').unwrap_or(row)
}

fn asks(tool: &str) -> bool {
    matches!(tool, "AskUserQuestion" | "ExitPlanMode")
}

fn error(words: &str, code: Option<String>) -> Body {
    Body::error(Severity::Error, words.to_string(), code, "claude")
}

/// The exit code that the client writes before a failed command's output.
pub(super) fn exit_code(words: &str, failed: bool) -> Option<i64> {
    if !failed {
        return Some(0);
    }
    let rest = words.strip_prefix("Exit code ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}
