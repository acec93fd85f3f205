//! The beginning of an attempt: claimed, handed over, begun, each by one compare-and-set.

use anyhow::{Context as _, bail};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::attempt::{Name, State};
use crate::session::{Incarnation, Process, SessionId};
use crate::store::Store;
use crate::store::task::{enqueue, move_task, need};
use crate::task::{self, NewTask, Task, TaskId};
use crate::when::Ms;

use super::{LEASE, OPEN, OpenAttempt, by_id, by_name};

/// What a claim needs to know.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    pub task: TaskId,
    pub session: SessionId,
    pub incarnation: &'a Incarnation,
    pub agent_session: &'a str,
    /// The claim will change the branch of the task's tree.
    pub switches: bool,
    pub account: Option<&'a str>,
    pub owner: &'a Process,
}

#[derive(Debug)]
pub enum Claimed {
    Won(Box<OpenAttempt>),
    /// Somebody was first, or something is in the way: why.
    Not(String),
}

/// How a start by orch-wrap came out.
#[derive(Debug)]
pub enum Start {
    Begun(Box<Started>),
    /// Revoked, already begun, or never assigned.
    Refused(String),
}

#[derive(Debug)]
pub struct Started {
    pub attempt: OpenAttempt,
    pub task: Task,
}

/// An attempt begun by hand, outside the queue's own deliveries.
#[derive(Clone, Debug)]
pub struct Open<'a> {
    pub session: Option<SessionId>,
    pub incarnation: Option<&'a Incarnation>,
    pub agent_session: Option<&'a str>,
    pub owner: &'a Process,
    /// Its events come by hand: the owner only reads them.
    pub fed: bool,
}

impl Store {
    /// queued → assigned with an attempt, or the reason why not: one transaction, so that of any number of passes one wins.
    pub fn claim(&mut self, c: &Claim, now: Ms) -> anyhow::Result<Claimed> {
        self.write(|tx| {
            let task = need(tx, c.task)?;
            if task.state != task::State::Queued {
                return Ok(Claimed::Not(format!("task is {}", task.state.as_str())));
            }
            if let Some(why) = obstacle(tx, &task, c, now)? {
                return Ok(Claimed::Not(why));
            }
            let attempt = insert(
                tx,
                &task,
                State::Claimed,
                Some(c.session),
                Some(c.incarnation),
                c.owner,
                now,
            )?;
            let Some(id) = attempt else {
                return Ok(Claimed::Not("another attempt is open".into()));
            };
            tx.execute(
                "update attempts set agent_session = ?2 where id = ?1",
                params![id, c.agent_session],
            )?;
            tx.execute(
                "update sessions set last_active_at = ?2 where id = ?1",
                params![c.session.0, now],
            )?;
            move_task(tx, task.id, task::State::Assigned, None, None, now)?;
            Ok(Claimed::Won(Box::new(by_id(tx, id)?)))
        })
    }

    /// claimed → sending: the last thing before the first byte. False: the claim was taken back.
    pub fn mark_sending(&mut self, a: &OpenAttempt, now: Ms) -> anyhow::Result<bool> {
        self.write(|tx| {
            let n = tx.execute(
                "update attempts set state = 'sending', lease_until = ?3 where id = ?1 and token = ?2 and state = 'claimed'",
                params![a.id.0, a.token, now + LEASE],
            )?;
            Ok(n == 1)
        })
    }

    /// Takes back a delivery that nobody has begun. False: it was begun, or has ended.
    pub fn revoke(&mut self, a: &OpenAttempt, reason: &str, now: Ms) -> anyhow::Result<bool> {
        self.write(|tx| {
            let n = tx.execute(
                "update attempts set state = 'refused', reason = ?3, counts = 0, ended_at = ?4, owner = null \
                 where id = ?1 and token = ?2 and state in ('claimed', 'sending')",
                params![a.id.0, a.token, reason, now],
            )?;
            if n == 1 {
                let asked: Option<String> =
                    tx.query_row("select cancel_asked from attempts where id = ?1", [a.id.0], |r| r.get(0))?;
                let to = if asked.is_some() { task::State::Cancelled } else { task::State::Queued };
                move_task(tx, a.name.task, to, Some(asked.as_deref().unwrap_or(reason)), None, now)?;
            }
            Ok(n == 1)
        })
    }

    /// sending → running: exactly one process wins it, and only while nobody has taken it back.
    pub fn start(&mut self, name: Name, owner: &Process, now: Ms) -> anyhow::Result<Start> {
        self.write(|tx| {
            let n = tx.execute(
                "update attempts set state = 'running', owner = ?3, lease_until = ?4, started_at = ?5 \
                 where task_id = ?1 and number = ?2 and state = 'sending'",
                params![name.task.0, name.number, owner.to_string(), now + LEASE, now],
            )?;
            if n != 1 {
                let state: Option<String> = tx
                    .query_row(
                        "select state from attempts where task_id = ?1 and number = ?2",
                        [name.task.0, name.number],
                        |r| r.get(0),
                    )
                    .optional()?;
                return Ok(Start::Refused(match state {
                    Some(s) => format!("attempt {name} is {s}: not to be started"),
                    None => format!("no attempt {name}"),
                }));
            }
            tx.execute(
                "update sessions set avoid_until = null, avoid_why = null where id = \
                 (select session_id from attempts where task_id = ?1 and number = ?2)",
                params![name.task.0, name.number],
            )?;
            move_task(tx, name.task, task::State::Running, None, None, now)?;
            let attempt = by_name(tx, name)?.with_context(|| format!("no attempt {name}"))?;
            Ok(Start::Begun(Box::new(Started { attempt, task: need(tx, name.task)? })))
        })
    }

    /// Begins an attempt by hand, so that no pass delivers the task meanwhile. Only a queued or held task can be begun.
    pub fn begin_by_hand(&mut self, task: TaskId, o: &Open, now: Ms) -> anyhow::Result<Started> {
        self.write(|tx| begin(tx, task, o, now))
    }

    /// Makes a task for one run by hand, and begins it: both or neither.
    pub fn begin_new(&mut self, task: &NewTask, o: &Open, now: Ms) -> anyhow::Result<Started> {
        self.write(|tx| {
            let made = enqueue(tx, &[(task, None)], now)?;
            let id = made.first().context("no task")?.id;
            tx.execute("update tasks set once = 1 where id = ?1", [id.0])?;
            begin(tx, id, o, now)
        })
    }
}

/// What stands in the way of a claim.
fn obstacle(tx: &Transaction, task: &Task, c: &Claim, now: Ms) -> anyhow::Result<Option<String>> {
    if task.not_before.is_some_and(|t| t > now) {
        return Ok(Some("scheduled for later".into()));
    }
    let (name, paused): (String, Option<String>) =
        tx.query_row("select name, paused from sessions where id = ?1", [c.session.0], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })?;
    let avoided: Option<String> = tx
        .query_row(
            "select avoid_why from sessions where id = ?1 and avoid_until > ?2",
            params![c.session.0, now],
            |r| r.get(0),
        )
        .optional()?
        .flatten();
    if let Some(why) = avoided {
        return Ok(Some(format!("session '{name}' is left alone: {why}")));
    }
    if let Some(why) = paused {
        return Ok(Some(format!("session '{name}' is paused: {why}")));
    }
    let limited: Option<String> = tx
        .query_row(
            "select reason from limits where account = ?1 and until > ?2",
            params![c.account, now],
            |r| r.get(0),
        )
        .optional()?;
    if let Some(why) = limited {
        return Ok(Some(format!("account limited: {why}")));
    }
    match tree_holder(tx, task)? {
        Some(why) => Ok(Some(why)),
        None if c.switches => neighbour(tx, task, c.session),
        None => Ok(None),
    }
}

/// An open attempt that works in the task's tree on another branch.
fn tree_holder(tx: &Transaction, task: &Task) -> anyhow::Result<Option<String>> {
    let Some(tree) = &task.tree else { return Ok(None) };
    let holder: Option<i64> = tx
        .query_row(
            &format!("select task_id from attempts where tree = ?1 and git_branch is not ?2 and {OPEN} limit 1"),
            params![tree, task.context.git_branch],
            |r| r.get(0),
        )
        .optional()?;
    Ok(holder.map(|other| format!("task {other} works in {tree} on another branch")))
}

/// A session that is at work in the task's tree, so that its branch must not change.
fn neighbour(tx: &Transaction, task: &Task, own: SessionId) -> anyhow::Result<Option<String>> {
    let Some(tree) = &task.tree else { return Ok(None) };
    let busy: Option<String> = tx
        .query_row(
            "select name from sessions where tree = ?1 and condition = 'working' and id <> ?2 limit 1",
            params![tree, own.0],
            |r| r.get(0),
        )
        .optional()?;
    Ok(busy.map(|other| format!("session '{other}' works in {tree}: its branch must not change")))
}

fn begin(tx: &Transaction, id: TaskId, o: &Open, now: Ms) -> anyhow::Result<Started> {
    let task = need(tx, id)?;
    if !matches!(task.state, task::State::Queued | task::State::Held) {
        bail!(
            "task {id} is {}: only a queued or held task can be begun by hand",
            task.state.as_str()
        );
    }
    if let Some(why) = tree_holder(tx, &task)? {
        bail!("task {id}: {why}");
    }
    let attempt = insert(tx, &task, State::Running, o.session, o.incarnation, o.owner, now)?
        .with_context(|| format!("task {id}: its session has another attempt open"))?;
    tx.execute(
        "update attempts set started_at = ?2, agent_session = ?3, fed = ?4 where id = ?1",
        params![attempt, now, o.agent_session, o.fed],
    )?;
    move_task(tx, id, task::State::Running, None, None, now)?;
    Ok(Started { attempt: by_id(tx, attempt)?, task: need(tx, id)? })
}

/// Adds the next attempt of a task; `None` where the task or the session has one open.
fn insert(
    tx: &Transaction,
    task: &Task,
    state: State,
    session: Option<SessionId>,
    incarnation: Option<&Incarnation>,
    owner: &Process,
    now: Ms,
) -> anyhow::Result<Option<i64>> {
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|e| anyhow::anyhow!("random numbers: {e}"))?;
    let incarnation = incarnation.map(serde_json::to_string).transpose()?;
    let id = tx
        .query_row(
            "insert into attempts (task_id, number, state, session_id, incarnation, token, owner, lease_until, tree, \
             git_branch, claimed_at) \
             values (?1, (select coalesce(max(number), 0) + 1 from attempts where task_id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, \
             ?8, ?9, ?10) on conflict do nothing returning id",
            params![
                task.id.0,
                state.as_str(),
                session.map(|s| s.0),
                incarnation,
                crate::context::hex(&random),
                owner.to_string(),
                now + LEASE,
                task.tree,
                task.context.git_branch,
                now,
            ],
            |r| r.get(0),
        )
        .optional()?;
    Ok(id)
}
