//! What an end means for the attempt and its task: DESIGN's table, pure.

use crate::attempt::{Closing, State};
use crate::config::Retry;
use crate::event::{End, Evidence, Outcome};
use crate::task::{self, Task};
use crate::when::{self, Ms};

/// How an attempt came out, whoever says so.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Complete {
        note: Option<String>,
    },
    Failed,
    /// The account is at its limit until then, as far as was said.
    RateLimited {
        until: Option<Ms>,
    },
    /// Asks a person.
    Waiting,
    /// Killed by a signal that is not ours, or its pane or server is gone, and nothing of it runs.
    Lost,
    /// The context was not established, or not verified.
    ContextFailed,
    Cancelled,
    /// Not knowable. `survivors`: processes of it still run.
    Unknown {
        survivors: bool,
    },
}

/// A limit whose end nobody told is looked at again after this long.
const LIMIT_UNTOLD: Ms = 15 * 60_000;

/// The verdict of an extractor's end.
pub fn verdict(end: &End, now: Ms) -> Verdict {
    match end.outcome {
        Outcome::Complete => Verdict::Complete { note: end.note.clone() },
        Outcome::Failed => Verdict::Failed,
        Outcome::RateLimited => Verdict::RateLimited { until: when::resolve(&end.resets, now) },
        Outcome::Waiting => Verdict::Waiting,
        Outcome::Unknown => Verdict::Unknown { survivors: false },
    }
}

/// What is known when an attempt ends.
#[derive(Clone, Debug)]
pub struct Ended<'a> {
    pub task: &'a Task,
    pub number: i64,
    /// Counted attempts before this one.
    pub counted: i64,
    pub account: Option<&'a str>,
    pub reason: Option<String>,
    pub evidence: Evidence,
    pub confidence: Option<f64>,
    pub answer: Option<String>,
    pub exit_code: Option<i64>,
}

/// Where the attempt and the task go.
pub fn settle(e: &Ended, verdict: &Verdict, retry: &Retry, now: Ms) -> Closing {
    let mut c = Closing {
        reason: e.reason.clone(),
        evidence: e.evidence,
        confidence: e.confidence,
        answer: e.answer.clone(),
        exit_code: e.exit_code,
        ..Default::default()
    };
    match verdict {
        Verdict::Complete { note } => {
            (c.state, c.task) = (Some(State::Completed), Some(task::State::Completed));
            c.counts = true;
            c.note = note.clone();
            c.reason = None;
        }
        Verdict::Failed => again_or_failed(e, State::Failed, &mut c, retry, now),
        Verdict::Lost => again_or_failed(e, State::Lost, &mut c, retry, now),
        Verdict::RateLimited { until } => {
            let until = until.unwrap_or(now + LIMIT_UNTOLD).max(now);
            (c.state, c.task) = (Some(State::Failed), Some(task::State::Queued));
            c.not_before = Some(until + jitter(e, retry));
            let why = format!("rate limited until {}", when::rfc3339(until));
            c.limit = e.account.map(|a| (a.to_owned(), until, why.clone()));
            c.reason = Some(why);
        }
        Verdict::Waiting => (c.state, c.task) = (Some(State::Failed), Some(task::State::Waiting)),
        Verdict::ContextFailed => {
            (c.state, c.task) = (Some(State::ContextFailed), Some(task::State::Queued))
        }
        Verdict::Cancelled => {
            (c.state, c.task) = (Some(State::Cancelled), Some(task::State::Cancelled))
        }
        Verdict::Unknown { survivors } => {
            (c.state, c.task) = (Some(State::Unknown), Some(task::State::Unknown));
            c.orphaned = *survivors;
        }
    }
    if e.task.once && c.task == Some(task::State::Queued) {
        (c.task, c.not_before) = (Some(task::State::Failed), None);
    }
    c
}

fn again_or_failed(e: &Ended, state: State, c: &mut Closing, retry: &Retry, now: Ms) {
    c.state = Some(state);
    c.counts = true;
    if e.counted + 1 < e.task.max_attempts {
        c.task = Some(task::State::Queued);
        c.not_before = Some(now + backoff(e.counted + 1, retry) + jitter(e, retry));
    } else {
        c.task = Some(task::State::Failed);
    }
}

/// min(base · 2^(n−1), max) after the n-th counted attempt.
fn backoff(n: i64, retry: &Retry) -> Ms {
    let factor = 1i64.checked_shl((n - 1).clamp(0, 32) as u32).unwrap_or(i64::MAX);
    retry.base.saturating_mul(factor).min(retry.max)
}

/// The same for the same attempt, spread over tasks, so that workers limited together do not wake together.
fn jitter(e: &Ended, retry: &Retry) -> Ms {
    if retry.jitter <= 0 {
        return 0;
    }
    // splitmix64
    let mut x =
        (e.task.id.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(e.number as u64);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) % (retry.jitter as u64 + 1)) as Ms
}
