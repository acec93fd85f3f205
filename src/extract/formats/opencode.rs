//! OpenCode: the lines of `opencode run --format json`.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::event::{Body, End, Exit, Outcome, Severity};
use crate::extract::calls::todos;
use crate::extract::decoder::{Decoder, Sink, lenient, lossy, parse};
use crate::extract::ending::{by_exit, judge, protocol};
use crate::extract::scan::Scanner;
use crate::extract::{fence, limit, phrase};

/// The stream has no last record: a turn is over when its last step was, and no other began.
#[derive(Default)]
pub struct Opencode {
    session: Option<String>,
    state: State,
    answer: Option<(String, u64)>,
    worked: bool,
    /// The tool that was not allowed, if nothing succeeded since.
    denied: Option<String>,
    stray: Option<String>,
    end: Option<End>,
}

#[derive(Default)]
enum State {
    /// Within a step, or another one must follow.
    #[default]
    Open,
    /// The model stopped by itself.
    Stopped,
    /// Why it ended, and the events that say so.
    Broken(Box<End>),
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "lenient")]
    timestamp: Option<i64>,
    #[serde(default, rename = "sessionID", deserialize_with = "lenient")]
    session: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    part: Option<Part>,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<Failure>,
}

#[derive(Deserialize, Default)]
struct Part {
    #[serde(default, deserialize_with = "lenient")]
    text: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    tool: Option<String>,
    #[serde(default, rename = "callID", deserialize_with = "lenient")]
    call: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    state: Option<ToolState>,
    #[serde(default, deserialize_with = "lenient")]
    reason: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    tokens: Option<Tokens>,
    #[serde(default, deserialize_with = "lenient")]
    cost: Option<f64>,
}

#[derive(Deserialize, Default)]
struct ToolState {
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    input: Option<Value>,
    #[serde(default, deserialize_with = "lenient")]
    output: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    metadata: Option<Metadata>,
    #[serde(default, deserialize_with = "lenient")]
    time: Option<Span>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default, deserialize_with = "lenient")]
    exit: Option<i64>,
    /// Whether a file that was written was there before.
    #[serde(default, deserialize_with = "lenient")]
    exists: Option<bool>,
}

#[derive(Deserialize)]
struct Span {
    start: u64,
    end: u64,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    input: u64,
    #[serde(default)]
    output: u64,
    #[serde(default)]
    reasoning: u64,
    #[serde(default, deserialize_with = "lenient")]
    cache: Option<Cache>,
}

#[derive(Deserialize)]
struct Cache {
    #[serde(default)]
    read: u64,
    #[serde(default)]
    write: u64,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default, deserialize_with = "lenient")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    data: Option<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default, rename = "statusCode", deserialize_with = "lenient")]
    status: Option<u16>,
}

impl Decoder for Opencode {
    fn name(&self) -> &'static str {
        "opencode"
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
        if record.session.is_some() && record.session != self.session {
            self.close(sink);
            *self = Opencode { session: record.session.clone(), ..Opencode::default() };
            sink.set_session(self.session.as_deref().unwrap_or_default());
            sink.put(Body::SessionStart { cwd: None, model: None });
        }
        let at = record.timestamp.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        sink.set_ts(at.map(|t| t.to_string()));
        let part = record.part.unwrap_or_default();
        match record.kind.as_str() {
            "step_start" => self.state = State::Open,
            "text" => self.text(part.text.unwrap_or_default(), sink),
            "tool_use" => self.tool(part, sink),
            "step_finish" => self.step(part, sink),
            "error" => self.error(record.error, sink),
            _ => {}
        }
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        let because: Vec<u64> = self.answer.iter().map(|(_, seq)| *seq).collect();
        let answer = self.answer.take().map(|(words, _)| words).unwrap_or_default();
        let good = protocol(Outcome::Complete, because);
        let end = match (std::mem::take(&mut self.state), self.denied.take()) {
            (State::Broken(end), _) => *end,
            // after a refusal the client takes no further step
            (_, Some(tool)) => End {
                outcome: Outcome::Waiting,
                reason: Some(format!("permission for {tool} was denied")),
                answer: Some(answer),
                ..good
            },
            (State::Stopped, None) => judge(good, answer, self.worked),
            (State::Open, None) => return,
        };
        sink.put(Body::TurnEnd(end.clone()));
        self.end = Some(end);
    }

    fn end(&self, exit: Option<Exit>) -> Option<End> {
        if let Some(end) = &self.end {
            return Some(end.clone());
        }
        let mut end = by_exit(exit, "the stream ends within a turn");
        if let (Some(reason), Some(stray)) = (&mut end.reason, &self.stray) {
            reason.push_str(": ");
            reason.push_str(stray);
        }
        Some(end)
    }
}

impl Opencode {
    fn text(&mut self, text: String, sink: &mut Sink<'_>) {
        if text.trim().is_empty() {
            return;
        }
        let seq = sink.put(Body::Message { role: "assistant".into(), text: text.clone() });
        fence::blocks(&text, sink);
        self.answer = Some((text, seq));
    }

    /// A tool call that has ended, its input and its output in one record.
    fn tool(&mut self, part: Part, sink: &mut Sink<'_>) {
        let name = part.tool.unwrap_or_default();
        let state = part.state.unwrap_or_default();
        let input = state.input.unwrap_or_default();
        let field = |key: &str| input.get(key).and_then(Value::as_str).unwrap_or("").to_string();
        let (command, path) = (field("command"), field("filePath"));
        let todos = todos(&input);
        sink.put(Body::ToolCall { name: name.clone(), id: part.call, input: Some(input) });
        if let Some(text) = todos {
            sink.put(Body::Progress { text });
        }
        if state.status.as_deref() != Some("completed") {
            let said = state.error.unwrap_or_default();
            if is_denial(&said) {
                sink.put(Body::PermissionRequest { text: said, tool: Some(name.clone()) });
                self.denied = Some(name);
            } else {
                sink.put(error(Severity::Warning, &said, None));
            }
            return;
        }
        self.worked = true;
        self.denied = None;
        match name.as_str() {
            "bash" => {
                sink.put(Body::Command {
                    command,
                    exit_code: state.metadata.and_then(|m| m.exit),
                    duration_ms: state.time.map(|t| t.end.saturating_sub(t.start)),
                });
                Scanner::default().whole(&state.output.unwrap_or_default(), sink);
            }
            "write" | "edit" | "multiedit" => {
                let added = state.metadata.and_then(|m| m.exists) == Some(false);
                let kind = if added { "add" } else { "update" };
                sink.put(Body::FileChange { path, kind: kind.into() });
            }
            _ => {}
        }
    }

    fn step(&mut self, part: Part, sink: &mut Sink<'_>) {
        if let Some(tokens) = part.tokens {
            let cached = tokens.cache.map_or(0, |c| c.read.saturating_add(c.write));
            sink.put(Body::Usage {
                input_tokens: tokens.input.saturating_add(cached),
                output_tokens: tokens.output.saturating_add(tokens.reasoning),
                cost_usd: part.cost,
            });
        }
        // an error that was told before this step's end stays
        if matches!(self.state, State::Broken(_)) {
            return;
        }
        match part.reason.as_deref() {
            // early clients gave no reason: another step shows that they went on
            Some("stop") | None => self.state = State::Stopped,
            // the client goes on after these, also after an answer that was cut
            Some("tool-calls" | "unknown") => {}
            Some(other) => {
                let reason = Some(format!("the model stopped: {other}"));
                let answer = self.answer.as_ref().map(|(words, _)| words.clone());
                let end = protocol(Outcome::Failed, Vec::new());
                self.state = State::Broken(Box::new(End { reason, answer, ..end }));
            }
        }
    }

    fn error(&mut self, failure: Option<Failure>, sink: &mut Sink<'_>) {
        let (name, detail) = failure.map_or((None, None), |f| (f.name, f.data));
        let (words, status) = detail.map_or((None, None), |d| (d.message, d.status));
        let words = words.or(name).unwrap_or_else(|| "error".into());
        let seq = sink.put(error(Severity::Error, &words, status));
        let limited = status == Some(429) || limit::is_limit(&words);
        let outcome = if limited { Outcome::RateLimited } else { Outcome::Failed };
        let mut end = protocol(outcome, vec![seq]);
        if limited {
            end.resets = limit::resets(&words);
            let event = Body::RateLimit { text: words.clone(), resets: end.resets.clone() };
            end.because.push(sink.put(event));
        }
        end.reason = Some(phrase::first_line(&words));
        self.state = State::Broken(Box::new(end));
    }
}

/// How the client words a tool call that a person's answer or a rule kept from running.
pub(super) fn is_denial(words: &str) -> bool {
    words.starts_with("The user rejected permission")
        || words.starts_with("The user has specified a rule which prevents")
}

fn error(severity: Severity, words: &str, status: Option<u16>) -> Body {
    Body::error(severity, words.to_string(), status.map(|s| s.to_string()), "opencode")
}
