//! What Gemini CLI keeps of a session: `~/.gemini/tmp/*/chats/session-*.json`, or `.jsonl` of later
//! clients, the checkpoints of `/chat save`, and the one object of `--output-format json`.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::codex::unwrap;
use super::story::{self, Story};
use super::whole::Rows;
use crate::event::{Body, End, Evidence};
use crate::extract::decoder::{Sink, lenient, parse};
use crate::extract::ending::unknown;

#[derive(Deserialize)]
struct File<'a> {
    #[serde(default, rename = "sessionId", deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

pub fn session(text: &str, rows: &mut Rows<'_>, sink: &mut Sink<'_>) -> Option<End> {
    let file: File<'_> = parse(text)?;
    if let Some(id) = &file.id {
        sink.set_session(id);
    }
    sink.put(Body::SessionStart { cwd: None, model: None });
    let mut story = Story::new("gemini");
    for part in file.messages {
        rows.at(part, sink);
        if let Some(message) = parse::<Value>(part.get()) {
            sink.set_ts(message["timestamp"].as_str().map(str::to_string));
            say(&message, &mut story, sink);
        }
    }
    Some(last(&mut story, sink))
}

/// A session kept as lines: one of its own, then each message, and again when it has grown.
pub struct Log {
    story: Story,
    /// The last message, until another one shows that it is whole; and where it stands.
    held: Option<(Value, (u64, u64))>,
}

impl Log {
    pub fn new(head: &Value, sink: &mut Sink<'_>) -> Log {
        sink.set_session(head["sessionId"].as_str().unwrap_or_default());
        sink.put(Body::SessionStart { cwd: None, model: None });
        Log { story: Story::new("gemini"), held: None }
    }

    pub fn record(&mut self, record: Value, sink: &mut Sink<'_>) {
        let held = self.held.as_ref().map(|(message, _)| &message["id"]);
        // it was grown, or taken back
        if held.is_some_and(|id| *id == record["id"] || *id == record["$rewindTo"]) {
            self.held = None;
        }
        if record["type"].is_string() {
            let at = sink.at();
            self.tell(sink);
            self.held = Some((record, at));
        }
    }

    fn tell(&mut self, sink: &mut Sink<'_>) {
        let Some((message, (line, offset))) = self.held.take() else { return };
        let at = sink.at();
        sink.set_place(line, offset);
        sink.set_ts(message["timestamp"].as_str().map(str::to_string));
        say(&message, &mut self.story, sink);
        sink.set_place(at.0, at.1);
    }

    pub fn close(&mut self, sink: &mut Sink<'_>) -> End {
        self.tell(sink);
        last(&mut self.story, sink)
    }
}

fn say(message: &Value, story: &mut Story, sink: &mut Sink<'_>) {
    let words = story::text(&message["content"]);
    match message["type"].as_str().unwrap_or_default() {
        "user" => story.user(words, sink),
        "gemini" | "model" | "assistant" => {
            story.assistant(words, sink);
            for call in message["toolCalls"].as_array().into_iter().flatten() {
                tool(call, story, sink);
            }
            let tokens = &message["tokens"];
            if tokens.is_object() {
                let count = |key: &str| tokens[key].as_u64().unwrap_or(0);
                sink.put(Body::Usage {
                    input_tokens: count("input"),
                    output_tokens: count("output").saturating_add(count("thoughts")),
                    cost_usd: None,
                });
            }
        }
        "error" => story.fail(&clean(&words), None, sink),
        "info" if words.contains("cancelled") => story.interrupted(sink),
        "warning" => story.warn(&words, sink),
        _ => {}
    }
}

fn tool(call: &Value, story: &mut Story, sink: &mut Sink<'_>) {
    let name = call["name"].as_str().unwrap_or_default();
    let id = call["id"].as_str().map(str::to_string);
    story.call(name, id, call["args"].clone(), sink);
    let response = &call["result"][0]["functionResponse"]["response"];
    let output = response["output"].as_str().or(response["error"].as_str()).unwrap_or_default();
    match call["status"].as_str() {
        Some("success") => story.result(true),
        Some("cancelled") => {
            story.result(false);
            story.denied(name, output, sink);
            return;
        }
        Some("error") => {
            story.result(false);
            story.warn(output, sink);
            return;
        }
        _ => return,
    }
    ran(name, &call["args"], output, story, sink);
}

fn ran(name: &str, args: &Value, output: &str, story: &mut Story, sink: &mut Sink<'_>) {
    let field = |key: &str| args[key].as_str().unwrap_or_default();
    match name {
        "run_shell_command" => {
            let code = story::code_after(output, "Exit Code: ");
            story.command(field("command").into(), code, None, output, sink);
        }
        "write_file" | "replace" => story.changed(field("file_path"), "update", sink),
        _ => {}
    }
}

/// A list of contents as the API has them.
pub fn checkpoint(parts: Vec<&RawValue>, rows: &mut Rows<'_>, sink: &mut Sink<'_>) -> End {
    sink.put(Body::SessionStart { cwd: None, model: None });
    let mut story = Story::new("gemini");
    let mut args = Value::Null;
    for part in parts {
        rows.at(part, sink);
        let Some(content) = parse::<Value>(part.get()) else { continue };
        let of_model = content["role"].as_str() == Some("model");
        for part in content["parts"].as_array().into_iter().flatten() {
            let (call, answer) = (&part["functionCall"], &part["functionResponse"]);
            if let Some(name) = call["name"].as_str() {
                args = call["args"].clone();
                story.call(name, None, args.clone(), sink);
            } else if let Some(name) = answer["name"].as_str() {
                let output = answer["response"]["output"].as_str();
                story.result(output.is_some());
                ran(name, &args, output.unwrap_or_default(), &mut story, sink);
            } else if let Some(text) = part["text"].as_str() {
                if of_model {
                    story.assistant(text.into(), sink);
                } else {
                    story.user(text.into(), sink);
                }
            }
        }
    }
    last(&mut story, sink)
}

/// `gemini -p … --output-format json`.
pub fn answer(text: &str, _: &mut Rows<'_>, sink: &mut Sink<'_>) -> Option<End> {
    let file: Value = parse(text)?;
    if let Some(id) = file["session_id"].as_str() {
        sink.set_session(id);
    }
    let mut story = Story::new("gemini");
    story.assistant(file["response"].as_str().unwrap_or_default().into(), sink);
    for (_, model) in file["stats"]["models"].as_object().into_iter().flatten() {
        let count = |key: &str| model["tokens"][key].as_u64().unwrap_or(0);
        sink.put(Body::Usage {
            input_tokens: count("prompt"),
            output_tokens: count("candidates").saturating_add(count("thoughts")),
            cost_usd: None,
        });
    }
    story.result(file["stats"]["tools"]["totalSuccess"].as_u64() > Some(0));
    match file["error"]["message"].as_str() {
        Some(words) => story.fail(&clean(words), file["error"]["code"].as_u64(), sink),
        None => story.complete(sink),
    }
    story.end().cloned()
}

/// A recorded session has no last record: an answer with nothing after it is its end.
fn last(story: &mut Story, sink: &mut Sink<'_>) -> End {
    if story.is_open() && story.has_answer() {
        story.complete(sink);
        if let Some(end) = story.end() {
            let confidence = end.confidence.min(0.5);
            return End {
                evidence: end.evidence.min(Evidence::Pattern),
                confidence,
                ..end.clone()
            };
        }
    }
    story.end().cloned().unwrap_or_else(|| unknown("the session ends within a turn"))
}

fn clean(words: &str) -> String {
    let inner = words.strip_prefix("[API Error: ").and_then(|r| r.strip_suffix(']'));
    unwrap(inner.unwrap_or(words))
}
