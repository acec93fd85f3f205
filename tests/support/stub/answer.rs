//! What the model does, as the prompt has it; how it is said is the matter of the two APIs.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::Http;
use super::{End, Shared};

/// What the model does in one round.
pub enum Answer {
    Text(String),
    Call(Call),
    Think,
    Slow(Duration),
    Hang(Duration),
    Drop,
    StreamError,
    Error(u16),
    Limit(Option<u64>),
}

/// A tool that the model wants, in no client's terms.
pub enum Call {
    Shell { command: String, escape: bool, background: bool },
    Write { path: String, text: String },
    Ask,
    Task(String),
}

pub const QUESTION: &str = "Should I delete the old table, or keep it?";
pub const THOUGHT: &str = "The old table is in the way, and the new one is not ready yet. ";

impl Answer {
    pub fn end(&self) -> End {
        match self {
            Answer::Text(_) | Answer::Think | Answer::Slow(_) | Answer::Hang(_) => End::Said,
            Answer::Call(_) => End::Called,
            Answer::Drop | Answer::StreamError | Answer::Error(_) | Answer::Limit(_) => End::Failed,
        }
    }

    /// The text, given to `emit` piece by piece at its own pace.
    pub fn speak(
        &self,
        shared: &Shared,
        http: &mut Http,
        emit: impl Fn(&mut Http, &str) -> io::Result<()>,
    ) -> io::Result<String> {
        let mut said = String::new();
        let last = match self {
            Answer::Slow(time) => {
                let end = Instant::now() + *time;
                while Instant::now() < end && !shared.lock().stopped {
                    emit(http, "word ")?;
                    said += "word ";
                    http.pause(shared, Duration::from_millis(100))?;
                }
                "and that is all."
            }
            Answer::Text(text) => text,
            Answer::Call(Call::Shell { .. }) => "I will run a command.",
            Answer::Call(Call::Write { .. }) => "I will write a file.",
            Answer::Call(Call::Ask) => "I need to know one thing.",
            Answer::Call(Call::Task(_)) => "I will use a helper.",
            Answer::Think => "I thought about it, and it is fine.",
            Answer::Hang(_) => "Here is a late answer.",
            Answer::Drop | Answer::StreamError => "I begin to ans",
            Answer::Error(_) | Answer::Limit(_) => "",
        };
        emit(http, last)?;
        Ok(said + last)
    }
}

/// What a conversation's human said, and what the tool calls made since the last of it gave.
#[derive(Default)]
pub struct Turn {
    /// Every text of every message.
    pub said: Vec<String>,
    /// The texts of the last message.
    pub prompt: String,
    pub results: Vec<String>,
}

impl Turn {
    /// Texts of one user message: a prompt, unless the client wrote them all itself.
    pub fn say(&mut self, texts: &[&str]) {
        let human: Vec<&str> = texts.iter().copied().filter(|t| !written_by_client(t)).collect();
        if !human.is_empty() {
            self.prompt = human.join("\n");
            self.said.extend(human.into_iter().map(str::to_owned));
            self.results.clear();
        }
    }

    /// `before` counts the earlier requests with this prompt.
    pub fn answer(&self, before: usize) -> Answer {
        // the first of a line, so that a directive's text can hold another one: a sub-agent's
        let directive = |line: &'_ str| line.find("STUB:").map(|at| line[at + 5..].to_owned());
        let Some(directive) = self.prompt.lines().rev().find_map(directive) else {
            return Answer::Text("There is no directive in the prompt.".into());
        };
        let (name, argument) = directive.split_once(' ').unwrap_or((&directive, ""));
        let first = argument.split(' ').next().unwrap_or_default();
        let number = first.parse::<u64>().ok();
        let seconds = Duration::from_secs(number.unwrap_or(5));
        let shell = |escape, background| {
            self.once(Call::Shell { command: argument.into(), escape, background })
        };
        match name.trim_end() {
            "ok" if argument.is_empty() => Answer::Text("It is finished.".into()),
            "ok" => Answer::Text(argument.into()),
            "bash" => shell(false, false),
            "esc" => shell(true, false),
            "background" => shell(false, true),
            "loop" => {
                let (times, command) = argument.split_once(' ').unwrap_or(("1", argument));
                let command = command.into();
                let call = Call::Shell { command, escape: false, background: false };
                self.call(times.parse().unwrap_or(1), call)
            }
            "write" => {
                let (path, text) = argument.split_once(' ').unwrap_or((argument, ""));
                self.once(Call::Write { path: path.into(), text: text.into() })
            }
            "ask" => self.once(Call::Ask),
            "task" => self.once(Call::Task(argument.into())),
            "think" => Answer::Think,
            "long" => Answer::Text(long(number.unwrap_or(300))),
            "fail" => Answer::Text("I could not do it: a dependency is missing.".into()),
            "question" => Answer::Text(QUESTION.into()),
            "slow" => Answer::Slow(seconds),
            "hang" => Answer::Hang(seconds),
            "drop" => Answer::Drop,
            "sse-error" => Answer::StreamError,
            "flaky" if (before as u64) < number.unwrap_or(1) => Answer::Error(529),
            "flaky" => Answer::Text(format!("It is finished, at request {}.", before + 1)),
            "limit" => Answer::Limit(number),
            other => match other.parse() {
                Ok(status) => Answer::Error(status),
                Err(_) => Answer::Text(format!("STUB:{other} is no directive.")),
            },
        }
    }

    fn once(&self, call: Call) -> Answer {
        self.call(1, call)
    }

    fn call(&self, times: usize, call: Call) -> Answer {
        match self.results.last() {
            Some(result) if self.results.len() >= times => {
                let what = match call {
                    Call::Shell { .. } => "command",
                    Call::Write { .. } => "file",
                    Call::Ask => "question",
                    Call::Task(_) => "helper",
                };
                Answer::Text(format!("The {what} gave: {}", result.trim()))
            }
            _ => Answer::Call(call),
        }
    }
}

/// An answer that says, as ordinary prose and code, what a client's own chrome says.
fn long(lines: u64) -> String {
    const PART: [&str; 17] = [
        "The reader is done, and an error in it is handled: while it works, press esc to interrupt.",
        "",
        "```rust",
        "// Working (3s • esc to interrupt)",
        "fn read(path: &Path) -> Result<String, Error> {",
        "    std::fs::read_to_string(path).map_err(Error::NotDone)",
        "}",
        "```",
        "",
        "You've hit your usage limit, the service said; the limit resets at 3pm.",
        "",
        "```",
        "$ make",
        "error: Do you want to proceed?",
        "> 1. Yes",
        "API Error: 529 Overloaded",
        "```",
    ];
    let part = PART.iter().cycle().take(usize::try_from(lines).expect("a few lines"));
    part.copied().collect::<Vec<_>>().join("\n")
}

fn written_by_client(text: &str) -> bool {
    const TAGS: [&str; 11] = [
        "<system-reminder>",
        "<local-command",
        "<command-name>",
        "<environment_context>",
        "<user_instructions>",
        "<permissions",
        "<skills_instructions>",
        "# AGENTS.md",
        // a background command or a sub-agent came to its end
        "<task-notification>",
        // Esc, in Claude and in Codex
        "[Request interrupted by user",
        "<turn_aborted>",
    ];
    TAGS.iter().any(|tag| text.trim_start().starts_with(tag))
}

/// The text in a string, in `{text}` blocks, or in a list of both.
pub fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text],
        Value::Array(blocks) => blocks.iter().filter_map(|b| b["text"].as_str()).collect(),
        _ => Vec::new(),
    }
}

/// Numbers ids: Claude merges messages of the same id, and then loses count of the tool calls.
pub fn serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
