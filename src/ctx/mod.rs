//! The context of panes: shown, adopted, verified against a task, printed as shell code.

pub mod answer;
pub mod establish;

pub mod hooks;
pub mod inspect;
pub mod live;
mod settings;
pub mod sync;
pub mod wipe;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::config::Config;
use crate::context::{self, Context};
use crate::quote::{Shell, word};
use crate::session::{Condition, Prompt, Session};
use crate::store::{Seen, Store};
use crate::task::Task;
use crate::tmux::{Listing, Pane, Tmux};
use crate::when::{self, Ms};

/// Every pane of the server and every adopted session, as they are now. Changes nothing.
pub fn show(
    store: Option<&Store>,
    config: &Config,
    names: &[String],
) -> anyhow::Result<Vec<Value>> {
    let adopted = store.map_or(Ok(Vec::new()), Store::sessions)?;
    let mut records = Vec::new();
    let tmux = Tmux::from_env();
    if let Some(l) = tmux.panes()? {
        let of = |p: &Pane| adopted.iter().find(|s| fills(s, p, &l));
        let panes: Vec<(&Pane, Prompt)> = l
            .panes
            .iter()
            .map(|p| (p, of(p).map(|s| s.prompt.clone()).unwrap_or_default()))
            .collect();
        for ((pane, _), seen) in panes.iter().zip(sync::look(&tmux, &l.socket, &panes, config)?) {
            let slot = of(pane);
            let name = slot.map_or_else(|| sync::slot_name(pane), |s| s.name.clone());
            records.push(record(&name, slot, pane, seen.as_ref()));
        }
        for s in adopted.iter().filter(|s| !l.panes.iter().any(|p| fills(s, p, &l))) {
            let seen = sync::glance(s, config)?;
            records.push(elsewhere(s, seen.as_ref()));
        }
    } else {
        for s in &adopted {
            let seen = sync::glance(s, config)?;
            records.push(elsewhere(s, seen.as_ref()));
        }
    }
    if let Some(missing) = names.iter().find(|n| !records.iter().any(|r| is_named(r, n))) {
        bail!("no session or pane '{missing}'");
    }
    records.retain(|r| names.is_empty() || names.iter().any(|n| is_named(r, n)));
    Ok(records)
}

fn fills(s: &Session, p: &Pane, l: &Listing) -> bool {
    let i = &s.incarnation;
    i.socket == l.socket && i.pane_id == p.id && i.server_pid == p.server_pid
}

fn is_named(r: &Value, name: &str) -> bool {
    r["session"] == name || r["pane"] == name
}

fn record(name: &str, slot: Option<&Session>, pane: &Pane, seen: Option<&Seen>) -> Value {
    let mut r = state_of(name, slot, (&pane.id, pane.pid), seen);
    r["address"] = pane.address.as_str().into();
    r
}

fn elsewhere(s: &Session, seen: Option<&Seen>) -> Value {
    let i = &s.incarnation;
    let mut r = state_of(&s.name, Some(s), (&i.pane_id, i.pane_pid), seen);
    r["socket"] = i.socket.as_str().into();
    r
}

fn state_of(
    name: &str,
    slot: Option<&Session>,
    (pane, pid): (&str, i64),
    seen: Option<&Seen>,
) -> Value {
    let agent = seen.and_then(|s| s.agent.as_ref());
    json!({
        "session": name, "pane": pane, "adopted": slot.is_some(), "pid": pid,
        "state": seen.map_or("dead", |s| s.condition.as_str()), "why": seen.and_then(|s| s.condition.why()),
        "since": seen.and_then(|s| s.since).map(when::rfc3339),
        "provider": slot.and_then(|s| s.provider.as_ref()), "shell": seen.and_then(|s| s.shell.as_ref()),
        "agent": agent.map(|a| &a.provider), "agent_session": agent.and_then(|a| a.session_id.as_ref()),
        "working_dir": seen.and_then(|s| s.place.working_dir.as_ref()),
        "git_branch": seen.and_then(|s| s.place.git_branch.as_ref()),
    })
}

/// Adopts panes (`%N`) or tmux sessions (all their panes) by name; returns the slots' names.
pub fn adopt(
    store: &mut Store,
    config: &Config,
    targets: &[String],
    provider: Option<&str>,
    name: Option<&str>,
    now: Ms,
) -> anyhow::Result<Vec<String>> {
    if let Some(p) = provider {
        config.profile(p)?;
    }
    let tmux = Tmux::from_env();
    let listing = tmux
        .panes()?
        .context("no tmux server answers: start tmux, or set ORCH_TMUX to its -L name or socket")?;
    let mut chosen: Vec<(&Pane, String)> = Vec::new();
    for t in targets {
        let panes: Vec<&Pane> = listing
            .panes
            .iter()
            .filter(|p| p.id == *t || p.session == *t || p.address == *t)
            .collect();
        if panes.is_empty() {
            bail!("no pane or tmux session '{t}' on {}", listing.socket);
        }
        chosen.extend(
            panes.iter().map(|p| (*p, name.map_or_else(|| sync::slot_name(p), str::to_owned))),
        );
    }
    if name.is_some() && chosen.len() != 1 {
        bail!("--name: {} panes are meant, a name is for one", chosen.len());
    }
    for (pane, slot) in &chosen {
        if context_name(slot).is_err() {
            bail!("session name {slot:?}: control characters are refused: give --name");
        }
        let look = |prompt: Prompt| -> anyhow::Result<Seen> {
            let seen = sync::look(&tmux, &listing.socket, &[(pane, prompt)], config)?;
            seen.into_iter()
                .next()
                .flatten()
                .with_context(|| format!("pane {}: it is dead", pane.id))
        };
        let seen = look(Prompt::default())?;
        let seen = match &seen.row {
            Some(row) => look(Prompt::adopt(row))?,
            None => seen,
        };
        store.adopt(slot, provider, &seen, now)?;
    }
    Ok(chosen.into_iter().map(|(_, slot)| slot).collect())
}

fn context_name(name: &str) -> Result<(), ()> {
    if name.is_empty() || crate::clean::has_control(name) { Err(()) } else { Ok(()) }
}

/// The adopted session whose pane this process runs in, unless an attempt has it already.
pub fn own_session(store: &Store) -> anyhow::Result<Option<Session>> {
    let (Ok(tmux), Ok(pane)) = (std::env::var("TMUX"), std::env::var("TMUX_PANE")) else {
        return Ok(None);
    };
    let mut parts = tmux.rsplitn(3, ',');
    let server = parts.nth(1).and_then(|n| n.parse::<i64>().ok());
    let socket = parts.next().unwrap_or_default();
    let fills = |s: &Session| {
        let i = &s.incarnation;
        i.socket == socket
            && i.pane_id == pane
            && Some(i.server_pid) == server
            && s.condition != Condition::Dead
    };
    let Some(session) = store.sessions()?.into_iter().find(fills) else { return Ok(None) };
    let occupied = store.attempt_of_pane(socket, &pane)?.is_some();
    Ok((!occupied).then_some(session))
}

/// Why a task's context could not be established (in that session); empty: it could.
pub fn verify(
    store: &Store,
    config: &Config,
    task: &Task,
    session: Option<&str>,
) -> anyhow::Result<Vec<String>> {
    let mut reasons = Vec::new();
    if let Err(why) = establish::check_place(&task.context, config) {
        reasons.push(why);
    }
    if let Err(e) = task.context.check(&config.context.allow_env) {
        reasons.push(e.to_string());
    }
    if let Some(name) = session {
        let s = store.need_session(name)?;
        match sync::glance(&s, config)? {
            None => reasons.push(format!("session '{name}': no pane fills it")),
            Some(seen) => {
                if let Some(why) = seen.condition.why() {
                    reasons.push(format!("session '{name}' is {}: {why}", seen.condition.as_str()));
                }
                reasons.extend(differences(&task.context, &seen, name));
            }
        }
    }
    Ok(reasons)
}

fn differences(wanted: &Context, seen: &Seen, name: &str) -> Vec<String> {
    let mut all = Vec::new();
    let text = |t: &Option<String>| t.clone().unwrap_or_else(|| "none".into());
    if wanted.working_dir.is_some() && wanted.working_dir != seen.place.working_dir {
        all.push(format!(
            "session '{name}' is in {}, not in {}",
            text(&seen.place.working_dir),
            text(&wanted.working_dir)
        ));
    } else if wanted.git_branch.is_some() && wanted.git_branch != seen.place.git_branch {
        all.push(format!(
            "session '{name}' is on branch {}, not {}",
            text(&seen.place.git_branch),
            text(&wanted.git_branch)
        ));
    }
    all
}

/// Code that puts a shell into a task's context when it is evaluated. It stops at the first thing that fails.
pub fn shell_code(task: &Task, shell: Shell) -> anyhow::Result<String> {
    let c = &task.context;
    let mut steps = Vec::new();
    if let Some(dir) = &c.working_dir {
        steps.push(format!("{} -- {}", shell.cd(), word(dir)));
    }
    if let Some(branch) = &c.git_branch {
        steps.push(switch_code(&word(branch), shell));
    }
    for (name, value) in &c.env {
        steps.push(match value {
            context::Value::Literal(v) => export(shell, name, &word(v)),
            context::Value::Reference { from } => match from.split_once(':') {
                Some(("env", n)) => export(shell, name, &format!("\"${n}\"")),
                Some((_, path)) if shell == Shell::Fish => {
                    format!("set -gx {name} (cat -- {} | string collect)", word(path))
                }
                Some((_, path)) => format!("export {name}=\"$(cat -- {})\"", word(path)),
                None => bail!("env {name}: '{from}' is no reference"),
            },
        });
    }
    steps.extend(c.prerequisites.iter().map(|p| format!("eval {}", word(p))));
    if steps.is_empty() {
        return Ok("true\n".into());
    }
    let and = if shell == Shell::Fish { "\nand " } else { " &&\n" };
    Ok(format!("{}\n", steps.join(and)))
}

/// A switch that runs nothing of the repository's own, makes no branch, and carries no edit over.
fn switch_code(branch: &str, shell: Shell) -> String {
    const GIT: &str =
        "git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c submodule.recurse=false";
    let (open, close) = if shell == Shell::Fish { ("begin;", "; end") } else { ("{", "; }") };
    let no_filters = "test -z \"$(git config --local --includes --get-regexp '^filter\\.' | \
         grep -Ev '^filter\\.lfs\\.([a-z]+ git-lfs |required )')\"";
    let clean = format!(
        "test -z \"$({GIT} --no-optional-locks status --porcelain --untracked-files=no --ignore-submodules=dirty)\""
    );
    let switch = format!("{GIT} switch --no-guess --no-overwrite-ignore --end-of-options {branch}");
    format!(
        "{open} test \"$(git symbolic-ref --quiet --short HEAD)\" = {branch} || \
         {open} {no_filters} && {clean} && {switch}{close}{close}"
    )
}

fn export(shell: Shell, name: &str, value: &str) -> String {
    match shell {
        Shell::Fish => format!("set -gx {name} {value}"),
        _ => format!("export {name}={value}"),
    }
}
