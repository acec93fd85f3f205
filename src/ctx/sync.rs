//! Looks at the panes: where they are, what runs there, whether a line may be typed. Types nothing.

use std::collections::BTreeMap;

use serde_json::json;

use super::live::{self, Client};
use crate::agent::screen::Screen;
use crate::agent::{self, Material};
use crate::config::{self, Config};
use crate::quote::Shell;
use crate::session::{Agent, Condition, Incarnation, Place, Prompt, Row, Session};
use crate::store::{Seen, Store};
use crate::tmux::{Listing, Pane, Tmux};
use crate::when::{self, Ms};
use crate::{git, proc};

/// How often an unchanged session is written down as seen.
pub const SEEN_EVERY: Ms = 30_000;
/// Of a screen that no rule knows, so many rows are kept.
const DRIFT_ROWS: usize = 12;

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
        match home.panes() {
            Ok(Some(l)) => {
                tmuxes.insert(l.socket.clone(), home);
                listings.insert(l.socket.clone(), l);
            }
            Ok(None) => {}
            Err(e) if before.is_empty() => return Err(e),
            // one server that does not answer is not in the way of the others
            Err(_) => {}
        }
    }
    let mut silent: BTreeMap<String, String> = BTreeMap::new();
    for s in &before {
        let socket = &s.incarnation.socket;
        if !listings.contains_key(socket) && !silent.contains_key(socket) {
            let tmux = Tmux::at(socket);
            match tmux.panes() {
                Ok(Some(l)) => {
                    tmuxes.insert(socket.clone(), tmux);
                    listings.insert(socket.clone(), l);
                }
                Ok(None) => {}
                Err(e) => {
                    drop(silent.insert(socket.clone(), crate::clean::line(&format!("{e:#}"))))
                }
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
        let seen = match look(&tmuxes[socket], socket, &panes, config) {
            Ok(seen) => seen,
            Err(e) => {
                silent.insert(socket.clone(), crate::clean::line(&format!("{e:#}")));
                continue;
            }
        };
        looks.extend(mine.iter().zip(seen).map(|((s, _), seen)| (s.name.clone(), seen)));
    }
    for s in &before {
        // another socket's silence proves nothing: dead is who is missing from his own server's list, or whose server is
        let gone = match listings.get(&s.incarnation.socket) {
            Some(l) => still_there(s, l).is_none(),
            None => {
                s.incarnation.boot_id != proc::boot_id()
                    || proc::stat(s.incarnation.server_pid).is_none_or(|p| p.zombie)
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
    note_drift(store, &before, &looks, now)?;
    if let Which::All = which {
        adopt_by_pattern(store, config, &listings, &tmuxes, now)?;
    }
    let mut sessions = wanted(store, which)?;
    for s in &mut sessions {
        if let Some(why) = silent.get(&s.incarnation.socket) {
            s.condition = Condition::Unknown(why.clone());
        }
    }
    Ok(sessions)
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
    let boot = proc::boot_id();
    let shells: Vec<Option<Shell>> = panes.iter().map(|(p, _)| shell_of(p)).collect();
    // what may be a client: the pane's process, or what has a shell's terminal
    let fronts: Vec<Option<i64>> = panes.iter().map(|(p, _)| live::front(p)).collect();
    // profiles are read only where something may be one
    let profiles =
        if fronts.iter().all(Option::is_none) { Default::default() } else { config.profiles()? };
    let rest: Vec<Result<(), Condition>> = panes
        .iter()
        .zip(&shells)
        .map(|((p, _), shell)| shell.map_or(Ok(()), |shell| shell_at_rest(p, shell, config)))
        .collect();
    let client = |pid: &Option<i64>| pid.and_then(|pid| live::client_of(pid, profiles.iter()));
    let clients: Vec<Option<Client>> = fronts.iter().map(client).collect();
    let chosen = |of: &dyn Fn(usize) -> bool| -> Vec<&str> {
        (0..panes.len()).filter(|i| of(*i)).map(|i| panes[i].0.id.as_str()).collect()
    };
    let mut rows = tmux.rows(&chosen(&|i| shells[i].is_some() && rest[i].is_ok()))?.into_iter();
    let mut screens = tmux.screens(&chosen(&|i| clients[i].is_some()))?.into_iter();
    let mut all = Vec::new();
    for (i, (pane, prompt)) in panes.iter().enumerate() {
        let place = place(clients[i].as_ref().map_or(pane.pid, |c| c.pid));
        let mut seen = Seen {
            incarnation: Incarnation {
                socket: socket.to_owned(),
                server_pid: pane.server_pid,
                pane_id: pane.id.clone(),
                pane_pid: pane.pid,
                pane_start: proc::stat(pane.pid).map_or(0, |s| s.start),
                boot_id: boot.clone(),
            },
            condition: Condition::Dead,
            shell: shells[i].and(proc::program(pane.pid)),
            place,
            prompt: prompt.clone(),
            row: None,
            since: None,
            agent: None,
            composer: None,
            menu: None,
            prompts: 0,
            background: false,
            drift: None,
            touched: pane.touched,
        };
        match (&rest[i], &clients[i]) {
            (_, Some(client)) => {
                let shown = screens.next().flatten().unwrap_or_default();
                let m = live::material(client, pane, shown, when::now());
                see_agent(&mut seen, client, pane, &m);
            }
            (Err(c), None) => seen.condition = c.clone(),
            (Ok(()), None) if shells[i].is_some() => {
                seen.row = rows.next().flatten();
                let dir = seen.place.working_dir.as_deref();
                seen.condition = at_prompt(seen.row.as_ref(), prompt, dir, config);
            }
            (Ok(()), None) => {
                let what = proc::program(pane.pid).unwrap_or_else(|| "a program".into());
                seen.condition = Condition::Working(format!(
                    "{what} runs there, which is no shell and no client known here"
                ));
            }
        }
        if seen.condition.is_at_rest()
            && let Some(why) = somebody(pane, config.hands_off)
        {
            seen.condition = Condition::Blocked(why);
        }
        all.push((!pane.dead).then_some(seen));
    }
    Ok(all)
}

/// What a live client is doing; at rest it takes a task only where nothing is typed and the pane takes input.
fn see_agent(seen: &mut Seen, client: &Client, pane: &Pane, m: &Material) {
    let verdict = agent::decide(m, client.live);
    let hindered = verdict.condition.is_at_rest().then(|| hindrance(pane)).flatten().or_else(
        || match &verdict.composer {
            _ if !verdict.condition.is_at_rest() => None,
            _ if verdict.background => Some(
                "what it has started runs on in the background: no end could be told".to_owned(),
            ),
            None => Some("its composer is not to be seen".to_owned()),
            Some(t) if t.is_empty() => None,
            Some(t) => Some(format!("a draft stands in its composer: {:?}", crate::clean::line(t))),
        },
    );
    seen.condition = hindered.map_or(verdict.condition, Condition::Blocked);
    seen.since = verdict.since;
    seen.composer = verdict.composer;
    seen.menu = verdict.menu;
    seen.prompts = verdict.prompts;
    seen.background = verdict.background;
    // an empty one is a client's that begins or ends
    seen.drift = verdict
        .drift
        .then(|| last_rows(m))
        .filter(|rows| !rows.is_empty())
        .map(String::into_boxed_str);
    seen.agent = Some(Agent {
        provider: client.provider.to_owned(),
        session_id: m.record.as_ref().and_then(|r| r.session_id.clone()),
        version: m.version.clone(),
        record: m.record.as_ref().and_then(|r| r.path.clone()),
        process: proc::identify(client.pid),
    });
}

/// The end of a screen, as it may be kept.
fn last_rows(m: &Material) -> String {
    let screen = Screen::read(m);
    let rows = screen.last(DRIFT_ROWS, screen.rows.len());
    crate::clean::text(&rows.join("\n"))
}

/// Whether somebody is at the pane: people come first.
fn somebody(p: &Pane, hands_off: Ms) -> Option<String> {
    let why = || {
        format!(
            "somebody is at the pane, and pressed a key in the last {} s (hands_off)",
            (hands_off + 999) / 1000
        )
    };
    (when::now() - p.touched? < hands_off).then(why)
}

/// What keeps a pane from taking input as it is meant.
fn hindrance(p: &Pane) -> Option<String> {
    let why = match p {
        _ if p.in_mode => "the pane is in copy mode",
        _ if p.input_off => "the pane's input is off",
        _ if p.synchronized => "the pane is synchronized with its neighbours",
        _ => return None,
    };
    Some(why.to_owned())
}

fn shell_of(p: &Pane) -> Option<Shell> {
    proc::program(p.pid)?.parse().ok()
}

/// Whether a shell has the terminal to itself and edits a line.
fn shell_at_rest(p: &Pane, shell: Shell, config: &Config) -> Result<(), Condition> {
    let blocked = |why: &str| Err(Condition::Blocked(why.to_owned()));
    if let Some(why) = hindrance(p) {
        return blocked(&why);
    }
    if proc::stat(p.pid).is_none() {
        return blocked("the shell is gone");
    }
    if let Some(pid) = live::beneath(p.pid, &p.tty) {
        let name = proc::stat(pid).map_or_else(|| "a command".to_owned(), |s| s.name);
        return Err(Condition::Working(format!("{name} runs there")));
    }
    let program = proc::program(p.pid).unwrap_or_default();
    let opted_in = config.canonical_shells.contains(&program);
    match proc::is_canonical(&p.tty) {
        Ok(false) => Ok(()),
        Ok(true) if opted_in => Ok(()),
        Ok(true) if shell == Shell::Dash => blocked(
            "dash edits no line, so that a draft cannot be seen: opt in with canonical_shells = [\"dash\"]",
        ),
        Ok(true) => blocked("the shell reads no command line now (read, or a builtin that runs)"),
        Err(e) => blocked(&format!("its terminal cannot be looked at: {e}")),
    }
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
        && named(s.agent.as_ref()) == named(seen.agent.as_ref())
        && s.place == seen.place
        && s.incarnation == seen.incarnation
        && s.last_active_at <= s.seen_at;
    !same || s.seen_at.is_none_or(|t| now - t > SEEN_EVERY)
}

/// What is stored of a client.
fn named(a: Option<&Agent>) -> Option<(&String, &Option<String>)> {
    a.map(|a| (&a.provider, &a.session_id))
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

/// A client whose state became unknown because no rule knows its screen: once, not at every look.
fn note_drift(
    store: &mut Store,
    before: &[Session],
    looks: &[(String, Option<Seen>)],
    now: Ms,
) -> anyhow::Result<()> {
    for (name, seen) in looks {
        let (Some(seen), Some(s)) = (seen, before.iter().find(|s| s.name == *name)) else {
            continue;
        };
        let (Some(agent), Some(screen), Condition::Unknown(_)) =
            (&seen.agent, &seen.drift, &seen.condition)
        else {
            continue;
        };
        // a slot may have been made when it was unknown already
        let known = matches!(s.condition, Condition::Unknown(_))
            && store.noted("drift", s.id, s.since.unwrap_or(0))?;
        if !known {
            let body =
                json!({"provider": agent.provider, "version": agent.version, "screen": screen});
            store.note("drift", None, None, Some(s.id), body, now)?;
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
