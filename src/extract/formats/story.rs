//! What a recorded session tells turn by turn, whatever its file looks like.

use serde_json::Value;

use crate::event::{Body, End, Outcome, Severity};
use crate::extract::calls::todos;
use crate::extract::decoder::Sink;
use crate::extract::ending::{judge, protocol, unknown};
use crate::extract::scan::Scanner;
use crate::extract::{fence, limit, phrase};

pub struct Story {
    /// Who is told of: the `tool` of its errors.
    client: &'static str,
    answer: Option<(String, u64)>,
    /// Calls whose result has not come.
    open: u64,
    worked: bool,
    denied: Option<String>,
    /// The end of the last turn; none while one is open.
    end: Option<End>,
}

impl Story {
    pub fn new(client: &'static str) -> Story {
        Story { client, answer: None, open: 0, worked: false, denied: None, end: None }
    }

    /// A person speaks: a turn begins.
    pub fn user(&mut self, text: String, sink: &mut Sink<'_>) {
        *self = Story::new(self.client);
        if !text.trim().is_empty() {
            sink.put(Body::Message { role: "user".into(), text });
        }
    }

    pub fn assistant(&mut self, text: String, sink: &mut Sink<'_>) {
        self.end = None;
        if text.trim().is_empty() {
            return;
        }
        let seq = sink.put(Body::Message { role: "assistant".into(), text: text.clone() });
        fence::blocks(&text, sink);
        self.answer = Some((text, seq));
    }

    pub fn call(&mut self, name: &str, id: Option<String>, input: Value, sink: &mut Sink<'_>) {
        self.end = None;
        self.open += 1;
        let todos = todos(&input);
        sink.put(Body::ToolCall { name: name.into(), id, input: Some(input) });
        if let Some(text) = todos {
            sink.put(Body::Progress { text });
        }
    }

    /// The result of a call has come.
    pub fn result(&mut self, good: bool) {
        self.open = self.open.saturating_sub(1);
        if good {
            self.worked = true;
            self.denied = None;
        }
    }

    /// A shell command ran and printed this.
    pub fn command(
        &mut self,
        command: String,
        exit_code: Option<i64>,
        duration_ms: Option<u64>,
        output: &str,
        sink: &mut Sink<'_>,
    ) {
        sink.put(Body::Command { command, exit_code, duration_ms });
        Scanner::default().whole(output, sink);
    }

    pub fn changed(&mut self, path: &str, kind: &str, sink: &mut Sink<'_>) {
        sink.put(Body::FileChange { path: path.into(), kind: kind.into() });
    }

    /// A person, or a rule, did not let a tool run.
    pub fn denied(&mut self, tool: &str, words: &str, sink: &mut Sink<'_>) {
        let text = phrase::clip(words, 2000);
        sink.put(Body::PermissionRequest { text, tool: Some(tool.into()) });
        self.denied = Some(tool.into());
    }

    /// What the agent goes on after.
    pub fn warn(&mut self, words: &str, sink: &mut Sink<'_>) {
        sink.put(self.trouble(Severity::Warning, words, None));
    }

    /// The turn ends with an error of the client or its API.
    pub fn fail(&mut self, words: &str, status: Option<u64>, sink: &mut Sink<'_>) {
        let seq = sink.put(self.trouble(Severity::Error, words, status));
        let limited = status == Some(429) || limit::is_limit(words);
        let outcome = if limited { Outcome::RateLimited } else { Outcome::Failed };
        let mut end = protocol(outcome, vec![seq]);
        if limited {
            end.resets = limit::resets(words);
            let text = phrase::clip(words, 2000);
            let event = Body::RateLimit { text, resets: end.resets.clone() };
            end.because.push(sink.put(event));
        }
        end.reason = Some(phrase::first_line(words));
        end.answer = self.answer.take().map(|(words, _)| words);
        self.close(end, sink);
    }

    /// The agent stopped by itself.
    pub fn complete(&mut self, sink: &mut Sink<'_>) {
        let end = self.good_end();
        self.close(end, sink);
    }

    pub fn interrupted(&mut self, sink: &mut Sink<'_>) {
        self.close(unknown("interrupted by the user"), sink);
    }

    pub fn close(&mut self, end: End, sink: &mut Sink<'_>) {
        sink.put(Body::TurnEnd(end.clone()));
        self.end = Some(end);
        self.answer = None;
        self.open = 0;
        self.worked = false;
    }

    /// The agent spoke last, and no result of a call is awaited.
    pub fn has_answer(&self) -> bool {
        self.answer.is_some() && self.open == 0
    }

    pub fn is_open(&self) -> bool {
        self.end.is_none()
    }

    pub fn answer(&self) -> Option<&(String, u64)> {
        self.answer.as_ref()
    }

    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    fn good_end(&mut self) -> End {
        let (words, because) = match self.answer.take() {
            Some((words, seq)) => (words, vec![seq]),
            None => (String::new(), Vec::new()),
        };
        let end = protocol(Outcome::Complete, because);
        if let Some(tool) = self.denied.take() {
            let reason = Some(format!("permission for {tool} was denied"));
            return End { outcome: Outcome::Waiting, reason, answer: Some(words), ..end };
        }
        judge(end, words, self.worked)
    }

    fn trouble(&self, severity: Severity, words: &str, status: Option<u64>) -> Body {
        Body::error(severity, phrase::clip(words, 4000), status.map(|s| s.to_string()), self.client)
    }
}

/// The text of a content that is a string, or a list of parts with text.
pub fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|p| p.as_str().or_else(|| p["text"].as_str()));
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// A number behind these words, at the end of a line of the text's last rows.
pub fn code_after(text: &str, words: &str) -> Option<i64> {
    let rest = &text[text.rfind(words)? + words.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
    rest[..end].parse().ok()
}
