//! Looks after attempts whose owner is gone or late: takes back, declares lost, names the survivors.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::attempt::State;
use crate::config::Config;
use crate::event::Evidence;
use crate::feedback;
use crate::policy::{self, Ended, Verdict};
use crate::proc::{self, Survivor};
use crate::store::{OpenAttempt, Store};
use crate::when::Ms;

/// What is ended has so long to go, before KILL and after it.
const TO_END: Duration = Duration::from_secs(1);

/// One look at every open attempt; a record of each that was moved.
pub fn reap(store: &mut Store, config: &Config, now: Ms) -> anyhow::Result<Vec<Value>> {
    let mut done = Vec::new();
    for a in store.open_attempts()? {
        match look_after(store, config, &a, now) {
            Ok(None) => {}
            Ok(Some((to, why))) => {
                store.note(
                    "reaped",
                    Some(&a),
                    None,
                    None,
                    json!({"to": to, "reason": why}),
                    now,
                )?;
                done.push(json!({"did": "reaped", "attempt": a.name.to_string(), "task": a.name.task, "to": to, "reason": why}));
            }
            // one that cannot be looked after is not in the way of the others
            Err(e) => {
                let why = crate::clean::line(&format!("{e:#}"));
                done.push(json!({"did": "left", "attempt": a.name.to_string(), "task": a.name.task, "reason": why}));
            }
        }
    }
    Ok(done)
}

fn look_after(
    store: &mut Store,
    config: &Config,
    a: &OpenAttempt,
    now: Ms,
) -> anyhow::Result<Option<(&'static str, String)>> {
    match a.state {
        State::Sending if a.receipt.is_some() => doubt(store, a, now),
        _ if a.receipt.is_some() => feedback::follow(store, config, a, false, now),
        State::Claimed | State::Sending => take_back(store, a, now),
        State::Running => bury(store, config, a, now),
        State::Unknown if a.orphaned => bury(store, config, a, now),
        _ => Ok(None),
    }
}

/// A pass that died while it pasted: nothing tells how far it came.
fn doubt(
    store: &mut Store,
    a: &OpenAttempt,
    now: Ms,
) -> anyhow::Result<Option<(&'static str, String)>> {
    if owner_lives(a) {
        return Ok(None);
    }
    let why = "the pass that delivered it was killed: whether its prompt was taken is not known"
        .to_owned();
    Ok(store.doubt(a, &why, now)?.then_some(("unknown", why)))
}

fn owner_lives(a: &OpenAttempt) -> bool {
    a.owner.as_ref().is_some_and(proc::is_alive)
}

/// A delivery whose pass died, or took longer than its lease. Whoever starts it late is refused by the same compare-and-set.
fn take_back(
    store: &mut Store,
    a: &OpenAttempt,
    now: Ms,
) -> anyhow::Result<Option<(&'static str, String)>> {
    if owner_lives(a) && a.lease_until > now {
        return Ok(None);
    }
    let why = format!("nobody began it, it was {}", a.state.as_str());
    Ok(store.revoke(a, &why, now)?.then_some(("refused", why)))
}

/// TERM, then KILL; those that are still there.
fn end(a: &OpenAttempt, db: &Path, mut survivors: Vec<Survivor>) -> Vec<Survivor> {
    for signal in [Signal::TERM, Signal::KILL] {
        survivors.iter().for_each(|s| proc::signal(s.pid, signal));
        let begun = Instant::now();
        while !survivors.is_empty() && begun.elapsed() < TO_END {
            std::thread::sleep(Duration::from_millis(20));
            survivors = proc::carriers(&a.name.marks(db));
        }
    }
    survivors
}

/// A running attempt whose orch-wrap is gone: lost when nothing of it lives, else unknown with the survivors named.
fn bury(
    store: &mut Store,
    config: &Config,
    a: &OpenAttempt,
    now: Ms,
) -> anyhow::Result<Option<(&'static str, String)>> {
    if owner_lives(a) {
        return Ok(None);
    }
    let mut survivors = proc::carriers(&a.name.marks(store.path()));
    if a.cancel_asked.is_some() && !survivors.is_empty() {
        // whoever was to end them is dead: what is cancelled does not run on
        survivors = end(a, store.path(), survivors);
    }
    let (to, verdict, why) = if a.fed {
        (
            "unknown",
            Verdict::Unknown { survivors: false },
            "its input ended without an outcome".to_owned(),
        )
    } else if survivors.is_empty() {
        ("lost", Verdict::Lost, "orch-wrap was killed and nothing of it runs".to_owned())
    } else {
        let names: Vec<String> = survivors.iter().map(ToString::to_string).collect();
        (
            "unknown",
            Verdict::Unknown { survivors: true },
            format!("orch-wrap was killed, still running: {}", names.join(", ")),
        )
    };
    if a.state == State::Unknown && to == "unknown" {
        return Ok(None);
    }
    let task = store.need_task(a.name.task)?;
    let ended = Ended {
        task: &task,
        number: a.name.number,
        counted: store.tried(&task)?.0,
        account: None,
        reason: Some(why.clone()),
        evidence: Evidence::None,
        confidence: None,
        answer: None,
        exit_code: None,
    };
    let closing = policy::settle(&ended, &verdict, &config.retry, now);
    Ok(store.close(a, &closing, now)?.then_some((to, why)))
}
