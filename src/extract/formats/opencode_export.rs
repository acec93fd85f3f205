//! `opencode export`: one object with the session and its messages, each with its parts.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::opencode::is_denial;
use super::story::Story;
use super::whole::Rows;
use crate::event::{Body, End};
use crate::extract::decoder::{Sink, lenient, parse};
use crate::extract::ending::unknown;

#[derive(Deserialize)]
struct File<'a> {
    #[serde(default, deserialize_with = "lenient")]
    info: Option<Info>,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    directory: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    info: Value,
    #[serde(default)]
    parts: Vec<Value>,
}

pub fn read(text: &str, rows: &mut Rows<'_>, sink: &mut Sink<'_>) -> Option<End> {
    let file: File<'_> = parse(text)?;
    let info = file.info?;
    if let Some(id) = &info.id {
        sink.set_session(id);
    }
    sink.put(Body::SessionStart { cwd: info.directory, model: None });
    let mut story = Story::new("opencode");
    for part in file.messages {
        rows.at(part, sink);
        if let Some(message) = parse::<Message>(part.get()) {
            let at = message.info["time"]["created"].as_i64();
            let at = at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
            sink.set_ts(at.map(|t| t.to_string()));
            say(&message, &mut story, sink);
        }
    }
    Some(story.end().cloned().unwrap_or_else(|| unknown("the session ends within a turn")))
}

fn say(message: &Message, story: &mut Story, sink: &mut Sink<'_>) {
    let info = &message.info;
    let texts = message.parts.iter().filter(|p| p["type"] == "text" && p["synthetic"] != true);
    if info["role"].as_str() == Some("user") {
        let words: Vec<&str> = texts.filter_map(|p| p["text"].as_str()).collect();
        story.user(words.join("\n"), sink);
        return;
    }
    let mut reason = info["finish"].as_str();
    for part in &message.parts {
        match part["type"].as_str() {
            Some("text") => story.assistant(part["text"].as_str().unwrap_or("").into(), sink),
            Some("tool") => tool(part, story, sink),
            Some("step-finish") => {
                reason = part["reason"].as_str().or(reason);
                usage(part, sink);
            }
            _ => {}
        }
    }
    let error = &info["error"];
    if error.is_object() {
        let data = &error["data"];
        let words = data["message"].as_str().or(error["name"].as_str()).unwrap_or("error");
        match error["name"].as_str() {
            Some("MessageAbortedError") => story.interrupted(sink),
            _ => story.fail(words, data["statusCode"].as_u64(), sink),
        }
        return;
    }
    match reason {
        Some("stop") => story.complete(sink),
        Some("tool-calls" | "unknown") | None => {}
        Some(other) => story.fail(&format!("the model stopped: {other}"), None, sink),
    }
}

fn tool(part: &Value, story: &mut Story, sink: &mut Sink<'_>) {
    let (name, state) = (part["tool"].as_str().unwrap_or_default(), &part["state"]);
    let input = &state["input"];
    story.call(name, part["callID"].as_str().map(str::to_string), input.clone(), sink);
    let output = state["output"].as_str().unwrap_or_default();
    match state["status"].as_str() {
        Some("completed") => story.result(true),
        Some("error") => {
            let words = state["error"].as_str().unwrap_or_default();
            story.result(false);
            if is_denial(words) {
                story.denied(name, words, sink);
            } else {
                story.warn(words, sink);
            }
            return;
        }
        _ => return,
    }
    let field = |key: &str| input[key].as_str().unwrap_or_default();
    match name {
        "bash" => {
            let time = &state["time"];
            let ms = time["end"].as_u64().zip(time["start"].as_u64());
            let ms = ms.map(|(end, start)| end.saturating_sub(start));
            let code = state["metadata"]["exit"].as_i64();
            story.command(field("command").into(), code, ms, output, sink);
        }
        "write" | "edit" | "multiedit" => {
            let added = state["metadata"]["exists"].as_bool() == Some(false);
            story.changed(field("filePath"), if added { "add" } else { "update" }, sink);
        }
        _ => {}
    }
}

fn usage(part: &Value, sink: &mut Sink<'_>) {
    let tokens = &part["tokens"];
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let cache = count(&tokens["cache"]["read"]).saturating_add(count(&tokens["cache"]["write"]));
    sink.put(Body::Usage {
        input_tokens: count(&tokens["input"]).saturating_add(cache),
        output_tokens: count(&tokens["output"]).saturating_add(count(&tokens["reasoning"])),
        cost_usd: part["cost"].as_f64(),
    });
}
