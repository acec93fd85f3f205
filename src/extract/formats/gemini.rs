//! Gemini CLI: the lines of `--output-format stream-json`, and of the sessions that it keeps.

use serde::Deserialize;
use serde_json::Value;

use super::codex::unwrap;
use super::gemini_chat::Log;
use crate::event::{Body, End, Exit, Outcome, Severity};
use crate::extract::calls::Calls;
use crate::extract::decoder::{Decoder, JSON_CAP, Place, Sink, lenient, lossy, parse};
use crate::extract::ending::{by_exit, judge, protocol};
use crate::extract::scan::Scanner;
use crate::extract::{fence, limit, phrase};

#[derive(Default)]
pub struct Gemini {
    end: Option<End>,
    /// The message that is being said, piece by piece, and where it began.
    saying: Option<(Place, String)>,
    answer: Option<(String, u64)>,
    calls: Calls,
    worked: bool,
    /// The tool that a rule kept from running, if nothing succeeded since.
    denied: Option<String>,
    /// The error told last, and its `seq`: a result that is an error need not repeat it.
    told: Option<(String, u64)>,
    stray: Option<String>,
    /// The input is a session that the client kept.
    log: Option<Log>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "lenient")]
    timestamp: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    session_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    model: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    role: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    content: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    tool_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    tool_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    parameters: Option<Value>,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    output: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    severity: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<Failure>,
    #[serde(default, deserialize_with = "lenient")]
    stats: Option<Stats>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
}

#[derive(Deserialize)]
struct Stats {
    #[serde(default, deserialize_with = "lenient")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    duration_ms: Option<f64>,
}

impl Decoder for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let text = lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let head = text.get(..300).unwrap_or(text);
        if self.log.is_some() || head.contains("\"projectHash\":") {
            let Some(record) = parse::<Value>(text) else { return };
            match &mut self.log {
                Some(log) => log.record(record, sink),
                None => self.log = Some(Log::new(&record, sink)),
            }
            return;
        }
        let Some(record) = parse::<Record>(text) else {
            if !text.starts_with('{') {
                self.stray = Some(phrase::first_line(text));
                sink.put(Body::Note { text: phrase::clip(text, 2000) });
            }
            return;
        };
        sink.set_ts(record.timestamp.clone());
        let speaks = record.kind == "message" && record.role.as_deref() == Some("assistant");
        if !speaks {
            self.said(sink);
        }
        match record.kind.as_str() {
            "init" => {
                if let Some(id) = &record.session_id {
                    sink.set_session(id);
                }
                *self = Gemini::default();
                sink.put(Body::SessionStart { cwd: None, model: record.model });
            }
            "message" if speaks => self.say(&record.content.unwrap_or_default(), sink),
            "message" => {
                self.end = None;
                let role = record.role.unwrap_or_else(|| "user".into());
                sink.put(Body::Message { role, text: record.content.unwrap_or_default() });
            }
            "tool_use" => self.call(record, sink),
            "tool_result" => self.tool_result(record, sink),
            "error" => {
                let warning = record.severity.as_deref() == Some("warning");
                let severity = if warning { Severity::Warning } else { Severity::Error };
                let words = words(&record.message.unwrap_or_default());
                let seq = sink.put(error(severity, &words));
                if !warning {
                    self.told = Some((words, seq));
                }
            }
            "result" => self.result(record, sink),
            _ => {}
        }
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        if let Some(log) = &mut self.log {
            self.end = Some(log.close(sink));
        }
        self.said(sink);
    }

    fn end(&self, exit: Option<Exit>) -> Option<End> {
        if let Some(end) = &self.end {
            return Some(end.clone());
        }
        let mut end = by_exit(exit, "the stream has no result record");
        let known = exit.and_then(|e| match e {
            Exit::Code(code) => meaning(code).map(str::to_string),
            Exit::Signal(_) => None,
        });
        if let (Some(reason), Some(more)) =
            (&mut end.reason, known.as_ref().or(self.stray.as_ref()))
        {
            reason.push_str(": ");
            reason.push_str(more);
        }
        Some(end)
    }
}

impl Gemini {
    fn say(&mut self, piece: &str, sink: &mut Sink<'_>) {
        self.end = None;
        if self.saying.as_ref().is_some_and(|(_, text)| text.len() + piece.len() > JSON_CAP) {
            self.said(sink);
        }
        let (_, text) = self.saying.get_or_insert_with(|| (sink.place(), String::new()));
        text.push_str(piece);
    }

    /// Another record ends what was being said.
    fn said(&mut self, sink: &mut Sink<'_>) {
        let Some((place, text)) = self.saying.take() else { return };
        if text.trim().is_empty() {
            return;
        }
        let body = Body::Message { role: "assistant".into(), text: text.clone() };
        let seq = sink.put_at(&place, body);
        fence::blocks(&text, sink);
        self.answer = Some((text, seq));
    }

    fn call(&mut self, record: Record, sink: &mut Sink<'_>) {
        let name = record.tool_name.unwrap_or_default();
        let input = record.parameters.unwrap_or_default();
        let object =
            ["command", "file_path"].iter().find_map(|k| input.get(k)).and_then(Value::as_str);
        if let Some(id) = &record.tool_id {
            self.calls.open(id, &name, object.unwrap_or_default());
        }
        sink.put(Body::ToolCall { name, id: record.tool_id, input: Some(input) });
    }

    fn tool_result(&mut self, record: Record, sink: &mut Sink<'_>) {
        let call = self.calls.close(record.tool_id.as_deref().unwrap_or_default());
        let failure = record.error.as_ref();
        let output = record.output.unwrap_or_default();
        if record.status.as_deref() != Some("success") {
            let name = call.map(|c| c.name).unwrap_or_default();
            let said = failure.and_then(|f| f.message.clone()).unwrap_or(output);
            if failure.and_then(|f| f.kind.as_deref()) == Some("policy_violation") {
                sink.put(Body::PermissionRequest { text: said, tool: Some(name.clone()) });
                self.denied = Some(name);
            } else {
                sink.put(error(Severity::Warning, &said));
            }
            return;
        }
        self.worked = true;
        self.denied = None;
        let Some(call) = call else { return };
        match call.name.as_str() {
            "run_shell_command" => {
                // where a command printed something, its exit code goes to the model alone
                let code = output.strip_prefix("Command exited with code: ");
                sink.put(Body::Command {
                    command: call.object,
                    exit_code: code.and_then(|c| c.trim().parse().ok()),
                    duration_ms: None,
                });
                Scanner::default().whole(&output, sink);
            }
            // the record does not say whether the file was there
            "write_file" | "replace" => {
                sink.put(Body::FileChange { path: call.object, kind: "update".into() });
            }
            _ => {}
        }
    }

    fn result(&mut self, record: Record, sink: &mut Sink<'_>) {
        if let Some(stats) = &record.stats {
            sink.put(Body::Usage {
                input_tokens: stats.input_tokens.unwrap_or(0),
                output_tokens: stats.output_tokens.unwrap_or(0),
                cost_usd: None,
            });
            if let Some(value) = stats.duration_ms {
                let unit = Some("ms".into());
                sink.put(Body::Metric { name: "duration".into(), value, unit });
            }
        }
        let (answer, because) = match self.answer.take() {
            Some((answer, seq)) => (answer, vec![seq]),
            None => (String::new(), Vec::new()),
        };
        let end = match record.status.as_deref() {
            Some("success") => self.good_end(answer, because),
            _ => self.bad_end(record.error, answer, sink),
        };
        sink.put(Body::TurnEnd(end.clone()));
        self.end = Some(end);
        self.worked = false;
    }

    fn good_end(&mut self, answer: String, because: Vec<u64>) -> End {
        let end = protocol(Outcome::Complete, because);
        if let Some(tool) = self.denied.take() {
            let reason = Some(format!("permission for {tool} was denied"));
            return End { outcome: Outcome::Waiting, reason, answer: Some(answer), ..end };
        }
        judge(end, answer, self.worked)
    }

    fn bad_end(&mut self, failure: Option<Failure>, answer: String, sink: &mut Sink<'_>) -> End {
        let (words, seq) = match (failure.and_then(|f| f.message), self.told.take()) {
            (Some(raw), _) => {
                let words = words(&raw);
                let seq = sink.put(error(Severity::Error, &words));
                (words, Some(seq))
            }
            (None, Some((words, seq))) => (words, Some(seq)),
            (None, None) => ("the result is an error".into(), None),
        };
        let limited = limit::is_limit(&words);
        let outcome = if limited { Outcome::RateLimited } else { Outcome::Failed };
        let mut end = protocol(outcome, seq.into_iter().collect());
        if limited {
            end.resets = limit::resets(&words);
            let event = Body::RateLimit { text: words.clone(), resets: end.resets.clone() };
            end.because.push(sink.put(event));
        }
        end.reason = Some(phrase::first_line(&words));
        end.answer = Some(answer).filter(|a| !a.is_empty());
        end
    }
}

/// The words of an error, out of the client's brackets and the API's JSON.
fn words(raw: &str) -> String {
    let inner = raw.strip_prefix("[API Error: ").and_then(|r| r.strip_suffix(']'));
    unwrap(inner.unwrap_or(raw))
}

/// Exits of the client that come before its first record: the words for them are on stderr alone.
fn meaning(code: i32) -> Option<&'static str> {
    match code {
        41 => Some("no valid way to authenticate is set up"),
        42 => Some("the prompt was refused"),
        52 => Some("its configuration is not valid"),
        53 => Some("its limit of turns was reached"),
        55 => Some("the directory is not trusted"),
        _ => None,
    }
}

fn error(severity: Severity, words: &str) -> Body {
    Body::error(severity, words.to_string(), None, "gemini")
}
