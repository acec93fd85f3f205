//! The frame of every program: options, errors, exit codes, closed pipes, completions.

use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::store::Busy;

/// What a program answers, and so its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 0
    Yes,
    /// 1: nothing matched, nothing to do, the check says no.
    No,
    /// The exit code of a command that the program ran.
    Code(u8),
}

/// The answer is no, and the reason is worth a line: exit 1.
#[derive(Debug)]
pub struct Refused(pub String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// `--version`: the package's, and the SQLite that the program was built with.
pub fn version() -> String {
    format!("{} (SQLite {})", env!("CARGO_PKG_VERSION"), crate::store::sqlite_version())
}

/// Parses the options, runs, and turns what comes back into the exit code. The only place that decides one.
pub fn main<A: Parser>(run: impl FnOnce(A) -> anyhow::Result<Answer>) -> ExitCode {
    let command = A::command().version(version().leak() as &'static str);
    let name = command.get_name().to_owned();
    let argv: Vec<OsString> = std::env::args_os().collect();
    if let Some(shell) = completions_asked(&argv) {
        return complete(command, &name, shell);
    }
    let parsed = command.try_get_matches_from(argv).and_then(|m| A::from_arg_matches(&m));
    let args = match parsed {
        Ok(args) => args,
        Err(e) => {
            if e.use_stderr() {
                // what and why in one line; the rest of what clap says is in --help
                let text = e.to_string();
                let first =
                    text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
                let words: Vec<&str> = first.split_whitespace().collect();
                warn(&name, &format!("{} (see --help)", words.join(" ")));
                return ExitCode::from(2);
            }
            return match e.print() {
                Err(e) if e.kind() != io::ErrorKind::BrokenPipe => fail(&name, &e.into()),
                _ => ExitCode::SUCCESS,
            };
        }
    };
    match run(args) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Ok(Answer::Code(n)) => ExitCode::from(n),
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => fail(&name, &e),
    }
}

fn fail(name: &str, e: &anyhow::Error) -> ExitCode {
    warn(name, &format!("{e:#}"));
    ExitCode::from(match () {
        () if e.chain().any(|c| c.is::<Busy>()) => 75,
        () if e.is::<Refused>() => 1,
        () => 2,
    })
}

/// A warning on stderr, one line.
pub fn warn(program: &str, text: &str) {
    // stderr may be closed too: there is nobody left to tell
    let _ = writeln!(io::stderr(), "{program}: {}", crate::clean::line(text));
}

fn completions_asked(argv: &[OsString]) -> Option<String> {
    let (flag, shell) = (argv.get(1)?, argv.get(2)?);
    (flag == "--completions").then(|| shell.to_string_lossy().into_owned())
}

fn complete(mut command: clap::Command, name: &str, shell: String) -> ExitCode {
    let Ok(shell) = shell.parse::<clap_complete::Shell>() else {
        let _ = writeln!(
            io::stderr(),
            "{name}: --completions: no shell '{}': bash, zsh, or fish",
            crate::clean::line(&shell)
        );
        return ExitCode::from(2);
    };
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut out);
    match print(&out) {
        Err(e) if !is_broken_pipe(&e) => fail(name, &e),
        _ => ExitCode::SUCCESS,
    }
}

fn is_broken_pipe(e: &anyhow::Error) -> bool {
    e.chain().any(|c| {
        c.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Data on stdout, as it is.
pub fn print(data: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(data).and_then(|()| out.flush()).map_err(anyhow::Error::from)
}

/// Buffered stdout; to be flushed, or an error is lost.
pub fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// Prints records: JSON Lines in a pipe or when asked, else a table of `columns` (field names).
pub fn print_records(
    records: &[serde_json::Value],
    columns: &[&str],
    json: bool,
) -> anyhow::Result<()> {
    let mut out = stdout();
    if json || !io::stdout().is_terminal() {
        for r in records {
            writeln!(out, "{}", without_controls(&r.to_string()))?;
        }
    } else {
        table(&mut out, records, columns)?;
    }
    out.flush()?;
    Ok(())
}

/// JSON in which DEL and C1 are escaped too: a terminal may act on them.
fn without_controls(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}

/// An aligned table; every cell passes the sanitiser, long ones are cut at the terminal's width.
pub fn table(
    out: &mut impl Write,
    records: &[serde_json::Value],
    columns: &[&str],
) -> anyhow::Result<()> {
    let cell = |r: &serde_json::Value, c: &str| match &r[c] {
        serde_json::Value::Null => "-".to_owned(),
        serde_json::Value::String(s) => crate::clean::line(s),
        v => v.to_string(),
    };
    let rows: Vec<Vec<String>> =
        records.iter().map(|r| columns.iter().map(|c| cell(r, c)).collect()).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|i| {
            rows.iter()
                .map(|r| r[i].chars().count())
                .chain([columns[i].len()])
                .max()
                .unwrap_or(0)
                .min(60)
        })
        .collect();
    let mut line = |cells: &[String]| -> io::Result<()> {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let cut: String = if cell.chars().count() > *width {
                cell.chars().take(width - 1).chain(['…']).collect()
            } else {
                cell.clone()
            };
            text.push_str(&format!("{cut:<width$}  "));
        }
        writeln!(out, "{}", text.trim_end())
    };
    line(&columns.iter().map(|c| c.to_uppercase().replace('_', " ")).collect::<Vec<_>>())?;
    rows.iter().try_for_each(|r| line(r))?;
    Ok(())
}
