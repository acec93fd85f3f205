//! Attempts in live clients: what went in, what was seen of it, and the waiting for a person.

use rusqlite::{OptionalExtension, params};

use super::{LEASE, OpenAttempt};
use crate::attempt::{Receipt, State};
use crate::session::{Incarnation, Process, SessionId};
use crate::store::Store;
use crate::store::task::move_task;
use crate::task::{self, TaskId};
use crate::when::Ms;

/// A conversation that stands in a live client.
pub struct Talk {
    pub agent_session: String,
    pub task: TaskId,
    pub group: Option<String>,
    /// It was not the work that failed.
    pub cut_short: bool,
}

impl Store {
    /// Right before the first byte: from here on only what is seen tells whether it went in. False: it was taken back.
    pub fn mark_pasting(&mut self, a: &OpenAttempt, r: &Receipt, now: Ms) -> anyhow::Result<bool> {
        let receipt = serde_json::to_string(r)?;
        self.write(|tx| {
            let n = tx.execute(
                "update attempts set receipt = ?3, lease_until = ?4 where id = ?1 and token = ?2 and state = 'sending' \
                 and cancel_asked is null",
                params![a.id.0, a.token, receipt, now + LEASE],
            )?;
            Ok(n == 1)
        })
    }

    /// Right before what was typed is sent. False: it was taken back, or is to be cancelled. Whoever cancels it from here on
    /// waits for what becomes of it.
    pub fn may_send(&mut self, a: &OpenAttempt, now: Ms) -> anyhow::Result<bool> {
        self.write(|tx| {
            let n = tx.execute(
                "update attempts set lease_until = ?3 where id = ?1 and token = ?2 and state = 'sending' \
                 and cancel_asked is null",
                params![a.id.0, a.token, now + LEASE],
            )?;
            Ok(n == 1)
        })
    }

    /// Claims a turn's end, which takes long to judge. False: somebody else has it, or it has ended.
    pub fn take_end(&mut self, a: &OpenAttempt, owner: &Process) -> anyhow::Result<bool> {
        let old = a.owner.as_ref().map(ToString::to_string);
        self.write(|tx| {
            let n = tx.execute(
                "update attempts set owner = ?3 where id = ?1 and token = ?2 and owner is ?4 \
                 and state in ('running', 'waiting', 'unknown')",
                params![a.id.0, a.token, owner.to_string(), old],
            )?;
            Ok(n == 1)
        })
    }

    /// sending → running: the prompt was seen to be taken. False: the attempt has moved on meanwhile.
    pub fn submitted(
        &mut self,
        a: &OpenAttempt,
        r: &Receipt,
        agent_session: Option<&str>,
        now: Ms,
    ) -> anyhow::Result<bool> {
        let receipt = serde_json::to_string(r)?;
        self.write(|tx| {
            let n = tx.execute(
                "update attempts set state = 'running', receipt = ?3, agent_session = ?4, started_at = ?5, lease_until = ?6, \
                 owner = null, reason = null where id = ?1 and token = ?2 and state in ('sending', 'unknown')",
                params![a.id.0, a.token, receipt, agent_session, now, now + LEASE],
            )?;
            if n == 1 {
                move_task(tx, a.name.task, task::State::Running, None, None, now)?;
            }
            Ok(n == 1)
        })
    }

    /// Claims the one key that interrupts the turn. False: somebody pressed it since the attempt was read.
    pub fn mark_escaped(&mut self, a: &OpenAttempt, now: Ms) -> anyhow::Result<bool> {
        let Some(old) = &a.receipt else { return Ok(false) };
        let new = Receipt { escaped: Some(now), ..old.clone() };
        let (old, new) = (serde_json::to_string(old)?, serde_json::to_string(&new)?);
        self.write(|tx| {
            let n = tx.execute(
                "update attempts set receipt = ?3 where id = ?1 and token = ?2 and receipt = ?4",
                params![a.id.0, a.token, new, old],
            )?;
            Ok(n == 1)
        })
    }

    /// sending → unknown: bytes went in, and nothing tells what became of them. Never to be sent again on a guess.
    pub fn doubt(&mut self, a: &OpenAttempt, why: &str, now: Ms) -> anyhow::Result<bool> {
        self.write(|tx| {
            let n = tx.execute(
                "update attempts set state = 'unknown', reason = ?3, owner = null where id = ?1 and token = ?2 \
                 and state = 'sending'",
                params![a.id.0, a.token, why],
            )?;
            if n == 1 {
                move_task(tx, a.name.task, task::State::Unknown, Some(why), None, now)?;
            }
            Ok(n == 1)
        })
    }

    /// running ↔ waiting, as the client asks a person and is answered. False: it is so already, or has ended.
    pub fn turn(
        &mut self,
        a: &OpenAttempt,
        to: State,
        why: Option<&str>,
        now: Ms,
    ) -> anyhow::Result<bool> {
        let of_task =
            if to == State::Waiting { task::State::Waiting } else { task::State::Running };
        self.write(|tx| {
            let n = tx.execute(
                "update attempts set state = ?3, reason = ?4, lease_until = ?5 where id = ?1 and token = ?2 \
                 and state in ('running', 'waiting', 'unknown') and (state <> ?3 or reason is not ?4)",
                params![a.id.0, a.token, to.as_str(), why, now + LEASE],
            )?;
            if n == 1 {
                move_task(tx, a.name.task, of_task, why, None, now)?;
            }
            Ok(n == 1)
        })
    }

    /// The attempt's session was given a new process by the attempt itself.
    pub fn refill(&mut self, a: &OpenAttempt, i: &Incarnation) -> anyhow::Result<()> {
        let incarnation = serde_json::to_string(i)?;
        self.write(|tx| {
            tx.execute(
                "update attempts set incarnation = ?3 where id = ?1 and token = ?2",
                params![a.id.0, a.token, incarnation],
            )?;
            Ok(())
        })
    }

    /// When the next attempt was claimed that was pasted in the same session.
    pub fn next_claim(&self, a: &OpenAttempt) -> anyhow::Result<Option<Ms>> {
        let sql = "select min(claimed_at) from attempts where session_id = ?1 and id > ?2 and receipt is not null";
        let session = a.session.map(|s| s.0);
        Ok(self.db.query_row(sql, params![session, a.id.0], |r| r.get(0))?)
    }

    /// Of the last attempt in a session that was in a live client: the agent's own session, the task with its group, and
    /// whether a limit or an error of the service ended it.
    pub fn last_conversation(
        &self,
        session: SessionId,
        but: &OpenAttempt,
    ) -> anyhow::Result<Option<Talk>> {
        let row = self.db.query_row(
            "select a.agent_session, a.task_id, t.group_name, a.state = 'failed' and \
             (not a.counts or a.reason like 'api_error %') from attempts a join tasks t on t.id = a.task_id \
             where a.session_id = ?1 and a.id <> ?2 and a.receipt is not null and a.agent_session is not null \
             and a.state <> 'refused' order by a.id desc limit 1",
            params![session.0, but.id.0],
            |r| {
                Ok(Talk {
                    agent_session: r.get(0)?,
                    task: TaskId(r.get(1)?),
                    group: r.get(2)?,
                    cut_short: r.get(3)?,
                })
            },
        );
        Ok(row.optional()?)
    }
}
