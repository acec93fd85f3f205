//! Trajectories of SWE-agent (`.traj`) and mini-swe-agent (`.traj.json`): one object with every
//! step and, at its end, `info.exit_status` (swe-agent.com, "Output files").

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::story::{self, Story};
use super::whole::Rows;
use crate::event::{Body, End, Outcome};
use crate::extract::decoder::{Sink, lenient, parse};
use crate::extract::ending::{protocol, unknown};
use crate::extract::limit;
use crate::extract::phrase::first_line;

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow, default)]
    trajectory: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    messages: Option<Vec<&'a RawValue>>,
    #[serde(default, deserialize_with = "lenient")]
    info: Option<Info>,
}

#[derive(Deserialize, Default)]
struct Info {
    #[serde(default, deserialize_with = "lenient")]
    exit_status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    submission: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    model_stats: Option<Stats>,
    #[serde(default, deserialize_with = "lenient")]
    config: Option<Value>,
}

#[derive(Deserialize)]
struct Stats {
    #[serde(default, deserialize_with = "lenient")]
    instance_cost: Option<f64>,
    #[serde(default, deserialize_with = "lenient")]
    tokens_sent: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    tokens_received: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    api_calls: Option<f64>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default, deserialize_with = "lenient")]
    action: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    observation: Option<Value>,
    #[serde(default, deserialize_with = "lenient")]
    thought: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    execution_time: Option<f64>,
}

pub fn read(text: &str, rows: &mut Rows<'_>, sink: &mut Sink<'_>) -> Option<End> {
    let file: File<'_> = parse(text)?;
    let info = file.info.unwrap_or_default();
    let model = info.config.as_ref().and_then(|c| c["model"]["model_name"].as_str());
    sink.put(Body::SessionStart { cwd: None, model: model.map(str::to_string) });
    let mut story = Story::new("sweagent");
    for part in file.trajectory.iter().flatten() {
        rows.at(part, sink);
        if let Some(step) = parse::<Step>(part.get()) {
            take(step, &mut story, sink);
        }
    }
    if file.trajectory.is_none() {
        let mut commands = Vec::new();
        for part in file.messages.iter().flatten() {
            rows.at(part, sink);
            if let Some(message) = parse::<Value>(part.get()) {
                turn(&message, &mut commands, &mut story, sink);
            }
        }
    }
    Some(close(&info, &mut story, sink))
}

fn take(step: Step, story: &mut Story, sink: &mut Sink<'_>) {
    story.assistant(step.thought.unwrap_or_default(), sink);
    let action = step.action.unwrap_or_default().trim().to_string();
    let observation = step.observation.as_ref().map(story::text).unwrap_or_default();
    if action.is_empty() {
        return;
    }
    if !is_shell(&action) {
        let (name, rest) = action.split_once(char::is_whitespace).unwrap_or((&action, ""));
        story.call(name, None, Value::String(rest.into()), sink);
        return;
    }
    let ms = step.execution_time.filter(|s| *s >= 0.0).map(|s| (s * 1000.0) as u64);
    story.command(action, None, ms, &observation, sink);
}

/// A message of mini-swe-agent: the agent's holds commands, the user's what they printed.
fn turn(message: &Value, commands: &mut Vec<String>, story: &mut Story, sink: &mut Sink<'_>) {
    let words = story::text(&message["content"]);
    match message["role"].as_str() {
        Some("assistant") => {
            let actions = message["extra"]["actions"].as_array().into_iter().flatten();
            *commands = actions.filter_map(|a| a["command"].as_str().map(str::to_string)).collect();
            if commands.is_empty() {
                commands.extend(fenced(&words));
            }
            commands.reverse();
            story.assistant(words, sink);
        }
        Some("user" | "tool") => {
            let Some(code) = between(&words, "<returncode>", "</returncode>") else {
                if commands.is_empty() {
                    sink.put(Body::Message { role: "user".into(), text: words });
                }
                return;
            };
            let output = between(&words, "<output>", "</output>").unwrap_or_default();
            let command = commands.pop().unwrap_or_default();
            story.command(command, code.trim().parse().ok(), None, output, sink);
        }
        _ => {}
    }
}

fn close(info: &Info, story: &mut Story, sink: &mut Sink<'_>) -> End {
    if let Some(stats) = &info.model_stats {
        if stats.tokens_sent.is_some() || stats.tokens_received.is_some() {
            sink.put(Body::Usage {
                input_tokens: stats.tokens_sent.unwrap_or(0),
                output_tokens: stats.tokens_received.unwrap_or(0),
                cost_usd: stats.instance_cost,
            });
        }
        if let Some(value) = stats.api_calls {
            sink.put(Body::Metric { name: "model_turns".into(), value, unit: None });
        }
    }
    let status = info.exit_status.clone().unwrap_or_default();
    let because: Vec<u64> = story.answer().iter().map(|(_, seq)| *seq).collect();
    let answer = info.submission.clone().filter(|s| !s.is_empty());
    let end = match status.to_ascii_lowercase().as_str() {
        "" => unknown("the trajectory has no exit status"),
        "submitted" | "submit" => protocol(Outcome::Complete, because),
        other if limit::is_limit(&other.replace('_', " ")) || other.contains("ratelimit") => {
            protocol(Outcome::RateLimited, because)
        }
        // `submitted (exit_cost)`: what was there was handed in when the run was cut
        _ => protocol(Outcome::Failed, because),
    };
    let reason =
        Some(format!("exit_status {}", first_line(&status))).filter(|_| !status.is_empty());
    let end = End { reason: reason.or(end.reason.clone()), answer, ..end };
    story.close(end.clone(), sink);
    end
}

/// The agent's own commands for editing files and looking at them print no tool's output, nor do
/// the shell's; what follows those of the shell may.
fn is_shell(action: &str) -> bool {
    let commands = action.lines().flat_map(|line| line.split([';', '&']));
    let names = commands.filter_map(|command| command.split_whitespace().next());
    let mut others = names.skip_while(|name| matches!(*name, "cd" | "cat" | "grep" | "ls"));
    others.next().is_some_and(|name| {
        !matches!(
            name,
            "open"
                | "goto"
                | "scroll_up"
                | "scroll_down"
                | "create"
                | "edit"
                | "insert"
                | "submit"
                | "search_dir"
                | "search_file"
                | "find_file"
                | "str_replace_editor"
                | "view"
                | "filemap"
                | "undo_edit"
                | "exit_forfeit"
                | "exit_cost"
                | "think"
                | "finish"
                | "str_replace"
                | "rethink"
        )
    })
}

/// The body of the one fence that holds the command.
fn fenced(words: &str) -> Option<String> {
    let start = words.find("```bash\n").map(|i| i + 8);
    let start = start.or_else(|| words.find("```mswea_bash_command\n").map(|i| i + 22))?;
    let end = words[start..].find("\n```")?;
    Some(words[start..start + end].trim().to_string())
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let from = text.find(open)? + open.len();
    let to = text[from..].rfind(close)?;
    Some(&text[from..from + to])
}
