//! orch-ls - list tasks, sessions, attempts, and events

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use orch::cli::{self, Answer};
use orch::explain;
use orch::session::CONDITIONS;
use orch::store::{self, EventFilter, Store, TaskFilter};
use orch::task::TaskId;
use orch::when;
use serde_json::Value;

/// List what is on the queue, who works, and what was said
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
struct Args {
    /// tasks (the default), sessions, attempts, or events; then ids, or names of sessions
    #[arg(value_name = "KIND|ID")]
    what: Vec<String>,
    /// Only those in these states
    #[arg(long, value_name = "S,…", value_delimiter = ',')]
    state: Vec<String>,
    /// Only those of this provider
    #[arg(long)]
    provider: Option<String>,
    /// Only those that changed since: RFC 3339, HH:MM, or a duration ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Events: go on with those to come
    #[arg(long)]
    follow: bool,
    /// These fields
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// The final message of a task, as it is
    #[arg(long, value_name = "ID", conflicts_with_all = ["what", "why", "schema"])]
    answer: Option<TaskId>,
    /// Why a task is in the state that it is in
    #[arg(long, value_name = "ID", conflicts_with_all = ["what", "schema"])]
    why: Option<TaskId>,
    /// The database's tables, with a comment on every column
    #[arg(long)]
    schema: bool,
    /// Print JSON Lines also on a terminal
    #[arg(long)]
    json: bool,
    /// The database
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args) -> anyhow::Result<Answer> {
    if args.schema {
        cli::print(store::schema().as_bytes())?;
        return Ok(Answer::Yes);
    }
    let store = Store::open_there(args.db.as_deref())?;
    if let Some(id) = args.answer {
        store.need_task(id)?;
        let Some(answer) = store.answer(id)? else { return Ok(Answer::No) };
        let shown =
            if std::io::stdout().is_terminal() { orch::clean::text(&answer) } else { answer };
        cli::print(shown.as_bytes())?;
        return Ok(Answer::Yes);
    }
    if let Some(id) = args.why {
        let lines = explain::why(&store, id, when::now())?;
        let mut out = cli::stdout();
        lines.iter().try_for_each(|l| writeln!(out, "{}", orch::clean::line(l)))?;
        out.flush()?;
        return Ok(Answer::Yes);
    }
    list(&store, &args)
}

fn list(store: &Store, args: &Args) -> anyhow::Result<Answer> {
    let kinds = ["tasks", "sessions", "attempts", "events"];
    let (kind, rest) = match args.what.split_first() {
        Some((k, rest)) if kinds.contains(&k.as_str()) => (k.as_str(), rest),
        _ => ("tasks", &args.what[..]),
    };
    let since = args.since.as_deref().map(|s| when::since(s, when::now())).transpose()?;
    if args.follow && kind != "events" {
        bail!("--follow: only of events");
    }
    let unused = match kind {
        "events" => [("--state", !args.state.is_empty()), ("--provider", args.provider.is_some())],
        "sessions" => [("--since", since.is_some()), ("--provider", args.provider.is_some())],
        _ => [("", false); 2],
    };
    if let Some((option, _)) = unused.iter().find(|(_, given)| *given) {
        bail!("{option}: not of {kind}");
    }
    if kind == "sessions" {
        if let Some(s) = args.state.iter().find(|s| !CONDITIONS.contains(&s.as_str())) {
            bail!("--state: no state '{s}': one of {}", CONDITIONS.join(", "));
        }
        let names = rest.to_vec();
        return show(
            &store.list_sessions(&names, &args.state)?,
            args,
            &["name", "state", "provider", "working_dir", "git_branch", "task", "why"],
        );
    }
    let ids = rest
        .iter()
        .map(|s| s.parse::<TaskId>().map(|t| t.0).map_err(anyhow::Error::msg))
        .collect::<Result<Vec<_>, _>>()?;
    let filter = TaskFilter {
        ids: ids.clone(),
        states: args.state.clone(),
        provider: args.provider.clone(),
        since,
    };
    match kind {
        "tasks" => {
            states::<orch::task::State>(args)?;
            show(
                &store.list_tasks(&filter)?,
                args,
                &[
                    "id", "state", "provider", "priority", "ran_in", "attempts", "evidence",
                    "content", "reason",
                ],
            )
        }
        "attempts" => {
            states::<orch::attempt::State>(args)?;
            show(
                &store.list_attempts(&filter)?,
                args,
                &[
                    "attempt",
                    "state",
                    "session",
                    "evidence",
                    "exit_code",
                    "started_at",
                    "ended_at",
                    "reason",
                ],
            )
        }
        _ => events(store, args, EventFilter { tasks: ids, since, after: 0, limit: 10_000 }),
    }
}

fn states<S: std::str::FromStr<Err = String>>(args: &Args) -> anyhow::Result<()> {
    let known = args.state.iter().try_for_each(|s| s.parse::<S>().map(drop));
    known.map_err(anyhow::Error::msg).context("--state")
}

/// A page at a time, so that no transaction is held open while somebody reads.
fn events(store: &Store, args: &Args, mut filter: EventFilter) -> anyhow::Result<Answer> {
    let mut any = false;
    loop {
        let records = store.list_events(&filter)?;
        if let Some(id) = records.last().and_then(|r| r["id"].as_i64()) {
            filter.after = id;
            any = true;
            show(&records, args, &["at", "attempt", "type", "standing", "body"])?;
        } else if args.follow {
            std::thread::sleep(Duration::from_millis(100));
        } else {
            return Ok(if any { Answer::Yes } else { Answer::No });
        }
    }
}

fn show(records: &[Value], args: &Args, columns: &[&str]) -> anyhow::Result<Answer> {
    if let (Some(first), false) = (records.first(), args.columns.is_empty()) {
        if let Some(unknown) = args.columns.iter().find(|c| first.get(c.as_str()).is_none()) {
            bail!("--columns: no field '{unknown}'");
        }
        let chosen: Vec<&str> = args.columns.iter().map(String::as_str).collect();
        let pick = |r: &Value| -> Value {
            chosen.iter().map(|c| ((*c).to_owned(), r[c].clone())).collect()
        };
        cli::print_records(&records.iter().map(pick).collect::<Vec<_>>(), &chosen, args.json)?;
    } else {
        cli::print_records(records, columns, args.json)?;
    }
    Ok(if records.is_empty() { Answer::No } else { Answer::Yes })
}
