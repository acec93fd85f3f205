//! Sessions that are one JSON value, on one line or on many; all else goes to another decoder.

use memchr::{memchr_iter, memmem, memrchr};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::claude::Claude;
use super::{auto, gemini_chat, opencode_export, sweagent};
use crate::event::{End, Exit};
use crate::extract::decoder::{Decoder, JSON_CAP, Sink, lenient, lossy, parse};
use crate::extract::json::{Nesting, Step};

/// Bytes of a value that are waited for.
const LONGEST: usize = 64 << 20;
/// By then a session shows one of its keys.
const EARLY: usize = 1 << 20;
const SIGNS: [&str; 9] = [
    "\"trajectory",
    "\"info\"",
    "\"messages\"",
    "\"projectHash\"",
    "\"response\"",
    "\"stats\"",
    "\"session_id\"",
    "\"role\"",
    "\"hook_event_name\"",
];

/// Holds back what begins like a JSON value until it is known to be a session or not.
pub struct Whole {
    other: Box<dyn Decoder>,
    state: State,
}

enum State {
    /// Nothing but blank lines so far, and so many of text.
    Start(u32),
    Held(Held),
    /// A session: what it says of its end.
    Read(&'static str, End),
    /// The other decoder has it.
    Other,
}

struct Held {
    bytes: Vec<u8>,
    nesting: Nesting,
    /// It may be a session.
    signed: bool,
    /// The line and the byte at which it begins.
    at: (u64, u64),
}

impl Held {
    fn may_be_session(&mut self) -> bool {
        let has = |sign: &&str| memmem::find(&self.bytes, sign.as_bytes()).is_some();
        self.signed = self.signed || self.bytes.len() > EARLY && SIGNS.iter().any(has);
        self.bytes.len() <= if self.signed { LONGEST } else { EARLY }
    }
}

/// The keys by which a session is known.
#[derive(Default, Deserialize)]
struct Keys<'a> {
    #[serde(borrow, default)]
    trajectory: Option<&'a RawValue>,
    #[serde(borrow, default)]
    trajectory_format: Option<&'a RawValue>,
    #[serde(borrow, default)]
    info: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "projectHash")]
    project: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stats: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    session_id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "hook_event_name")]
    hook: Option<&'a RawValue>,
}

impl Whole {
    pub fn new(other: Box<dyn Decoder>) -> Whole {
        Whole { other, state: State::Start(0) }
    }

    /// What was held back goes to the other decoder, from where it stood.
    fn give_up(&mut self, bytes: &[u8], mut at: (u64, u64), sink: &mut Sink<'_>) {
        self.state = State::Other;
        for row in bytes.split(|c| *c == b'\n') {
            sink.set_place(at.0, at.1);
            sink.set_format(self.other.name());
            self.other.line(row, sink);
            at = (at.0 + 1, at.1 + row.len() as u64 + 1);
        }
    }

    /// The value is all there.
    fn closed(&mut self, bytes: &[u8], at: (u64, u64), sink: &mut Sink<'_>) {
        let text = lossy(bytes);
        let mut rows = Rows::new(&text, at.0, at.1);
        sink.set_place(at.0, at.1);
        match read(&text, &mut rows, sink) {
            Some((name, end)) => self.state = State::Read(name, end),
            // one record, drawn out over lines
            None if text.trim().contains('\n') && auto::is_record(text.as_bytes()) => {
                self.state = State::Other;
                sink.set_format(self.other.name());
                self.other.line(bytes, sink);
            }
            None => self.give_up(bytes, at, sink),
        }
    }
}

impl Decoder for Whole {
    fn name(&self) -> &'static str {
        match &self.state {
            State::Read(name, _) => name,
            _ => self.other.name(),
        }
    }

    fn cap(&self) -> usize {
        match self.state {
            State::Start(_) | State::Held(_) => JSON_CAP,
            _ => self.other.cap(),
        }
    }

    fn is_within(&self) -> bool {
        match self.state {
            State::Held(_) => true,
            _ => self.other.is_within(),
        }
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        match &mut self.state {
            State::Other => return self.other.line(line, sink),
            State::Read(..) => return,
            State::Start(_) if line.trim_ascii().is_empty() => return self.other.line(line, sink),
            State::Start(lines) if !matches!(line.trim_ascii_start()[0], b'{' | b'[') => {
                *lines += 1;
                if *lines == auto::PREAMBLE {
                    self.state = State::Other;
                }
                return self.other.line(line, sink);
            }
            State::Start(_) => {
                let mut nesting = Nesting::default();
                let at = sink.at();
                match nesting.line(line) {
                    Step::Open => {}
                    Step::Closed => return self.closed(line, at, sink),
                    Step::Broken => return self.give_up(line, at, sink),
                }
                let held = Held { bytes: line.to_vec(), nesting, signed: false, at };
                self.state = State::Held(held);
                return;
            }
            State::Held(_) => {}
        }
        let State::Held(held) = &mut self.state else { return };
        held.bytes.push(b'\n');
        held.bytes.extend_from_slice(line);
        let step = held.nesting.line(line);
        if step == Step::Open && held.may_be_session() {
            return;
        }
        if let State::Held(held) = std::mem::replace(&mut self.state, State::Other) {
            match step {
                Step::Closed => self.closed(&held.bytes, held.at, sink),
                _ => self.give_up(&held.bytes, held.at, sink),
            }
        }
    }

    fn block(&mut self, block: &[u8], sink: &mut Sink<'_>) -> Option<(u64, usize)> {
        match self.state {
            State::Other => self.other.block(block, sink),
            _ => None,
        }
    }

    fn rest(&mut self, partial: &[u8], sink: &mut Sink<'_>) {
        if matches!(self.state, State::Start(_) | State::Other) {
            self.other.rest(partial, sink);
        }
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        if matches!(self.state, State::Read(..)) {
            return;
        }
        if let State::Held(held) = std::mem::replace(&mut self.state, State::Other) {
            self.give_up(&held.bytes, held.at, sink);
        }
        self.other.close(sink);
    }

    fn end(&self, exit: Option<Exit>) -> Option<End> {
        match &self.state {
            State::Read(_, end) => Some(end.clone()),
            _ => self.other.end(exit),
        }
    }
}

/// Where the parts of a value stand in the input.
pub struct Rows<'a> {
    text: &'a str,
    line: u64,
    offset: u64,
    /// How far the lines were counted.
    seen: usize,
    /// Where the row begins that was counted last.
    row: usize,
}

impl<'a> Rows<'a> {
    fn new(text: &'a str, line: u64, offset: u64) -> Rows<'a> {
        Rows { text, line, offset, seen: 0, row: 0 }
    }

    /// The events from here on come of this part, which stands behind those before it.
    pub fn at(&mut self, part: &RawValue, sink: &mut Sink<'_>) {
        let start = (part.get().as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let start = start.min(self.text.len());
        if start < self.seen {
            return;
        }
        let between = &self.text.as_bytes()[self.seen..start];
        self.line += memchr_iter(b'\n', between).count() as u64;
        if let Some(end) = memrchr(b'\n', between) {
            let row = self.seen + end + 1;
            self.offset += (row - self.row) as u64;
            self.row = row;
        }
        self.seen = start;
        sink.set_place(self.line, self.offset);
    }
}

type Reader = fn(&str, &mut Rows<'_>, &mut Sink<'_>) -> Option<End>;

/// Reads a session, if this is one: the name of its format, and its end.
fn read(text: &str, rows: &mut Rows<'_>, sink: &mut Sink<'_>) -> Option<(&'static str, End)> {
    if text.trim_start().starts_with('[') {
        return list(parse(text)?, rows, sink);
    }
    let keys: Keys<'_> = parse(text)?;
    let (name, reader): (_, Reader) = match keys {
        Keys { trajectory: Some(_), .. } | Keys { trajectory_format: Some(_), .. } => {
            ("sweagent", sweagent::read)
        }
        Keys { info: Some(_), messages: Some(_), .. } => ("opencode", opencode_export::read),
        Keys { project: Some(_), messages: Some(_), .. } => ("gemini", gemini_chat::session),
        Keys { stats: Some(_), response: Some(_), .. }
        | Keys { stats: Some(_), error: Some(_), .. }
        | Keys { session_id: Some(_), error: Some(_), kind: None, hook: None, .. } => {
            ("gemini", gemini_chat::answer)
        }
        _ => return None,
    };
    sink.set_format(name);
    Some((name, reader(text, rows, sink)?))
}

/// `claude -p --output-format json --verbose`, and the checkpoints of Gemini's `/chat save`.
fn list(
    parts: Vec<&RawValue>,
    rows: &mut Rows<'_>,
    sink: &mut Sink<'_>,
) -> Option<(&'static str, End)> {
    let head: Head = parse(parts.first()?.get())?;
    if head.kind.is_some() && head.session.is_some() {
        sink.set_format("claude");
        let mut claude = Claude::default();
        for part in parts {
            rows.at(part, sink);
            claude.line(part.get().as_bytes(), sink);
        }
        return Some(("claude", claude.end(None)?));
    }
    (head.role.is_some() && head.parts.is_some()).then(|| {
        sink.set_format("gemini");
        ("gemini", gemini_chat::checkpoint(parts, rows, sink))
    })
}

#[derive(Deserialize)]
struct Head {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, rename = "session_id", deserialize_with = "lenient")]
    session: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    role: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    parts: Option<Vec<serde::de::IgnoredAny>>,
}
