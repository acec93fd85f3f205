//! The frame of every program: errors, exit codes, the closed pipe, completions.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

/// What a program answers; an error is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
}

pub fn main<A: Parser>(run: impl FnOnce(A) -> anyhow::Result<Answer>) -> ExitCode {
    let command = A::command().version(version());
    let parsed = command.try_get_matches().and_then(|m| A::from_arg_matches(&m));
    let args = match parsed {
        Ok(args) => args,
        Err(e) => {
            let code = if e.use_stderr() { 2 } else { 0 };
            return match e.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::from(if code == 0 { 0 } else { 2 }),
            };
        }
    };
    match run(args) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(e) if closed_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            let name = A::command().get_name().to_string();
            // Nothing is left to tell when stderr is gone too.
            let _ = writeln!(io::stderr(), "{name}: {e:#}");
            ExitCode::from(2)
        }
    }
}

pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

fn closed_pipe(e: &anyhow::Error) -> bool {
    e.chain()
        .filter_map(|c| c.downcast_ref::<io::Error>())
        .any(|c| c.kind() == io::ErrorKind::BrokenPipe)
}
