//! The life and the end of an attempt: renewed, closed, cancelled, each fenced by its token.

use anyhow::{Context as _, bail};
use rusqlite::{OptionalExtension, params};

use crate::attempt::{Closing, State};
use crate::event::Evidence;
use crate::store::Store;
use crate::store::task::{forgive, move_task, need};
use crate::task::{self, TaskId};
use crate::when::Ms;

use super::{LEASE, OpenAttempt, open_of};

impl Store {
    /// The owner is at work: look again later. Returns why it should end, if a person asked for that.
    pub fn renew(&mut self, a: &OpenAttempt, now: Ms) -> anyhow::Result<Option<String>> {
        self.write(|tx| {
            tx.execute(
                "update attempts set lease_until = ?3 where id = ?1 and token = ?2",
                params![a.id.0, a.token, now + LEASE],
            )?;
            Ok(tx.query_row("select cancel_asked from attempts where id = ?1", [a.id.0], |r| {
                r.get(0)
            })?)
        })
    }

    /// Notes the agent's own session id, as its first record gave it.
    pub fn bind_agent(&mut self, a: &OpenAttempt, session: &str) -> anyhow::Result<()> {
        self.write(|tx| {
            tx.execute(
                "update attempts set agent_session = ?3 where id = ?1 and token = ?2",
                params![a.id.0, a.token, session],
            )?;
            Ok(())
        })
    }

    /// Moves an open attempt and its task. False: the attempt has ended meanwhile, the move is not legal, or
    /// what it rests on is weaker than what the attempt already has.
    pub fn close(&mut self, a: &OpenAttempt, c: &Closing, now: Ms) -> anyhow::Result<bool> {
        let Some(next) = c.state else { return Ok(false) };
        self.write(|tx| {
            let have: Option<(String, String, Option<String>)> = tx
                .query_row(
                    "select state, evidence, cancel_asked from attempts where id = ?1 and token = ?2",
                    params![a.id.0, a.token],
                    |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
                )
                .optional()?;
            let Some((state, evidence, cancel_asked)) = have else { return Ok(false) };
            let state: State = state.parse().map_err(anyhow::Error::msg)?;
            let weaker = Evidence::parse(&evidence).is_some_and(|e| e > c.evidence) && next != State::Cancelled;
            if !state.may_become(next) || weaker {
                return Ok(false);
            }
            // who was asked to end is not put on the queue again, however it ended
            let cancelled = cancel_asked.filter(|_| matches!(c.task, Some(task::State::Queued | task::State::Failed | task::State::Unknown)));
            let (next, to, reason) = match &cancelled {
                Some(why) => (State::Cancelled, Some(task::State::Cancelled), Some(why.as_str())),
                None => (next, c.task, c.reason.as_deref()),
            };
            let ended = (!next.is_open()).then_some(now);
            tx.execute(
                "update attempts set state = ?2, reason = ?3, counts = ?4, evidence = ?5, confidence = ?6, \
                 answer = coalesce(?7, answer), note = ?8, exit_code = coalesce(?9, exit_code), orphaned = ?10, \
                 ended_at = ?11, owner = case when ?10 or ?11 is null then owner end where id = ?1",
                params![
                    a.id.0,
                    next.as_str(),
                    reason,
                    c.counts,
                    c.evidence.as_str(),
                    c.confidence,
                    c.answer,
                    c.note,
                    c.exit_code,
                    c.orphaned,
                    ended,
                ],
            )?;
            if let Some(task) = to {
                move_task(tx, a.name.task, task, reason, c.not_before.filter(|_| cancelled.is_none()), now)?;
            }
            if let Some((account, until, why)) = &c.limit {
                tx.execute(
                    "insert into limits (account, until, reason) values (?1, ?2, ?3) \
                     on conflict do update set until = max(until, ?2), reason = ?3",
                    params![account, until, why],
                )?;
            }
            tx.execute("update sessions set last_active_at = ?2 where id = (select session_id from attempts where id = ?1)", params![a.id.0, now])?;
            Ok(true)
        })
    }

    /// A person's word on a task: ends its open attempt so, or moves the task itself where none is open.
    pub fn decide(&mut self, id: TaskId, c: &Closing, now: Ms) -> anyhow::Result<()> {
        self.write(|tx| {
            let task = need(tx, id)?;
            let wanted = c.task.context("no state to move to")?;
            if task.state.is_final() && wanted != task::State::Queued {
                bail!("task {id} is {}: it has ended", task.state.as_str());
            }
            if let Some(a) = open_of(tx, id)? {
                if matches!(a.state, State::Claimed | State::Sending | State::Running) {
                    bail!("task {id} is {} in attempt {}: orch-ctl cancel {id} first", task.state.as_str(), a.name);
                }
                let next = c.state.filter(|s| a.state.may_become(*s)).unwrap_or(State::Cancelled);
                tx.execute(
                    "update attempts set state = ?2, reason = ?3, ended_at = ?4, owner = null where id = ?1",
                    params![a.id.0, next.as_str(), c.reason, now],
                )?;
            }
            if wanted == task::State::Queued {
                if task.state == task::State::Queued && task.not_before.is_none() {
                    bail!("task {id} is queued: it waits for its turn");
                }
                forgive(tx, id)?;
            }
            move_task(tx, id, wanted, c.reason.as_deref(), None, now)
        })
    }

    /// Cancels a task that nothing works on: `None`. Else asks the owner of its open attempt to end it.
    pub fn ask_cancel(
        &mut self,
        id: TaskId,
        why: &str,
        now: Ms,
    ) -> anyhow::Result<Option<OpenAttempt>> {
        self.write(|tx| {
            let task = need(tx, id)?;
            if task.state.is_final() {
                bail!("task {id} is {}: it has ended", task.state.as_str());
            }
            let open = open_of(tx, id)?;
            match &open {
                Some(a) => {
                    tx.execute(
                        "update attempts set cancel_asked = ?2 where id = ?1",
                        params![a.id.0, why],
                    )?;
                }
                None => move_task(tx, id, task::State::Cancelled, Some(why), None, now)?,
            }
            Ok(open)
        })
    }

    /// Ends an attempt that nobody has in hand, if it is still just as it was read. False: it moved meanwhile.
    pub fn cancel(&mut self, a: &OpenAttempt, why: &str, now: Ms) -> anyhow::Result<bool> {
        self.write(|tx| {
            let n = tx.execute(
                "update attempts set state = 'cancelled', reason = ?5, counts = 0, ended_at = ?6, owner = null \
                 where id = ?1 and token = ?2 and state = ?3 and owner is ?4",
                params![a.id.0, a.token, a.state.as_str(), a.owner.as_ref().map(ToString::to_string), why, now],
            )?;
            if n == 1 {
                move_task(tx, a.name.task, task::State::Cancelled, Some(why), None, now)?;
            }
            Ok(n == 1)
        })
    }
}
