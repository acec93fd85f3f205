//! Attempts: what is stored of them, and how they are found.

mod begin;
mod end;
mod live;

pub use begin::{Claim, Claimed, Open, Start, Started};

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, Transaction};

use super::{Store, spelled};
use crate::attempt::{AttemptId, Name, Receipt, State};
use crate::event::Evidence;
use crate::session::{Incarnation, Process, SessionId};
use crate::task::{Task, TaskId};
use crate::when::Ms;

/// When to look whether an owner is still there.
pub const LEASE: Ms = 60_000;

const OPEN: &str = "state in ('claimed','sending','running','waiting','unknown')";
const COLUMNS: &str = "id, task_id, number, state, session_id, incarnation, token, owner, lease_until, orphaned, \
     fed, cancel_asked, tree, git_branch, agent_session, receipt, evidence, claimed_at, started_at";

/// An attempt that has not ended.
#[derive(Clone, Debug)]
pub struct OpenAttempt {
    pub id: AttemptId,
    pub name: Name,
    pub state: State,
    pub session: Option<SessionId>,
    pub incarnation: Option<Incarnation>,
    pub token: String,
    pub owner: Option<Process>,
    pub lease_until: Ms,
    pub orphaned: bool,
    /// Its events come by hand; no orch-wrap runs it.
    pub fed: bool,
    pub cancel_asked: Option<String>,
    pub tree: Option<String>,
    pub git_branch: Option<String>,
    pub agent_session: Option<String>,
    /// It was pasted into a live client, and no orch-wrap runs it.
    pub receipt: Option<Receipt>,
    pub evidence: Evidence,
    pub claimed_at: Ms,
    pub started_at: Option<Ms>,
}

impl Store {
    pub fn open_attempts(&self) -> anyhow::Result<Vec<OpenAttempt>> {
        let mut s =
            self.db.prepare(&format!("select {COLUMNS} from attempts where {OPEN} order by id"))?;
        let rows = s.query_map([], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub fn open_attempt(&self, task: TaskId) -> anyhow::Result<Option<OpenAttempt>> {
        let sql = format!("select {COLUMNS} from attempts where task_id = ?1 and {OPEN}");
        Ok(self.db.query_row(&sql, [task.0], read).optional()?)
    }

    /// The attempt by its name, ended or not.
    pub fn attempt(&self, name: Name) -> anyhow::Result<Option<OpenAttempt>> {
        let sql = format!("select {COLUMNS} from attempts where task_id = ?1 and number = ?2");
        Ok(self.db.query_row(&sql, [name.task.0, name.number], read).optional()?)
    }

    /// The newest attempt whose agent's session has this id.
    pub fn attempt_of_agent(&self, session: &str) -> anyhow::Result<Option<OpenAttempt>> {
        let sql = format!(
            "select {COLUMNS} from attempts where agent_session = ?1 order by id desc limit 1"
        );
        Ok(self.db.query_row(&sql, [session], read).optional()?)
    }

    /// The open attempt of the session that a pane fills.
    pub fn attempt_of_pane(&self, socket: &str, pane: &str) -> anyhow::Result<Option<OpenAttempt>> {
        let sql = format!(
            "select {COLUMNS} from attempts where session_id = (select id from sessions where socket = ?1 and pane_id = ?2 \
             and condition <> 'dead') and {OPEN} order by state = 'unknown', id desc limit 1"
        );
        Ok(self.db.query_row(&sql, [socket, pane], read).optional()?)
    }

    /// Numbers of counted attempts and sessions in which the context could not be established, not forgiven.
    pub fn tried(&self, task: &Task) -> anyhow::Result<(i64, Vec<SessionId>)> {
        let counted = self.db.query_row(
            "select count(*) from attempts where task_id = ?1 and number > ?2 and counts and state in ('failed', 'lost')",
            [task.id.0, task.forgiven],
            |r| r.get(0),
        )?;
        let mut s = self.db.prepare(
            "select distinct session_id from attempts where task_id = ?1 and number > ?2 \
             and state = 'context_failed' and session_id is not null",
        )?;
        let failed = s.query_map([task.id.0, task.forgiven], |r| Ok(SessionId(r.get(0)?)))?;
        Ok((counted, failed.collect::<Result<_, _>>()?))
    }

    /// Attempts begun so far, and the mean seconds of the last ones that ended.
    pub fn pulse(&self) -> anyhow::Result<(i64, f64)> {
        Ok(self.db.query_row(
            "select (select coalesce(max(id), 0) from attempts), \
             (select coalesce(avg(ended_at - started_at), 60000.0) / 1000.0 from \
              (select ended_at, started_at from attempts where ended_at is not null and started_at is not null \
               order by id desc limit 50))",
            [],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )?)
    }

    /// Why the newest attempt of a task ended as it did.
    pub fn last_reason(&self, task: TaskId) -> anyhow::Result<Option<String>> {
        let sql = "select reason from attempts where task_id = ?1 order by number desc limit 1";
        Ok(self.db.query_row(sql, [task.0], |r| r.get(0)).optional()?.flatten())
    }

    /// The final message of the newest attempt that has one.
    pub fn answer(&self, task: TaskId) -> anyhow::Result<Option<String>> {
        let sql = "select answer from attempts where task_id = ?1 and answer is not null order by number desc limit 1";
        Ok(self.db.query_row(sql, [task.0], |r| r.get(0)).optional()?)
    }
}

fn by_id(tx: &Transaction, id: i64) -> anyhow::Result<OpenAttempt> {
    Ok(tx.query_row(&format!("select {COLUMNS} from attempts where id = ?1"), [id], read)?)
}

fn by_name(tx: &Transaction, name: Name) -> anyhow::Result<Option<OpenAttempt>> {
    let sql = format!("select {COLUMNS} from attempts where task_id = ?1 and number = ?2");
    Ok(tx.query_row(&sql, [name.task.0, name.number], read).optional()?)
}

fn open_of(tx: &Transaction, task: TaskId) -> anyhow::Result<Option<OpenAttempt>> {
    let sql = format!("select {COLUMNS} from attempts where task_id = ?1 and {OPEN}");
    Ok(tx.query_row(&sql, [task.0], read).optional()?)
}

fn read(r: &Row) -> rusqlite::Result<OpenAttempt> {
    let incarnation: Option<String> = r.get("incarnation")?;
    let owner: Option<String> = r.get("owner")?;
    Ok(OpenAttempt {
        id: AttemptId(r.get("id")?),
        name: Name { task: TaskId(r.get("task_id")?), number: r.get("number")? },
        state: spelled(r, "state")?,
        session: r.get::<_, Option<i64>>("session_id")?.map(SessionId),
        incarnation: incarnation.and_then(|t| serde_json::from_str(&t).ok()),
        token: r.get("token")?,
        owner: owner.and_then(|t| t.parse().ok()),
        lease_until: r.get("lease_until")?,
        orphaned: r.get("orphaned")?,
        fed: r.get("fed")?,
        cancel_asked: r.get("cancel_asked")?,
        tree: r.get("tree")?,
        git_branch: r.get("git_branch")?,
        agent_session: r.get("agent_session")?,
        // without it what a client was given would pass for a command that is gone, and be given again
        receipt: r
            .get::<_, Option<String>>("receipt")?
            .map(|t| serde_json::from_str(&t))
            .transpose()
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, e.into()))?,
        evidence: Evidence::parse(&r.get::<_, String>("evidence")?).unwrap_or_default(),
        claimed_at: r.get("claimed_at")?,
        started_at: r.get("started_at")?,
    })
}
