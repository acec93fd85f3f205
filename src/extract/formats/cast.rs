//! asciicast: recordings of asciinema, versions 2 (the time of each event since the start) and
//! 3 (since the event before it). What a program wrote goes to a terminal.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::tty::Tty;
use crate::event::{Body, End, Evidence, Exit, Outcome};
use crate::extract::decoder::{Decoder, Sink, lenient, lossy, parse};

#[derive(Default)]
pub struct Cast {
    tty: Tty,
    head: Option<Head>,
    /// Microseconds since the start.
    time: i64,
    exit: Option<i32>,
}

#[derive(Deserialize)]
struct Head {
    version: u8,
    #[serde(default, deserialize_with = "lenient")]
    timestamp: Option<i64>,
    /// What was recorded; without it, a shell that a person left.
    #[serde(default, deserialize_with = "lenient")]
    command: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
}

impl Cast {
    /// The first line of a recording.
    pub fn is_head(line: &str) -> bool {
        parse::<Head>(line).is_some_and(|h| matches!(h.version, 2 | 3))
            && (line.contains("\"width\"") || line.contains("\"term\""))
    }

    fn event(&mut self, time: f64, code: &str, data: &str, sink: &mut Sink<'_>) {
        let micros = if time.is_finite() { (time * 1e6) as i64 } else { 0 };
        let head = self.head.as_ref();
        self.time = match head.map(|h| h.version) {
            Some(2) => micros,
            _ => self.time.saturating_add(micros),
        };
        let start = head.and_then(|h| h.timestamp).and_then(|s| Timestamp::from_second(s).ok());
        let at = start.and_then(|s| s.checked_add(SignedDuration::from_micros(self.time)).ok());
        sink.set_ts(at.map(|t| t.to_string()));
        match code {
            "o" => self.tty.push_at(data.as_bytes(), sink),
            "m" if !data.is_empty() => {
                sink.put(Body::Milestone { text: data.into() });
            }
            "x" => {
                self.exit = data.trim().parse().ok();
                sink.put(Body::SessionEnd { reason: Some(format!("exit status {data}")) });
            }
            _ => {}
        }
    }
}

impl Decoder for Cast {
    fn name(&self) -> &'static str {
        "asciicast"
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let text = lossy(line);
        let text = text.trim();
        if text.starts_with('[') {
            if let Some((time, code, Value::String(data))) = parse::<(f64, String, Value)>(text) {
                self.event(time, &code, &data, sink);
            }
        } else if let (None, Some(head)) = (&self.head, parse::<Head>(text)) {
            sink.put(Body::SessionStart { cwd: None, model: None });
            if let Some(text) = head.title.clone().or(head.command.clone()) {
                sink.put(Body::Note { text });
            }
            self.head = Some(head);
        }
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        let (line, offset) = sink.at();
        self.tty.close(sink);
        sink.set_place(line, offset);
    }

    /// The exit that was recorded is that of the command, if there was one; of a shell that a
    /// person left it says nothing of the work.
    fn end(&self, exit: Option<Exit>) -> Option<End> {
        let command = self.head.as_ref().is_some_and(|h| h.command.is_some());
        let said = self.tty.end(None);
        let Some(code) = exit.is_none().then_some(self.exit).flatten() else {
            return Some(self.tty.end(exit));
        };
        let code = Exit::Code(code);
        Some(match (command, code) {
            (true, Exit::Code(0)) if self.tty.is_painted() => said,
            (true, _) => self.tty.end(Some(code)),
            (false, Exit::Code(1..=127)) if said.outcome == Outcome::Unknown => {
                End { evidence: Evidence::Pattern, confidence: 0.3, ..self.tty.end(Some(code)) }
            }
            _ => said,
        })
    }
}
