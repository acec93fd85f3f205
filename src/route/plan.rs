//! The plan: cheapest pair first over tasks and sessions with virtual slots; only what starts now is kept.

use super::{Match, Rules, Slot, Verdict, Wanted, World, place_match};
use crate::when::Ms;

/// Seconds that a change of directory and branch costs, before prerequisites.
const SWITCH: f64 = 5.0;
/// A change of branch alone costs this share of it.
const BRANCH_SHARE: f64 = 0.4;
/// Losing a context that this many waiting tasks want costs its full share again.
const POPULAR: f64 = 5.0;
const EVICTION_SHARE: f64 = 0.2;
/// From this priority on a task is urgent: it pays real seconds only, and comes first.
const URGENT: i64 = 3;
/// Waiting this long weighs as much as one priority.
const AGE_STEP: f64 = 1800.0;
/// One of this many starts goes to the oldest overdue task, so that none starves.
const OVERDUE_TURN: i64 = 8;

/// A session as the plan has filled it so far.
struct Virtual<'a> {
    free_in: f64,
    dir: Option<&'a str>,
    branch: Option<&'a str>,
    /// Seconds by which its present context is worth keeping.
    keep: f64,
    startable: bool,
}

pub fn plan(
    tasks: &[Wanted],
    slots: &[Slot],
    verdicts: &[Vec<Verdict>],
    world: &World,
    rules: &Rules,
    now: Ms,
) -> Vec<(usize, usize)> {
    let mut slots: Vec<Virtual> = slots.iter().map(|s| start_of(s, tasks)).collect();
    let mut open: Vec<usize> = (0..tasks.len()).collect();
    let mut start = Vec::new();
    while slots.iter().any(|s| s.startable) && !open.is_empty() {
        let turn = (world.starts + start.len() as i64 + 1) % OVERDUE_TURN == 0;
        let overdue = |i: &&usize| now - tasks[**i].task.created_at > rules.plan.overdue;
        let first = open
            .iter()
            .filter(overdue)
            .min_by_key(|i| tasks[**i].task.created_at)
            .filter(|_| turn)
            .copied();
        let among = first.map_or_else(|| open.clone(), |i| vec![i]);
        let mut best = cheapest(&among, tasks, &slots, verdicts, rules, now);
        if best.is_none() && first.is_some() {
            best = cheapest(&open, tasks, &slots, verdicts, rules, now);
        }
        let Some((i, j)) = best else { break };
        open.retain(|t| *t != i);
        let task = tasks[i].task;
        let slot = &mut slots[j];
        let matched = place_match(task, slot.dir, slot.branch);
        if slot.startable && slot.free_in == 0.0 {
            slot.startable = false;
            start.push((i, j));
        }
        slot.free_in += set_up(matched) + world.mean_attempt;
        if let Some(dir) = task.context.working_dir.as_deref() {
            (slot.dir, slot.branch) =
                (Some(dir), task.context.git_branch.as_deref().or(slot.branch));
            slot.keep = keep(slot.dir, slot.branch, tasks);
        }
    }
    start
}

fn start_of<'a>(s: &'a Slot, tasks: &[Wanted]) -> Virtual<'a> {
    let place = &s.session.place;
    let (dir, branch) = (place.working_dir.as_deref(), place.git_branch.as_deref());
    let startable = s.session.condition.is_at_rest() && s.occupied.is_none();
    Virtual {
        free_in: if startable { 0.0 } else { s.free_in },
        dir,
        branch,
        keep: keep(dir, branch, tasks),
        startable,
    }
}

/// What evicting a context costs: the more waiting tasks want it, the more.
fn keep(dir: Option<&str>, branch: Option<&str>, tasks: &[Wanted]) -> f64 {
    let wants = |w: &&Wanted| {
        w.task.context.working_dir.is_some() && place_match(w.task, dir, branch) == Match::Full
    };
    let popular = tasks.iter().filter(wants).count() as f64;
    EVICTION_SHARE * popular.min(POPULAR) / POPULAR * SWITCH
}

fn set_up(m: Match) -> f64 {
    match m {
        Match::Full => 0.0,
        Match::Directory => BRANCH_SHARE * SWITCH,
        Match::Nothing => SWITCH,
    }
}

fn cheapest(
    open: &[usize],
    tasks: &[Wanted],
    slots: &[Virtual],
    verdicts: &[Vec<Verdict>],
    rules: &Rules,
    now: Ms,
) -> Option<(usize, usize)> {
    let mut best: Option<([f64; 3], (usize, usize))> = None;
    for &i in open {
        let task = tasks[i].task;
        let age = (now - task.created_at).max(0) as f64 / 1000.0;
        let overdue_by = age - rules.plan.overdue as f64 / 1000.0;
        let urgent = task.priority >= URGENT;
        let kappa = if urgent || overdue_by > 0.0 { 1.0 } else { rules.plan.kappa };
        let mut credit = 6.0 * rules.plan.kappa * (task.priority as f64 + age / AGE_STEP);
        if urgent {
            credit += 1e6 * (task.priority - URGENT + 1) as f64;
        } else if overdue_by > 0.0 {
            credit += 1e5 + 20.0 * overdue_by;
        }
        for (j, slot) in slots.iter().enumerate() {
            let score = match &verdicts[i][j] {
                Verdict::Scored(s) => s.total(),
                // a busy session may be worth waiting for
                Verdict::Filtered(why) if why.starts_with("busy") => 0.0,
                Verdict::Filtered(_) => continue,
            };
            let matched = place_match(task, slot.dir, slot.branch);
            let evicts = if matched == Match::Full { 0.0 } else { slot.keep };
            let cost = slot.free_in + kappa * (set_up(matched) + evicts) - credit;
            // of equal ones the session whose context nobody else wants
            let key = [cost, -score, slot.keep];
            if best.as_ref().is_none_or(|(b, _)| is_less(&key, b)) {
                best = Some((key, (i, j)));
            }
        }
    }
    best.map(|(_, pair)| pair)
}

/// In the order of the terms; sums that differ only by rounding are equal.
fn is_less(a: &[f64; 3], b: &[f64; 3]) -> bool {
    let differs = |(x, y): &(&f64, &f64)| (*x - *y).abs() > 1e-9;
    a.iter().zip(b).find(differs).is_some_and(|(x, y)| x < y)
}
