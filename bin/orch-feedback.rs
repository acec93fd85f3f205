//! orch-feedback - what events mean for a task

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use orch::cli::{self, Answer};
use orch::config::Config;
use orch::event::{Evidence, Outcome};
use orch::feedback::{self, Address};
use orch::store::Store;
use orch::task::TaskId;
use orch::{proc, when};

/// Read events and move the task that they are about
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
struct Args {
    /// The task; without it the attempt that this runs inside of, or that of the tmux pane
    #[arg(long, value_name = "ID")]
    task: Option<TaskId>,
    /// This attempt of the task, and no other
    #[arg(long, value_name = "N", requires = "task")]
    attempt: Option<i64>,
    /// The weakest evidence that ends the task: none, pattern, summary, sentinel, status, exit, protocol
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    accept: Option<Evidence>,
    /// Standard input is what an agent gives its hooks
    #[arg(long, value_name = "AGENT", conflicts_with_all = ["task", "accept", "tee"])]
    hook: Option<Agent>,
    /// Watch a live client's pane until the attempt is over, as orch-assign has it done
    #[arg(long, hide = true, requires = "attempt")]
    watch: bool,
    /// Pass the lines on
    #[arg(long)]
    tee: bool,
    /// The database
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Agent {
    Claude,
    Codex,
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args) -> anyhow::Result<Answer> {
    if args.hook.is_some() {
        // exit 2 would be a veto: whatever is wrong here, no agent is stopped by it
        return hook(args.db.as_deref()).map_err(|e| cli::Refused(format!("{e:#}")).into());
    }
    if args.watch {
        // whoever has it started may be in a terminal that is closed
        proc::lead_session();
    }
    let config = Config::load()?;
    let mut store = Store::open(args.db.as_deref())?;
    let bound = feedback::bind(&mut store, &Address { task: args.task, attempt: args.attempt })?;
    let mut out = io::stdout();
    let tee = args.tee.then_some(&mut out as &mut dyn io::Write);
    let fed =
        feedback::feed(&mut store, &config, &bound, args.watch, args.accept, io::stdin(), tee)?;
    if let Some(why) = bound.refused {
        cli::warn(env!("CARGO_BIN_NAME"), &format!("refused: {why}"));
        return Ok(Answer::No);
    }
    if let [first, ..] = fed.bad[..] {
        bail!(
            "standard input: line {first} is no event ({} such lines): pipe it through orch-extract",
            fed.bad.len()
        );
    }
    Ok(match fed.outcome {
        Some(Outcome::Complete) | None => Answer::Yes,
        Some(_) => Answer::No,
    })
}

fn hook(db: Option<&Path>) -> anyhow::Result<Answer> {
    let mut input = Vec::new();
    io::stdin().lock().read_to_end(&mut input).context("standard input")?;
    // agents that nobody queued anything for call it too: no database is made for them
    if let Some(mut store) = Store::open_existing(db)?
        && let Some(attempt) = feedback::hook(&mut store, &input)?
    {
        feedback::follow(&mut store, &Config::load()?, &attempt, false, when::now())?;
    }
    Ok(Answer::Yes)
}

fn level(s: &str) -> Result<Evidence, String> {
    Evidence::parse(s)
        .ok_or_else(|| "one of none, pattern, summary, sentinel, status, exit, protocol".to_owned())
}
