//! A person's word on tasks: legal moves are made, others refused with the reason.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use crate::attempt::{self, Closing};
use crate::config::Config;
use crate::store::{OpenAttempt, Store};
use crate::task::{State, TaskId};
use crate::when::{self, Ms};
use crate::{feedback, proc};

#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    Cancel,
    Retry,
    Complete,
    Fail,
    Hold,
    Release,
    /// To this session, or any.
    Reassign(Option<String>),
    Priority(i64),
}

/// How long a cancelled command has to end: orch-wrap's own grace, and a little.
const TO_END: Duration = Duration::from_secs(8);
/// How long a prompt that is just being handed over may take until it is taken or taken back.
const TO_SETTLE: Duration = Duration::from_secs(40);

/// Applies a word to each task in turn; the first refusal ends it and names the task.
pub fn tell(store: &mut Store, ids: &[TaskId], word: &Word, now: Ms) -> anyhow::Result<()> {
    ids.iter().try_for_each(|id| one(store, *id, word, now))
}

fn one(store: &mut Store, id: TaskId, word: &Word, now: Ms) -> anyhow::Result<()> {
    let by_hand = |task, state, reason: &str| Closing {
        task: Some(task),
        state: Some(state),
        reason: Some(reason.to_owned()),
        ..Default::default()
    };
    match word {
        Word::Cancel => cancel(store, id, now),
        Word::Retry => {
            let task = store.need_task(id)?;
            if task.once {
                bail!("task {id} was made by orch-wrap for one run: run that again");
            }
            if task.state == State::Held {
                bail!("task {id} is held: orch-ctl release {id}");
            }
            store.decide(id, &by_hand(State::Queued, attempt::State::Lost, "retried by hand"), now)
        }
        Word::Complete => store.decide(
            id,
            &by_hand(State::Completed, attempt::State::Completed, "completed by hand"),
            now,
        ),
        Word::Fail => {
            store.decide(id, &by_hand(State::Failed, attempt::State::Failed, "failed by hand"), now)
        }
        Word::Hold => {
            let task = store.need_task(id)?;
            if !store.hold(id, "held by hand", now)? {
                bail!("task {id} is {}: only a queued task can be held", task.state.as_str());
            }
            Ok(())
        }
        Word::Release => store.release(id, now),
        Word::Reassign(session) => {
            if let Some(name) = session {
                store.need_session(name)?;
            }
            store.reassign(id, session.as_deref(), now)
        }
        Word::Priority(n) => store.set_priority(id, *n, now),
    }
}

/// What runs is asked to end by its owner, who keeps the record; without an owner the attempt ends here.
fn cancel(store: &mut Store, id: TaskId, now: Ms) -> anyhow::Result<()> {
    const WHY: &str = "cancelled by hand";
    let begun = Instant::now();
    while let Some(open) = store.ask_cancel(id, WHY, now)? {
        if open.receipt.is_some() {
            return interrupt(store, &open, WHY);
        }
        let owner = open.owner.as_ref().filter(|o| !open.fed && proc::is_alive(o));
        if let (attempt::State::Running, Some(owner)) = (open.state, owner) {
            proc::signal(owner.pid, Signal::TERM);
            if await_end(store, &open)? {
                return Ok(());
            }
            // it ended without a word, so early that it left the signal to the system
            continue;
        }
        if store.cancel(&open, WHY, now)? {
            // what outlived its owner
            for s in proc::carriers(&open.name.marks(store.path())) {
                proc::signal(s.pid, Signal::TERM);
            }
            return Ok(());
        }
        if store.need_task(id)?.state == State::Cancelled {
            return Ok(());
        }
        if begun.elapsed() > TO_END {
            bail!("task {id}: it keeps moving: look again");
        }
    }
    Ok(())
}

/// A turn in a live client: what is being handed over is taken back or taken first; then it is interrupted in its pane, and
/// seen to be over.
fn interrupt(store: &mut Store, open: &OpenAttempt, why: &str) -> anyhow::Result<()> {
    use attempt::State::{Sending, Unknown};
    let config = Config::load()?;
    let mut since = (Instant::now(), open.state);
    while let Some(a) = store.attempt(open.name)?.filter(|a| a.state.is_open()) {
        if a.state != since.1 {
            since = (Instant::now(), a.state);
        }
        let patience = if a.state == Sending { TO_SETTLE } else { TO_END };
        if since.0.elapsed() > patience {
            bail!("attempt {}: asked to end, and still at work: see orch-ctx explain", a.name);
        }
        let now = when::now();
        match a.state {
            Sending if a.owner.as_ref().is_some_and(proc::is_alive) => {}
            Sending => drop(store.doubt(&a, "the pass that delivered it was killed", now)?),
            _ => {
                let moved = feedback::follow(store, &config, &a, false, now)?;
                // no late evidence that it was ever taken
                if a.state == Unknown && moved.is_none() && store.cancel(&a, why, now)? {
                    return Ok(());
                }
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// False: its owner is dead and has left it open.
fn await_end(store: &Store, open: &OpenAttempt) -> anyhow::Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < TO_END {
        let a = store.attempt(open.name)?.with_context(|| format!("no attempt {}", open.name))?;
        if a.state == attempt::State::Cancelled {
            return Ok(true);
        }
        if a.state == attempt::State::Running && !a.owner.as_ref().is_some_and(proc::is_alive) {
            return Ok(false);
        }
        if a.state != attempt::State::Running {
            bail!(
                "attempt {}: it was {} before it could be cancelled",
                open.name,
                a.state.as_str()
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!(
        "attempt {}: asked to end, and still running: see orch-ls --why {}",
        open.name,
        open.name.task
    )
}
