//! Codex's rollout files: what a session left on disk.

use serde::Deserialize;
use serde_json::Value;

use super::codex::{error, unwrap};
use crate::event::{Body, End, Evidence, Exit, Outcome, Severity};
use crate::extract::calls::Calls;
use crate::extract::decoder::{Sink, parse};
use crate::extract::ending::{by_exit, judge, protocol, unknown};
use crate::extract::scan::Scanner;
use crate::extract::{fence, limit, phrase};

#[derive(Default)]
pub struct Rollout {
    end: Option<End>,
    answer: Option<(String, u64)>,
    failure: Option<(String, u64)>,
    calls: Calls,
    worked: bool,
    aborted: bool,
    /// The client tells where its turns begin and end.
    marked: bool,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    timestamp: Option<String>,
    payload: Value,
}

impl Rollout {
    /// A rollout line wraps its record in a payload; `exec --json` does not.
    pub fn is_record(text: &str) -> bool {
        let head = text.get(..200).unwrap_or(text);
        head.starts_with('{') && head.contains("\"payload\":")
    }

    pub fn record(&mut self, text: &str, sink: &mut Sink<'_>) {
        let Some(record) = parse::<Record>(text) else { return };
        sink.set_ts(record.timestamp);
        let payload = &record.payload;
        let field = |key: &str| payload[key].as_str().unwrap_or_default().to_string();
        match (record.kind.as_str(), payload["type"].as_str().unwrap_or_default()) {
            ("session_meta", _) => {
                sink.set_session(&field("id"));
                let cwd = payload["cwd"].as_str().map(str::to_string);
                sink.put(Body::SessionStart { cwd, model: None });
            }
            ("event_msg", "task_started") => {
                self.marked = true;
                self.end = None;
                self.answer = None;
                self.failure = None;
                self.worked = false;
                self.aborted = false;
            }
            ("event_msg", "user_message") => {
                self.asked();
                sink.put(Body::Message { role: "user".into(), text: field("message") });
            }
            ("event_msg", "agent_message") => self.said(field("message"), sink),
            // the same in later clients
            ("event_msg", "item_completed") => {
                let parts = payload["item"]["content"].as_array().into_iter().flatten();
                let text: String = parts.filter_map(|p| p["text"].as_str()).collect();
                match payload["item"]["type"].as_str() {
                    Some("UserMessage") => {
                        self.asked();
                        sink.put(Body::Message { role: "user".into(), text });
                    }
                    Some("AgentMessage") => self.said(text, sink),
                    _ => {}
                }
            }
            ("event_msg", "error") => {
                let words = unwrap(&field("message"));
                let seq = sink.put(error(Severity::Error, &words));
                self.failure = Some((words, seq));
            }
            ("event_msg", "task_complete") => self.complete(payload, sink),
            ("event_msg", "turn_aborted") => {
                self.aborted = true;
                sink.put(Body::TurnEnd(unknown("interrupted by the user")));
            }
            ("event_msg", "exec_approval_request" | "apply_patch_approval_request") => {
                let text = payload["command"].to_string();
                sink.put(Body::PermissionRequest { text, tool: None });
            }
            ("response_item", "function_call" | "local_shell_call" | "custom_tool_call") => {
                self.call(payload, sink);
            }
            ("response_item", "function_call_output" | "custom_tool_call_output") => {
                self.output(payload, sink);
            }
            _ => {}
        }
    }

    pub fn end(&self, exit: Option<Exit>) -> End {
        match &self.end {
            Some(end) => end.clone(),
            None if self.aborted => unknown("interrupted by the user"),
            None => {
                let end = by_exit(exit, "the rollout ends within a turn");
                self.last().filter(|_| end.outcome == Outcome::Unknown).unwrap_or(end)
            }
        }
    }

    /// Early clients mark no turns: an answer, or an error, with nothing after it is their end.
    fn last(&self) -> Option<End> {
        let end = match (&self.failure, &self.answer) {
            (Some((words, seq)), _) => broken(words, *seq),
            (None, Some((words, seq))) if !self.marked => {
                judge(protocol(Outcome::Complete, vec![*seq]), words.clone(), self.worked)
            }
            _ => return None,
        };
        Some(End { evidence: Evidence::Pattern, confidence: end.confidence.min(0.5), ..end })
    }

    /// A person speaks.
    fn asked(&mut self) {
        self.end = None;
        self.answer = None;
        self.failure = None;
        self.worked &= self.marked;
        self.aborted = false;
    }

    fn said(&mut self, text: String, sink: &mut Sink<'_>) {
        let seq = sink.put(Body::Message { role: "assistant".into(), text: text.clone() });
        fence::blocks(&text, sink);
        self.answer = Some((text, seq));
        self.failure = None;
    }

    fn complete(&mut self, payload: &Value, sink: &mut Sink<'_>) {
        let failed = payload["error"]["message"].as_str().or(payload["error"].as_str());
        let failure = match failed {
            Some(words) => Some((words.to_string(), 0)),
            None if payload["last_agent_message"].is_null() => self.failure.take(),
            None => None,
        };
        let end = if let Some((words, seq)) = failure {
            broken(&words, seq)
        } else {
            let last = payload["last_agent_message"].as_str().map(str::to_string);
            let (told, because) = match self.answer.take() {
                Some((words, seq)) => (words, vec![seq]),
                None => (String::new(), Vec::new()),
            };
            let complete = protocol(Outcome::Complete, because);
            judge(complete, last.unwrap_or(told), self.worked)
        };
        sink.put(Body::TurnEnd(end.clone()));
        self.end = Some(end);
    }

    fn call(&mut self, payload: &Value, sink: &mut Sink<'_>) {
        if !self.marked {
            self.answer = None;
        }
        self.failure = None;
        let name = payload["name"].as_str().unwrap_or("shell").to_string();
        let id = payload["call_id"].as_str().unwrap_or_default().to_string();
        let input = match payload["arguments"].as_str() {
            Some(json) => serde_json::from_str(json).unwrap_or(Value::Null),
            None => payload["input"].clone(),
        };
        let command = match input.get("command").or(input.get("cmd")) {
            Some(Value::String(command)) => Some(command.clone()),
            Some(Value::Array(words)) => {
                Some(words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
            }
            _ => None,
        };
        if let Some(command) = command {
            self.calls.open(&id, &name, &command);
        }
        sink.put(Body::ToolCall { name, id: Some(id), input: Some(input) });
    }

    fn output(&mut self, payload: &Value, sink: &mut Sink<'_>) {
        self.worked = true;
        let id = payload["call_id"].as_str().unwrap_or_default();
        let Some(call) = self.calls.close(id) else { return };
        let raw = payload["output"].as_str().unwrap_or_default();
        // Older clients wrap the output in JSON with its metadata.
        let inner: Option<Value> =
            raw.starts_with('{').then(|| serde_json::from_str(raw).ok()).flatten();
        let (text, code, seconds) = match &inner {
            Some(v) => (
                v["output"].as_str().unwrap_or_default(),
                v["metadata"]["exit_code"].as_i64(),
                v["metadata"]["duration_seconds"].as_f64(),
            ),
            None => (raw, header_code(raw), None),
        };
        sink.put(Body::Command {
            command: call.object,
            exit_code: code,
            duration_ms: seconds.map(|s| (s * 1000.0) as u64),
        });
        Scanner::default().whole(text, sink);
    }
}

/// A turn that ends with this error, told by this event if any.
fn broken(words: &str, seq: u64) -> End {
    let limited = limit::is_limit(words);
    let outcome = if limited { Outcome::RateLimited } else { Outcome::Failed };
    let mut end = protocol(outcome, if seq > 0 { vec![seq] } else { Vec::new() });
    end.reason = Some(phrase::first_line(words));
    if limited {
        end.resets = limit::resets(words);
    }
    end
}

/// `Exit code: 0` or `Process exited with code 0` among the first rows of an output.
pub(super) fn header_code(text: &str) -> Option<i64> {
    text.lines().take(6).find_map(|row| {
        let rest = row
            .strip_prefix("Exit code: ")
            .or_else(|| row.strip_prefix("Process exited with code "))?;
        rest.trim().parse().ok()
    })
}
