//! orch-wrap - run a command as an attempt of a task

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use orch::attempt::Name;
use orch::cli::{self, Answer};
use orch::config::Config;
use orch::extract::Format;
use orch::provider::{Answer as Source, Profile};
use orch::store::{Open, Start, Started, Store};
use orch::task::{NewTask, TaskId};
use orch::wrap::child::{self, Gate};
use orch::wrap::{self, Job};
use orch::{ctx, event, feedback, proc, quote, when};

/// Run a command as an attempt: its context, a terminal, its events, its exit code
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
struct Args {
    /// The assigned attempt (ID.N), or with a command the task (ID) to run it for
    #[arg(long, value_name = "ID[.N]")]
    task: Option<String>,
    /// Read what the command prints as this provider's
    #[arg(long)]
    provider: Option<String>,
    /// Read what the command prints as: text, claude, codex, gemini, opencode, pi
    #[arg(long, conflicts_with = "provider", value_parser = record)]
    format: Option<Format>,
    /// End it after this long: TERM, then KILL, the whole group
    #[arg(long, value_name = "DURATION", value_parser = when::duration)]
    timeout: Option<when::Ms>,
    /// Show a record as it is, not a rendering
    #[arg(long)]
    raw: bool,
    /// The database
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Become the command on this terminal (used by orch-wrap itself)
    #[arg(long, hide = true, value_name = "TTY")]
    lead: Option<PathBuf>,
    /// The command
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args) -> anyhow::Result<Answer> {
    if let Some(tty) = &args.lead {
        return Err(child::lead(tty, &args.command));
    }
    let gate = Gate::new()?;
    let config = Config::load()?;
    let mut store = Store::open(args.db.as_deref())?;
    let command = text(&args.command)?;
    if let Some(p) = &args.provider {
        config.profile(p)?;
    }
    let started = match (&args.task, command.is_empty()) {
        (Some(name), true) => assigned(&mut store, name)?,
        (_, false) => by_hand(&mut store, &args, &command)?,
        (None, true) => bail!("nothing to run: give --task ID.N, or -- COMMAND"),
    };
    let profile = match profile(&config, &args, &started) {
        Ok(p) => p,
        Err(e) => {
            feedback::refuse(
                &mut store,
                &config,
                &started.attempt,
                &started.task,
                &format!("{e:#}"),
            )?;
            return Err(e);
        }
    };
    let job = Job {
        profile: &profile,
        command: (!command.is_empty()).then_some(command),
        raw: args.raw,
        timeout: args.timeout.or(started.task.timeout),
    };
    let out = wrap::run(&mut store, &config, &started, &job, gate);
    if let Err(e) = feedback::chain(&store, started.attempt.session) {
        cli::warn(env!("CARGO_BIN_NAME"), &format!("the next task waits for cron: {e:#}"));
    }
    Ok(Answer::Code(out?.exit_code))
}

fn assigned(store: &mut Store, name: &str) -> anyhow::Result<Started> {
    let name: Name = name.parse().map_err(anyhow::Error::msg)?;
    match store.start(name, &proc::own(), when::now())? {
        Start::Begun(started) => Ok(*started),
        Start::Refused(why) => Err(cli::Refused(why).into()),
    }
}

fn by_hand(store: &mut Store, args: &Args, command: &[String]) -> anyhow::Result<Started> {
    let owner = proc::own();
    let session = ctx::own_session(store)?;
    let open = Open {
        session: session.as_ref().map(|s| s.id),
        incarnation: session.as_ref().map(|s| &s.incarnation),
        agent_session: None,
        owner: &owner,
        fed: false,
    };
    if let Some(id) = &args.task {
        let id: TaskId = id.parse().map_err(anyhow::Error::msg)?;
        return store.begin_by_hand(id, &open, when::now());
    }
    let task = NewTask {
        content: quote::line(command),
        provider: args.provider.clone().unwrap_or_else(|| "shell".into()),
        max_attempts: 1,
        accept: event::Evidence::Status,
        ..Default::default()
    };
    store.begin_new(&task, &open, when::now())
}

fn profile(config: &Config, args: &Args, started: &Started) -> anyhow::Result<Profile> {
    let mut profile = config.profile(args.provider.as_deref().unwrap_or(&started.task.provider))?;
    if let Some(format) = args.format {
        profile.format = format;
        profile.answer = Source::Message;
    }
    Ok(profile)
}

/// What a command can print; hooks print nothing, and a wrapped command's format is never guessed.
fn record(s: &str) -> Result<Format, String> {
    match s {
        "text" | "claude" | "codex" | "gemini" | "opencode" | "pi" => s.parse(),
        _ => Err("one of text, claude, codex, gemini, opencode, pi".to_owned()),
    }
}

fn text(command: &[OsString]) -> anyhow::Result<Vec<String>> {
    command
        .iter()
        .map(|w| w.to_str().map(str::to_owned).context("the command is not UTF-8"))
        .collect()
}
