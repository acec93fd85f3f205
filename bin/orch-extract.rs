//! orch-extract - what a session said, as events

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;
use orch::cli::{self, Answer};
use orch::event::{Event, TYPES};
use orch::extract::{self, Extractor, Format};

/// Bytes asked for at once.
const BUFFER: usize = 256 << 10;

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
    }
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
            // Nothing of an event fails to be JSON.
            let json = serde_json::to_string(event).unwrap_or_default();
            self.text.extend_from_slice(cli::without_controls(&json).as_bytes());
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

fn event_type(name: &str) -> Result<String, String> {
    match TYPES.contains(&name) {
        true => Ok(name.to_string()),
        false => Err(format!("no such event type: {name}")),
    }
}
