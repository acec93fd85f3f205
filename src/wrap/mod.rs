//! Runs a command as an attempt: its context, a terminal, its events, its exit code.

pub mod child;
mod end;
mod printer;
mod script;
mod show;
mod work;

use serde_json::json;

use crate::config::Config;
use crate::ctx::establish;
use crate::extract::Format;
use crate::feedback::{self};
use crate::proc;
use crate::provider::{Content, Profile};
use crate::store::{OpenAttempt, Started, Store};
use crate::when;
use child::{Gate, Plan};
use script::Then;
use work::Work;

/// What to run.
#[derive(Debug)]
pub struct Job<'a> {
    pub profile: &'a Profile,
    /// `None`: as the profile says. Else this command instead.
    pub command: Option<Vec<String>>,
    /// Show the bytes of a record instead of a rendering.
    pub raw: bool,
    pub timeout: Option<when::Ms>,
}

/// How a job came out.
#[derive(Clone, Copy, Debug)]
pub struct Outcomes {
    pub exit_code: u8,
}

/// Runs an attempt that has begun to its end. `gate` comes from before the database was opened.
pub fn run(
    store: &mut Store,
    config: &Config,
    started: &Started,
    job: &Job,
    gate: Gate,
) -> anyhow::Result<Outcomes> {
    let (a, task) = (&started.attempt, &started.task);
    proc::stop_for_test("begun");
    let prepared = context(config, started);
    let environment = match prepared {
        Ok(e) => e,
        Err(why) => return context_failed(store, config, started, &why),
    };
    let agent_session = a.agent_session.clone().unwrap_or_default();
    let then = match (&job.command, job.profile.content) {
        (Some(argv), _) => Then::Exec(argv.clone()),
        (None, Content::Shell) => Then::Eval,
        (None, Content::Stdin) => {
            Then::Exec(job.profile.fill(&job.profile.command, &agent_session))
        }
    };
    let feeds = job.command.is_none() && job.profile.content == Content::Stdin;
    let mut env = environment.pairs;
    let [mark, db] = a.name.marks(store.path());
    for pair in [mark, db, format!("ORCH_TASK={}", task.id)] {
        if let Some((k, v)) = pair.split_once('=') {
            env.push((k.to_owned(), v.to_owned()));
        }
    }
    let plan = Plan {
        shell: &config.shell.0,
        then: then.clone(),
        env,
        context: &task.context,
        feeds_stdin: feeds,
        records: is_record(job.profile.format),
    };
    let running = match child::spawn(&plan, gate) {
        Ok(r) => r,
        Err(e) => return context_failed(store, config, started, &format!("{e:#}")),
    };
    proc::stop_for_test("spawned");
    let code = matches!(then, Then::Eval).then(|| task.content.clone());
    let body = json!({"provider": task.provider, "pid": running.child.id()});
    // a record of it; the task does not wait for a database that is busy
    let _ = store.note("start", Some(a), None, None, body, when::now());
    let mut work = Work::new(store, config, started, job, environment.secrets, running);
    work.start(feeds.then(|| job.profile.prompt(&task.content)))?;
    work.run(code)
}

fn context(config: &Config, started: &Started) -> Result<establish::Environment, String> {
    let environment = establish::environment(&started.task.context, config)?;
    establish::place(&started.task.context, config)?;
    Ok(environment)
}

fn is_record(format: Format) -> bool {
    !matches!(format, Format::Text)
}

/// How often an early refusal is tried to be written down; each try waits for the database by itself.
const TRIES: usize = 30;

fn context_failed(
    store: &mut Store,
    config: &Config,
    started: &Started,
    why: &str,
) -> anyhow::Result<Outcomes> {
    warn_of(&started.attempt, why);
    let mut tries = 1;
    while let Err(e) = feedback::refuse(store, config, &started.attempt, &started.task, why) {
        if tries == TRIES {
            return Err(e);
        }
        tries += 1;
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    Ok(Outcomes { exit_code: 1 })
}

fn warn_of(a: &OpenAttempt, why: &str) {
    crate::cli::warn("orch-wrap", &format!("attempt {}: context not established: {why}", a.name));
}
