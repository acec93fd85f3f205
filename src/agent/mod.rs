//! A live agent: what it is doing, decided from what its own records, its processes and its screen say.

pub mod menu;
pub mod rules;
pub mod screen;
mod shown;

use serde::{Deserialize, Serialize};

use crate::session::Condition;
use crate::when::{self, Ms};
use rules::Live;

/// The raw material of one decision, as `orch-ctx record` keeps it: the same material gives the same decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Material {
    pub v: u8,
    pub at: Ms,
    /// The profile whose client fills the pane.
    pub provider: String,
    /// Of the client, where it says so.
    pub version: Option<String>,
    /// Since when its process runs.
    pub started: Option<Ms>,
    pub record: Option<Record>,
    /// Names of the processes that it runs besides its own: tools at work.
    pub tools: Vec<String>,
    pub title: String,
    /// The rows of the screen, with the sequences that colour them.
    pub screen: Vec<String>,
}

/// What an agent's own record says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which record: `session file`, `rollout`.
    pub source: String,
    pub session_id: Option<String>,
    pub status: Status,
    /// What it waits for, or how its last turn ended, in its own words.
    pub detail: Option<String>,
    pub since: Option<Ms>,
    /// Where the conversation is written down, line by line.
    pub path: Option<String>,
}

/// The status of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    #[default]
    Unknown,
    Idle,
    Working,
    /// A permission is asked for.
    Permission,
    /// A question is asked.
    Question,
    /// A dialog of the client's own is open.
    Dialog,
    /// At rest after a turn that ended in an error.
    Error,
    /// At rest after a turn that a limit ended; `since` is when it resets, as far as was said.
    RateLimited,
}

/// One source's word, for `orch-ctx explain`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Word {
    /// `record`, `processes`, `screen`.
    pub source: &'static str,
    /// `-` where it tells none: what a client has started may be its tools as well as its servers.
    pub state: String,
    /// The rule or the record that says so, and its evidence.
    pub by: String,
}

/// The decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub condition: Condition,
    /// The word that won.
    pub by: String,
    pub since: Option<Ms>,
    /// What is typed into the composer, where the screen shows one.
    pub composer: Option<String>,
    /// What is asked, where the screen shows it.
    pub menu: Option<menu::Menu>,
    /// Rows that look like a prompt: with the composer's own, those of the turns that are still to be seen.
    pub prompts: usize,
    /// What the agent has started still runs, as its screen shows: it will be woken, its turn is not over.
    pub background: bool,
    /// No rule knows the screen.
    pub drift: bool,
    pub words: Vec<Word>,
}

/// A dialog is on the record before it is on the screen, by less than this.
const LAG: Ms = 1000;
/// How long a client may take to its first screen.
const START: Ms = 20_000;

/// What the agent is doing. Its own record says; the screen adds what a record cannot know (a dialog), and takes part
/// in "idle": a screen that no rule knows is never idle.
pub fn decide(m: &Material, live: &Live) -> Verdict {
    let screen = screen::Screen::read(m);
    let composer = live.composer(&screen);
    let composer = composer.as_ref();
    let (seen, background) = live.seen(&screen, composer, m.version.as_deref());
    let mut words = Vec::new();
    if let Some(r) = &m.record {
        let of = r.since.map(|t| format!(" since {}", when::rfc3339(t))).unwrap_or_default();
        let detail = r.detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default();
        words.push(Word {
            source: "record",
            state: r.status.word().into(),
            by: format!("{}{detail}{of}", r.source),
        });
    }
    if !m.tools.is_empty() {
        words.push(Word { source: "processes", state: "-".into(), by: m.tools.join(", ") });
    }
    words.extend([seen, background].into_iter().flatten().map(|r| Word {
        source: "screen",
        state: r.state.as_str().into(),
        by: format!("rule {}: {}", r.name, r.evidence(&screen, composer)),
    }));
    if seen.is_none() {
        words.push(Word {
            source: "screen",
            state: "unknown".into(),
            by: "no rule knows it".into(),
        });
    }
    let record = m.record.as_ref().filter(|r| r.status != Status::Unknown);
    let shown = seen.map(|r| r.condition(&screen, composer));
    let (mut condition, by) = resolve(m, record, shown);
    // a record that says only why nothing can be read in it
    if let Some(Record { status: Status::Unknown, detail: Some(why), .. }) = &m.record
        && condition.is_at_rest()
    {
        condition = Condition::Blocked(why.clone());
    }
    Verdict {
        by: by.into(),
        since: record.filter(|_| by == "record").and_then(|r| r.since),
        composer: composer.map(|c| c.text.clone()),
        menu: matches!(condition, Condition::Waiting(_)).then(|| menu::read(&screen)).flatten(),
        prompts: live.prompts(&screen),
        background: background.is_some(),
        drift: seen.is_none() && condition != Condition::Starting,
        condition,
        words,
    }
}

fn resolve(
    m: &Material,
    record: Option<&Record>,
    shown: Option<Condition>,
) -> (Condition, &'static str) {
    let young = m.started.is_some_and(|t| m.at - t < START);
    let strange = || {
        if young {
            (Condition::Starting, "processes")
        } else {
            (Condition::Unknown("no rule knows its screen".into()), "screen")
        }
    };
    let Some(r) = record else {
        return shown.map_or_else(strange, |c| (c, "screen"));
    };
    let detail = || r.detail.clone().unwrap_or_default();
    match (r.status, shown) {
        // a dialog that is not on the screen has been answered
        (
            Status::Permission | Status::Question | Status::Dialog,
            Some(c @ Condition::Working(_)),
        ) if r.since.is_none_or(|t| m.at - t > LAG) => (c, "screen"),
        (Status::Permission, _) => (Condition::Waiting(asked("permission", &detail())), "record"),
        (Status::Question, _) => (Condition::Waiting(asked("question", &detail())), "record"),
        (Status::Dialog, _) => (Condition::Waiting(asked("dialog", &detail())), "record"),
        // a dialog is none of the record's business, and some records know of no permission
        (_, Some(c @ Condition::Waiting(_))) => (c, "screen"),
        (Status::Working, _) => (Condition::Working(detail()), "record"),
        // a turn shows before it is written down
        (_, Some(c @ Condition::Working(_))) => (c, "screen"),
        (_, None) => strange(),
        (_, Some(c @ Condition::Starting)) => (c, "screen"),
        (Status::Error, _) => (Condition::Error(detail()), "record"),
        (Status::RateLimited, _) if r.since.is_none_or(|t| t > m.at) => {
            (Condition::RateLimited(detail()), "record")
        }
        (_, Some(c @ Condition::Unknown(_))) => (c, "screen"),
        _ => (Condition::Idle, "record"),
    }
}

fn asked(kind: &str, detail: &str) -> String {
    if detail.is_empty() { kind.to_owned() } else { format!("{kind}: {detail}") }
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Status::Unknown => "unknown",
            Status::Idle => "idle",
            Status::Working => "working",
            Status::Permission => "waiting(permission)",
            Status::Question => "waiting(question)",
            Status::Dialog => "waiting(dialog)",
            Status::Error => "error",
            Status::RateLimited => "rate_limited",
        }
    }
}
