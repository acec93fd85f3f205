//! `--format auto`: decides from the first lines, and trusts less after it has left a format.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;

use super::{
    aider::Aider, cast::Cast, claude::Claude, codex::Codex, gemini::Gemini, hook::Hook, markdown,
    markdown::Markdown, opencode::Opencode, pi::Pi, text::Text, wrapped::Wrapped,
};
use crate::event::{Body, End, Evidence, Exit, Outcome};
use crate::extract::decoder::{Decoder, JSON_CAP, Sink, TEXT_CAP, lenient, lossy, parse};

/// Lines of text that may stand before the first record: what a client prints while it starts.
pub const PREAMBLE: u32 = 8;

/// Where a record of a client that starts may stand in a text that goes on.
static RECORD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n{\"type\":"));
/// The kinds of records that clients start with.
const OPENINGS: [&[u8]; 5] =
    [b"system\"", b"thread.started\"", b"init\"", b"step_start\"", b"session\""];

#[derive(Default)]
pub struct Auto {
    text: Text,
    found: Option<Found>,
    seen: u32,
    /// The input was a JSON format and then was not: with the end that it had by then.
    left: Option<Option<End>>,
    /// How the session before this one ended, with nothing between them.
    before: Option<End>,
    /// The format began after so much text that its records are no more than words.
    late: bool,
}

struct Found {
    decoder: Box<dyn Decoder>,
    /// Its records are objects, one a line; other lines are not its own.
    records: bool,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    subtype: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    cwd: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    hook_event_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    session_id: Option<String>,
    /// So a transcript spells it; a record may have both.
    #[serde(default, rename = "sessionId", deserialize_with = "lenient")]
    transcript_id: Option<String>,
    #[serde(default, rename = "sessionID", deserialize_with = "lenient")]
    opencode: Option<String>,
    /// An early rollout begins with these.
    #[serde(default, deserialize_with = "present")]
    instructions: bool,
    /// What early clients wrapped their messages in.
    #[serde(default, deserialize_with = "lenient")]
    msg: Option<Message>,
    /// What a record of Claude or Codex carries.
    #[serde(default, deserialize_with = "lenient")]
    message: Option<Spoken>,
    #[serde(default, deserialize_with = "present")]
    uuid: bool,
    #[serde(default, deserialize_with = "present")]
    payload: bool,
    #[serde(default, deserialize_with = "present")]
    item: bool,
    /// How Gemini heads a session that it keeps.
    #[serde(default, rename = "projectHash", deserialize_with = "present")]
    project: bool,
    // `go test -json`, `cargo --message-format=json`, the log of a container
    #[serde(default, rename = "Action", deserialize_with = "lenient")]
    action: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    reason: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    log: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    stream: Option<String>,
}

#[derive(Deserialize)]
struct Spoken {
    #[serde(default, deserialize_with = "lenient")]
    role: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
}

impl Head {
    fn has_session(&self) -> bool {
        self.session_id.is_some() || self.transcript_id.is_some()
    }
}

/// The key is there, whatever its value.
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(d).map(|_| true)
}

impl Decoder for Auto {
    fn name(&self) -> &'static str {
        "text"
    }

    fn cap(&self) -> usize {
        match &self.found {
            Some(found) => found.decoder.cap(),
            None if self.seen < PREAMBLE => JSON_CAP,
            None => TEXT_CAP,
        }
    }

    fn is_within(&self) -> bool {
        self.found.as_ref().is_some_and(|found| found.decoder.is_within())
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let blank = line.trim_ascii().is_empty();
        let object = line.trim_ascii_start().first() == Some(&b'{');
        if self.found.is_none() && !blank {
            self.look(line, object, sink);
        } else if may_open(line) {
            self.change(line, sink);
        }
        let Some(found) = &mut self.found else {
            // What looked like JSON was let in at length.
            let dropped = line.len().saturating_sub(TEXT_CAP);
            if dropped > 0 {
                sink.put(Body::Truncated { dropped: dropped as u64 });
            }
            self.text.line(&line[..line.len() - dropped], sink);
            return;
        };
        let decoder = &mut found.decoder;
        if self.late || self.left.is_some() {
            sink.set_ceiling(Evidence::Pattern);
        }
        if found.records && !object && !blank && self.left.is_none() {
            self.left = Some(decoder.end(None));
            sink.put(Body::Note { text: format!("no more {}: text from here on", decoder.name()) });
        }
        if object || !found.records {
            sink.set_format(decoder.name());
            decoder.line(line, sink);
        } else {
            sink.set_format(self.text.name());
            self.text.line(line, sink);
        }
    }

    fn block(&mut self, block: &[u8], sink: &mut Sink<'_>) -> Option<(u64, usize)> {
        if self.found.is_some() || self.seen < PREAMBLE {
            return None;
        }
        if may_open(block) {
            return None;
        }
        let opens = RECORD.find_iter(block).find(|at| may_open(&block[at + 1..]));
        self.text.block(&block[..opens.map_or(block.len(), |at| at + 1)], sink)
    }

    fn rest(&mut self, partial: &[u8], sink: &mut Sink<'_>) {
        match &mut self.found {
            Some(found) if !found.records => found.decoder.rest(partial, sink),
            Some(_) if self.left.is_none() => {}
            _ => self.text.rest(partial, sink),
        }
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        self.text.close(sink);
        if let Some(found) = &mut self.found {
            sink.set_format(found.decoder.name());
            if self.late || self.left.is_some() {
                sink.set_ceiling(Evidence::Pattern);
            }
            found.decoder.close(sink);
        }
    }

    fn end(&self, exit: Option<Exit>) -> Option<End> {
        let Some(found) = &self.found else { return self.text.end(exit) };
        let weak = |end: End| End { evidence: end.evidence.min(Evidence::Pattern), ..end };
        let said = |end: &End| end.outcome != Outcome::Unknown;
        let Some(kept) = &self.left else {
            let end = found.decoder.end(exit);
            if !self.late {
                return end.filter(said).or(self.before.clone()).or(found.decoder.end(exit));
            }
            // What stood before the records may be of any other program.
            let before = self.before.clone();
            return end.map(weak).filter(said).or(before).or(self.text.end(exit));
        };
        if self.late {
            let text = self.text.end(exit);
            return text.filter(said).or(found.decoder.end(None).map(weak));
        }
        let kept = kept.clone().filter(|end| end.evidence == Evidence::Protocol);
        let later = found.decoder.end(None).map(weak).filter(said);
        // The strongest decides; among equals the later one.
        [later, self.text.end(exit), kept].into_iter().flatten().max_by_key(|end| end.evidence)
    }
}

impl Auto {
    /// Looks for the beginning of a format: any within the first lines, later only what a client
    /// writes first.
    fn look(&mut self, line: &[u8], object: bool, sink: &mut Sink<'_>) {
        let first = self.seen < PREAMBLE;
        self.found = if first {
            self.seen += 1;
            sniff(line, object)
        } else if may_open(line) {
            self.late = true;
            opening(line)
        } else {
            None
        };
        self.late &= self.found.is_some();
        if let Some(found) = self.found.as_ref().filter(|_| !first || self.seen > 1) {
            let name = found.decoder.name();
            sink.put(Body::Note { text: format!("{name} from here on") });
        }
    }

    /// Another client starts where one was read: what this one told stands.
    fn change(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let Some(found) = &mut self.found else { return };
        let Some(next) = opening(line).filter(|n| n.decoder.name() != found.decoder.name()) else {
            return;
        };
        found.decoder.close(sink);
        let end = found.decoder.end(None).filter(|end| end.outcome != Outcome::Unknown);
        if self.left.is_none() {
            self.before = end.or(self.before.take());
        }
        // Words that look like records may stand in a format of text.
        self.late |= !found.records;
        sink.put(Body::Note { text: format!("{} from here on", next.decoder.name()) });
        *found = next;
    }
}

/// Whether this line, or the first of a block, may be a record that a client starts with.
fn may_open(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(&RECORD.needle()[1..]) else { return false };
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let Some(kind) = rest.strip_prefix(b"\"") else { return false };
    OPENINGS.iter().any(|opening| kind.starts_with(opening))
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

fn records(decoder: impl Decoder + 'static) -> Option<Found> {
    Some(Found { decoder: Box::new(decoder), records: true })
}

/// A format whose every line is its own.
fn lines(decoder: impl Decoder + 'static) -> Option<Found> {
    Some(Found { decoder: Box::new(decoder), records: false })
}

/// A record of some client, on however many lines.
pub fn is_record(text: &[u8]) -> bool {
    sniff(text, true).is_some()
}

/// The format that this line belongs to.
fn sniff(line: &[u8], object: bool) -> Option<Found> {
    let text = lossy(line);
    if !object {
        return match () {
            _ if Aider::is_head(&text) => lines(Aider::default()),
            _ if markdown::is_start(&text) => lines(Markdown::default()),
            _ => None,
        };
    }
    if Cast::is_head(&text) {
        return lines(Cast::default());
    }
    let head: Head = parse(&text)?;
    if head.hook_event_name.is_some() {
        return lines(Hook::default());
    }
    let compiler = matches!(
        head.reason.as_deref(),
        Some("compiler-artifact" | "compiler-message" | "build-script-executed")
    );
    if head.kind.is_none()
        && (compiler || head.action.is_some() || (head.log.is_some() && head.stream.is_some()))
    {
        return lines(Wrapped::default());
    }
    if head.kind.is_none() && head.project && head.has_session() {
        return records(Gemini::default());
    }
    if head.kind.is_none()
        && (head.instructions || head.msg.as_ref().is_some_and(|m| m.kind.is_some()))
    {
        return records(Codex::default());
    }
    match head.kind.as_deref()? {
        "agent-turn-complete" => lines(Hook::default()),
        "turn.started" | "session_meta" => records(Codex::default()),
        "event_msg" | "response_item" | "turn_context" if head.payload => records(Codex::default()),
        "item.started" | "item.completed" if head.item => records(Codex::default()),
        "error" | "text" | "tool_use" | "step_finish" if head.opencode.is_some() => {
            records(Opencode::default())
        }
        // without the session, as others pass them on
        "assistant" | "user"
            if head.uuid && head.message.as_ref().is_some_and(|m| m.role.is_some()) =>
        {
            records(Claude::default())
        }
        // Both are how a transcript opens.
        "file-history-snapshot" | "summary" => records(Claude::default()),
        "system" | "assistant" | "user" | "result" | "progress" | "queue-operation"
        | "stream_event" | "attachment" | "rate_limit_event"
            if head.has_session() =>
        {
            records(Claude::default())
        }
        _ => opened(&head),
    }
}

/// The client that starts with this record.
fn opening(line: &[u8]) -> Option<Found> {
    opened(&parse(&lossy(line))?)
}

fn opened(head: &Head) -> Option<Found> {
    let session = head.has_session();
    match head.kind.as_deref()? {
        "system" if session && head.subtype.as_deref() == Some("init") => {
            records(Claude::default())
        }
        "thread.started" => records(Codex::default()),
        "init" if session => records(Gemini::default()),
        "step_start" if head.opencode.is_some() => records(Opencode::default()),
        "session" if head.id.is_some() && head.cwd.is_some() => records(Pi::default()),
        _ => None,
    }
}
