//! A person's answer to what a live client asks, given from anywhere: the screen is read again before every key.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{inspect, live};
use crate::agent::menu::{self, Choice, Menu};
use crate::agent::screen::Screen;
use crate::config::Config;
use crate::session::{Condition, Session};
use crate::tmux::Tmux;
use crate::when;

/// What a person says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Yes,
    No,
    Number(usize),
}

impl std::str::FromStr for Reply {
    type Err = String;
    fn from_str(s: &str) -> Result<Reply, String> {
        match s {
            "yes" => Ok(Reply::Yes),
            "no" => Ok(Reply::No),
            _ => match s.parse() {
                Ok(n @ 1..) => Ok(Reply::Number(n)),
                _ => Err(format!("'{s}': yes, no, or the number of an option")),
            },
        }
    }
}

/// Claude takes no key for up to 0.2 s after a dialog comes up.
const DEAF: Duration = Duration::from_millis(300);
/// How long a client may take to move its pointer.
const TO_MOVE: Duration = Duration::from_secs(2);
const TO_DRAW: Duration = Duration::from_secs(2);

/// Answers what a session asks now, where that is what is `meant`. Refused where it asks nothing, where the answer is none
/// of its options, and where the question is another one than a moment ago. Returns the option that was chosen.
pub fn answer(
    config: &Config,
    session: &Session,
    reply: &Reply,
    meant: &dyn Fn(&Menu) -> bool,
) -> anyhow::Result<String> {
    let asked = open(config, session)?;
    if !meant(&asked) {
        bail!("session '{}' asks something else now: {:?}", session.name, asked.line());
    }
    let wanted = pick(&asked, reply)
        .with_context(|| format!("session '{}': no such option: {}", session.name, named(&asked)))?
        .clone();
    choose(config, session, &asked, &wanted)?;
    Ok(wanted.text)
}

fn pick<'a>(menu: &'a Menu, reply: &Reply) -> Option<&'a Choice> {
    match reply {
        Reply::Yes => menu.beginning("Yes").or_else(|| menu.beginning("Trust")),
        Reply::No => menu.beginning("No"),
        Reply::Number(n) => menu.choices.iter().find(|c| c.number == *n),
    }
}

fn named(m: &Menu) -> String {
    m.choices.iter().map(|c| format!("{}. {}", c.number, c.text)).collect::<Vec<_>>().join("; ")
}

/// What a session asks now: its question, its options, and by what it is known again.
pub fn asked(config: &Config, session: &Session) -> anyhow::Result<Value> {
    let menu = open(config, session)?;
    let options = menu.choices.iter().map(|c| (c.number.to_string(), json!(c.text)));
    Ok(json!({
        "session": session.name,
        "asked": menu.id(),
        "question": menu.question,
        "options": options.collect::<serde_json::Map<_, _>>(),
    }))
}

/// The menu that is open in a session's pane. A client says that it asks before it has drawn what.
pub fn open(config: &Config, session: &Session) -> anyhow::Result<Menu> {
    let begun = Instant::now();
    loop {
        match look(config, session)? {
            Some(menu) => return Ok(menu),
            None if begun.elapsed() > TO_DRAW => {
                bail!("session '{}': what it asks has no options to choose from", session.name)
            }
            None => std::thread::sleep(Duration::from_millis(30)),
        }
    }
}

fn look(config: &Config, session: &Session) -> anyhow::Result<Option<Menu>> {
    let i = &session.incarnation;
    let material = inspect::material_of(config, &Tmux::at(&i.socket), &i.pane_id, when::now())?;
    let profiles = config.profiles()?;
    let rules = profiles
        .get(&material.provider)
        .and_then(|p| p.live.as_ref())
        .context("no live profile")?;
    let verdict = crate::agent::decide(&material, rules);
    if !matches!(verdict.condition, Condition::Waiting(_)) {
        bail!("session '{}' asks nothing: it is {}", session.name, verdict.condition.as_str());
    }
    Ok(menu::read(&Screen::read(&material)))
}

/// Moves the pointer step by step, each step seen, and confirms. Nothing is confirmed that is not the wanted option.
fn choose(config: &Config, session: &Session, asked: &Menu, wanted: &Choice) -> anyhow::Result<()> {
    let i = &session.incarnation;
    let tmux = Tmux::at(&i.socket);
    let now = live::process_of(&tmux, &i.pane_id)?;
    if now != Some((i.server_pid, i.pane_pid)) {
        bail!("session '{}': another process fills the pane now", session.name);
    }
    let begun = Instant::now();
    let mut last: Option<usize> = None;
    loop {
        let menu = open(config, session)?;
        if !same(&menu, asked) {
            bail!("session '{}' asks something else now: nothing was answered", session.name);
        }
        let at = menu.selected().context("no option is selected")?.number;
        if at == wanted.number && begun.elapsed() >= DEAF {
            if !tmux.press(i, "Enter")? {
                bail!(
                    "session '{}': its pane takes no key now: nothing was answered",
                    session.name
                );
            }
            return Ok(());
        }
        if begun.elapsed() > TO_MOVE {
            bail!("session '{}': its pointer does not move: nothing was answered", session.name);
        }
        if last != Some(at) && at != wanted.number && begun.elapsed() >= DEAF {
            tmux.press(i, if at < wanted.number { "Down" } else { "Up" })?;
            last = Some(at);
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// The same question with the same options, wherever the pointer is.
fn same(a: &Menu, b: &Menu) -> bool {
    let texts = |m: &Menu| m.choices.iter().map(|c| c.text.clone()).collect::<Vec<_>>();
    a.question == b.question && texts(a) == texts(b)
}
