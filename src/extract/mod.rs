//! What a session said, as events: bytes in, events out, no clock and no I/O.

mod auto;
mod claude;
mod codex;
mod decoder;
mod ending;
mod fence;
mod gemini;
mod hook;
mod limit;
mod line;
mod opencode;
mod phrase;
mod render;
mod rollout;
mod rules;
mod scan;
mod text;

use std::str::FromStr;

use crate::event::{Body, Event, Exit};
use decoder::{Decoder, Place, Sink};
use line::Lines;

/// How the input is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Auto,
    Text,
    Claude,
    Codex,
    Gemini,
    Opencode,
    Hook,
}

impl Format {
    pub const ALL: [Format; 7] = [
        Format::Auto,
        Format::Text,
        Format::Claude,
        Format::Codex,
        Format::Gemini,
        Format::Opencode,
        Format::Hook,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::Text => "text",
            Format::Claude => "claude",
            Format::Codex => "codex",
            Format::Gemini => "gemini",
            Format::Opencode => "opencode",
            Format::Hook => "hook",
        }
    }

    fn decoder(self) -> Box<dyn Decoder> {
        match self {
            Format::Auto => Box::new(auto::Auto::default()),
            Format::Text => Box::new(text::Text::default()),
            Format::Claude => Box::new(claude::Claude::default()),
            Format::Codex => Box::new(codex::Codex::default()),
            Format::Gemini => Box::new(gemini::Gemini::default()),
            Format::Opencode => Box::new(opencode::Opencode::default()),
            Format::Hook => Box::new(hook::Hook::default()),
        }
    }
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

/// Reads one stream. Its events do not depend on how the stream is cut into pieces.
pub struct Extractor {
    lines: Lines,
    decoder: Box<dyn Decoder>,
    seq: u64,
    place: Place,
}

impl Extractor {
    pub fn new(format: Format) -> Extractor {
        let decoder = format.decoder();
        let place = Place::start(decoder.name());
        Extractor { lines: Lines::new(decoder.cap()), decoder, seq: 0, place }
    }

    /// Feeds bytes; complete lines become events.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) {
        let Extractor { lines, decoder, seq, place } = self;
        lines.push(bytes, |line| {
            *place = Place { line: line.number, offset: line.offset, ..place.clone() };
            decode(decoder.as_mut(), &line, &mut Sink::new(out, seq, place));
            decoder.cap()
        });
    }

    /// Ends the input: the rest of a partial line, then exactly one `task_*` event as the last
    /// (none for `Format::Hook`). `exit` is how the process that wrote the input ended.
    pub fn finish(mut self, exit: Option<Exit>, out: &mut Vec<Event>) {
        if let Some(line) = self.lines.rest() {
            self.place = Place { line: line.number, offset: line.offset, ..self.place };
            decode(
                self.decoder.as_mut(),
                &line,
                &mut Sink::new(out, &mut self.seq, &mut self.place),
            );
        }
        let mut sink = Sink::new(out, &mut self.seq, &mut self.place);
        sink.set_ts(None);
        self.decoder.close(&mut sink);
        if let Some(end) = self.decoder.end(exit) {
            sink.put(Body::task(end));
        }
    }
}

fn decode(decoder: &mut dyn Decoder, line: &line::Line<'_>, sink: &mut Sink<'_>) {
    sink.set_ts(None);
    if line.dropped > 0 {
        sink.put(Body::Truncated { dropped: line.dropped });
    }
    decoder.line(line.bytes, sink);
}
