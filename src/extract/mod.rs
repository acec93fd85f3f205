//! What a session said, as events: bytes in, events out, no clock and no I/O.

mod calls;
mod capture;
mod client;
mod clock;
mod decoder;
mod ending;
mod examples;
mod fence;
mod filter;
mod formats;
mod json;
mod limit;
mod line;
mod phrase;
mod plain;
mod prefix;
mod prompt;
mod render;
mod rules;
mod scan;
mod tail;
mod utf16;
mod walk;

use std::str::FromStr;

use memchr::memrchr;

use crate::event::{Body, Event, Exit};
use decoder::{Cap, Decoder, Place, Sink};
use formats::script::Script;
use formats::tty::Tty;
use line::Lines;
pub use rules::extend;
use utf16::Utf16;

/// How the input is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Auto,
    Text,
    Claude,
    Codex,
    Gemini,
    Opencode,
    Pi,
    Sweagent,
    Aider,
    Markdown,
    Hook,
    Tty,
    Script,
    Asciicast,
}

impl Format {
    pub const ALL: [Format; 14] = [
        Format::Auto,
        Format::Text,
        Format::Claude,
        Format::Codex,
        Format::Gemini,
        Format::Opencode,
        Format::Pi,
        Format::Sweagent,
        Format::Aider,
        Format::Markdown,
        Format::Hook,
        Format::Tty,
        Format::Script,
        Format::Asciicast,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::Text => "text",
            Format::Claude => "claude",
            Format::Codex => "codex",
            Format::Gemini => "gemini",
            Format::Opencode => "opencode",
            Format::Pi => "pi",
            Format::Sweagent => "sweagent",
            Format::Aider => "aider",
            Format::Markdown => "markdown",
            Format::Hook => "hook",
            Format::Tty => "tty",
            Format::Script => "script",
            Format::Asciicast => "asciicast",
        }
    }

    fn input(self) -> Input {
        let decoder: Box<dyn Decoder> = match self {
            Format::Auto => return Input::Unread(Vec::new()),
            Format::Tty => return Input::Tty(Box::default()),
            Format::Script => return Input::Script(Box::default()),
            Format::Text => Box::new(formats::text::Text::default()),
            Format::Claude => whole(formats::claude::Claude::default()),
            Format::Codex => Box::new(formats::codex::Codex::default()),
            Format::Gemini => whole(formats::gemini::Gemini::default()),
            Format::Opencode => whole(formats::opencode::Opencode::default()),
            Format::Pi => Box::new(formats::pi::Pi::default()),
            Format::Sweagent => whole(formats::text::Text::default()),
            Format::Aider => Box::new(formats::aider::Aider::default()),
            Format::Markdown => Box::new(formats::markdown::Markdown::default()),
            Format::Hook => Box::new(formats::hook::Hook::default()),
            Format::Asciicast => Box::new(formats::cast::Cast::default()),
        };
        Input::lines(decoder)
    }
}

/// For formats that also come as one JSON value.
fn whole(other: impl Decoder + 'static) -> Box<dyn Decoder> {
    Box::new(formats::whole::Whole::new(Box::new(other)))
}

impl FromStr for Format {
    type Err = String;

    fn from_str(s: &str) -> Result<Format, String> {
        Format::ALL.into_iter().find(|f| f.as_str() == s).ok_or_else(|| {
            let names = Format::ALL.map(Format::as_str).join(", ");
            format!("{s}: no such format ({names})")
        })
    }
}

/// Bytes that are worked on at once: they stay in the cache of a core.
const BLOCK: usize = 128 << 10;

enum Input {
    /// `auto`, and too little has come to tell lines from a screen.
    Unread(Vec<u8>),
    Lines(Lines, Box<dyn Decoder>),
    Tty(Box<Tty>),
    Script(Box<Script>),
}

impl Input {
    fn lines(decoder: Box<dyn Decoder>) -> Input {
        Input::Lines(Lines::new(Cap::of(decoder.as_ref())), decoder)
    }

    fn name(&self) -> &'static str {
        match self {
            Input::Unread(_) => "text",
            Input::Lines(_, decoder) => decoder.name(),
            Input::Tty(_) => "tty",
            Input::Script(_) => "script",
        }
    }
}

/// Reads one stream. Its events do not depend on how the stream is cut into pieces.
pub struct Extractor {
    utf16: Utf16,
    input: Input,
    seq: u64,
    place: Place,
}

impl Extractor {
    pub fn new(format: Format) -> Extractor {
        let input = format.input();
        Extractor { utf16: Utf16::default(), seq: 0, place: Place::start(input.name()), input }
    }

    /// Feeds bytes; what they make whole becomes events.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) {
        self.push_to(bytes, &mut |event| out.push(event));
    }

    /// Like `push`: each event is handed on at once, as a line may make any number of them.
    pub fn push_to(&mut self, bytes: &[u8], out: &mut dyn FnMut(Event)) {
        let bytes = self.utf16.read(bytes);
        self.take(&bytes, out);
    }

    fn take(&mut self, bytes: &[u8], out: &mut dyn FnMut(Event)) {
        let Extractor { input, seq, place, .. } = self;
        match input {
            Input::Unread(held) => {
                held.extend_from_slice(bytes);
                if let Some(input) = beginning(held) {
                    self.decide(input, out);
                }
            }
            Input::Tty(tty) => tty.push(bytes, &mut Sink::new(out, seq, place)),
            Input::Script(script) => script.push(bytes, &mut Sink::new(out, seq, place)),
            Input::Lines(lines, decoder) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    rest = &rest[feed(lines, decoder.as_mut(), rest, out, seq, place)..];
                }
            }
        }
    }

    /// To be called where the input rests: tells a prompt or a limit that stands open, once, as an
    /// event that the end of the input would have told.
    pub fn rest(&mut self, out: &mut dyn FnMut(Event)) {
        let Extractor { input, seq, place, .. } = self;
        if let Input::Lines(lines, _) = input {
            let at = if lines.is_between() { lines.last() } else { lines.next() };
            (place.line, place.offset) = at;
        }
        let mut sink = Sink::new(out, seq, place);
        sink.set_ts(None);
        match input {
            Input::Unread(_) => {}
            Input::Lines(lines, decoder) => decoder.rest(lines.partial(), &mut sink),
            Input::Tty(tty) => tty.rest(&mut sink),
            Input::Script(script) => script.rest(&mut sink),
        }
    }

    /// From here on events name the rule that made them.
    pub fn explain(&mut self) {
        self.place.explain = true;
    }

    /// Ends the input: the rest of a partial line, then exactly one `task_*` event as the last
    /// (none for `Format::Hook`). `exit` is how the process that wrote the input ended.
    pub fn finish(self, exit: Option<Exit>, out: &mut Vec<Event>) {
        self.finish_to(exit, &mut |event| out.push(event));
    }

    pub fn finish_to(mut self, exit: Option<Exit>, out: &mut dyn FnMut(Event)) {
        let rest = self.utf16.finish();
        self.take(&rest, out);
        if matches!(self.input, Input::Unread(_)) {
            self.decide(whole_auto(), out);
        }
        let Extractor { mut input, mut seq, mut place, .. } = self;
        if let Input::Lines(lines, _) = &input {
            (place.line, place.offset) = lines.last();
        }
        if let Input::Lines(lines, decoder) = &mut input
            && let Some(line) = lines.rest()
        {
            place = Place { line: line.number, offset: line.offset, ..place };
            decode(decoder.as_mut(), &line, &mut Sink::new(out, &mut seq, &mut place));
        }
        let mut sink = Sink::new(out, &mut seq, &mut place);
        sink.set_ts(None);
        let end = match &mut input {
            Input::Unread(_) => None,
            Input::Lines(_, decoder) => {
                decoder.close(&mut sink);
                decoder.end(exit)
            }
            Input::Tty(tty) => {
                tty.close(&mut sink);
                Some(tty.end(exit))
            }
            Input::Script(script) => {
                script.close(&mut sink);
                Some(script.end(exit))
            }
        };
        if let Some(end) = end {
            sink.set_rule(end.rule);
            sink.put(Body::task(end));
        }
    }

    fn decide(&mut self, next: Input, out: &mut dyn FnMut(Event)) {
        self.place.format = next.name();
        if let Input::Unread(held) = std::mem::replace(&mut self.input, next) {
            self.take(&held, out);
        }
    }
}

/// What `auto` makes of the first bytes; none where they are too few to tell.
fn beginning(bytes: &[u8]) -> Option<Input> {
    match (formats::auto::is_screen(bytes), Script::is_start(bytes)) {
        (Some(true), _) => Some(Input::Tty(Box::default())),
        (_, Some(true)) => Some(Input::Script(Box::default())),
        (Some(false), Some(false)) => Some(whole_auto()),
        _ => None,
    }
}

fn whole_auto() -> Input {
    Input::lines(whole(formats::auto::Auto::default()))
}

/// Hands a decoder its next block or line. Answers with the bytes taken, at least one.
fn feed(
    lines: &mut Lines,
    decoder: &mut dyn Decoder,
    bytes: &[u8],
    out: &mut dyn FnMut(Event),
    seq: &mut u64,
    place: &mut Place,
) -> usize {
    (place.line, place.offset) = lines.next();
    let block = &bytes[..bytes.len().min(BLOCK)];
    if lines.is_between()
        && let Some(end) = memrchr(b'\n', block)
    {
        let mut sink = Sink::new(out, seq, place);
        sink.set_ts(None);
        if let Some((number, length)) = decoder.block(&block[..=end], &mut sink) {
            lines.skip(number, &block[..length]);
            return length;
        }
    }
    lines.push(bytes, |line| {
        decode(decoder, &line, &mut Sink::new(out, seq, place));
        Cap::of(decoder)
    })
}

fn decode(decoder: &mut dyn Decoder, line: &line::Line<'_>, sink: &mut Sink<'_>) {
    sink.set_ts(None);
    if line.dropped > 0 {
        sink.put(Body::Truncated { dropped: line.dropped });
    }
    decoder.line(line.bytes, sink);
}
