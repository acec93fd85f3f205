//! An attempt: one delivery of one task to one incarnation of a session.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::event::Evidence;
use crate::session::Process;
use crate::task::{self, TaskId};
use crate::when::Ms;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttemptId(pub i64);

/// `TASK.NUMBER`, as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    pub task: TaskId,
    pub number: i64,
}

impl Name {
    /// The environment of everything that an attempt starts: how its processes are found again.
    pub fn marks(&self, db: &Path) -> [String; 2] {
        [format!("ORCH_ATTEMPT={self}"), format!("ORCH_DB={}", db.display())]
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.task.0, self.number)
    }
}

impl FromStr for Name {
    type Err = String;
    fn from_str(s: &str) -> Result<Name, String> {
        let parts = s.split_once('.').and_then(|(t, n)| Some((t.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((task, number)) if task > 0 && number > 0 => {
                Ok(Name { task: TaskId(task), number })
            }
            _ => Err(format!("'{s}' names no attempt: write TASK.NUMBER, as in 12.1")),
        }
    }
}

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),+ }
        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(s: &str) -> Result<$name, String> {
                $name::ALL.iter().copied().find(|x| x.as_str() == s).ok_or_else(|| {
                    let all: Vec<_> = $name::ALL.iter().map(|x| x.as_str()).collect();
                    format!("no state '{s}': one of {}", all.join(", "))
                })
            }
        }
    };
}
pub(crate) use states;

states! {
    /// Open: claimed, sending, running, waiting, unknown. The others are ends.
    State {
        Claimed => "claimed",
        Sending => "sending",
        Running => "running",
        Waiting => "waiting",
        Unknown => "unknown",
        Completed => "completed",
        Failed => "failed",
        Lost => "lost",
        Refused => "refused",
        ContextFailed => "context_failed",
        Cancelled => "cancelled",
    }
}

impl State {
    pub fn is_open(self) -> bool {
        matches!(
            self,
            State::Claimed | State::Sending | State::Running | State::Waiting | State::Unknown
        )
    }

    /// Every legal move, and no other.
    pub fn may_become(self, next: State) -> bool {
        use State::*;
        match self {
            Claimed => matches!(next, Sending | Refused | Lost | Cancelled),
            Sending => {
                matches!(next, Running | Refused | Lost | Unknown | ContextFailed | Cancelled)
            }
            Running => {
                matches!(
                    next,
                    Waiting | Unknown | Completed | Failed | Lost | ContextFailed | Cancelled
                )
            }
            Waiting => matches!(next, Running | Unknown | Completed | Failed | Lost | Cancelled),
            // a late report is accepted
            Unknown => matches!(next, Running | Waiting | Completed | Failed | Lost | Cancelled),
            Completed | Failed | Lost | Refused | ContextFailed | Cancelled => false,
        }
    }
}

/// What is known of a prompt that was pasted into a live client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// How it went in: `paste`, a bracketed one.
    pub transport: String,
    /// Of the text as filtered, hexadecimal.
    pub sha256: String,
    pub bytes: usize,
    /// The client's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Process>,
    /// What was seen of its arrival; none: nothing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// The client's record of the conversation, and its length before the paste.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    #[serde(default)]
    pub from: u64,
    /// When its turn was interrupted by us, UTC milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escaped: Option<Ms>,
    /// Milliseconds from the first look to a verified prompt, where directory or branch had to be switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch_ms: Option<i64>,
}

/// Where an attempt and its task go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Closing {
    pub state: Option<State>,
    pub task: Option<task::State>,
    pub reason: Option<String>,
    pub not_before: Option<Ms>,
    pub counts: bool,
    pub evidence: Evidence,
    pub confidence: Option<f64>,
    pub answer: Option<String>,
    pub note: Option<String>,
    pub exit_code: Option<i64>,
    pub orphaned: bool,
    /// Account, until, why.
    pub limit: Option<(String, Ms, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_states_are_final_and_open_ones_have_a_way_out() {
        for s in State::ALL {
            let ways = State::ALL.iter().filter(|n| s.may_become(**n)).count();
            assert_eq!(s.is_open(), ways > 0, "{s:?}");
        }
    }

    #[test]
    fn spellings_hold_both_ways() {
        let all: Vec<_> = State::ALL.iter().map(|s| s.as_str()).collect();
        assert_eq!(
            all.join(" "),
            "claimed sending running waiting unknown completed failed lost refused context_failed cancelled"
        );
        for s in State::ALL {
            assert_eq!(s.as_str().parse::<State>(), Ok(*s));
        }
        assert!("12.1".parse::<Name>().is_ok_and(|n| n.to_string() == "12.1"));
        for bad in ["12", "12.", "a.1", "0.1", "12.-1"] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
