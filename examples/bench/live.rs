//! From the last byte of what becomes an event to the event, in a pipe that stays open.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::{Bar, Bench, Row};

const EVENTS: usize = 50;
const BAR: Duration = Duration::from_millis(50);

/// A format, what is written for the n-th event, and what answers it.
type Kind = (&'static str, &'static str, fn(usize) -> String, &'static str);

const KINDS: [Kind; 4] = [
    ("a row of text", "text", |n| format!("a.c:{n}:1: error: no\n"), ""),
    (
        "a record of Codex",
        "codex",
        |_| {
            "{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"x\"}}\n"
                .into()
        },
        "",
    ),
    ("a row on a terminal", "tty", |n| format!("a.c:{n}:1: error: no\r\n"), ""),
    ("a prompt without a line end", "text", |n| format!("Overwrite {n}.txt? [y/N] "), "y\n"),
];

pub fn measure(bench: &Bench) -> anyhow::Result<(String, Vec<Row>)> {
    let mut rows = Vec::new();
    for (what, format, piece, answer) in KINDS {
        let mut child = Command::new(bench.programs.join("orch-extract"))
            .args(["--format", format])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("no stdin")?;
        let mut events = BufReader::new(child.stdout.take().context("no stdout")?);
        let mut times = Vec::new();
        for n in 1..=EVENTS {
            let begun = Instant::now();
            input.write_all(piece(n).as_bytes())?;
            events.read_line(&mut String::new())?;
            times.push(begun.elapsed());
            input.write_all(answer.as_bytes())?;
        }
        drop(input);
        child.wait()?;
        rows.push(Row::new(what, &mut times, None, Some(Bar::Time(BAR))));
    }
    Ok(("From the last byte to its event (`orch-extract`, a live pipe).".into(), rows))
}
