//! Which attempt a stream of events is about, and what its word is worth.

use anyhow::Context as _;

use crate::attempt::{Name, State};
use crate::proc;
use crate::store::{Open, OpenAttempt, Standing, Started, Store};
use crate::task::{Task, TaskId};
use crate::when;

/// Which attempt a stream of events is about, as far as options and environment say.
#[derive(Clone, Debug, Default)]
pub struct Address {
    pub task: Option<TaskId>,
    pub attempt: Option<i64>,
}

/// The attempt that a stream is bound to, and what its word is worth.
#[derive(Debug)]
pub struct Bound {
    pub attempt: OpenAttempt,
    pub task: Task,
    pub standing: Standing,
    /// Why its word is refused, where it is.
    pub refused: Option<String>,
}

/// Finds the attempt. By hand, outside of any attempt, a queued or held task begins one here.
pub fn bind(store: &mut Store, address: &Address) -> anyhow::Result<Bound> {
    let inside = surrounding(store)?;
    match (address.task, inside) {
        (Some(task), None) => by_hand(store, task, address.attempt),
        (Some(task), Some(inner)) => {
            let attempt = match address.attempt {
                Some(number) => store.attempt(Name { task, number })?,
                None if inner.name.task == task => Some(inner.clone()),
                None => store.open_attempt(task)?,
            };
            let attempt = attempt.with_context(|| {
                format!("task {task}: inside attempt {} no other task can be begun", inner.name)
            })?;
            claim(store, attempt)
        }
        (None, Some(inner)) => claim(store, inner),
        (None, None) => {
            let attempt = of_pane(store)?
                .context("no task: give --task ID, or run in the pane of an open attempt")?;
            let task = store.need_task(attempt.name.task)?;
            Ok(Bound { attempt, task, standing: Standing::Owner, refused: None })
        }
    }
}

fn by_hand(store: &mut Store, id: TaskId, number: Option<i64>) -> anyhow::Result<Bound> {
    let task = store.need_task(id)?;
    let open = store.open_attempt(id)?;
    if let Some(number) = number {
        let name = Name { task: id, number };
        let attempt = store.attempt(name)?.with_context(|| format!("no attempt {name}"))?;
        let stale = !attempt.state.is_open();
        let refused =
            stale.then(|| format!("attempt {name} has ended: it is {}", attempt.state.as_str()));
        let standing = if stale { Standing::Refused } else { Standing::Owner };
        return Ok(Bound { attempt, task, standing, refused });
    }
    if let Some(attempt) = open {
        return Ok(Bound { attempt, task, standing: Standing::Owner, refused: None });
    }
    let owner = proc::own();
    let begun =
        Open { session: None, incarnation: None, agent_session: None, owner: &owner, fed: true };
    let Started { attempt, task } = store.begin_by_hand(id, &begun, when::now())?;
    Ok(Bound { attempt, task, standing: Standing::Owner, refused: None })
}

fn claim(store: &Store, attempt: OpenAttempt) -> anyhow::Result<Bound> {
    let task = store.need_task(attempt.name.task)?;
    let stale = !attempt.state.is_open();
    let refused = stale
        .then(|| format!("attempt {} has ended: it is {}", attempt.name, attempt.state.as_str()));
    let standing = if stale { Standing::Refused } else { Standing::Claim };
    Ok(Bound { attempt, task, standing, refused })
}

/// The attempt that this process runs inside of: by its environment, or because an ancestor is that attempt's orch-wrap.
fn surrounding(store: &Store) -> anyhow::Result<Option<OpenAttempt>> {
    let set = |n: &str| std::env::var(n).ok().filter(|v| !v.is_empty());
    let here = set("ORCH_DB").is_none_or(|db| std::path::Path::new(&db) == store.path());
    if let Some(text) = set("ORCH_ATTEMPT").filter(|_| here) {
        let name: Name = text.parse().map_err(anyhow::Error::msg).context("ORCH_ATTEMPT")?;
        return Ok(Some(
            store.attempt(name)?.with_context(|| format!("ORCH_ATTEMPT: no attempt {name}"))?,
        ));
    }
    let above = proc::ancestors(i64::from(std::process::id()));
    let owns = |a: &OpenAttempt| {
        // a live client runs its attempt itself
        if let Some(client) = a.receipt.as_ref().and_then(|r| r.client.as_ref()) {
            return above.contains(&client.pid) && proc::is_alive(client);
        }
        !a.fed
            && a.owner.as_ref().is_some_and(|o| above.contains(&o.pid) && proc::is_alive(o))
            && a.state != State::Claimed
    };
    Ok(store.open_attempts()?.into_iter().find(owns))
}

fn of_pane(store: &Store) -> anyhow::Result<Option<OpenAttempt>> {
    let (Ok(pane), Ok(tmux)) = (std::env::var("TMUX_PANE"), std::env::var("TMUX")) else {
        return Ok(None);
    };
    let socket = tmux.rsplitn(3, ',').last().unwrap_or_default();
    store.attempt_of_pane(socket, &pane)
}
