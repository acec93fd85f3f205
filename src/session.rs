//! A session: a named slot that one tmux pane fills, and the incarnation that fills it now.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::when::Ms;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(pub i64);

/// What fills a slot: never the same twice, also when the pane's id is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation {
    /// tmux's socket path.
    pub socket: String,
    pub server_pid: i64,
    /// `%N`
    pub pane_id: String,
    pub pane_pid: i64,
    /// Start time of the pane's process (clock ticks since boot on Linux).
    pub pane_start: i64,
    pub boot_id: String,
}

/// A process that cannot be mistaken for a later one with its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: i64,
    pub start: i64,
    pub boot: String,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.pid, self.start, self.boot)
    }
}

impl std::str::FromStr for Process {
    type Err = ();
    fn from_str(s: &str) -> Result<Process, ()> {
        let mut parts = s.splitn(3, ':');
        let mut next = || parts.next().ok_or(());
        let (pid, start) = (next()?.parse().map_err(|_| ())?, next()?.parse().map_err(|_| ())?);
        Ok(Process { pid, start, boot: next()?.to_owned() })
    }
}

/// A live client that fills a pane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub provider: String,
    /// Its own id of the conversation, where its record tells.
    pub session_id: Option<String>,
    pub version: Option<String>,
    /// Where its record of the conversation is; not stored.
    pub record: Option<String>,
}

/// Where a session is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub working_dir: Option<String>,
    pub git_branch: Option<String>,
    /// Top level of the repository, or the directory itself outside one.
    pub tree: Option<String>,
}

/// Whether a line may be typed into the pane now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "why", rename_all = "snake_case")]
pub enum Condition {
    /// A client that has not shown its prompt yet.
    Starting,
    /// A shell at an empty prompt, a client at its composer.
    Idle,
    /// Something runs there, an agent is at its turn.
    Working(String),
    /// An agent asks a person: `permission`, `question` or `dialog`, and what it asks.
    Waiting(String),
    /// An agent at rest whose last turn was ended by a limit that holds.
    RateLimited(String),
    /// An agent at rest whose last turn ended in an error.
    Error(String),
    /// A shell, but not at an empty prompt, or a pane that does not take input: the reason.
    Blocked(String),
    /// No pane fills the slot.
    Dead,
    /// A client whose screen and records say nothing that is known: never idle.
    Unknown(String),
}

/// The spellings of a condition, as people filter by them.
pub const CONDITIONS: &[&str] = &[
    "starting",
    "idle",
    "working",
    "waiting",
    "rate_limited",
    "error",
    "blocked",
    "dead",
    "unknown",
];

impl Condition {
    pub fn as_str(&self) -> &'static str {
        match self {
            Condition::Starting => "starting",
            Condition::Idle => "idle",
            Condition::Working(_) => "working",
            Condition::Waiting(_) => "waiting",
            Condition::RateLimited(_) => "rate_limited",
            Condition::Error(_) => "error",
            Condition::Blocked(_) => "blocked",
            Condition::Dead => "dead",
            Condition::Unknown(_) => "unknown",
        }
    }

    /// From its spelling and its reason; `None` for a word that is none.
    pub fn parse(word: &str, why: String) -> Option<Condition> {
        Some(match word {
            "starting" => Condition::Starting,
            "idle" => Condition::Idle,
            "working" => Condition::Working(why),
            "waiting" => Condition::Waiting(why),
            "rate_limited" => Condition::RateLimited(why),
            "error" => Condition::Error(why),
            "blocked" => Condition::Blocked(why),
            "dead" => Condition::Dead,
            "unknown" => Condition::Unknown(why),
            _ => return None,
        })
    }

    /// Whether a task can be handed over: an agent whose last turn failed sits at its prompt like any other.
    pub fn is_at_rest(&self) -> bool {
        matches!(self, Condition::Idle | Condition::Error(_))
    }

    pub fn why(&self) -> Option<&str> {
        match self {
            Condition::Working(w)
            | Condition::Waiting(w)
            | Condition::RateLimited(w)
            | Condition::Error(w)
            | Condition::Blocked(w)
            | Condition::Unknown(w) => Some(w).filter(|w| !w.is_empty()).map(String::as_str),
            Condition::Starting | Condition::Idle | Condition::Dead => None,
        }
    }
}

/// A slot as stored.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: SessionId,
    pub name: String,
    /// The label that earns a task of that provider its bonus.
    pub provider: Option<String>,
    pub paused: Option<String>,
    pub incarnation: Incarnation,
    pub condition: Condition,
    /// Since when, as far as is known.
    pub since: Option<Ms>,
    pub shell: Option<String>,
    /// The live client that is the pane's process.
    pub agent: Option<Agent>,
    pub place: Place,
    pub prompt: Prompt,
    /// Until when nothing is typed there, because a line came to nothing.
    pub avoid: Option<(Ms, String)>,
    pub last_active_at: Option<Ms>,
    pub last_group: Option<String>,
    pub seen_at: Option<Ms>,
}

/// What is known of a session's prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// What stood before the cursor when a person adopted the pane at its prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<String>,
}

/// The row at the cursor of a pane, as far as it tells an empty prompt from a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub before_cursor: String,
    pub after_cursor: String,
    /// The rows above that are full to the last column and so may go on here. tmux does not tell: readline breaks its
    /// lines itself.
    pub above: String,
}

/// Glyphs that end the prompts people use. `>` counts only behind a path or `@`: alone it is also PS2.
const GLYPHS: &[char] = &['$', '#', '%', '❯', '➜', 'λ', '»', '›'];

impl Prompt {
    /// A person adopts the pane as it is: what stands there now is its empty prompt, unless it is none of any kind.
    pub fn adopt(row: &Row) -> Prompt {
        let text = row.before_cursor.trim_end();
        let usable =
            !text.is_empty() && !is_continuation(text) && row.after_cursor.trim().is_empty();
        Prompt { adopted: (usable && !has_glyph(text)).then(|| text.to_owned()) }
    }

    /// Whether nothing is typed at the cursor. An unknown prompt is not empty: a draft typed twice at the same prompt
    /// looks just like one. `dir`: what the prompt may show of it is no glyph. `known`: whether the owner's config
    /// says that a whole row is an empty prompt.
    pub fn is_empty(
        &self,
        row: &Row,
        dir: Option<&str>,
        known: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        let text = row.before_cursor.trim_end();
        if !row.after_cursor.trim().is_empty() {
            return Err(format!("text stands after the cursor: {:?}", row.after_cursor.trim()));
        }
        if self.adopted.as_deref() == Some(text) || known(text) {
            return Ok(());
        }
        if text.is_empty() {
            return Err("no prompt stands before the cursor".into());
        }
        let whole = format!("{}{text}", row.above);
        let plain = |t: &str| is_plain_prompt(&without_dir(t, dir));
        let begins_here = row.above.is_empty() || ends_our_line(&row.above);
        if self.adopted.is_none() && plain(text) && (begins_here || plain(&whole)) {
            return Ok(());
        }
        Err(format!(
            "not known to be an empty prompt (see prompts in orch-config(5)), a draft may stand there: {text:?}"
        ))
    }
}

/// A line that was typed here before may fill its last row.
fn ends_our_line(text: &str) -> bool {
    let number = |t: &str| !t.is_empty() && t.chars().all(|c| c.is_ascii_digit());
    text.contains("orch-wrap")
        && text
            .rsplit_once(" --task ")
            .and_then(|(_, name)| name.split_once('.'))
            .is_some_and(|(task, attempt)| number(task) && number(attempt))
}

fn has_glyph(text: &str) -> bool {
    text.chars().any(|c| GLYPHS.contains(&c) || c == '>')
}

/// A row that ends with the first glyph in it: what is typed behind a prompt would stand after that glyph. What stands
/// before it must look like a prompt's, not like the second line of a draft.
fn is_plain_prompt(text: &str) -> bool {
    let Some((at, glyph)) = text.char_indices().find(|(_, c)| GLYPHS.contains(c) || *c == '>')
    else {
        return false;
    };
    let before = text[..at].trim_end();
    let placed = before.contains(['/', '~', '@', ':']);
    let named = !before.contains(char::is_whitespace)
        && !before.ends_with(|c: char| c.is_ascii_digit() && glyph == '%');
    let labelled = before.starts_with('(') && before.ends_with(')');
    let looks =
        if glyph == '>' { placed } else { before.is_empty() || placed || named || labelled };
    looks && at + glyph.len_utf8() == text.len()
}

/// A directory's own name may hold a glyph: the first time that it stands there it is the prompt's.
fn without_dir(text: &str, dir: Option<&str>) -> String {
    let name = dir.and_then(|d| d.rsplit('/').next()).filter(|n| n.contains(char::is_alphanumeric));
    name.map_or_else(|| text.to_owned(), |n| text.replacen(n, "dir", 1))
}

/// PS2 of bash and zsh: `>`, `dquote>`, `for else>`.
fn is_continuation(text: &str) -> bool {
    text.strip_suffix('>').is_some_and(|s| s.chars().all(|c| c.is_ascii_lowercase() || c == ' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(before: &str) -> Row {
        Row { before_cursor: before.into(), after_cursor: String::new(), above: String::new() }
    }

    fn no(_: &str) -> bool {
        false
    }

    #[test]
    fn plain_prompts_are_empty_and_drafts_behind_them_are_not() {
        let p = Prompt::default();
        for ok in [
            "$ ",
            "root@host:/tmp# ",
            "~/src/orch (main) $ ",
            "user@host ~> ",
            "❯ ",
            "host% ",
            "bash-5.2$ ",
        ] {
            assert_eq!(p.is_empty(&row(ok), None, no), Ok(()), "{ok}");
        }
        for draft in [
            "$ ls",
            "root@host:/tmp# rm -rf $ ",
            "$ echo # ",
            "❯ git commit",
            "user@host ~> cat > ",
            "$ a $",
            "$ls $",
        ] {
            assert!(p.is_empty(&row(draft), None, no).is_err(), "{draft}");
        }
        for not in [
            "> ",
            "dquote> ",
            "cmdand quote> ",
            "> 50%",
            "echo 50%",
            "50%",
            "host: $x 5 $ $",
            "",
            "➜  proj git:(main) ✗ ",
        ] {
            assert!(p.is_empty(&row(not), None, no).is_err(), "{not}");
        }
    }

    #[test]
    fn an_unusual_prompt_is_known_by_adoption_or_by_the_config_and_in_no_other_way() {
        let p = Prompt::adopt(&row("odd prompt: "));
        assert_eq!(p.is_empty(&row("odd prompt: "), None, no), Ok(()));
        assert!(p.is_empty(&row("odd prompt: make"), None, no).is_err());
        assert!(p.is_empty(&row("other prompt: "), None, no).is_err());
        assert_eq!(p.is_empty(&row("other prompt: "), None, |t| t == "other prompt:"), Ok(()));
        for never in ["> ", "", "$ touch x"] {
            assert_eq!(Prompt::adopt(&row(never)), Prompt::default(), "{never}");
        }
    }

    #[test]
    fn a_glyph_in_the_directorys_name_is_no_draft() {
        let p = Prompt::default();
        let dir = Some("/t/it's $(id) #1");
        assert_eq!(p.is_empty(&row("root@vm /t/it's $(id) #1# "), dir, no), Ok(()));
        assert!(p.is_empty(&row("root@vm /t/it's $(id) #1# cat it's $(id) #1"), dir, no).is_err());
        assert!(p.is_empty(&row("$ ls $(id) # "), Some("/"), no).is_err());
        assert!(p.is_empty(&row("$ ls #"), Some("/t/$"), no).is_err());
    }

    #[test]
    fn what_goes_on_from_full_rows_is_judged_with_them() {
        let p = Prompt::default();
        let below = |above: &str, text: &str| {
            p.is_empty(&Row { above: above.into(), ..row(text) }, None, no).is_ok()
        };
        assert!(!below("$ echo xxxx", "xxxx$"));
        assert!(!below("root@host:/tmp# git commit -m xx", "~/a$"));
        assert!(below("==========", "root@host:/tmp# "));
        assert!(below("$  '/bin/orch-wrap' --db '/a/o.db' --task 12.1", "$ "));
        assert!(below("~/src ---------- 12:00", "❯ "));
    }

    #[test]
    fn a_pane_adopted_at_an_odd_prompt_has_no_other() {
        let p = Prompt::adopt(&row("odd prompt: "));
        assert!(p.is_empty(&row("odd/prompt$ "), None, no).is_err());
    }

    #[test]
    fn text_right_of_the_cursor_is_a_draft() {
        let r = Row { before_cursor: "$ ".into(), after_cursor: "s".into(), above: String::new() };
        assert!(Prompt::default().is_empty(&r, None, no).is_err());
    }
}
