//! Which task goes to which session: filter, then plan. Pure: fed values, returns values.

mod filter;
mod plan;
mod score;

pub use score::Score;

use crate::config::{Plan, Policy, Weights};
use crate::session::{Session, SessionId};
use crate::task::Task;
use crate::when::Ms;

/// A task that may be started, and what is known of it besides.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    pub task: &'a Task,
    /// Sessions in which its context could not be established.
    pub context_failed: Vec<SessionId>,
    /// Its account is at its limit: why.
    pub limited: Option<String>,
}

/// A session, and what is known of it besides.
#[derive(Clone, Debug)]
pub struct Slot<'a> {
    pub session: &'a Session,
    /// What its open attempt is, if it has one.
    pub occupied: Option<String>,
    /// Seconds until it is free: 0 for an idle one.
    pub free_in: f64,
    pub recent_attempts: i64,
}

/// What is open or known across sessions.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Trees held by open attempts, with the branch wanted there and the task.
    pub trees: Vec<(String, Option<String>, i64)>,
    /// Per session and tree: attempts that ended, and those that ended well.
    pub expertise: Vec<(SessionId, String, i64, i64)>,
    /// Attempts begun so far: every eighth start is for the oldest overdue task.
    pub starts: i64,
    /// Seconds that an attempt takes.
    pub mean_attempt: f64,
}

#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub policy: Policy,
    pub weights: Weights,
    pub plan: Plan,
}

/// Why a session takes a task or does not.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Filtered(String),
    Scored(Score),
}

/// The pairs to start now, and the verdict on every pair, by the indices of what was given.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    pub start: Vec<(usize, usize)>,
    pub verdicts: Vec<Vec<Verdict>>,
}

/// Chooses among `tasks` (in the order of the queue) and `slots`.
pub fn choose(tasks: &[Wanted], slots: &[Slot], world: &World, rules: &Rules, now: Ms) -> Choice {
    let judge = |w: &Wanted, s: &Slot| match filter::reason(w, s, slots, world, now) {
        Some(why) => Verdict::Filtered(why),
        None => Verdict::Scored(score::score(w.task, s, world, &rules.weights, now)),
    };
    let verdicts: Vec<Vec<Verdict>> =
        tasks.iter().map(|w| slots.iter().map(|s| judge(w, s)).collect()).collect();
    let start = match rules.policy {
        Policy::Plan => plan::plan(tasks, slots, &verdicts, world, rules, now),
        Policy::Score => score::by_score(tasks, slots, &verdicts),
    };
    Choice { start: without_conflicts(tasks, start), verdicts }
}

/// Whether no session will ever do as things stand: every living one failed to establish the context.
pub fn is_hopeless(w: &Wanted, slots: &[Slot]) -> bool {
    let mut eligible = slots
        .iter()
        .filter(|s| s.session.condition.as_str() != "dead" && s.session.shell.is_some())
        .filter(|s| w.task.session.as_ref().is_none_or(|n| *n == s.session.name))
        .peekable();
    !w.context_failed.is_empty()
        && eligible.peek().is_some()
        && eligible.all(|s| w.context_failed.contains(&s.session.id))
}

/// How much of a task's place a session is in already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    /// Nothing to set up.
    Full,
    /// The directory, not the branch.
    Directory,
    Nothing,
}

fn place_match(task: &Task, dir: Option<&str>, branch: Option<&str>) -> Match {
    let wanted = &task.context;
    if wanted.working_dir.is_none() {
        return Match::Full;
    }
    if wanted.working_dir.as_deref() != dir {
        return Match::Nothing;
    }
    match &wanted.git_branch {
        Some(b) if Some(b.as_str()) != branch => Match::Directory,
        _ => Match::Full,
    }
}

/// Two tasks of one choice may want one tree on two branches: the later one waits.
fn without_conflicts(tasks: &[Wanted], start: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    let mut held: Vec<(&str, Option<&str>)> = Vec::new();
    let mut kept = Vec::new();
    for (i, j) in start {
        let t = tasks[i].task;
        if let Some(tree) = t.tree.as_deref() {
            let branch = t.context.git_branch.as_deref();
            if held.iter().any(|(h, b)| *h == tree && *b != branch) {
                continue;
            }
            held.push((tree, branch));
        }
        kept.push((i, j));
    }
    kept
}
