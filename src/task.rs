//! A task: what is to be done, in which context, and how often it may be tried.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::attempt::states;
use crate::context::Context;
use crate::event::Evidence;
use crate::when::Ms;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId(pub i64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = String;
    fn from_str(s: &str) -> Result<TaskId, String> {
        match s.parse() {
            Ok(n) if n > 0 => Ok(TaskId(n)),
            _ => Err(format!("'{s}' is no task id: a number from 1")),
        }
    }
}

states! {
    /// Scheduled is queued with `not_before`; blocked is queued with open dependencies.
    State {
        Held => "held",
        Queued => "queued",
        Assigned => "assigned",
        Running => "running",
        Waiting => "waiting",
        Unknown => "unknown",
        Completed => "completed",
        Failed => "failed",
        Cancelled => "cancelled",
    }
}

states! {
    /// What becomes of a live client's conversation before the task.
    Conversation {
        Fresh => "fresh",
        Continue => "continue",
    }
}

impl State {
    pub fn is_final(self) -> bool {
        matches!(self, State::Completed | State::Failed | State::Cancelled)
    }
}

/// A task before it has an id.
#[derive(Clone, Debug, Default)]
pub struct NewTask {
    pub content: String,
    pub provider: String,
    pub priority: i64,
    pub session: Option<String>,
    pub context: Context,
    /// The same key gives the same task: nothing is added.
    pub key: Option<String>,
    pub after: Vec<Dependency>,
    pub not_before: Option<Ms>,
    pub max_attempts: i64,
    pub timeout: Option<Ms>,
    pub verify: Option<String>,
    pub accept: Evidence,
    pub group: Option<String>,
    /// In a live client; none: to go on only with the conversation of its own group.
    pub conversation: Option<Conversation>,
    pub hold: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub on: TaskId,
    /// Any end will do, not only `completed`.
    pub any: bool,
}

/// A task as stored.
#[derive(Clone, Debug)]
pub struct Task {
    pub id: TaskId,
    pub state: State,
    pub reason: Option<String>,
    pub content: String,
    pub provider: String,
    pub priority: i64,
    pub session: Option<String>,
    pub context: Context,
    /// Canonical top level of the repository (or the directory itself) that the task works in.
    pub tree: Option<String>,
    pub group: Option<String>,
    /// In a live client; none: to go on only with the conversation of its own group.
    pub conversation: Option<Conversation>,
    pub max_attempts: i64,
    pub timeout: Option<Ms>,
    pub verify: Option<String>,
    pub accept: Evidence,
    pub not_before: Option<Ms>,
    /// Made by orch-wrap for one run: never put on the queue.
    pub once: bool,
    /// Attempts up to this number are forgiven: a person has retried since.
    pub forgiven: i64,
    pub created_at: Ms,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_hold_both_ways() {
        let all: Vec<_> = State::ALL.iter().map(|s| s.as_str()).collect();
        assert_eq!(
            all.join(" "),
            "held queued assigned running waiting unknown completed failed cancelled"
        );
        for s in State::ALL {
            assert_eq!(s.as_str().parse::<State>(), Ok(*s));
        }
        assert!("0".parse::<TaskId>().is_err());
    }
}
