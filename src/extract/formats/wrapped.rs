//! Output that stands line by line within JSON: `go test -json`, `cargo --message-format=json`,
//! the log files of containers. It is read as the text that it is.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::text::Text;
use crate::event::{End, Exit};
use crate::extract::decoder::{Decoder, Sink, lenient, lossy, parse};

/// Streams whose last line is not whole, and how much of it is kept; beyond that it counts as whole.
const OPEN_STREAMS: usize = 64;
const OPEN_LENGTH: usize = 64 << 10;

#[derive(Default)]
pub struct Wrapped {
    text: Text,
    /// By package and test, or stream: what of their last line has come.
    open: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default, rename = "Package", deserialize_with = "lenient")]
    package: Option<String>,
    #[serde(default, rename = "ImportPath", deserialize_with = "lenient")]
    import: Option<String>,
    #[serde(default, rename = "Test", deserialize_with = "lenient")]
    test: Option<String>,
    #[serde(default, rename = "Output", deserialize_with = "lenient")]
    output: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<Message>,
    #[serde(default, deserialize_with = "lenient")]
    stream: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    log: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default, deserialize_with = "lenient")]
    rendered: Option<String>,
}

impl Decoder for Wrapped {
    fn name(&self) -> &'static str {
        "text"
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let Some(record) = parse::<Record>(&lossy(line)) else { return self.text.line(line, sink) };
        if let Some(rendered) = record.message.and_then(|m| m.rendered) {
            return rendered.lines().for_each(|row| self.text.line(row.as_bytes(), sink));
        }
        let key = [record.package, record.import, record.test, record.stream];
        let key: Vec<String> = key.into_iter().flatten().collect();
        if let Some(words) = record.output.or(record.log) {
            self.told(key.join(" "), words, sink);
        }
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        for row in std::mem::take(&mut self.open).into_values() {
            self.text.line(row.as_bytes(), sink);
        }
        self.text.close(sink);
    }

    fn end(&self, exit: Option<Exit>) -> Option<End> {
        self.text.end(exit)
    }
}

impl Wrapped {
    fn told(&mut self, key: String, words: String, sink: &mut Sink<'_>) {
        let mut text = self.open.remove(&key).unwrap_or_default() + &words;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        for row in text[..whole].lines() {
            self.text.line(row.as_bytes(), sink);
        }
        text.drain(..whole);
        if text.len() > OPEN_LENGTH || self.open.len() >= OPEN_STREAMS {
            self.text.line(text.as_bytes(), sink);
        } else if !text.is_empty() {
            self.open.insert(key, text);
        }
    }
}
