//! orch-ctl - change the state of tasks and sessions

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use orch::agent::menu::Menu;
use orch::cli::{self, Answer};
use orch::config::Config;
use orch::ctl::{self, Word};
use orch::ctx::answer::{self, Reply};
use orch::doctor;
use orch::store::Store;
use orch::task::TaskId;
use orch::{clean, when};

/// A person's word on tasks and sessions
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// The database
    #[arg(long, value_name = "FILE", global = true)]
    db: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Verb {
    /// End tasks; what runs is interrupted
    Cancel(Ids),
    /// Put tasks that ended, wait, or are unknown back on the queue, with all their attempts
    Retry(Ids),
    /// Say that tasks are done
    Complete(Ids),
    /// Say that tasks have failed
    Fail(Ids),
    /// Keep queued tasks off the queue
    Hold(Ids),
    /// Put held tasks back on the queue
    Release(Ids),
    /// Bind queued or held tasks to another session
    Reassign {
        #[command(flatten)]
        ids: Ids,
        /// The session; without it any
        #[arg(long, value_name = "NAME")]
        session: Option<String>,
    },
    /// Change the priority of tasks
    Priority {
        #[command(flatten)]
        ids: Ids,
        /// Higher comes first
        #[arg(short = 'n', long = "to", value_name = "N", allow_negative_numbers = true)]
        to: i64,
    },
    /// Give sessions nothing more; what runs goes on
    Pause {
        #[arg(required = true)]
        session: Vec<String>,
        /// Shown beside it
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
    /// Give paused sessions tasks again
    Resume {
        #[arg(required = true)]
        session: Vec<String>,
    },
    /// Answer what a live client asks; without a reply, print that
    Answer {
        session: String,
        /// yes, no, or the number of an option
        reply: Option<Reply>,
        /// The question that is meant, as it was printed: refused when it asks something else by then
        #[arg(long, value_name = "ID", requires = "reply")]
        asked: Option<String>,
    },
    /// What is missing for cron or a shell to work here; exit 1 when something is
    Doctor {
        /// Print JSON Lines also on a terminal
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
struct Ids {
    #[arg(required = true, value_name = "ID")]
    id: Vec<TaskId>,
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args) -> anyhow::Result<Answer> {
    let now = when::now();
    let db = args.db.as_deref();
    if let Verb::Doctor { json } = args.verb {
        let checks = doctor::examine(db, now)?;
        cli::print_records(&checks, &["check", "ok", "found", "remedy"], json)?;
        return Ok(if checks.iter().all(|c| c["ok"] == true) { Answer::Yes } else { Answer::No });
    }
    let mut store = Store::open_there(db)?;
    let mut each = |ids: Ids, word: Word| -> anyhow::Result<Vec<String>> {
        ctl::tell(&mut store, &ids.id, &word, now)?;
        Ok(ids.id.iter().map(ToString::to_string).collect())
    };
    let told = match args.verb {
        Verb::Cancel(ids) => each(ids, Word::Cancel)?,
        Verb::Retry(ids) => each(ids, Word::Retry)?,
        Verb::Complete(ids) => each(ids, Word::Complete)?,
        Verb::Fail(ids) => each(ids, Word::Fail)?,
        Verb::Hold(ids) => each(ids, Word::Hold)?,
        Verb::Release(ids) => each(ids, Word::Release)?,
        Verb::Reassign { ids, session } => each(ids, Word::Reassign(session))?,
        Verb::Priority { ids, to } => each(ids, Word::Priority(to))?,
        Verb::Pause { session, reason } => {
            session.iter().try_for_each(|s| store.pause(s, Some(&reason)))?;
            session
        }
        Verb::Resume { session } => {
            session.iter().try_for_each(|s| store.pause(s, None))?;
            session
        }
        Verb::Answer { session, reply: None, .. } => {
            let asked = answer::asked(&Config::load()?, &store.need_session(&session)?)?;
            cli::print_records(&[asked], &["session", "asked", "question", "options"], false)?;
            Vec::new()
        }
        Verb::Answer { session, reply: Some(reply), asked } => {
            let session = store.need_session(&session)?;
            let meant = |m: &Menu| asked.as_ref().is_none_or(|id| m.id() == *id);
            vec![clean::line(&answer::answer(&Config::load()?, &session, &reply, &meant)?)]
        }
        Verb::Doctor { .. } => Vec::new(),
    };
    let mut out = cli::stdout();
    told.iter().try_for_each(|t| writeln!(out, "{t}"))?;
    out.flush()?;
    Ok(Answer::Yes)
}
