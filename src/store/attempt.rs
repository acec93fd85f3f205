//! Attempts: claimed, handed over, begun, ended, each by one compare-and-set fenced by the token.

use anyhow::{Context as _, bail};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::task::{enqueue, forgive, move_task, need};
use super::{Store, spelled};
use crate::attempt::{AttemptId, Closing, Name, State};
use crate::event::Evidence;
use crate::session::{Incarnation, Process, SessionId};
use crate::task::{self, NewTask, Task, TaskId};
use crate::when::Ms;

/// When to look whether an owner is still there.
pub const LEASE: Ms = 60_000;

const OPEN: &str = "state in ('claimed','sending','running','waiting','unknown')";
const COLUMNS: &str = "id, task_id, number, state, session_id, incarnation, token, owner, lease_until, orphaned, \
     fed, cancel_asked, tree, git_branch, agent_session, evidence, claimed_at, started_at";

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
    pub evidence: Evidence,
    pub claimed_at: Ms,
    pub started_at: Option<Ms>,
}

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
            let cancelled = cancel_asked.filter(|_| matches!(c.task, Some(task::State::Queued | task::State::Failed)));
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

    /// Asks the owner of a running attempt to end it. `None`: nothing runs.
    pub fn ask_cancel(&mut self, id: TaskId, why: &str) -> anyhow::Result<Option<OpenAttempt>> {
        self.write(|tx| {
            need(tx, id)?;
            let open = open_of(tx, id)?;
            if let Some(a) = &open {
                tx.execute(
                    "update attempts set cancel_asked = ?2 where id = ?1",
                    params![a.id.0, why],
                )?;
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

/// What stands in the way of a claim.
fn obstacle(tx: &Transaction, task: &Task, c: &Claim, now: Ms) -> anyhow::Result<Option<String>> {
    if task.not_before.is_some_and(|t| t > now) {
        return Ok(Some("scheduled for later".into()));
    }
    let (name, paused): (String, Option<String>) =
        tx.query_row("select name, paused from sessions where id = ?1", [c.session.0], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })?;
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
            "select name from sessions where tree = ?1 and condition = 'busy' and id <> ?2 limit 1",
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
        evidence: Evidence::parse(&r.get::<_, String>("evidence")?).unwrap_or_default(),
        claimed_at: r.get("claimed_at")?,
        started_at: r.get("started_at")?,
    })
}
