//! Hooks of Claude and Codex, and Codex's notify: single JSON objects, never the end of a task.

use serde::Deserialize;
use serde_json::Value;

use super::claude::exit_code;
use crate::event::{Body, End, Exit, Outcome, Severity};
use crate::extract::decoder::{Decoder, JSON_CAP, Sink, loose, lossy, parse};
use crate::extract::ending::{judge, protocol};
use crate::extract::scan::Scanner;
use crate::extract::{fence, limit, phrase};

/// The prompt of the hidden thread in which Codex names a session.
const TITLE_PROMPT: &str = "Generate a concise, single-line task title";

#[derive(Default)]
pub struct Hook {
    /// One object may span lines; these are its bytes so far.
    held: Vec<u8>,
    depth: u32,
    in_string: bool,
    escaped: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Call {
    #[serde(rename = "type")]
    #[serde(deserialize_with = "loose")]
    kind: String,
    #[serde(deserialize_with = "loose")]
    session_id: Option<String>,
    #[serde(deserialize_with = "loose")]
    hook_event_name: String,
    #[serde(deserialize_with = "loose")]
    cwd: Option<String>,
    #[serde(deserialize_with = "loose")]
    model: Option<Value>,
    #[serde(deserialize_with = "loose")]
    prompt: String,
    #[serde(deserialize_with = "loose")]
    reason: Option<String>,
    #[serde(deserialize_with = "loose")]
    message: String,
    #[serde(deserialize_with = "loose")]
    error: Value,
    #[serde(deserialize_with = "loose")]
    last_assistant_message: Option<String>,
    #[serde(deserialize_with = "loose")]
    background_tasks: Vec<Value>,
    #[serde(deserialize_with = "loose")]
    tool_name: String,
    #[serde(deserialize_with = "loose")]
    tool_use_id: Option<String>,
    #[serde(deserialize_with = "loose")]
    tool_input: Value,
    #[serde(deserialize_with = "loose")]
    tool_response: Value,
    #[serde(deserialize_with = "loose")]
    duration_ms: Option<u64>,
    #[serde(deserialize_with = "loose")]
    new_cwd: Option<String>,
    #[serde(deserialize_with = "loose")]
    agent_id: Option<String>,
    #[serde(deserialize_with = "loose")]
    agent_type: Option<String>,
    #[serde(rename = "thread-id")]
    #[serde(deserialize_with = "loose")]
    thread: Option<String>,
    #[serde(rename = "input-messages")]
    #[serde(deserialize_with = "loose")]
    inputs: Vec<String>,
    #[serde(rename = "last-assistant-message")]
    #[serde(deserialize_with = "loose")]
    last_message: Option<String>,
}

impl Decoder for Hook {
    fn name(&self) -> &'static str {
        "hook"
    }

    fn is_within(&self) -> bool {
        !self.held.is_empty()
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        if self.held.len() + line.len() > JSON_CAP {
            *self = Hook::default();
            return;
        }
        if self.held.is_empty() && line.trim_ascii_start().first() != Some(&b'{') {
            return;
        }
        for (i, byte) in line.iter().enumerate() {
            if self.closes(*byte) {
                self.held.extend_from_slice(&line[..=i]);
                let object = std::mem::take(&mut self.held);
                call(&lossy(&object), sink);
                *self = Hook::default();
                // What follows an object on its line is not read.
                return;
            }
        }
        self.held.extend_from_slice(line);
        self.held.push(b'\n');
    }

    fn end(&self, _: Option<Exit>) -> Option<End> {
        None
    }
}

impl Hook {
    /// Whether this byte ends the outermost object.
    fn closes(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

fn call(text: &str, sink: &mut Sink<'_>) {
    let Some(call) = parse::<Call>(text) else {
        sink.put(Body::Note { text: "a hook's record that cannot be read".into() });
        return;
    };
    if let Some(id) = call.session_id.as_ref().or(call.thread.as_ref()) {
        sink.set_session(id);
    }
    if call.kind == "agent-turn-complete" {
        notify(call, sink);
        return;
    }
    match call.hook_event_name.as_str() {
        "SessionStart" => {
            let model = call.model.as_ref().and_then(Value::as_str).map(str::to_string);
            sink.put(Body::SessionStart { cwd: call.cwd, model });
        }
        "SessionEnd" => {
            sink.put(Body::SessionEnd { reason: call.reason });
        }
        "UserPromptSubmit" if call.prompt.trim_start().starts_with("<task-notification>") => {
            sink.put(Body::Notification { text: phrase::clip(&call.prompt, 2000) });
        }
        "UserPromptSubmit" => {
            sink.put(Body::Message { role: "user".into(), text: call.prompt });
        }
        "PreToolUse" => {
            let input = Some(call.tool_input);
            sink.put(Body::ToolCall { name: call.tool_name, id: call.tool_use_id, input });
        }
        "PostToolUse" | "PostToolUseFailure" => tool(&call, sink),
        "PermissionRequest" => permission(&call, sink),
        "Notification" => {
            sink.put(Body::Notification { text: call.message });
        }
        "Stop" => stop(call, sink),
        "StopFailure" => stop_failure(&call, sink),
        "SubagentStart" => {
            sink.put(Body::Progress { text: format!("sub-agent {} started", agent(&call)) });
        }
        "SubagentStop" => {
            sink.put(Body::Progress { text: format!("sub-agent {} ended", agent(&call)) });
        }
        "CwdChanged" => {
            let text = format!("working directory: {}", call.new_cwd.unwrap_or_default());
            sink.put(Body::Note { text });
        }
        "PermissionDenied" => {
            let reason = call.reason.unwrap_or_default();
            sink.put(Body::Note { text: format!("{} denied: {reason}", call.tool_name) });
        }
        "PreCompact" => {
            sink.put(Body::Note { text: "the conversation is compacted".into() });
        }
        _ => {}
    }
}

fn agent(call: &Call) -> &str {
    call.agent_type.as_deref().or(call.agent_id.as_deref()).unwrap_or("")
}

fn tool(call: &Call, sink: &mut Sink<'_>) {
    let field = |key: &str| call.tool_input[key].as_str().map(str::to_string);
    let failed = call.hook_event_name == "PostToolUseFailure";
    let error = call.error.as_str().unwrap_or_default();
    if let Some(command) = field("command") {
        let response = &call.tool_response;
        let told = response["exit_code"].as_i64();
        sink.put(Body::Command {
            command,
            exit_code: told.or_else(|| exit_code(error, failed)),
            duration_ms: call.duration_ms,
        });
        let streams = [response.as_str(), response["stdout"].as_str(), response["stderr"].as_str()];
        let mut scanner = Scanner::default();
        for stream in streams.into_iter().flatten().chain(Some(error)) {
            scanner.part(stream, sink);
        }
        scanner.flush(sink);
        return;
    }
    let path = field("file_path").or_else(|| field("notebook_path"));
    let writes = matches!(call.tool_name.as_str(), "Write" | "Edit" | "MultiEdit" | "NotebookEdit");
    match path {
        Some(path) if writes && !failed => {
            let added = call.tool_response["type"] == "create";
            let kind = if added { "add" } else { "update" };
            sink.put(Body::FileChange { path, kind: kind.into() });
        }
        _ => {}
    }
}

fn permission(call: &Call, sink: &mut Sink<'_>) {
    let input = &call.tool_input;
    let (event, reason) = match call.tool_name.as_str() {
        "AskUserQuestion" => {
            let text = input["questions"][0]["question"].as_str().unwrap_or("a question");
            (Body::Question { text: text.into() }, format!("asks: {text}"))
        }
        name => {
            let text = ["command", "file_path", "url", "plan"]
                .iter()
                .find_map(|key| input[*key].as_str())
                .map_or_else(|| input.to_string(), str::to_string);
            let reason = format!("permission for {name}: {}", phrase::first_line(&text));
            (Body::PermissionRequest { text, tool: Some(name.into()) }, reason)
        }
    };
    let seq = sink.put(event);
    let end = End { reason: Some(reason), ..protocol(Outcome::Waiting, vec![seq]) };
    sink.put(Body::TurnEnd(end));
}

fn stop(call: Call, sink: &mut Sink<'_>) {
    let running = call.background_tasks.len();
    if running > 0 {
        sink.put(Body::Progress { text: format!("background tasks still running: {running}") });
        return;
    }
    let words = call.last_assistant_message.unwrap_or_default();
    fence::blocks(&words, sink);
    // One hook does not know what the turn did: a question stays a note.
    let end = judge(protocol(Outcome::Complete, Vec::new()), words, true);
    sink.put(Body::TurnEnd(end));
}

fn stop_failure(call: &Call, sink: &mut Sink<'_>) {
    let kind = call.error.as_str().unwrap_or("error");
    let words = call.last_assistant_message.as_deref().unwrap_or(kind);
    let seq = sink.put(Body::error(Severity::Error, words.to_string(), Some(kind.to_string()), ""));
    let mut end = protocol(Outcome::Failed, vec![seq]);
    end.reason = Some(format!("{kind}: {}", phrase::first_line(words)));
    end.answer = call.last_assistant_message.clone();
    if kind.contains("rate_limit") || limit::is_limit(words) {
        end.outcome = Outcome::RateLimited;
        end.resets = limit::resets(words);
        let event = Body::RateLimit { text: words.to_string(), resets: end.resets.clone() };
        end.because.push(sink.put(event));
    }
    sink.put(Body::TurnEnd(end));
}

fn notify(call: Call, sink: &mut Sink<'_>) {
    if call.inputs.iter().any(|m| m.starts_with(TITLE_PROMPT)) {
        return;
    }
    let words = call.last_message.unwrap_or_default();
    fence::blocks(&words, sink);
    sink.put(Body::TurnEnd(judge(protocol(Outcome::Complete, Vec::new()), words, true)));
}
