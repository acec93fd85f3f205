//! The part of a profile that says how a live client is found, launched, fed and read: data.

use std::collections::BTreeMap;

use regex::Regex;
use serde::{Deserialize, Deserializer};
use unicode_normalization::UnicodeNormalization as _;

use super::screen::Screen;
use crate::session::Condition;

/// `[provider.NAME.live]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    /// Program names of the client: of the pane's own process, or of a child of it.
    pub processes: Vec<String>,
    /// Argument vector of a new one; `{session_id}` and `{model}` are replaced.
    #[serde(default)]
    pub launch: Vec<String>,
    /// Which of the readers knows the client's own record: `claude`, `codex`.
    #[serde(default)]
    pub record: Reader,
    /// The first row of the composer: what group 1 matches is what is typed there. What is faint or reversed is not
    /// looked at.
    #[serde(deserialize_with = "regex")]
    pub prompt: Regex,
    /// Rows that go on it, where they have a mark of their own: what group 1 matches is what is typed there.
    #[serde(default, deserialize_with = "some_regex")]
    pub prompt_more: Option<Regex>,
    /// The row above it matches this.
    #[serde(default, deserialize_with = "some_regex")]
    pub prompt_above: Option<Regex>,
    /// A row that shows the prompt of an earlier turn, where such a row does not look like the composer's.
    #[serde(default, deserialize_with = "some_regex")]
    pub turn: Option<Regex>,
    /// Below the composer's row: rows that go on it, up to the last rows that match this.
    #[serde(default, deserialize_with = "some_regex")]
    pub prompt_end: Option<Regex>,
    /// What stands in the composer for a paste that it does not show: group 1 counts its lines or characters.
    #[serde(default, deserialize_with = "some_regex")]
    pub chip: Option<Regex>,
    /// Texts that begin with one of these would be taken for a command of the client's own; what is put before them.
    #[serde(default)]
    pub guard: BTreeMap<String, String>,
    /// What is typed before a text that the client would file as pasted by somebody else: one of `lead_lines` lines or
    /// more, or of `lead_chars` characters or more.
    #[serde(default)]
    pub lead: Option<String>,
    #[serde(default)]
    pub lead_lines: Option<usize>,
    #[serde(default)]
    pub lead_chars: Option<usize>,
    /// Typed to begin a new conversation.
    #[serde(default)]
    pub clear: Option<String>,
    /// Typed to change the directory; `{dir}` is replaced.
    #[serde(default)]
    pub change_dir: Option<String>,
    /// What its screen looks like in each state.
    #[serde(default)]
    pub screen: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    #[default]
    None,
    Claude,
    Codex,
}

/// One thing to know a screen by. All that it names must hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub name: String,
    pub state: State,
    #[serde(default)]
    pub priority: i64,
    #[serde(default)]
    pub region: Region,
    /// Each of these is contained in the region.
    #[serde(default)]
    pub contains: Vec<String>,
    /// It matches a row of the region; of several, each does.
    #[serde(default, deserialize_with = "regexes")]
    pub regex: Vec<Regex>,
    /// Whether the screen shows the composer.
    #[serde(default)]
    pub composer: Option<bool>,
    /// Beginnings of the client's version that it is true of; none: of every.
    #[serde(default)]
    pub versions: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Starting,
    Idle,
    Working,
    Permission,
    Question,
    Dialog,
    RateLimited,
    Error,
    Unknown,
    /// Says nothing of the agent itself: what it has started still runs, and will wake it.
    Background,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Idle => "idle",
            State::Working => "working",
            State::Permission => "waiting(permission)",
            State::Question => "waiting(question)",
            State::Dialog => "waiting(dialog)",
            State::RateLimited => "rate_limited",
            State::Error => "error",
            State::Unknown => "unknown",
            State::Background => "background",
        }
    }
}

/// Where a rule looks: the window's title, the whole screen, its last rows that hold something, those above the
/// composer, or everything below it. Where there is no composer, there is nothing above or below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Region {
    #[default]
    Screen,
    Title,
    Bottom(usize),
    Above(usize),
    Below,
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Region, D::Error> {
        let text = String::deserialize(d)?;
        let (place, rows) = text.split_once(':').unwrap_or((&text, ""));
        match (place, rows, rows.parse()) {
            ("screen", "", _) => Ok(Region::Screen),
            ("title", "", _) => Ok(Region::Title),
            ("below", "", _) => Ok(Region::Below),
            ("bottom", _, Ok(n)) => Ok(Region::Bottom(n)),
            ("above", _, Ok(n)) => Ok(Region::Above(n)),
            _ => Err(serde::de::Error::custom(format!(
                "region: '{text}': screen, title, bottom:ROWS, above:ROWS, or below"
            ))),
        }
    }
}

impl Rule {
    pub fn holds(&self, s: &Screen, composer: Option<&Composer>, version: Option<&str>) -> bool {
        let of_version = self.versions.is_empty()
            || version.is_some_and(|v| self.versions.iter().any(|w| v.starts_with(w.as_str())));
        let placed = match self.region {
            Region::Above(_) | Region::Below => composer.is_some(),
            _ => true,
        };
        let rows = self.rows(s, composer);
        of_version
            && placed
            && self.composer.is_none_or(|c| c == composer.is_some())
            && self.contains.iter().all(|t| rows.iter().any(|r| r.contains(t.as_str())))
            && self.regex.iter().all(|x| rows.iter().any(|r| x.is_match(r)))
    }

    fn rows<'a>(&self, s: &'a Screen, composer: Option<&Composer>) -> Vec<&'a str> {
        match (self.region, composer) {
            (Region::Title, _) => vec![s.title.as_str()],
            (Region::Screen, _) => s.rows.iter().map(String::as_str).collect(),
            (Region::Bottom(n), _) => s.last(n, s.rows.len()),
            (Region::Above(n), Some(c)) => s.last(n, c.first),
            (Region::Below, Some(c)) => s.rows[c.end..].iter().map(String::as_str).collect(),
            (_, None) => Vec::new(),
        }
    }

    /// The rows that it rests on.
    pub fn evidence(&self, s: &Screen, composer: Option<&Composer>) -> String {
        let meant = |r: &&str| {
            self.contains.iter().any(|t| r.contains(t.as_str()))
                || self.regex.iter().any(|x| x.is_match(r))
        };
        if let (Some(c), Some(true), true) = (composer, self.composer, self.regex.is_empty()) {
            return format!("{:?}", s.rows[c.first].trim());
        }
        let rows: Vec<String> = self
            .rows(s, composer)
            .into_iter()
            .filter(meant)
            .take(3)
            .map(|r| format!("{:?}", r.trim()))
            .collect();
        rows.join(" ")
    }

    pub fn condition(&self, s: &Screen, composer: Option<&Composer>) -> Condition {
        let shown = || self.evidence(s, composer);
        let asked = |kind: &str| format!("{kind}: {}", shown());
        match self.state {
            State::Starting => Condition::Starting,
            State::Idle => Condition::Idle,
            State::Working => Condition::Working(String::new()),
            State::Permission => Condition::Waiting(asked("permission")),
            State::Question => Condition::Waiting(asked("question")),
            State::Dialog => Condition::Waiting(asked("dialog")),
            State::RateLimited => Condition::RateLimited(shown()),
            State::Error => Condition::Error(shown()),
            State::Unknown | State::Background => Condition::Unknown(shown()),
        }
    }
}

/// Where a prompt is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composer {
    /// Its first row.
    pub first: usize,
    /// The row behind its last.
    pub end: usize,
    /// What a person has typed there.
    pub text: String,
}

impl Live {
    /// The composer; `None` where the screen shows none.
    pub fn composer(&self, s: &Screen) -> Option<Composer> {
        let above = |at: usize| match (&self.prompt_above, at.checked_sub(1)) {
            (Some(x), Some(row)) => x.is_match(&s.rows[row]),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let first =
            (0..s.lit.len()).rev().find(|i| self.prompt.is_match(&s.lit[*i]) && above(*i))?;
        let lead = s.lit[first].chars().count();
        let group = self.prompt.captures(&s.lit[first])?.get(1);
        let lead = group.map_or(lead, |m| s.lit[first][..m.start()].chars().count());
        let mut text: String = s.typed[first].chars().skip(lead).collect();
        // the first of the last such rows: one of their kind may stand in the text itself
        let full = s.rows.iter().rposition(|r| !r.trim().is_empty()).map_or(0, |i| i + 1);
        let is_end = |i: &usize| self.prompt_end.as_ref().is_some_and(|x| x.is_match(&s.rows[*i]));
        let end = match (first + 1..full).rfind(is_end) {
            Some(last) => (first + 1..=last).rev().take_while(is_end).last().unwrap_or(last),
            None if self.prompt_end.is_some() => full,
            None => first + 1,
        };
        for row in &s.typed[first + 1..end] {
            text.push('\n');
            let marked = self.prompt_more.as_ref().and_then(|x| x.captures(row));
            text.push_str(match &marked {
                Some(m) => m.get(1).map_or("", |m| m.as_str()),
                // rows that go on stand below the first letter
                None => row.strip_prefix("  ").unwrap_or(row),
            });
        }
        Some(Composer { first, end, text: text.trim().to_owned() })
    }

    /// Rows that look like a prompt.
    pub fn prompts(&self, s: &Screen) -> usize {
        let is_turn = |r: &&String| self.turn.as_ref().is_some_and(|t| t.is_match(r));
        s.rows.iter().filter(|r| self.prompt.is_match(r) || is_turn(r)).count()
    }

    /// What the screen is known by, and by what it shows that something runs in the background.
    pub fn seen(
        &self,
        s: &Screen,
        composer: Option<&Composer>,
        version: Option<&str>,
    ) -> (Option<&Rule>, Option<&Rule>) {
        let holding = || self.screen.iter().filter(|r| r.holds(s, composer, version));
        let is_background = |r: &&Rule| r.state == State::Background;
        (
            holding().filter(|r| !is_background(r)).max_by_key(|r| r.priority),
            holding().filter(is_background).max_by_key(|r| r.priority),
        )
    }

    /// Whether the composer shows these words of ours and nothing else: as they are, as the end of what is too long to
    /// show, or as the mark that stands for a paste.
    pub fn shows(&self, composer: &str, lead: &str, text: &str) -> bool {
        let whole = format!("{lead}{text}");
        let (shown, all) = (bare(composer), bare(&whole));
        let left = unshown(&shown, &all);
        if left.is_some_and(|rest| !rest.contains(|c: char| c.is_ascii()))
            && 2 * shown.len() >= all.len()
        {
            return true;
        }
        if let Some(m) = self.chip.as_ref().and_then(|c| c.captures(composer)) {
            let mark = m.get(0).map_or("", |m| m.as_str());
            let count = m.get(1).and_then(|n| n.as_str().parse::<usize>().ok());
            let (lines, chars) = (text.lines().count(), text.chars().count());
            let fits = count.is_none_or(|n| [lines, lines - 1, chars].contains(&n));
            return fits && same(&composer.replacen(mark, "", 1), lead);
        }
        shown.len() >= SCROLLED && left.is_some()
    }

    /// What is typed first, and the text that is pasted: led in or guarded where the client needs that, never ending in
    /// a word that a popup completes.
    pub fn deliverable(&self, content: &str) -> (Option<String>, String) {
        let mut text = crate::clean::text(&content.replace("\r\n", "\n")).trim_end().to_owned();
        let many = self.lead_lines.is_some_and(|n| text.lines().count() >= n)
            || self.lead_chars.is_some_and(|n| text.chars().count() >= n);
        let lead = self.lead.clone().filter(|_| many);
        // behind a lead-in nothing is at the start
        let guard = self.guard.iter().find(|(g, _)| text.trim_start().starts_with(g.as_str()));
        if let (None, Some((_, with))) = (&lead, guard) {
            text = format!("{with}{text}");
        }
        let last = text.rsplit(char::is_whitespace).next().unwrap_or_default();
        if last.starts_with(['@', '$']) {
            text.push(' ');
        }
        (lead, text)
    }
}

/// Of a text that does not fit into the composer, its end shows; less than this could be somebody else's.
const SCROLLED: usize = 200;

/// Clients break lines, widen tabs and compose accents: blanks do not count, nor how an accent is written.
fn bare(text: &str) -> String {
    text.nfc().filter(|c| !c.is_whitespace()).collect()
}

/// What of a text is not to be seen before the end of it that a screen shows; `None` where the screen shows something
/// else. A terminal cannot show every character beyond ASCII.
fn unshown<'a>(shown: &str, all: &'a str) -> Option<&'a str> {
    let mut rest = all;
    for c in shown.chars().rev() {
        loop {
            let last = rest.chars().next_back()?;
            rest = &rest[..rest.len() - last.len_utf8()];
            if last == c {
                break;
            }
            if last.is_ascii() {
                return None;
            }
        }
    }
    Some(rest)
}

pub fn same(a: &str, b: &str) -> bool {
    bare(a) == bare(b)
}

/// Whether `part` is the beginning of `whole`.
pub fn starts(whole: &str, part: &str) -> bool {
    bare(whole).starts_with(&bare(part))
}

/// Whether a prompt of a client's record is these very words, whatever the client put around a paste.
pub fn is_prompt(prompt: &str, lead: &str, text: &str) -> bool {
    let whole = format!("{lead}{text}");
    same(prompt, &whole) || same(&unwrapped(prompt), &whole)
}

/// A prompt without the tags that Claude puts around a paste.
fn unwrapped(prompt: &str) -> String {
    let cut = || {
        let (before, rest) = prompt.split_once("<pasted_content id=\"")?;
        let (id, rest) = rest.split_once("\">")?;
        let (text, after) = rest.rsplit_once(&format!("</pasted_content id=\"{id}\">"))?;
        Some(format!("{before}{text}{after}"))
    };
    cut().unwrap_or_else(|| prompt.to_owned())
}

/// Whether `part` is somewhere in `whole`.
pub fn holds(whole: &str, part: &str) -> bool {
    bare(whole).contains(&bare(part))
}

fn regex<'de, D: Deserializer<'de>>(d: D) -> Result<Regex, D::Error> {
    Regex::new(&String::deserialize(d)?).map_err(serde::de::Error::custom)
}

fn regexes<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Regex>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Some {
        One(String),
        Many(Vec<String>),
    }
    let all = match Some::deserialize(d)? {
        Some::One(text) => vec![text],
        Some::Many(all) => all,
    };
    all.iter().map(|t| Regex::new(t).map_err(serde::de::Error::custom)).collect()
}

fn some_regex<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Regex>, D::Error> {
    regex(d).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_may_lack_what_no_terminal_shows_and_nothing_else() {
        let left = |shown: &str, all: &str| unshown(shown, all).map(str::to_owned);
        assert_eq!(left("7:é\u{4e16}", "7:é\u{fdfd}\u{4e16}").as_deref(), Some(""));
        assert_eq!(left("end", "the end").as_deref(), Some("the "));
        assert_eq!(left("x7", "7"), None);
        assert_eq!(left("ab", "acb"), None);
    }

    #[test]
    fn a_prompt_on_record_is_ours_whole_or_not_at_all() {
        let wrapped = "Do: \n\n<pasted_content id=\"8f\">\na\nb\n</pasted_content id=\"8f\">\n";
        assert!(is_prompt(wrapped, "Do: ", "a\nb") && is_prompt("a b", "", "a b"));
        assert!(!is_prompt("a b, and more", "", "a b") && !is_prompt(wrapped, "", "a"));
    }
}
