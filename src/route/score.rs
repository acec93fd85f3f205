//! The score of a session for a task, term by term, and the plain rule that follows it.

use super::{Match, Slot, Verdict, Wanted, World, place_match};
use crate::config::Weights;
use crate::task::Task;
use crate::when::Ms;

/// A session counts as recently active for this long.
const ACTIVE: Ms = 10 * 60_000;

/// Named terms, in the order they are shown; their sum is the score.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    pub terms: Vec<(&'static str, f64)>,
}

impl Score {
    pub fn total(&self) -> f64 {
        self.terms.iter().map(|(_, v)| v).sum()
    }
}

pub fn score(task: &Task, slot: &Slot, world: &World, w: &Weights, now: Ms) -> Score {
    let s = slot.session;
    let mut terms = Vec::new();
    let mut add = |name, holds: bool, value: f64| {
        if holds && value != 0.0 {
            terms.push((name, value));
        }
    };
    let matched = place_match(task, s.place.working_dir.as_deref(), s.place.git_branch.as_deref());
    let placed = task.context.working_dir.is_some();
    add("directory", placed && matched != Match::Nothing, w.directory);
    add("branch", task.context.git_branch.is_some() && matched == Match::Full, w.branch);
    add("active", s.last_active_at.is_some_and(|t| now - t < ACTIVE), w.active);
    add("idle", s.condition.is_at_rest(), w.idle);
    let is_its = |p: Option<&str>| p == Some(task.provider.as_str());
    let agent = s.agent.as_ref().map(|a| a.provider.as_str());
    add("provider", is_its(s.provider.as_deref()) || is_its(agent), w.provider);
    add("affinity", task.group.is_some() && task.group == s.last_group, w.affinity);
    let known = world
        .expertise
        .iter()
        .find(|(id, tree, _, _)| *id == s.id && Some(tree) == task.tree.as_ref());
    let share = known.map(|(_, _, ended, well)| (*well as f64 + 1.0) / (*ended as f64 + 2.0) - 0.5);
    add("expertise", share.is_some(), w.expertise * share.unwrap_or(0.0));
    add("load", slot.recent_attempts > 0, -w.load * slot.recent_attempts as f64);
    Score { terms }
}

/// Each task in its turn takes the free session with the highest score; the first by name of equal ones.
pub fn by_score(
    tasks: &[Wanted],
    slots: &[Slot],
    verdicts: &[Vec<Verdict>],
) -> Vec<(usize, usize)> {
    let mut taken = vec![false; slots.len()];
    let mut start = Vec::new();
    for (i, _) in tasks.iter().enumerate() {
        let scored = verdicts[i].iter().enumerate().filter(|(j, _)| !taken[*j]).filter_map(
            |(j, v)| match v {
                Verdict::Scored(s) => Some((j, s.total())),
                Verdict::Filtered(_) => None,
            },
        );
        let best = scored.reduce(|a, b| if b.1 > a.1 { b } else { a });
        if let Some((j, _)) = best {
            taken[j] = true;
            start.push((i, j));
        }
    }
    start
}
