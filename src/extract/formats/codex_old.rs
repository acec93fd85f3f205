//! Codex before September 2025: rollout files whose lines are bare response items, and
//! `codex exec --json` with `{"id":…,"msg":{…}}` (codex-rs, protocol.rs of those months).

use serde_json::Value;

use super::codex::unwrap;
use super::rollout::header_code;
use super::story::{self, Story};
use crate::event::{Body, End, Evidence, Exit, Outcome};
use crate::extract::calls::Calls;
use crate::extract::decoder::{Sink, parse};
use crate::extract::ending::{by_exit, protocol};

pub struct Old {
    story: Story,
    calls: Calls,
    /// A rollout has no last record.
    rollout: bool,
}

impl Default for Old {
    fn default() -> Old {
        Old { story: Story::new("codex"), calls: Calls::default(), rollout: false }
    }
}

/// A line of either, by its first bytes.
pub fn is_record(text: &str) -> bool {
    const SIGNS: [&str; 6] = [
        "\"msg\":{\"type\":",
        "\"instructions\":",
        "{\"record_type\":",
        "{\"type\":\"message\",",
        "{\"type\":\"function_call",
        "{\"type\":\"reasoning\",",
    ];
    let head = text.get(..200).unwrap_or(text);
    head.starts_with('{') && SIGNS.iter().any(|sign| head.contains(sign))
}

impl Old {
    pub fn record(&mut self, text: &str, sink: &mut Sink<'_>) {
        let Some(record) = parse::<Value>(text) else { return };
        if record["msg"].is_object() {
            self.message(&record["msg"], sink);
            return;
        }
        self.rollout = true;
        if let Some(ts) = record["timestamp"].as_str() {
            sink.set_ts(Some(ts.into()));
        }
        match record["type"].as_str() {
            None if record["id"].is_string() => {
                sink.set_session(record["id"].as_str().unwrap_or_default());
                sink.put(Body::SessionStart { cwd: None, model: None });
            }
            Some("message") => {
                let words = story::text(&record["content"]);
                match record["role"].as_str() {
                    Some("assistant") => self.story.assistant(words, sink),
                    // The client's own words come in the user's name.
                    Some("user") if !words.trim_start().starts_with('<') => {
                        self.story.user(words, sink);
                    }
                    _ => {}
                }
            }
            Some("function_call" | "local_shell_call") => self.call(&record, sink),
            Some("function_call_output") => self.output(&record, sink),
            _ => {}
        }
    }

    pub fn end(&self, exit: Option<Exit>) -> End {
        if let Some(end) = self.story.end() {
            return end.clone();
        }
        match self.story.answer() {
            Some((words, seq)) if self.rollout && exit.is_none() && self.story.has_answer() => {
                let done = protocol(Outcome::Complete, vec![*seq]);
                let end = crate::extract::ending::judge(done, words.clone(), true);
                let confidence = end.confidence.min(0.5);
                End { evidence: Evidence::Pattern, confidence, ..end }
            }
            _ => by_exit(exit, "the session ends within a turn"),
        }
    }

    fn message(&mut self, message: &Value, sink: &mut Sink<'_>) {
        let field = |key: &str| message[key].as_str().unwrap_or_default();
        let id = field("call_id");
        match field("type") {
            "session_configured" => {
                sink.set_session(field("session_id"));
                let model = message["model"].as_str().map(str::to_string);
                sink.put(Body::SessionStart { cwd: None, model });
            }
            "task_started" => self.story = Story::new("codex"),
            "agent_message" => self.story.assistant(field("message").into(), sink),
            "exec_command_begin" => {
                self.calls.open(id, "shell", &words(&message["command"]));
            }
            "exec_command_end" => {
                self.story.result(message["exit_code"] == 0);
                let command = self.calls.close(id).unwrap_or_default().object;
                let output = format!("{}\n{}", field("stdout"), field("stderr"));
                let code = message["exit_code"].as_i64();
                self.story.command(command, code, None, &output, sink);
            }
            "patch_apply_begin" => {
                for (path, change) in message["changes"].as_object().into_iter().flatten() {
                    let kind = if change.get("add").is_some() { "add" } else { "update" };
                    self.story.changed(path, kind, sink);
                }
            }
            "exec_approval_request" | "apply_patch_approval_request" => {
                let text = words(&message["command"]);
                sink.put(Body::PermissionRequest { text, tool: None });
            }
            "token_count" if message["input_tokens"].is_u64() => {
                let count = |key: &str| message[key].as_u64().unwrap_or(0);
                sink.put(Body::Metric {
                    name: "total_tokens".into(),
                    value: count("total_tokens") as f64,
                    unit: None,
                });
            }
            "error" => self.story.fail(&unwrap(field("message")), None, sink),
            "stream_error" => self.story.warn(&unwrap(field("message")), sink),
            "turn_aborted" => self.story.interrupted(sink),
            "task_complete" if self.story.is_open() => self.story.complete(sink),
            _ => {}
        }
    }

    fn call(&mut self, record: &Value, sink: &mut Sink<'_>) {
        let id = record["call_id"].as_str().or(record["id"].as_str()).unwrap_or_default();
        let input: Value = match record["arguments"].as_str() {
            Some(json) => serde_json::from_str(json).unwrap_or_default(),
            None => record["action"].clone(),
        };
        let name = record["name"].as_str().unwrap_or("shell");
        if !input["command"].is_null() {
            self.calls.open(id, name, &words(&input["command"]));
        }
        self.story.call(name, Some(id.into()), input, sink);
    }

    fn output(&mut self, record: &Value, sink: &mut Sink<'_>) {
        self.story.result(true);
        let id = record["call_id"].as_str().unwrap_or_default();
        let Some(call) = self.calls.close(id) else { return };
        let raw = record["output"].as_str().or(record["output"]["content"].as_str());
        let raw = raw.unwrap_or_default();
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
        let ms = seconds.map(|s| (s * 1000.0) as u64);
        self.story.command(call.object, code, ms, text, sink);
    }
}

/// A command line of words, without the shell that it was handed to.
fn words(command: &Value) -> String {
    let list: Vec<&str> =
        command.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match list.as_slice() {
        ["bash" | "/bin/bash" | "sh" | "zsh", "-lc" | "-c", script] => (*script).to_string(),
        _ => command.as_str().map_or_else(|| list.join(" "), str::to_string),
    }
}
