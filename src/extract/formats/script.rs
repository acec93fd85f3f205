//! Typescripts of script(1): the bytes of a terminal between two lines of its own.
//!
//! util-linux writes `Script started on … [COMMAND="…" …]` and `Script done on …
//! [COMMAND_EXIT_CODE="1"]`, BSD `Command exit status: 1` before the latter.

use super::tty::Tty;
use crate::event::{Body, End, Exit};
use crate::extract::decoder::{Sink, lossy};

const STARTED: &[u8] = b"Script started";
const DONE: &[u8] = b"Script done";
const STATUS: &[u8] = b"Command exit status: ";
/// A line of its own is no longer.
const LONGEST: usize = 4096;

#[derive(Default)]
pub struct Script {
    tty: Tty,
    /// What may be one of its own lines, from the beginning of a line.
    held: Vec<u8>,
    /// Within a line that is none.
    within: bool,
    line: u64,
    offset: u64,
    /// A command was given, so that an exit is the command's.
    command: bool,
    exit: Option<i32>,
}

impl Script {
    /// Whether these first bytes are a typescript's; none where they are too few to tell.
    pub fn is_start(bytes: &[u8]) -> Option<bool> {
        let sign = b"Script started on ";
        let start = &bytes[..bytes.len().min(sign.len())];
        match start == &sign[..start.len()] {
            true => (start.len() == sign.len()).then_some(true),
            false => Some(false),
        }
    }

    pub fn push(&mut self, bytes: &[u8], sink: &mut Sink<'_>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let (line, length) = (&rest[..end.unwrap_or(rest.len())], rest.len());
            rest = &rest[end.map_or(length, |end| end + 1)..];
            if self.within {
                self.give(line, sink);
            } else {
                self.held.extend_from_slice(line);
                if !may_be_own(&self.held) || self.held.len() > LONGEST {
                    self.within = true;
                    let held = std::mem::take(&mut self.held);
                    self.give(&held, sink);
                }
            }
            if end.is_some() {
                self.end_line(sink);
            }
        }
    }

    fn end_line(&mut self, sink: &mut Sink<'_>) {
        let held = std::mem::take(&mut self.held);
        self.line += 1;
        if is_own(&held) {
            self.offset += held.len() as u64 + 1;
            self.own(&held, sink);
            self.tty.skip(self.line, self.offset);
        } else {
            self.give(&held, sink);
            self.give(b"\n", sink);
        }
        self.within = false;
    }

    fn give(&mut self, bytes: &[u8], sink: &mut Sink<'_>) {
        self.tty.push(bytes, sink);
        self.offset += bytes.len() as u64;
    }

    /// A line that script wrote.
    fn own(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let text = lossy(line);
        let text = text.trim();
        let value = |key: &str| {
            let rest = &text[text.find(key)? + key.len()..];
            rest.split('"').next().map(str::to_string)
        };
        if line.starts_with(STARTED) {
            let command = value("COMMAND=\"");
            self.command |= command.is_some();
            sink.set_place(self.line, 0);
            sink.put(Body::SessionStart { cwd: None, model: None });
        } else if line.starts_with(STATUS) {
            self.exit = text.rsplit(' ').next().and_then(|n| n.parse().ok());
            self.command = true;
        } else if line.starts_with(DONE) {
            self.exit = value("COMMAND_EXIT_CODE=\"").and_then(|n| n.parse().ok()).or(self.exit);
            let code = self.exit.map_or("unknown".into(), |code| code.to_string());
            sink.set_place(self.line, self.offset - line.len() as u64 - 1);
            sink.put(Body::SessionEnd { reason: Some(format!("exit status {code}")) });
        }
    }

    pub fn rest(&mut self, sink: &mut Sink<'_>) {
        self.tty.rest(sink);
    }

    pub fn close(&mut self, sink: &mut Sink<'_>) {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            if is_own(&held) {
                self.offset += held.len() as u64 + 1;
                self.line += 1;
                self.own(&held, sink);
            } else {
                self.give(&held, sink);
            }
        }
        self.tty.close(sink);
    }

    /// The exit of a command decides; that of a shell that was left only where it failed and
    /// nothing else is known.
    pub fn end(&self, exit: Option<Exit>) -> End {
        let said = self.tty.end(None);
        match (exit, self.exit) {
            (Some(exit), _) => self.tty.end(Some(exit)),
            (None, Some(0)) if !self.command || self.tty.is_painted() => said,
            (None, Some(code)) if !self.command && code > 127 => said,
            (None, Some(code)) => self.tty.end(Some(Exit::Code(code))),
            (None, None) => said,
        }
    }
}

fn may_be_own(line: &[u8]) -> bool {
    [STARTED, DONE, STATUS].iter().any(|own| {
        let n = line.len().min(own.len());
        line[..n] == own[..n]
    })
}

fn is_own(line: &[u8]) -> bool {
    [STARTED, DONE, STATUS].iter().any(|own| line.starts_with(own))
}
