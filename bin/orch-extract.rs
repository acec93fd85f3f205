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
    let (mut input, mut events) = (io::stdin().lock(), Vec::new());
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = match input.read(&mut buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e).context("stdin"),
        };
        if n == 0 {
            extractor.finish(None, &mut events);
            print(&events, &args.only)?;
            return Ok(Answer::Yes);
        }
        extractor.push(&buffer[..n], &mut events);
        print(&events, &args.only)?;
        events.clear();
        if rests(&input) {
            extractor.rest(&mut events);
            print(&events, &args.only)?;
            events.clear();
        }
    }
}

/// Whether nothing more came for a while.
fn rests(input: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(input, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&REST)), Ok(0))
}

/// All that one read gave is written before the next may block.
fn print(events: &[Event], only: &[String]) -> anyhow::Result<()> {
    let mut text = Vec::new();
    for event in
        events.iter().filter(|e| only.is_empty() || only.iter().any(|t| t == e.body.kind()))
    {
        serde_json::to_writer(&mut text, event)?;
        text.push(b'\n');
    }
    let mut out = io::stdout().lock();
    out.write_all(&text).and_then(|()| out.flush()).context("stdout")
}

fn event_type(name: &str) -> Result<String, String> {
    match TYPES.contains(&name) {
        true => Ok(name.to_string()),
        false => Err(format!("no such event type: {name}")),
    }
}
