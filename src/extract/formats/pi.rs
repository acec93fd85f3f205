//! Pi: its session files (`~/.pi/agent/sessions/*/*.jsonl`) and `pi --mode json`; both carry the
//! same messages (pi-mono, packages/coding-agent/docs/session.md and json.md).

use serde::Deserialize;
use serde_json::Value;

use super::codex::unwrap;
use super::story::{self, Story};
use crate::event::{Body, End, Exit};
use crate::extract::calls::Calls;
use crate::extract::decoder::{Decoder, Sink, lenient, lossy, parse};
use crate::extract::ending::by_exit;
use crate::extract::phrase;

pub struct Pi {
    story: Story,
    calls: Calls,
    stray: Option<String>,
}

impl Default for Pi {
    fn default() -> Pi {
        Pi { story: Story::new("pi"), calls: Calls::default(), stray: None }
    }
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    cwd: Option<String>,
    #[serde(default, rename = "modelId", deserialize_with = "lenient")]
    model: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    timestamp: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<Value>,
    #[serde(default, rename = "errorMessage", deserialize_with = "lenient")]
    error: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    summary: Option<String>,
}

impl Decoder for Pi {
    fn name(&self) -> &'static str {
        "pi"
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let text = lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let Some(record) = parse::<Record>(text) else {
            if !text.starts_with('{') {
                self.stray = Some(phrase::first_line(text));
                sink.put(Body::Note { text: phrase::clip(text, 2000) });
            }
            return;
        };
        sink.set_ts(record.timestamp);
        match record.kind.as_str() {
            "session" => {
                *self = Pi::default();
                sink.set_session(record.id.as_deref().unwrap_or_default());
                sink.put(Body::SessionStart { cwd: record.cwd, model: record.model });
            }
            "message" | "message_end" => {
                if let Some(message) = &record.message {
                    self.message(message, sink);
                }
            }
            "auto_retry_start" => {
                self.story.warn(record.error.as_deref().unwrap_or("retry"), sink);
            }
            "compaction" | "auto_compaction_end" => {
                let text = phrase::clip(record.summary.as_deref().unwrap_or("compacted"), 2000);
                sink.put(Body::Note { text });
            }
            _ => {}
        }
    }

    fn end(&self, exit: Option<Exit>) -> Option<End> {
        if let Some(end) = self.story.end() {
            return Some(end.clone());
        }
        let mut end = by_exit(exit, "the session ends within a turn");
        if let (Some(reason), Some(stray)) = (&mut end.reason, &self.stray) {
            reason.push_str(": ");
            reason.push_str(stray);
        }
        Some(end)
    }
}

impl Pi {
    fn message(&mut self, message: &Value, sink: &mut Sink<'_>) {
        match message["role"].as_str() {
            Some("user") => self.story.user(story::text(&message["content"]), sink),
            Some("assistant") => self.assistant(message, sink),
            Some("toolResult") => self.result(message, sink),
            // `!command`, typed by a person
            Some("bashExecution") => {
                let command = message["command"].as_str().unwrap_or_default().into();
                let output = message["output"].as_str().unwrap_or_default();
                self.story.command(command, message["exitCode"].as_i64(), None, output, sink);
            }
            _ => {}
        }
    }

    fn assistant(&mut self, message: &Value, sink: &mut Sink<'_>) {
        for part in message["content"].as_array().into_iter().flatten() {
            match part["type"].as_str() {
                Some("text") => {
                    self.story.assistant(part["text"].as_str().unwrap_or_default().into(), sink);
                }
                Some("toolCall") => {
                    let id = part["id"].as_str().map(str::to_string);
                    let input = part["arguments"].clone();
                    let name = part["name"].as_str().unwrap_or_default();
                    let object = input["command"].as_str().or(input["path"].as_str());
                    let key = id.as_deref().unwrap_or_default();
                    self.calls.open(key, name, object.unwrap_or_default());
                    self.story.call(name, id, input, sink);
                }
                _ => {}
            }
        }
        usage(&message["usage"], sink);
        match message["stopReason"].as_str() {
            Some("stop") => self.story.complete(sink),
            Some("aborted") => self.story.interrupted(sink),
            Some("error") => {
                let words = message["errorMessage"].as_str().unwrap_or("error");
                self.story.fail(&unwrap(api(words)), status(words), sink);
            }
            Some("length") => self.story.fail("the model stopped: length", None, sink),
            _ => {}
        }
    }

    fn result(&mut self, message: &Value, sink: &mut Sink<'_>) {
        let failed = message["isError"].as_bool() == Some(true);
        self.story.result(!failed);
        let id = message["toolCallId"].as_str().unwrap_or_default();
        let object = self.calls.close(id).unwrap_or_default().object;
        let output = story::text(&message["content"]);
        match message["toolName"].as_str() {
            Some("bash") => {
                let code = match failed {
                    true => story::code_after(&output, "Command exited with code "),
                    false => Some(0),
                };
                self.story.command(object, code, None, &output, sink);
            }
            Some(kind @ ("write" | "edit")) if !failed => {
                self.story.changed(&object, if kind == "write" { "add" } else { "update" }, sink);
            }
            _ => {}
        }
    }
}

fn usage(usage: &Value, sink: &mut Sink<'_>) {
    if !usage.is_object() {
        return;
    }
    let count = |key: &str| usage[key].as_u64().unwrap_or(0);
    sink.put(Body::Usage {
        input_tokens: count("input")
            .saturating_add(count("cacheRead"))
            .saturating_add(count("cacheWrite")),
        output_tokens: count("output"),
        cost_usd: usage["cost"]["total"].as_f64(),
    });
}

/// `429 {"type":"error",…}`: the status stands before the body.
fn status(words: &str) -> Option<u64> {
    words.split_whitespace().next()?.parse().ok().filter(|n| (400..600).contains(n))
}

fn api(words: &str) -> &str {
    match status(words) {
        Some(_) => words.split_once(char::is_whitespace).map_or(words, |(_, rest)| rest),
        None => words,
    }
}
