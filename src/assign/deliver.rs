//! Hands a claimed attempt to a pane: one fixed line, typed only at an empty prompt, and no word of the task in it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::attempt::State;
use crate::config::Config;
use crate::quote::{self, Shell};
use crate::session::{Condition, Row, Session};
use crate::store::{OpenAttempt, Store};
use crate::tmux::Tmux;
use crate::when;
use crate::{ctx::sync, proc};

/// How long orch-wrap has to claim its start.
const TO_START: Duration = Duration::from_secs(2);

/// The line for a shell: `cd` there, then orch-wrap, which checks everything itself.
fn line(
    shell: Shell,
    dir: Option<&str>,
    wrap: &Path,
    db: &Path,
    a: &OpenAttempt,
) -> anyhow::Result<String> {
    let text = |p: &Path| {
        p.to_str().map(quote::word).with_context(|| format!("{}: not UTF-8", p.display()))
    };
    let cd = dir.map(|d| format!("{} -- {}; ", shell.cd(), quote::word(d))).unwrap_or_default();
    Ok(format!(" {cd}{} --db {} --task {}", text(wrap)?, text(db)?, a.name))
}

/// What came of handing an attempt over.
#[derive(Debug)]
pub enum Handed {
    /// The line is typed.
    Typed,
    /// A live client was seen to take the prompt.
    Submitted,
    /// The context is not to be had in that session: why. Nothing of the task was typed.
    NoContext(String),
    /// Bytes went into a live client, and nothing tells what became of them: why.
    Doubtful(String),
    /// Nothing was typed: why.
    Not(String),
    /// A line was begun, or a blank, and came to nothing: why. The session is to be left alone for a while.
    InVain(String),
}

/// Types the line into the attempt's pane, if that is still what was claimed and at an empty prompt.
pub fn hand_over(
    store: &mut Store,
    config: &Config,
    session: &Session,
    a: &OpenAttempt,
    dir: Option<&str>,
) -> anyhow::Result<Handed> {
    // marked first: the last look comes right before the first byte, and waits for no database
    if !store.mark_sending(a, when::now())? {
        return Ok(Handed::Not("the claim was taken back".into()));
    }
    let wrap = proc::sibling("orch-wrap")?;
    let (seen, shell) = match ready(session, config) {
        Ok(ready) => ready,
        Err(why) => return Ok(Handed::Not(why)),
    };
    let line = line(shell, dir, &wrap, store.path(), a)?;
    proc::stop_for_test("sending");
    // a server that dies meanwhile is this session's trouble, not the pass's
    match Tmux::at(&session.incarnation.socket).type_line(
        &session.incarnation.pane_id,
        &line,
        &seen,
    ) {
        Ok(Ok(())) => Ok(Handed::Typed),
        Ok(Err(why)) => Ok(Handed::InVain(why)),
        Err(e) => Ok(Handed::InVain(format!("{e:#}"))),
    }
}

/// The row at the cursor of a pane that is what was claimed, and at an empty prompt.
fn ready(session: &Session, config: &Config) -> Result<(Row, Shell), String> {
    let seen = sync::glance(session, config).map_err(|e| format!("{e:#}"))?;
    let seen = seen.ok_or("its pane is gone")?;
    if seen.incarnation != session.incarnation {
        return Err("another process fills the pane now".into());
    }
    match (seen.condition, seen.row, seen.shell) {
        (Condition::Idle, Some(row), Some(shell)) => Ok((row, shell.parse()?)),
        (condition, _, _) => Err(format!("no longer idle: {}", condition.why().unwrap_or("dead"))),
    }
}

/// Why a delivery is taken back.
pub const NOT_BEGUN: &str = "not begun within 2 s of being typed";

/// Whether what was typed was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    Yes,
    /// Nobody did: it is taken back.
    No,
    /// Another pass or a person took it back meanwhile.
    TakenBack,
}

/// Waits until orch-wrap has begun each attempt; takes the others back, so that a late line is refused.
pub fn await_starts(
    store: &mut Store,
    sent: Vec<OpenAttempt>,
) -> anyhow::Result<Vec<(OpenAttempt, Begun)>> {
    let begun = Instant::now();
    let mut waiting = sent;
    let mut done = Vec::new();
    loop {
        let mut still = Vec::new();
        for a in waiting {
            match store.attempt(a.name)?.map(|x| x.state) {
                Some(State::Sending) => still.push(a),
                Some(State::Refused | State::Cancelled) => done.push((a, Begun::TakenBack)),
                _ => done.push((a, Begun::Yes)),
            }
        }
        waiting = still;
        if waiting.is_empty() || begun.elapsed() > TO_START {
            break;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    for a in waiting {
        let taken = store.revoke(&a, NOT_BEGUN, when::now())?;
        done.push((a, if taken { Begun::No } else { Begun::Yes }));
    }
    Ok(done)
}
