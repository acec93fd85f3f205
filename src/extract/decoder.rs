//! What a decoder of one input format is, and where it puts its events.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::event::{Body, End, Event, Evidence, Exit, Source, VERSION};

/// Longest line of text, and of JSON, that is kept.
pub const TEXT_CAP: usize = 1 << 20;
pub const JSON_CAP: usize = 16 << 20;

/// How much of a line is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// It is text, whatever it looks like.
    Text,
    /// One that begins like a JSON object or array may be long.
    Json,
    /// It stands within a JSON value.
    Value,
}

impl Cap {
    pub fn of(decoder: &dyn Decoder) -> Cap {
        match decoder.cap() {
            TEXT_CAP => Cap::Text,
            _ if decoder.is_within() => Cap::Value,
            _ => Cap::Json,
        }
    }

    /// In bytes, of a line that begins like this.
    pub fn bytes(self, start: &[u8]) -> usize {
        let start = &start[..start.len().min(TEXT_CAP)];
        let first = || start.iter().find(|c| !c.is_ascii_whitespace());
        match self {
            Cap::Value => JSON_CAP,
            Cap::Json if matches!(first(), Some(b'{' | b'[')) => JSON_CAP,
            _ => TEXT_CAP,
        }
    }
}

pub trait Decoder {
    /// The name that `source.format` carries.
    fn name(&self) -> &'static str;

    /// Longest line that this decoder wants, from now on.
    fn cap(&self) -> usize {
        JSON_CAP
    }

    /// A JSON value that began on an earlier line goes on.
    fn is_within(&self) -> bool {
        false
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>);

    /// Reads lines that are whole, newlines included, as `line` would; the sink stands at the
    /// first. Answers with the lines and bytes taken. None: `line` is to have the first.
    fn block(&mut self, _block: &[u8], _sink: &mut Sink<'_>) -> Option<(u64, usize)> {
        None
    }

    /// No more has come for a while, and `partial` is the line that lacks its newline: tells what
    /// stands open. What is told so is not told again.
    fn rest(&mut self, _partial: &[u8], _sink: &mut Sink<'_>) {}

    /// Events that only the end of the input settles.
    fn close(&mut self, _sink: &mut Sink<'_>) {}

    /// How the input ended, were this its end. None: this format has no end of a task.
    fn end(&self, exit: Option<Exit>) -> Option<End>;
}

/// Where in the input an event stands, and whose it is.
#[derive(Clone, Debug)]
pub struct Place {
    pub format: &'static str,
    pub line: u64,
    pub offset: u64,
    /// The rule that reads this row, where that is to be told.
    pub rule: Option<&'static str>,
    pub explain: bool,
    pub session: Option<String>,
    pub ts: Option<String>,
}

impl Place {
    pub fn start(format: &'static str) -> Place {
        Place { format, line: 0, offset: 0, rule: None, explain: false, session: None, ts: None }
    }
}

/// Takes events and numbers them.
pub struct Sink<'a> {
    out: &'a mut dyn FnMut(Event),
    seq: &'a mut u64,
    place: &'a mut Place,
    ceiling: Evidence,
}

impl<'a> Sink<'a> {
    pub fn new(out: &'a mut dyn FnMut(Event), seq: &'a mut u64, place: &'a mut Place) -> Sink<'a> {
        Sink { out, seq, place, ceiling: Evidence::Protocol }
    }

    /// Answers with the event's `seq`.
    pub fn put(&mut self, body: Body) -> u64 {
        let place = self.place.clone();
        self.put_at(&place, body)
    }

    /// Like `put`, for what was read earlier.
    pub fn put_at(&mut self, place: &Place, mut body: Body) -> u64 {
        if let Body::TurnEnd(end) = &mut body {
            end.evidence = end.evidence.min(self.ceiling);
        }
        *self.seq += 1;
        (self.out)(Event {
            v: VERSION,
            body,
            seq: *self.seq,
            source: Source {
                format: place.format.to_string(),
                line: place.line,
                offset: place.offset,
                rule: place.rule.map(str::to_string),
            },
            session_id: place.session.clone(),
            ts: place.ts.clone(),
        });
        *self.seq
    }

    /// Line and byte.
    pub fn at(&self) -> (u64, u64) {
        (self.place.line, self.place.offset)
    }

    pub fn place(&self) -> Place {
        self.place.clone()
    }

    pub fn set_session(&mut self, id: &str) {
        if self.place.session.as_deref() != Some(id) {
            self.place.session = Some(id.to_string());
        }
    }

    pub fn set_ts(&mut self, ts: Option<String>) {
        self.place.ts = ts;
    }

    pub fn set_rule(&mut self, rule: Option<&'static str>) {
        self.place.rule = rule.filter(|_| self.place.explain);
    }

    pub fn set_place(&mut self, line: u64, offset: u64) {
        self.place.line = line;
        self.place.offset = offset;
    }

    pub fn set_format(&mut self, format: &'static str) {
        self.place.format = format;
    }

    /// From here on, ends rest on no more than this.
    pub fn set_ceiling(&mut self, ceiling: Evidence) {
        self.ceiling = ceiling;
    }
}

/// The text of these bytes; what is no UTF-8 is replaced. `from_utf8_lossy` alone goes byte by byte.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// JSON of this type, if the text is that.
pub fn parse<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// An optional field of any type: what is not a `T` is read as absent, so that one odd field
/// does not lose the record.
pub fn lenient<'de, D, T>(d: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let raw: &RawValue = serde::Deserialize::deserialize(d)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// A field that is always there: what is missing or odd is read as its type's default.
pub fn loose<'de, D, T>(d: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned + Default,
{
    Ok(lenient(d)?.unwrap_or_default())
}
