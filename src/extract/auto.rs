//! `--format auto`: decides from the first lines, and trusts less after it has left a format.

use serde::Deserialize;

use super::decoder::{Decoder, JSON_CAP, Sink, TEXT_CAP, lenient, parse};
use super::{
    claude::Claude, codex::Codex, gemini::Gemini, hook::Hook, opencode::Opencode, text::Text,
};
use crate::event::{End, Evidence, Exit, Outcome};

/// Lines of text that may stand before the first record: what a client prints while it starts.
const PREAMBLE: u32 = 8;

#[derive(Default)]
pub struct Auto {
    text: Text,
    json: Option<Box<dyn Decoder>>,
    seen: u32,
    /// The input was a JSON format and then was not: with the end that it had by then.
    left: Option<Option<End>>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    hook_event_name: Option<String>,
    #[serde(default, alias = "sessionId", deserialize_with = "lenient")]
    session_id: Option<String>,
    #[serde(default, rename = "sessionID", deserialize_with = "lenient")]
    opencode: Option<String>,
}

impl Decoder for Auto {
    fn name(&self) -> &'static str {
        "text"
    }

    fn cap(&self) -> usize {
        if self.json.is_some() || self.seen < PREAMBLE { JSON_CAP } else { TEXT_CAP }
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let blank = line.trim_ascii().is_empty();
        let object = line.trim_ascii_start().first() == Some(&b'{');
        if self.json.is_none() && !blank && self.seen < PREAMBLE {
            self.seen += 1;
            if object {
                self.json = sniff(line);
            }
        }
        let Some(json) = &mut self.json else {
            self.text.line(line, sink);
            return;
        };
        if !object && !blank && self.left.is_none() && json.name() != "hook" {
            self.left = Some(json.end(None));
        }
        if object || json.name() == "hook" {
            if self.left.is_some() {
                sink.set_ceiling(Evidence::Pattern);
            }
            sink.set_format(json.name());
            json.line(line, sink);
        } else {
            sink.set_format(self.text.name());
            self.text.line(line, sink);
        }
    }

    fn block(&mut self, block: &[u8], sink: &mut Sink<'_>) -> Option<(u64, usize)> {
        match self.json {
            None if self.seen >= PREAMBLE => self.text.block(block, sink),
            _ => None,
        }
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        self.text.close(sink);
        if let Some(json) = &mut self.json {
            sink.set_format(json.name());
            json.close(sink);
        }
    }

    fn end(&self, exit: Option<Exit>) -> Option<End> {
        let Some(json) = &self.json else { return self.text.end(exit) };
        let Some(kept) = &self.left else { return json.end(exit) };
        let kept = kept.clone().filter(|end| end.evidence == Evidence::Protocol);
        let later = json.end(None).map(|mut end| {
            end.evidence = end.evidence.min(Evidence::Pattern);
            end
        });
        let later = later.filter(|end| end.outcome != Outcome::Unknown);
        // The strongest decides; among equals the later one.
        [later, self.text.end(exit), kept].into_iter().flatten().max_by_key(|end| end.evidence)
    }
}

/// Whether these first bytes are those of a program that draws on a terminal: they save the
/// cursor or set a mode. None: too few to tell.
pub fn is_screen(bytes: &[u8]) -> Option<bool> {
    const LONGEST: usize = 32;
    let sign = b"\x1b[?";
    if bytes.starts_with(b"\x1b7") {
        return Some(true);
    }
    let start = &bytes[..bytes.len().min(sign.len())];
    if bytes.is_empty() || start != &sign[..start.len()] {
        return (!bytes.is_empty()).then_some(false);
    }
    let rest = &bytes[start.len()..bytes.len().min(LONGEST)];
    match rest.iter().find(|c| !c.is_ascii_digit() && **c != b';') {
        Some(last) => Some(matches!(last, b'h' | b'l')),
        None => (bytes.len() >= LONGEST).then_some(false),
    }
}

/// The decoder of the format that this record belongs to.
fn sniff(line: &[u8]) -> Option<Box<dyn Decoder>> {
    let head: Head = parse(String::from_utf8_lossy(line).as_bytes())?;
    if head.hook_event_name.is_some() {
        return Some(Box::new(Hook::default()));
    }
    match head.kind.as_deref()? {
        "agent-turn-complete" => Some(Box::new(Hook::default())),
        "thread.started" | "turn.started" | "session_meta" => Some(Box::new(Codex::default())),
        "init" if head.session_id.is_some() => Some(Box::new(Gemini::default())),
        "step_start" | "error" if head.opencode.is_some() => Some(Box::new(Opencode::default())),
        // Both are how a transcript opens.
        "file-history-snapshot" | "summary" => Some(Box::new(Claude::default())),
        "system" | "assistant" | "user" | "result" | "progress" | "queue-operation"
        | "stream_event"
            if head.session_id.is_some() =>
        {
            Some(Box::new(Claude::default()))
        }
        _ => None,
    }
}
