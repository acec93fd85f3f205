//! orch-enqueue - put tasks on the queue

use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args as Group, Parser};
use orch::cli::{self, Answer};
use orch::enqueue::{Reader, tree};
use orch::store::{Enqueued, Record, Store};
use orch::task::{NewTask, State, TaskId};
use orch::{proc, when};
use serde::Serialize;
use serde_json::{Map, Value};

/// Put tasks on the queue: from the arguments, or from standard input
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
struct Args {
    /// What is to be done; without it standard input is one task
    content: Vec<String>,
    /// One task a line of standard input
    #[arg(long, conflicts_with = "jsonl")]
    lines: bool,
    /// With --lines: tasks end with NUL instead
    #[arg(short = '0', requires = "lines")]
    nul: bool,
    /// One JSON object a line, with the option names as fields; options given are defaults
    #[arg(long, conflicts_with = "content")]
    jsonl: bool,
    /// Run a pass of orch-assign at once
    #[arg(long)]
    now: bool,
    /// Wait for the end: exit 0 when all are completed, 1 when one failed or was cancelled
    #[arg(long)]
    wait: bool,
    /// The database
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    #[command(flatten)]
    task: Options,
}

#[derive(Group, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Options {
    /// Higher comes first
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// Who is to do it: shell, claude, codex, gemini, opencode, ollama, or a profile of config.toml
    #[arg(long)]
    provider: Option<String>,
    /// Only this session may take it
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Where it is to be done
    #[arg(long)]
    dir: Option<String>,
    /// The branch to be on
    #[arg(long)]
    branch: Option<String>,
    /// In this directory, on its branch
    #[arg(long)]
    here: bool,
    /// Set a variable
    #[arg(long, value_name = "K=V")]
    env: Vec<String>,
    /// Set a variable from another when the task starts (or from file:PATH); its value is never stored
    #[arg(long, value_name = "K=NAME")]
    env_from: Vec<String>,
    /// A shell command to run first, in the same shell
    #[arg(long, value_name = "CMD")]
    prereq: Vec<String>,
    /// The context as JSON: working_dir, git_branch, env, prerequisites
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// The same key gives the same task: nothing is added
    #[arg(long, value_name = "K")]
    key: Option<String>,
    /// Not before these tasks are completed
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    after: Vec<i64>,
    /// Not before these tasks have ended, however
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    after_any: Vec<i64>,
    /// Not before: RFC 3339 or HH:MM
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Not before this long from now
    #[arg(long, value_name = "DURATION")]
    r#in: Option<String>,
    /// Counted attempts before it has failed
    #[arg(long, value_name = "N")]
    max_attempts: Option<i64>,
    /// End an attempt after this long
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// A shell command that must succeed before a success is believed
    #[arg(long, value_name = "CMD")]
    verify: Option<String>,
    /// The weakest evidence that ends it: none, pattern, summary, sentinel, status, exit, protocol
    #[arg(long, value_name = "LEVEL")]
    accept: Option<String>,
    /// Tasks that belong together
    #[arg(long, value_name = "G")]
    group: Option<String>,
    /// In a live client: begin a fresh conversation, or continue the one that is there
    #[arg(long, value_name = "POLICY")]
    conversation: Option<String>,
    /// Keep it off the queue until it is released
    #[arg(long)]
    hold: bool,
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args) -> anyhow::Result<Answer> {
    let now = when::now();
    let tasks = read(&args, now)?;
    let records: Vec<Record> = tasks.iter().map(|t| (t, tree(t))).collect();
    let mut store = Store::open(args.db.as_deref())?;
    let done = store.enqueue(&records, now)?;
    // committed: from here on nothing that goes wrong with the output can lose a task
    let printed = print(&done);
    if args.now {
        assign(&store)?;
    }
    printed?;
    if args.wait { wait(&store, &done) } else { Ok(Answer::Yes) }
}

fn read(args: &Args, now: when::Ms) -> anyhow::Result<Vec<NewTask>> {
    let mut reader = Reader::default();
    let given = given(&args.task)?;
    let with = |content: Value| {
        let mut o = given.clone();
        o.insert("content".into(), content);
        o
    };
    let mut stdin = io::stdin().lock();
    if args.jsonl {
        return jsonl(stdin, &mut reader, &given, now);
    }
    if args.lines {
        if !args.content.is_empty() {
            bail!("content: not with --lines");
        }
        let end = if args.nul { b'\0' } else { b'\n' };
        return lines(stdin, end, |text| reader.read(&with(text.into()), now));
    }
    let content = match args.content.join(" ") {
        text if !args.content.is_empty() => text,
        _ => {
            let mut bytes = Vec::new();
            stdin.read_to_end(&mut bytes).context("standard input")?;
            utf8("standard input", bytes)?
        }
    };
    Ok(vec![reader.read(&with(content.trim_end_matches('\n').into()), now)?])
}

/// The options that were given, under their names.
fn given(o: &Options) -> anyhow::Result<Map<String, Value>> {
    let Value::Object(mut all) = serde_json::to_value(o)? else { bail!("options") };
    all.retain(|_, v| {
        !(v.is_null() || *v == Value::Bool(false) || v.as_array().is_some_and(Vec::is_empty))
    });
    Ok(all)
}

/// All lines share their options: one task is read in full, the others differ in their content.
fn lines(
    input: impl BufRead,
    end: u8,
    mut read: impl FnMut(&str) -> anyhow::Result<NewTask>,
) -> anyhow::Result<Vec<NewTask>> {
    let mut tasks: Vec<NewTask> = Vec::new();
    let mut like: Option<NewTask> = None;
    for (i, line) in input.split(end).enumerate() {
        let line = line.context("standard input")?;
        let name = || format!("line {}", i + 1);
        let text = utf8(&name(), line)?;
        if text.trim().is_empty() {
            continue;
        }
        if text.contains('\0') {
            bail!("{}: holds a NUL byte", name());
        }
        if like.is_none() {
            like = Some(read(&text).with_context(name)?);
        }
        if let Some(first) = &like {
            tasks.push(NewTask { content: text, ..first.clone() });
        }
    }
    Ok(tasks)
}

fn jsonl(
    input: impl BufRead,
    reader: &mut Reader,
    given: &Map<String, Value>,
    now: when::Ms,
) -> anyhow::Result<Vec<NewTask>> {
    let mut tasks = Vec::new();
    for (i, line) in input.split(b'\n').enumerate() {
        let name = || format!("line {}", i + 1);
        let text = utf8(&name(), line.context("standard input")?)?;
        if text.trim().is_empty() {
            continue;
        }
        let value: Value = serde_json::from_str(&text).with_context(name)?;
        let Value::Object(own) = value else { bail!("{}: not a JSON object", name()) };
        let mut all = given.clone();
        all.extend(own);
        tasks.push(reader.read(&all, now).with_context(name)?);
    }
    Ok(tasks)
}

fn utf8(name: &str, bytes: Vec<u8>) -> anyhow::Result<String> {
    String::from_utf8(bytes).ok().with_context(|| format!("{name}: not UTF-8"))
}

fn print(done: &[Enqueued]) -> anyhow::Result<()> {
    let mut out = cli::stdout();
    for d in done {
        writeln!(out, "{}", d.id)?;
    }
    out.flush()?;
    Ok(())
}

fn assign(store: &Store) -> anyhow::Result<()> {
    let mut command = std::process::Command::new(proc::sibling("orch-assign")?);
    command.arg("--db").arg(store.path()).stdout(std::process::Stdio::null());
    command.status().context("orch-assign")?;
    Ok(())
}

fn wait(store: &Store, done: &[Enqueued]) -> anyhow::Result<Answer> {
    let mut open: Vec<(TaskId, Option<State>)> = done.iter().map(|d| (d.id, None)).collect();
    let mut all_well = true;
    while !open.is_empty() {
        let mut still = Vec::new();
        for (id, told) in open {
            let task = store.need_task(id)?;
            if task.state.is_final() {
                all_well &= task.state == State::Completed;
                continue;
            }
            let stuck = matches!(task.state, State::Waiting | State::Unknown | State::Held);
            if stuck && told != Some(task.state) {
                let why = task.reason.unwrap_or_default();
                cli::warn(
                    env!("CARGO_BIN_NAME"),
                    &format!("task {id} is {}: {why}", task.state.as_str()),
                );
            }
            still.push((id, Some(task.state)));
        }
        open = still;
        if !open.is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    Ok(if all_well { Answer::Yes } else { Answer::No })
}
