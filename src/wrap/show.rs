//! A readable rendering of events, for a pane whose program writes a record.

use crate::clean;
use crate::event::{Body, Event, Severity};

/// The lines to show for an event, none for most.
pub fn lines(e: &Event) -> Vec<String> {
    let text = match &e.body {
        Body::Message { role, text } if role == "assistant" => text.clone(),
        Body::ToolCall { name, .. } => format!("· {name}"),
        Body::Command { command, exit_code, .. } => match exit_code {
            Some(0) | None => format!("$ {command}"),
            Some(n) => format!("$ {command}  [exit {n}]"),
        },
        Body::FileChange { path, kind } => format!("· {kind} {path}"),
        Body::Error { severity: Severity::Error, message, .. } => format!("error: {message}"),
        Body::RateLimit { text, .. }
        | Body::PermissionRequest { text, .. }
        | Body::Question { text } => text.clone(),
        Body::TaskComplete(_) => "— complete".to_owned(),
        body => match body.task_end() {
            Some(end) => {
                format!("— {}: {}", word(body), end.reason.as_deref().unwrap_or("no reason given"))
            }
            None => return Vec::new(),
        },
    };
    text.lines().map(clean::line).collect()
}

fn word(body: &Body) -> &'static str {
    match body {
        Body::TaskFailed(_) => "failed",
        Body::TaskWaiting(_) => "waiting",
        Body::TaskRateLimited(_) => "rate limited",
        _ => "unknown",
    }
}
