//! Tasks: put on the queue, read, moved by people.

use anyhow::{Context as _, bail};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Store, spelled};
use crate::event::Evidence;
use crate::task::{Conversation, NewTask, State, Task, TaskId};
use crate::when::Ms;

/// What became of one task that was to be put on the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enqueued {
    pub id: TaskId,
    /// False: its key was there already.
    pub added: bool,
}

/// A task, and where it is stored for routing.
pub type Record<'a> = (&'a NewTask, Option<String>);

/// Which queued tasks a pass has to look at.
#[derive(Debug, Default)]
pub struct Candidates<'a> {
    /// Only tasks that may run in one of these sessions.
    pub sessions: &'a [String],
    /// Directories that sessions are in: a few tasks of each, besides the first in line.
    pub dirs: &'a [String],
    /// Providers whose account is at its limit.
    pub limited: &'a [String],
    pub most: usize,
}

pub(super) const COLUMNS: &str = "id, state, reason, content, provider, priority, session, context, tree, group_name, conversation, \
     max_attempts, timeout_ms, verify, accept, not_before, once, forgiven, created_at";

/// Queued, due, and with no dependency open.
const READY: &str = "state = 'queued' and (not_before is null or not_before <= ?1) and not exists \
     (select 1 from dependencies d join tasks p on p.id = d.depends_on where d.task_id = tasks.id \
      and not (p.state = 'completed' or (d.any_end and p.state in ('failed', 'cancelled'))))";

impl Store {
    /// Adds all tasks in one transaction, or none.
    pub fn enqueue(&mut self, tasks: &[Record], now: Ms) -> anyhow::Result<Vec<Enqueued>> {
        self.write(|tx| enqueue(tx, tasks, now))
    }

    pub fn task(&self, id: TaskId) -> anyhow::Result<Option<Task>> {
        let sql = format!("select {COLUMNS} from tasks where id = ?1");
        Ok(self.db.query_row(&sql, [id.0], read).optional()?)
    }

    /// The task, or an error that names it.
    pub fn need_task(&self, id: TaskId) -> anyhow::Result<Task> {
        self.task(id)?.with_context(|| format!("no task {id}"))
    }

    /// Ready tasks in the order of the queue: the first in line, and the first few of each directory that a session is in.
    pub fn candidates(&self, want: &Candidates, now: Ms) -> anyhow::Result<Vec<Task>> {
        let filter = format!(
            "{READY} and (session is null or session in (select value from json_each(?2))) \
             and provider not in (select value from json_each(?3)) \
             and not exists (select 1 from attempts a where a.tree = tasks.tree and a.git_branch is not tasks.git_branch \
                 and a.state in ('claimed','sending','running','waiting','unknown'))"
        );
        let json = |v: &[String]| serde_json::to_string(v).unwrap_or_default();
        let (sessions, limited) = (json(want.sessions), json(want.limited));
        let first = format!(
            "select {COLUMNS} from tasks where {filter} order by priority desc, id limit ?4"
        );
        let mut tasks: Vec<Task> = self
            .db
            .prepare(&first)?
            .query_map(params![now, sessions, limited, want.most as i64], read)?
            .collect::<Result<_, _>>()?;
        if tasks.len() == want.most {
            let of_dir = format!(
                "select {COLUMNS} from tasks where working_dir = ?4 and {filter} order by priority desc, id limit 3"
            );
            let mut statement = self.db.prepare(&of_dir)?;
            for dir in want.dirs {
                for t in statement.query_map(params![now, sessions, limited, dir], read)? {
                    let t = t?;
                    if !tasks.iter().any(|have| have.id == t.id) {
                        tasks.push(t);
                    }
                }
            }
        }
        Ok(tasks)
    }

    /// What keeps a queued task from being looked at now, in words.
    pub fn blockers(&self, id: TaskId) -> anyhow::Result<Vec<String>> {
        let mut s = self.db.prepare(
            "select p.id, p.state from dependencies d join tasks p on p.id = d.depends_on where d.task_id = ?1 \
             and not (p.state = 'completed' or (d.any_end and p.state in ('failed', 'cancelled'))) order by p.id",
        )?;
        let rows = s.query_map([id.0], |r| {
            Ok(format!("task {} is {}", r.get::<_, i64>(0)?, r.get::<_, String>(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keeps a queued task off the queue until a person releases it. False: it is no longer queued.
    pub fn hold(&mut self, id: TaskId, reason: &str, now: Ms) -> anyhow::Result<bool> {
        self.write(|tx| {
            let n = tx.execute(
                "update tasks set state = 'held', reason = ?2, updated_at = ?3 where id = ?1 and state = 'queued'",
                params![id.0, reason, now],
            )?;
            Ok(n == 1)
        })
    }

    /// Puts a held task back on the queue and forgives the sessions that could not establish its context.
    pub fn release(&mut self, id: TaskId, now: Ms) -> anyhow::Result<()> {
        self.write(|tx| {
            let t = need(tx, id)?;
            if t.state != State::Held {
                bail!("task {id} is {}, not held", t.state.as_str());
            }
            forgive(tx, id)?;
            move_task(tx, id, State::Queued, None, t.not_before, now)
        })
    }

    pub fn set_priority(&mut self, id: TaskId, priority: i64, now: Ms) -> anyhow::Result<()> {
        self.write(|tx| {
            let t = need(tx, id)?;
            if t.state.is_final() {
                bail!("task {id} is {}: it has ended", t.state.as_str());
            }
            tx.execute(
                "update tasks set priority = ?2, updated_at = ?3 where id = ?1",
                params![id.0, priority, now],
            )?;
            Ok(())
        })
    }

    /// Binds a task that has not begun to another session, or to any.
    pub fn reassign(&mut self, id: TaskId, session: Option<&str>, now: Ms) -> anyhow::Result<()> {
        self.write(|tx| {
            let t = need(tx, id)?;
            if !matches!(t.state, State::Queued | State::Held) {
                bail!(
                    "task {id} is {}: only a queued or held task can be reassigned",
                    t.state.as_str()
                );
            }
            tx.execute("update tasks set session = ?2 where id = ?1", params![id.0, session])?;
            forgive(tx, id)?;
            move_task(tx, id, t.state, t.reason.as_deref(), t.not_before, now)
        })
    }
}

pub(super) fn enqueue(
    tx: &Transaction,
    tasks: &[Record],
    now: Ms,
) -> anyhow::Result<Vec<Enqueued>> {
    let mut insert = tx.prepare(
        "insert into tasks (state, reason, content, provider, priority, session, context, context_hash, \
         working_dir, git_branch, tree, key, group_name, conversation, max_attempts, timeout_ms, verify, accept, not_before, \
         created_at, updated_at) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?20) \
         on conflict (key) where key is not null do nothing",
    )?;
    // many tasks share a context, most have none: canonical form and hash of the last one
    let mut last = (crate::context::Context::default(), String::new(), String::new());
    (last.1, last.2) = (last.0.canonical(), last.0.hash());
    let mut done = Vec::with_capacity(tasks.len());
    for (t, tree) in tasks {
        if t.context != last.0 {
            last = (t.context.clone(), t.context.canonical(), t.context.hash());
        }
        let state = if t.hold { State::Held } else { State::Queued };
        let added = insert.execute(params![
            state.as_str(),
            t.hold.then_some("held at enqueue"),
            t.content,
            t.provider,
            t.priority,
            t.session,
            last.1,
            last.2,
            t.context.working_dir,
            t.context.git_branch,
            tree,
            t.key,
            t.group,
            t.conversation.map(Conversation::as_str),
            t.max_attempts,
            t.timeout,
            t.verify,
            t.accept.as_str(),
            t.not_before,
            now,
        ])? == 1;
        let id = match (&t.key, added) {
            (Some(key), false) => {
                tx.query_row("select id from tasks where key = ?1", [key], |r| r.get(0))?
            }
            _ => tx.last_insert_rowid(),
        };
        if added && !t.after.is_empty() {
            depend(tx, TaskId(id), t, now)?;
        }
        done.push(Enqueued { id: TaskId(id), added });
    }
    Ok(done)
}

pub(super) fn need(tx: &Transaction, id: TaskId) -> anyhow::Result<Task> {
    let sql = format!("select {COLUMNS} from tasks where id = ?1");
    tx.query_row(&sql, [id.0], read).optional()?.with_context(|| format!("no task {id}"))
}

/// Moves a task, and holds what can no longer run because of it.
pub(super) fn move_task(
    tx: &Transaction,
    id: TaskId,
    state: State,
    reason: Option<&str>,
    not_before: Option<Ms>,
    now: Ms,
) -> anyhow::Result<()> {
    let ended = state.is_final().then_some(now);
    tx.execute(
        "update tasks set state = ?2, reason = ?3, not_before = ?4, updated_at = ?5, ended_at = ?6 where id = ?1",
        params![id.0, state.as_str(), reason, not_before, now, ended],
    )?;
    if matches!(state, State::Failed | State::Cancelled) {
        let why = format!(
            "depends on task {id}, which {}",
            if state == State::Failed { "failed" } else { "was cancelled" }
        );
        tx.execute(
            "update tasks set state = 'held', reason = ?2, updated_at = ?3 where state = 'queued' \
             and id in (select task_id from dependencies where depends_on = ?1 and not any_end)",
            params![id.0, why, now],
        )?;
    }
    Ok(())
}

/// Earlier attempts no longer count, neither as tries nor against sessions.
pub(super) fn forgive(tx: &Transaction, id: TaskId) -> anyhow::Result<()> {
    tx.execute(
        "update tasks set forgiven = (select coalesce(max(number), 0) from attempts where task_id = ?1) where id = ?1",
        [id.0],
    )?;
    Ok(())
}

fn depend(tx: &Transaction, id: TaskId, t: &NewTask, now: Ms) -> anyhow::Result<()> {
    for d in &t.after {
        let state = need(tx, d.on).with_context(|| format!("--after {}", d.on))?.state;
        tx.execute(
            "insert into dependencies (task_id, depends_on, any_end) values (?1, ?2, ?3) on conflict do nothing",
            params![id.0, d.on.0, d.any],
        )?;
        if !d.any && matches!(state, State::Failed | State::Cancelled) {
            let why = format!("depends on task {}, which is {}", d.on, state.as_str());
            move_task(tx, id, State::Held, Some(&why), t.not_before, now)?;
        }
    }
    Ok(())
}

pub(super) fn read(r: &Row) -> rusqlite::Result<Task> {
    let context: String = r.get("context")?;
    Ok(Task {
        id: TaskId(r.get("id")?),
        state: spelled(r, "state")?,
        reason: r.get("reason")?,
        content: r.get("content")?,
        provider: r.get("provider")?,
        priority: r.get("priority")?,
        session: r.get("session")?,
        context: serde_json::from_str(&context).map_err(|e| {
            rusqlite::Error::FromSqlConversionFailure(
                0,
                rusqlite::types::Type::Text,
                format!("context: {e}").into(),
            )
        })?,
        tree: r.get("tree")?,
        group: r.get("group_name")?,
        conversation: r.get::<_, Option<String>>("conversation")?.and_then(|c| c.parse().ok()),
        max_attempts: r.get("max_attempts")?,
        timeout: r.get("timeout_ms")?,
        verify: r.get("verify")?,
        accept: Evidence::parse(&r.get::<_, String>("accept")?).unwrap_or_default(),
        not_before: r.get("not_before")?,
        once: r.get("once")?,
        forgiven: r.get("forgiven")?,
        created_at: r.get("created_at")?,
    })
}
