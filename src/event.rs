//! The event line: what a session said, one JSON object a line (orch-events(5)).

use serde::{Deserialize, Serialize};

/// The version of the event line that this build writes and reads.
pub const VERSION: u8 = 1;

/// What a state change rests on, weakest first, so that `>` means "overrides".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    #[default]
    None,
    Pattern,
    Summary,
    Sentinel,
    Status,
    Exit,
    Protocol,
}

impl Evidence {
    pub const ALL: [Evidence; 7] = [
        Evidence::None,
        Evidence::Pattern,
        Evidence::Summary,
        Evidence::Sentinel,
        Evidence::Status,
        Evidence::Exit,
        Evidence::Protocol,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Evidence::None => "none",
            Evidence::Pattern => "pattern",
            Evidence::Summary => "summary",
            Evidence::Sentinel => "sentinel",
            Evidence::Status => "status",
            Evidence::Exit => "exit",
            Evidence::Protocol => "protocol",
        }
    }

    pub fn parse(s: &str) -> Option<Evidence> {
        Self::ALL.into_iter().find(|e| e.as_str() == s)
    }
}

/// How a turn, or the whole input, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Complete,
    Failed,
    Waiting,
    RateLimited,
    Unknown,
}

/// Where in the input an event was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The decoder's name, as `--format` spells it.
    pub format: String,
    /// 1-based line.
    pub line: u64,
    /// Byte offset of that line's first byte.
    pub offset: u64,
    /// The rule that made the event, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// One line of output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub v: u8,
    #[serde(flatten)]
    pub body: Body,
    /// 1-based, without gaps, in one stream.
    pub seq: u64,
    pub source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// RFC 3339, only where the input carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<String>,
}

/// The end of a turn or of the input. `because` holds the `seq` numbers it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    pub outcome: Outcome,
    pub evidence: Evidence,
    /// 0 to 1: orders claims of equal evidence.
    pub confidence: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default)]
    pub because: Vec<u64>,
    /// The final message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// A success whose words say that something could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When a limit ends, as the input said it.
    #[serde(default, flatten)]
    pub resets: Resets,
    /// The rule behind it, where it was asked for.
    #[serde(skip)]
    pub rule: Option<&'static str>,
}

/// When a limit ends. Nothing here is resolved against the clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resets {
    /// RFC 3339 in UTC: the input gave an absolute time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<String>,
    /// `HH:MM` (24 hours), `MM-DDTHH:MM`, `YYYY-MM-DDTHH:MM`, `tomorrowTHH:MM` or `monTHH:MM` on
    /// a wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_clock: Option<String>,
    /// The zone of that clock, where the input named one: its IANA name, or `+HH:MM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_in_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    Warning,
    Note,
}

/// What happened, by type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    SessionStart {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cwd: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    },
    SessionEnd {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Message {
        /// `assistant` or `user`.
        role: String,
        text: String,
    },
    ToolCall {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<serde_json::Value>,
    },
    /// A shell command that the agent ran, once its result is known.
    Command {
        command: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
    },
    FileChange {
        path: String,
        /// `add`, `update`, `delete`.
        kind: String,
    },
    CodeBlock {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
        body: String,
    },
    Error {
        severity: Severity,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        column: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
    },
    TestSummary {
        framework: String,
        passed: u64,
        failed: u64,
        errors: u64,
        skipped: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
    },
    Metric {
        name: String,
        value: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<String>,
    },
    Usage {
        input_tokens: u64,
        output_tokens: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost_usd: Option<f64>,
    },
    Progress {
        text: String,
    },
    Milestone {
        text: String,
    },
    Note {
        text: String,
    },
    PermissionRequest {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
    },
    Question {
        text: String,
    },
    RateLimit {
        text: String,
        #[serde(default, flatten)]
        resets: Resets,
    },
    Notification {
        text: String,
    },
    Truncated {
        /// Bytes of the line that were not read.
        dropped: u64,
    },
    TurnEnd(End),
    TaskComplete(End),
    TaskFailed(End),
    TaskWaiting(End),
    TaskRateLimited(End),
    TaskUnknown(End),
}

/// Every event type, as `type` spells it.
pub const TYPES: [&str; 25] = [
    "session_start",
    "session_end",
    "message",
    "tool_call",
    "command",
    "file_change",
    "code_block",
    "error",
    "test_summary",
    "metric",
    "usage",
    "progress",
    "milestone",
    "note",
    "permission_request",
    "question",
    "rate_limit",
    "notification",
    "truncated",
    "turn_end",
    "task_complete",
    "task_failed",
    "task_waiting",
    "task_rate_limited",
    "task_unknown",
];

impl Body {
    /// An error that names no place.
    pub fn error(severity: Severity, message: String, code: Option<String>, tool: &str) -> Body {
        let tool = Some(tool.to_string()).filter(|tool| !tool.is_empty());
        Body::Error { severity, message, file: None, line: None, column: None, code, tool }
    }

    /// This event's type, as `type` spells it.
    pub fn kind(&self) -> &'static str {
        match self {
            Body::SessionStart { .. } => "session_start",
            Body::SessionEnd { .. } => "session_end",
            Body::Message { .. } => "message",
            Body::ToolCall { .. } => "tool_call",
            Body::Command { .. } => "command",
            Body::FileChange { .. } => "file_change",
            Body::CodeBlock { .. } => "code_block",
            Body::Error { .. } => "error",
            Body::TestSummary { .. } => "test_summary",
            Body::Metric { .. } => "metric",
            Body::Usage { .. } => "usage",
            Body::Progress { .. } => "progress",
            Body::Milestone { .. } => "milestone",
            Body::Note { .. } => "note",
            Body::PermissionRequest { .. } => "permission_request",
            Body::Question { .. } => "question",
            Body::RateLimit { .. } => "rate_limit",
            Body::Notification { .. } => "notification",
            Body::Truncated { .. } => "truncated",
            Body::TurnEnd(_) => "turn_end",
            Body::TaskComplete(_) => "task_complete",
            Body::TaskFailed(_) => "task_failed",
            Body::TaskWaiting(_) => "task_waiting",
            Body::TaskRateLimited(_) => "task_rate_limited",
            Body::TaskUnknown(_) => "task_unknown",
        }
    }

    /// The `task_*` event of an end.
    pub fn task(end: End) -> Body {
        match end.outcome {
            Outcome::Complete => Body::TaskComplete(end),
            Outcome::Failed => Body::TaskFailed(end),
            Outcome::Waiting => Body::TaskWaiting(end),
            Outcome::RateLimited => Body::TaskRateLimited(end),
            Outcome::Unknown => Body::TaskUnknown(end),
        }
    }

    /// The end that a `task_*` event carries.
    pub fn task_end(&self) -> Option<&End> {
        match self {
            Body::TaskComplete(e)
            | Body::TaskFailed(e)
            | Body::TaskWaiting(e)
            | Body::TaskRateLimited(e)
            | Body::TaskUnknown(e) => Some(e),
            _ => None,
        }
    }
}

/// How the process that wrote the input ended, where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}
/// How the last turn ended, if it has.
pub fn last_turn(events: &[Event]) -> Option<&End> {
    let last = events.iter().rev().find_map(|e| match &e.body {
        Body::TurnEnd(end) => Some(Some(end)),
        Body::Message { role, .. } if role == "user" => Some(None),
        _ => None,
    });
    last.flatten()
}
