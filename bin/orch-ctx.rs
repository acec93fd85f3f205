//! orch-ctx - the context of tmux panes

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use orch::cli::{self, Answer};
use orch::config::Config;
use orch::ctx::hooks::{self, Agent, Change};
use orch::ctx::{self, inspect, sync};
use orch::quote::Shell;
use orch::store::Store;
use orch::task::TaskId;
use orch::when;

/// The context of tmux panes: shown, taken in, adopted, verified, as shell code
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Print JSON Lines also on a terminal
    #[arg(long, global = true)]
    json: bool,
    /// The database
    #[arg(long, value_name = "FILE", global = true)]
    db: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Verb {
    /// Where panes are and what runs there, as read from tmux, the system and .git (the default)
    Show { session: Vec<String> },
    /// The same, into the database
    Sync,
    /// Let panes (%N) or tmux sessions be given tasks
    Adopt {
        #[arg(required = true)]
        target: Vec<String>,
        /// The provider whose tasks it prefers
        #[arg(long)]
        provider: Option<String>,
        /// Its name here
        #[arg(long)]
        name: Option<String>,
    },
    /// Never type into these sessions again
    Forget {
        #[arg(required = true)]
        session: Vec<String>,
    },
    /// Could the task's context be established (in that session)? Exit 1 and the reasons when not
    Verify { task: TaskId, session: Option<String> },
    /// Print code that puts a shell into the task's context: eval "$(orch-ctx shell ID --shell bash)"
    Shell {
        task: TaskId,
        /// bash, zsh, dash, or fish
        #[arg(long)]
        shell: Shell,
    },
    /// Why a live client is said to be in its state: the word of every source, and the one that won
    Explain {
        /// A pane (%N), its address, or its session's name
        #[arg(required_unless_present = "replay")]
        pane: Option<String>,
        /// Decide again upon what orch-ctx record kept
        #[arg(long, value_name = "FILE", conflicts_with = "pane")]
        replay: Option<PathBuf>,
    },
    /// Print the raw material of that decision as one JSON object
    Record { pane: String },
    /// The hooks by which an agent (claude, codex) tells what it does, as settings
    Hooks {
        agent: Agent,
        /// Put them into the agent's settings file
        #[arg(long, group = "change")]
        install: bool,
        /// Take them out of it
        #[arg(long, group = "change")]
        uninstall: bool,
        /// In place of the user's own settings file
        #[arg(long, value_name = "FILE", requires = "change")]
        file: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args) -> anyhow::Result<Answer> {
    let config = Config::load()?;
    let db = args.db.as_deref();
    let now = when::now();
    match args.verb.unwrap_or(Verb::Show { session: Vec::new() }) {
        Verb::Show { session } => {
            let store = Store::open_existing(db)?;
            let records = ctx::show(store.as_ref(), &config, &session)?;
            cli::print_records(
                &records,
                &["session", "pane", "adopted", "state", "working_dir", "git_branch", "why"],
                args.json,
            )?;
        }
        Verb::Sync => {
            let mut store = Store::open(db)?;
            sync::sync(&mut store, &config, sync::Which::All, now)?;
        }
        Verb::Adopt { target, provider, name } => {
            let mut store = Store::open(db)?;
            let slots = ctx::adopt(
                &mut store,
                &config,
                &target,
                provider.as_deref(),
                name.as_deref(),
                now,
            )?;
            print(&slots)?;
        }
        Verb::Forget { session } => {
            let mut store = Store::open_there(db)?;
            session.iter().try_for_each(|s| store.forget(s))?;
            print(&session)?;
        }
        Verb::Verify { task, session } => {
            let store = Store::open_there(db)?;
            let reasons =
                ctx::verify(&store, &config, &store.need_task(task)?, session.as_deref())?;
            print(&reasons)?;
            return Ok(if reasons.is_empty() { Answer::Yes } else { Answer::No });
        }
        Verb::Shell { task, shell } => {
            let store = Store::open_there(db)?;
            let code = ctx::shell_code(&store.need_task(task)?, shell)?;
            cli::print(code.as_bytes())?;
        }
        Verb::Explain { pane, replay } => {
            let material = match (&replay, &pane) {
                (Some(file), _) => inspect::replay(file)?,
                (None, Some(pane)) => inspect::material(&config, pane, now)?,
                (None, None) => anyhow::bail!("no pane"),
            };
            let verdict = inspect::explain(&config, &material)?;
            cli::print_records(
                &[verdict],
                &["provider", "state", "why", "by", "words"],
                args.json,
            )?;
        }
        Verb::Record { pane } => {
            let material = inspect::material(&config, &pane, now)?;
            cli::print(format!("{}\n", serde_json::to_string(&material)?).as_bytes())?;
        }
        Verb::Hooks { agent, install, uninstall, file } => {
            let change = match (install, uninstall) {
                (false, false) => {
                    cli::print(hooks::settings(agent)?.as_bytes())?;
                    return Ok(Answer::Yes);
                }
                (true, _) => Change::Install,
                (false, true) => Change::Uninstall,
            };
            print(&[hooks::change(agent, change, file.as_deref())?])?;
        }
    }
    Ok(Answer::Yes)
}

fn print(lines: &[String]) -> anyhow::Result<()> {
    let mut out = cli::stdout();
    for l in lines {
        writeln!(out, "{}", orch::clean::line(l))?;
    }
    out.flush()?;
    Ok(())
}
