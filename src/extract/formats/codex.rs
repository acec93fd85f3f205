//! Codex: the lines of `codex exec --json`, and of its rollout files.

use serde::Deserialize;

use super::codex_old::{self, Old};
use super::rollout::Rollout;
use crate::event::{Body, End, Exit, Outcome, Severity};
use crate::extract::decoder::{Decoder, Sink, lenient, lossy, parse};
use crate::extract::ending::{by_exit, judge, protocol};
use crate::extract::scan::Scanner;
use crate::extract::{fence, limit, phrase};

#[derive(Default)]
pub struct Codex {
    end: Option<End>,
    answer: Option<(String, u64)>,
    worked: bool,
    stray: Option<String>,
    /// The error told last, and its `seq`: `turn.failed` repeats it.
    told: Option<(String, u64)>,
    rollout: Option<Rollout>,
    old: Option<Old>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "lenient")]
    thread_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default)]
    error: Option<Failure>,
    #[serde(default, deserialize_with = "lenient")]
    usage: Option<Tokens>,
    #[serde(default)]
    item: Option<Item>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    /// So early clients called it.
    #[serde(default, deserialize_with = "lenient")]
    item_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    text: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    command: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    aggregated_output: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    exit_code: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    duration_ms: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    changes: Option<Vec<Change>>,
    #[serde(default, deserialize_with = "lenient")]
    server: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    tool: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    arguments: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "lenient")]
    query: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    items: Option<Vec<Todo>>,
}

impl Item {
    fn kind(&self) -> &str {
        self.kind.as_deref().or(self.item_type.as_deref()).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Change {
    path: String,
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct Todo {
    #[serde(default)]
    completed: bool,
}

impl Decoder for Codex {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let text = lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if Rollout::is_record(text) {
            self.rollout.get_or_insert_default().record(text, sink);
            return;
        }
        if codex_old::is_record(text) {
            self.old.get_or_insert_default().record(text, sink);
            return;
        }
        let Some(record) = parse::<Record>(text) else {
            if !text.starts_with('{') {
                self.stray = Some(phrase::first_line(text));
                sink.put(Body::Note { text: phrase::clip(text, 2000) });
            }
            return;
        };
        match record.kind.as_str() {
            "thread.started" => {
                if let Some(id) = &record.thread_id {
                    sink.set_session(id);
                }
                sink.put(Body::SessionStart { cwd: None, model: None });
            }
            "turn.started" => {
                self.end = None;
                self.answer = None;
                self.worked = false;
            }
            "turn.completed" => self.completed(record.usage, sink),
            "turn.failed" => {
                let words = record.error.map(|e| e.message).unwrap_or_default();
                self.failed(&words, sink);
            }
            "error" => self.error(&record.message.unwrap_or_default(), sink),
            "item.completed" => {
                if let Some(item) = record.item {
                    self.item(item, sink);
                }
            }
            "item.updated" | "item.started" => {
                if let Some(item) = record.item.filter(|i| i.kind() == "todo_list") {
                    self.item(item, sink);
                }
            }
            _ => {}
        }
    }

    fn end(&self, exit: Option<Exit>) -> Option<End> {
        if let Some(rollout) = &self.rollout {
            return Some(rollout.end(exit));
        }
        if let Some(old) = self.old.as_ref().filter(|_| self.end.is_none()) {
            return Some(old.end(exit));
        }
        if let Some(end) = &self.end {
            return Some(end.clone());
        }
        let mut end = by_exit(exit, "the stream has no turn.completed for its last turn");
        if let (Some(reason), Some(stray)) = (&mut end.reason, &self.stray) {
            reason.push_str(": ");
            reason.push_str(stray);
        }
        Some(end)
    }
}

impl Codex {
    fn completed(&mut self, usage: Option<Tokens>, sink: &mut Sink<'_>) {
        if let Some(tokens) = usage {
            sink.put(Body::Usage {
                input_tokens: tokens.input_tokens,
                output_tokens: tokens.output_tokens,
                cost_usd: None,
            });
        }
        let (words, because) = match self.answer.take() {
            Some((words, seq)) => (words, vec![seq]),
            None => (String::new(), Vec::new()),
        };
        let end = judge(protocol(Outcome::Complete, because), words, self.worked);
        sink.put(Body::TurnEnd(end.clone()));
        self.end = Some(end);
    }

    fn failed(&mut self, raw: &str, sink: &mut Sink<'_>) {
        let words = unwrap(raw);
        let mut because: Vec<u64> =
            self.told.take().filter(|(told, _)| *told == words).map(|t| t.1).into_iter().collect();
        if because.is_empty() {
            because.push(sink.put(error(Severity::Error, &words)));
        }
        let limited = limit::is_limit(&words);
        let mut end =
            protocol(if limited { Outcome::RateLimited } else { Outcome::Failed }, because);
        if limited {
            end.resets = limit::resets(&words);
            let event = Body::RateLimit { text: words.clone(), resets: end.resets.clone() };
            end.because.push(sink.put(event));
        }
        end.reason = Some(phrase::first_line(&words));
        end.answer = self.answer.take().map(|(words, _)| words);
        sink.put(Body::TurnEnd(end.clone()));
        self.end = Some(end);
    }

    fn error(&mut self, raw: &str, sink: &mut Sink<'_>) {
        let words = unwrap(raw);
        // The client goes on by itself after these.
        let passing = words.starts_with("Reconnecting");
        let severity = if passing { Severity::Warning } else { Severity::Error };
        let seq = sink.put(error(severity, &words));
        if !passing {
            self.told = Some((words, seq));
        }
    }

    fn item(&mut self, item: Item, sink: &mut Sink<'_>) {
        match item.kind() {
            "agent_message" | "assistant_message" => {
                let text = item.text.unwrap_or_default();
                let role = "assistant".to_string();
                let seq = sink.put(Body::Message { role, text: text.clone() });
                fence::blocks(&text, sink);
                self.answer = Some((text, seq));
            }
            "command_execution" => {
                self.worked |= item.exit_code == Some(0);
                sink.put(Body::Command {
                    command: item.command.unwrap_or_default(),
                    exit_code: item.exit_code,
                    duration_ms: item.duration_ms,
                });
                Scanner::default().whole(&item.aggregated_output.unwrap_or_default(), sink);
            }
            "file_change" => {
                if item.status.as_deref() == Some("failed") {
                    sink.put(error(Severity::Warning, "a file change failed"));
                    return;
                }
                self.worked = true;
                for change in item.changes.unwrap_or_default() {
                    sink.put(Body::FileChange { path: change.path, kind: change.kind });
                }
            }
            "mcp_tool_call" => {
                self.worked = true;
                let server = item.server.unwrap_or_default();
                let name = format!("{server}.{}", item.tool.unwrap_or_default());
                sink.put(Body::ToolCall { name, id: item.id, input: item.arguments });
            }
            "web_search" => {
                self.worked = true;
                let input = item.query.map(|q| serde_json::json!({ "query": q }));
                sink.put(Body::ToolCall { name: "web_search".into(), id: item.id, input });
            }
            "todo_list" => {
                let items = item.items.unwrap_or_default();
                let done = items.iter().filter(|t| t.completed).count();
                sink.put(Body::Progress { text: format!("{done}/{} todos", items.len()) });
            }
            "error" => {
                sink.put(error(Severity::Warning, &unwrap(&item.message.unwrap_or_default())));
            }
            _ => {}
        }
    }
}

pub(super) fn error(severity: Severity, words: &str) -> Body {
    Body::error(severity, words.to_string(), None, "codex")
}

/// An API's JSON error body, down to its message.
pub(super) fn unwrap(words: &str) -> String {
    #[derive(Deserialize)]
    struct Outer {
        error: Failure,
    }
    match words.trim_start().starts_with('{').then(|| parse::<Outer>(words)) {
        Some(Some(outer)) if !outer.error.message.is_empty() => outer.error.message,
        _ => words.to_string(),
    }
}
