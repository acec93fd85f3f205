//! What keeps a session from taking a task at all, each with a reason to print.

use super::{Match, Slot, Wanted, World, place_match};
use crate::session::{Condition, Session};
use crate::when::{self, Ms};

/// The first reason, `None` when the session may take the task now.
pub fn reason(w: &Wanted, s: &Slot, slots: &[Slot], world: &World, now: Ms) -> Option<String> {
    let session = s.session;
    if let Some(name) = w.task.session.as_ref().filter(|n| **n != session.name) {
        return Some(format!("the task wants session '{name}'"));
    }
    if let Some(why) = &session.paused {
        return Some(format!("paused: {why}"));
    }
    if let Some((until, why)) = session.avoid.as_ref().filter(|(until, _)| *until > now) {
        return Some(format!(
            "avoided until {}: {why} (orch-ctl resume ends that)",
            when::rfc3339(*until)
        ));
    }
    match &session.condition {
        Condition::Dead => return Some("dead: no pane fills it".into()),
        c @ (Condition::Blocked(_)
        | Condition::Waiting(_)
        | Condition::RateLimited(_)
        | Condition::Starting
        | Condition::Unknown(_)) => return Some(named(c)),
        Condition::Working(_) | Condition::Idle | Condition::Error(_) => {}
    }
    if let Some(what) = &s.occupied {
        return Some(format!("busy: {what}"));
    }
    if let Condition::Working(what) = &session.condition {
        return Some(format!("busy: {what}"));
    }
    if let Some(why) = no_server(w, session) {
        return Some(why);
    }
    if let Some(why) = &w.limited {
        return Some(format!("rate-limited: {why}"));
    }
    if w.context_failed.contains(&session.id) {
        return Some("the context could not be established there".into());
    }
    tree_in_use(w, s, slots, world)
}

fn named(c: &Condition) -> String {
    c.why().map_or_else(|| c.as_str().to_owned(), |why| format!("{}: {why}", c.as_str()))
}

/// Why neither the pane's shell nor its client can run the task.
fn no_server(w: &Wanted, session: &Session) -> Option<String> {
    let provider = &w.task.provider;
    match &session.agent {
        None if session.shell.is_some() => None,
        None => Some(format!("provider: no shell runs there, {provider} needs one")),
        Some(a) if a.provider == *provider => {
            let context = &w.task.context;
            let shell = !context.env.is_empty() || !context.prerequisites.is_empty();
            shell.then(|| "provider: a live client's environment cannot be changed, env and prerequisites need a shell".into())
        }
        Some(a) => Some(format!("provider: {} runs there, the task is for {provider}", a.provider)),
    }
}

fn tree_in_use(w: &Wanted, s: &Slot, slots: &[Slot], world: &World) -> Option<String> {
    let tree = w.task.tree.as_ref()?;
    let branch = &w.task.context.git_branch;
    if let Some((_, _, task)) = world.trees.iter().find(|(t, b, _)| t == tree && b != branch) {
        return Some(format!("tree in use: task {task} works in {tree} on another branch"));
    }
    let place = &s.session.place;
    // a switch would pull the branch from under whoever works there
    if branch.is_none()
        || place_match(w.task, place.working_dir.as_deref(), place.git_branch.as_deref())
            == Match::Full
    {
        return None;
    }
    let there =
        |o: &&Slot| o.session.id != s.session.id && o.session.place.tree.as_ref() == Some(tree);
    let works = |o: &&Slot| {
        matches!(o.session.condition, Condition::Working(_))
            && o.session.place.git_branch != *branch
    };
    let other = slots.iter().filter(there).find(works)?;
    Some(format!("tree in use: session '{}' works in {tree}", other.session.name))
}
