//! Looks at the panes: where they are, what runs there, whether a line may be typed. Types nothing.

use std::collections::BTreeMap;

use serde_json::json;

use crate::config::{self, Config};
use crate::quote::Shell;
use crate::session::{Condition, Incarnation, Place, Prompt, Row, Session};
use crate::store::{Seen, Store};
use crate::tmux::{Listing, Pane, Tmux};
use crate::when::Ms;
use crate::{git, proc};

/// How often an unchanged session is written down as seen.
pub const SEEN_EVERY: Ms = 30_000;

/// Which sessions to look at.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    All,
    One(&'a str),
}

/// One look at every adopted session, taken into the database; sessions that `config.sessions` names are adopted.
/// Returns the sessions as they are now.
pub fn sync(
    store: &mut Store,
    config: &Config,
    which: Which,
    now: Ms,
) -> anyhow::Result<Vec<Session>> {
    let before = wanted(store, which)?;
    let mut listings: BTreeMap<String, Listing> = BTreeMap::new();
    let mut tmuxes: BTreeMap<String, Tmux> = BTreeMap::new();
    if let Which::All = which {
        let home = Tmux::from_env();
        if let Some(l) = home.panes()? {
            tmuxes.insert(l.socket.clone(), home);
            listings.insert(l.socket.clone(), l);
        }
    }
    for s in &before {
        let socket = &s.incarnation.socket;
        if !listings.contains_key(socket) {
            let tmux = Tmux::at(socket);
            if let Some(l) = tmux.panes()? {
                tmuxes.insert(socket.clone(), tmux);
                listings.insert(socket.clone(), l);
            }
        }
    }
    let mut looks = Vec::new();
    for (socket, listing) in &listings {
        let mine: Vec<(&Session, &Pane)> = before
            .iter()
            .filter(|s| s.incarnation.socket == *socket)
            .filter_map(|s| Some((s, still_there(s, listing)?)))
            .collect();
        let panes: Vec<(&Pane, Prompt)> = mine.iter().map(|(s, p)| (*p, prompt_of(s, p))).collect();
        let seen = look(&tmuxes[socket], socket, &panes, config)?;
        looks.extend(mine.iter().zip(seen).map(|((s, _), seen)| (s.name.clone(), seen)));
    }
    for s in &before {
        // another socket's silence proves nothing: dead is who is missing from his own server's list, or whose server is
        let gone = match listings.get(&s.incarnation.socket) {
            Some(l) => still_there(s, l).is_none(),
            None => {
                s.incarnation.boot_id != proc::boot_id()
                    || proc::stat(s.incarnation.server_pid).is_none()
            }
        };
        if gone && s.condition != Condition::Dead {
            looks.push((s.name.clone(), None));
        }
    }
    let fresh: Vec<_> = looks
        .iter()
        .filter(|(name, seen)| is_news(&before, name, seen.as_ref(), now))
        .cloned()
        .collect();
    if !fresh.is_empty() {
        store.see(&fresh, now)?;
    }
    note_changes(store, &before, &looks, now)?;
    if let Which::All = which {
        adopt_by_pattern(store, config, &listings, &tmuxes, now)?;
    }
    wanted(store, which)
}

fn wanted(store: &Store, which: Which) -> anyhow::Result<Vec<Session>> {
    match which {
        Which::All => store.sessions(),
        Which::One(name) => Ok(vec![store.need_session(name)?]),
    }
}

/// The pane of the session's incarnation: same server, same pane; a respawned one keeps its slot.
fn still_there<'a>(s: &Session, l: &'a Listing) -> Option<&'a Pane> {
    l.panes
        .iter()
        .find(|p| p.server_pid == s.incarnation.server_pid && p.id == s.incarnation.pane_id)
}

/// What is known of a prompt belongs to the process that draws it.
fn prompt_of(s: &Session, p: &Pane) -> Prompt {
    if s.incarnation.pane_pid == p.pid { s.prompt.clone() } else { Prompt::default() }
}

/// One session's pane at this moment, not taken into the database; `None` where no pane fills it.
pub fn glance(s: &Session, config: &Config) -> anyhow::Result<Option<Seen>> {
    let tmux = Tmux::at(&s.incarnation.socket);
    let Some(listing) = tmux.panes()? else { return Ok(None) };
    let Some(pane) = still_there(s, &listing) else { return Ok(None) };
    let seen = look(&tmux, &listing.socket, &[(pane, prompt_of(s, pane))], config)?;
    Ok(seen.into_iter().next().flatten())
}

/// What some panes of one server are at this moment; `None` for a dead pane.
pub fn look(
    tmux: &Tmux,
    socket: &str,
    panes: &[(&Pane, Prompt)],
    config: &Config,
) -> anyhow::Result<Vec<Option<Seen>>> {
    let first: Vec<(Option<Shell>, Result<(), Condition>)> =
        panes.iter().map(|(p, _)| shell_at_rest(p, config)).collect();
    let resting: Vec<&str> = panes
        .iter()
        .zip(&first)
        .filter(|(_, (_, c))| c.is_ok())
        .map(|((p, _), _)| p.id.as_str())
        .collect();
    let mut rows = tmux.rows(&resting)?.into_iter();
    let boot = proc::boot_id();
    let mut all = Vec::new();
    for ((pane, prompt), (shell, condition)) in panes.iter().zip(first) {
        let mut row = None;
        let place = place(pane.pid);
        let condition = match condition {
            Err(c) => c,
            Ok(()) => {
                row = rows.next().flatten();
                at_prompt(row.as_ref(), prompt, place.working_dir.as_deref(), config)
            }
        };
        let seen = Seen {
            incarnation: Incarnation {
                socket: socket.to_owned(),
                server_pid: pane.server_pid,
                pane_id: pane.id.clone(),
                pane_pid: pane.pid,
                pane_start: proc::stat(pane.pid).map_or(0, |s| s.start),
                boot_id: boot.clone(),
            },
            condition,
            shell: shell.and(proc::program(pane.pid)),
            place,
            prompt: prompt.clone(),
            row,
        };
        all.push((!pane.dead).then_some(seen));
    }
    Ok(all)
}

/// Whether the pane's process is a shell that has the terminal to itself and edits a line.
fn shell_at_rest(p: &Pane, config: &Config) -> (Option<Shell>, Result<(), Condition>) {
    let blocked = |why: &str| Err(Condition::Blocked(why.to_owned()));
    let program = proc::program(p.pid).unwrap_or_default();
    let Ok(shell) = program.parse::<Shell>() else {
        let what = if program.is_empty() { "a program" } else { &program };
        return (
            None,
            Err(Condition::Busy(format!("{what} runs there, which is no shell known here"))),
        );
    };
    let rest = (|| {
        if p.in_mode {
            return blocked("the pane is in copy mode");
        }
        if p.input_off {
            return blocked("the pane's input is off");
        }
        if p.synchronized {
            return blocked("the pane is synchronized with its neighbours");
        }
        let Some(stat) = proc::stat(p.pid) else { return blocked("the shell is gone") };
        if stat.foreground != stat.group {
            let name =
                proc::stat(stat.foreground).map_or_else(|| "a command".to_owned(), |s| s.name);
            return Err(Condition::Busy(format!("{name} runs there")));
        }
        let opted_in = config.canonical_shells.contains(&program);
        match proc::is_canonical(&p.tty) {
            Ok(false) => Ok(()),
            Ok(true) if opted_in => Ok(()),
            Ok(true) if shell == Shell::Dash => blocked(
                "dash edits no line, so that a draft cannot be seen: opt in with canonical_shells = [\"dash\"]",
            ),
            Ok(true) => {
                blocked("the shell reads no command line now (read, or a builtin that runs)")
            }
            Err(e) => blocked(&format!("its terminal cannot be looked at: {e}")),
        }
    })();
    (Some(shell), rest)
}

fn at_prompt(row: Option<&Row>, prompt: &Prompt, dir: Option<&str>, config: &Config) -> Condition {
    let Some(row) = row else { return Condition::Blocked("its screen cannot be read".into()) };
    let known = |text: &str| config.prompts.iter().any(|p| p.is_match(text));
    match prompt.is_empty(row, dir, known) {
        Ok(()) => Condition::Idle,
        Err(why) => Condition::Blocked(crate::clean::line(&why)),
    }
}

/// Where a process is: its directory, and the branch read from .git.
pub fn place(pid: i64) -> Place {
    let Some(dir) = proc::working_dir(pid) else { return Place::default() };
    let tree = git::work_tree(&dir);
    Place {
        git_branch: tree.as_ref().and_then(|t| t.branch.clone()),
        tree: Some(tree.map_or_else(|| dir.clone(), |t| t.top).to_string_lossy().into_owned()),
        working_dir: Some(dir.to_string_lossy().into_owned()),
    }
}

/// Whether a look is worth a write: two that watch would wake each other for ever.
fn is_news(before: &[Session], name: &str, seen: Option<&Seen>, now: Ms) -> bool {
    let (Some(s), Some(seen)) = (before.iter().find(|s| s.name == name), seen) else { return true };
    let same = s.condition == seen.condition
        && s.shell == seen.shell
        && s.place == seen.place
        && s.incarnation == seen.incarnation
        && s.last_active_at <= s.seen_at;
    !same || s.seen_at.is_none_or(|t| now - t > SEEN_EVERY)
}

/// A directory or branch that is another one than at the last look. By us if an attempt of the session began since.
fn note_changes(
    store: &mut Store,
    before: &[Session],
    looks: &[(String, Option<Seen>)],
    now: Ms,
) -> anyhow::Result<()> {
    for (name, seen) in looks {
        let (Some(seen), Some(s)) = (seen, before.iter().find(|s| s.name == *name)) else {
            continue;
        };
        let was = &s.place;
        let changed =
            was.working_dir != seen.place.working_dir || was.git_branch != seen.place.git_branch;
        if changed && s.seen_at.is_some() {
            let by_us = s.last_active_at > s.seen_at;
            let body = json!({"from": was, "to": seen.place, "by": if by_us { "orch" } else { "not by us" }});
            store.note("context_change", None, None, Some(s.id), body, now)?;
        }
    }
    Ok(())
}

/// Gives a slot to every pane whose tmux session the config names and that has none.
fn adopt_by_pattern(
    store: &mut Store,
    config: &Config,
    listings: &BTreeMap<String, Listing>,
    tmuxes: &BTreeMap<String, Tmux>,
    now: Ms,
) -> anyhow::Result<()> {
    if config.sessions.is_empty() {
        return Ok(());
    }
    let have = store.sessions()?;
    for (socket, listing) in listings {
        for pane in &listing.panes {
            let fills = |s: &&Session| {
                s.incarnation.socket == *socket
                    && s.incarnation.pane_id == pane.id
                    && s.incarnation.server_pid == pane.server_pid
            };
            let named = config.sessions.iter().any(|p| config::matches(p, &pane.session));
            let name = slot_name(pane);
            let taken = have.iter().any(|s| s.name == name && s.condition != Condition::Dead);
            if !named || pane.dead || taken || have.iter().any(|s| fills(&s)) {
                continue;
            }
            let seen = look(&tmuxes[socket], socket, &[(pane, Prompt::default())], config)?;
            if let Some(Some(seen)) = seen.into_iter().next() {
                store.adopt(&name, None, &seen, now)?;
            }
        }
    }
    Ok(())
}

/// A slot's name when nobody gives one: the tmux session's, with window and pane where it has several.
pub fn slot_name(p: &Pane) -> String {
    if p.siblings == 1 { p.session.clone() } else { p.address.clone() }
}
