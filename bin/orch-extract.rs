//! orch-extract - what a session said, as events

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;
use orch::cli::{self, Answer};
use orch::event::{Event, TYPES};
use orch::extract::{self, Extractor, Format};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Bytes asked for at once.
const BUFFER: usize = 256 << 10;
/// Input that has not gone on for so long rests: what stands open is told. Half of the time in which
/// an event is to follow its last byte.
const REST: Timespec = Timespec { tv_sec: 0, tv_nsec: 25_000_000 };

/// Read what a session printed and write it as events, one JSON object a line
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
struct Args {
    /// How the input is to be read: auto, text, claude, codex, gemini, opencode, pi, sweagent, aider, markdown, hook, tty, script, asciicast
    #[arg(long, default_value = "auto", hide_default_value = true)]
    format: Format,

    /// Write only events of these types
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',', value_parser = event_type)]
    only: Vec<String>,

    /// Rules of your own, which go before those of the house
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,

    /// Say which rule made each event
    #[arg(long)]
    explain: bool,
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args) -> anyhow::Result<Answer> {
    if let Some(path) = &args.rules {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        extract::extend(&text).map_err(|e| anyhow!("{}: {e}", path.display()))?;
    }
    let mut extractor = Extractor::new(args.format);
    if args.explain {
        extractor.explain();
    }
    let mut printer = Printer { only: args.only, text: Vec::new(), written: Ok(()) };
    let (mut input, mut buffer) = (io::stdin().lock(), vec![0; BUFFER]);
    loop {
        let n = match input.read(&mut buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e).context("stdin"),
        };
        if n == 0 {
            extractor.finish_to(None, &mut |event| printer.put(&event));
            printer.flush()?;
            return Ok(Answer::Yes);
        }
        extractor.push_to(&buffer[..n], &mut |event| printer.put(&event));
        printer.flush()?;
        if rests(&input) {
            extractor.rest(&mut |event| printer.put(&event));
            printer.flush()?;
        }
    }
}

/// Whether nothing more came for a while.
fn rests(input: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(input, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&REST)), Ok(0))
}

/// Writes events as they come, so that not even one line's are gathered.
struct Printer {
    only: Vec<String>,
    text: Vec<u8>,
    /// The first write that failed: nothing is written after it.
    written: io::Result<()>,
}

impl Printer {
    fn put(&mut self, event: &Event) {
        if self.only.is_empty() || self.only.iter().any(|t| t == event.body.kind()) {
            let mut writer = Serializer::with_formatter(&mut self.text, Escaped);
            // Nothing of an event fails to be JSON, and a Vec takes all.
            let written = event.serialize(&mut writer);
            debug_assert!(written.is_ok(), "{written:?}");
            self.text.push(b'\n');
        }
        if self.text.len() > BUFFER {
            self.write();
        }
    }

    fn write(&mut self) {
        if self.written.is_ok() {
            let mut out = io::stdout().lock();
            self.written = out.write_all(&self.text).and_then(|()| out.flush());
        }
        self.text.clear();
        self.text.shrink_to(2 * BUFFER);
    }

    /// All that one read gave is written before the next may block.
    fn flush(&mut self) -> anyhow::Result<()> {
        self.write();
        std::mem::replace(&mut self.written, Ok(())).context("stdout")
    }
}

/// Compact JSON in which DEL and the controls U+0080 to U+009F are escaped too: a terminal could take
/// them for commands.
struct Escaped;

impl Formatter for Escaped {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let is_odd = |c: char| matches!(c, '\u{7f}'..='\u{9f}');
        let mut rest = fragment;
        // The first byte of each is looked for, as most strings have neither.
        while let Some(at) = memchr::memchr2(0x7f, 0xc2, rest.as_bytes()) {
            let c = rest[at..].chars().next().unwrap_or_default();
            let (before, after) = (&rest[..at], &rest[at + c.len_utf8()..]);
            writer.write_all(before.as_bytes())?;
            match is_odd(c) {
                true => write!(writer, "\\u{:04x}", u32::from(c))?,
                false => write!(writer, "{c}")?,
            }
            rest = after;
        }
        writer.write_all(rest.as_bytes())
    }
}

fn event_type(name: &str) -> Result<String, String> {
    match TYPES.contains(&name) {
        true => Ok(name.to_string()),
        false => Err(format!("no such event type: {name}")),
    }
}
