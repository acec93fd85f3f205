//! Events: kept once each, with who said them.

use rusqlite::{Transaction, params};

use super::Store;
use super::attempt::OpenAttempt;
use crate::event::{Body, Event};
use crate::session::SessionId;
use crate::task::TaskId;
use crate::when::Ms;

/// Who said it. Only the owner's channel moves a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Owner,
    Claim,
    Refused,
}

impl Standing {
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Owner => "owner",
            Standing::Claim => "claim",
            Standing::Refused => "refused",
        }
    }
}

/// An event line to be kept.
#[derive(Clone, Debug)]
pub struct Line {
    pub seq: i64,
    pub standing: Standing,
    pub kind: String,
    pub body: String,
    /// What of it belongs on the attempt itself: only from the owner's channel.
    pub event: Option<Event>,
}

impl Store {
    /// Keeps lines of one stream of an attempt, in one transaction; a line that is there already changes nothing.
    pub fn record(
        &mut self,
        a: &OpenAttempt,
        stream: &str,
        lines: &[Line],
        now: Ms,
    ) -> anyhow::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            let mut insert = tx.prepare_cached(
                "insert into events (at, attempt_id, task_id, session_id, stream, seq, standing, type, body) \
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) on conflict do nothing",
            )?;
            for l in lines {
                let new = insert.execute(params![
                    now,
                    a.id.0,
                    a.name.task.0,
                    a.session.map(|s| s.0),
                    stream,
                    l.seq,
                    l.standing.as_str(),
                    l.kind,
                    l.body,
                ])? == 1;
                if let (true, Standing::Owner, Some(event)) = (new, l.standing, &l.event) {
                    take_figures(tx, a, event)?;
                }
            }
            Ok(())
        })
    }

    /// Whether something of that kind was noted of a session since then.
    pub fn noted(&self, kind: &str, session: SessionId, since: Ms) -> anyhow::Result<bool> {
        let sql =
            "select exists (select 1 from events where type = ?1 and session_id = ?2 and at >= ?3)";
        Ok(self.db.query_row(sql, params![kind, session.0, since], |r| r.get(0))?)
    }

    /// How many screens no rule knew since then, by client and version.
    pub fn drift(&self, since: Ms) -> anyhow::Result<Vec<(String, i64)>> {
        let mut s = self.db.prepare(
            "select trim(body ->> 'provider' || ' ' || coalesce(body ->> 'version', '')) as client, count(*) \
             from events where type = 'drift' and at > ?1 group by client order by client",
        )?;
        let rows = s.query_map([since], |r| Ok((r.get(0)?, r.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keeps something that the toolkit itself did or saw.
    pub fn note(
        &mut self,
        kind: &str,
        attempt: Option<&OpenAttempt>,
        task: Option<TaskId>,
        session: Option<SessionId>,
        mut body: serde_json::Value,
        now: Ms,
    ) -> anyhow::Result<()> {
        self.write(|tx| {
            let attempt_id = attempt.map(|a| a.id.0);
            let seq: i64 = match attempt_id {
                Some(id) => tx.query_row(
                    "select coalesce(max(seq), 0) + 1 from events where attempt_id = ?1 and stream = 'orch'",
                    [id],
                    |r| r.get(0),
                )?,
                None => 0,
            };
            body["v"] = crate::event::VERSION.into();
            body["type"] = kind.into();
            body["seq"] = seq.into();
            tx.execute(
                "insert into events (at, attempt_id, task_id, session_id, stream, seq, standing, type, body) \
                 values (?1, ?2, ?3, ?4, 'orch', ?5, 'owner', ?6, ?7)",
                params![
                    now,
                    attempt_id,
                    task.or(attempt.map(|a| a.name.task)).map(|t| t.0),
                    session.or(attempt.and_then(|a| a.session)).map(|s| s.0),
                    seq,
                    kind,
                    body.to_string(),
                ],
            )?;
            Ok(())
        })
    }
}

/// Usage adds up over an attempt; of test summaries the last one stands.
fn take_figures(tx: &Transaction, a: &OpenAttempt, event: &Event) -> anyhow::Result<()> {
    match &event.body {
        Body::Usage { input_tokens, output_tokens, cost_usd } => {
            tx.execute(
                "update attempts set input_tokens = coalesce(input_tokens, 0) + ?2, \
                 output_tokens = coalesce(output_tokens, 0) + ?3, \
                 cost_usd = case when ?4 is null then cost_usd else coalesce(cost_usd, 0) + ?4 end where id = ?1",
                params![a.id.0, *input_tokens as i64, *output_tokens as i64, cost_usd],
            )?;
        }
        Body::TestSummary { framework, passed, failed, errors, skipped, .. } => {
            let tests = serde_json::json!({"framework": framework, "passed": passed, "failed": failed,
                "errors": errors, "skipped": skipped});
            tx.execute(
                "update attempts set tests = ?2 where id = ?1",
                params![a.id.0, tests.to_string()],
            )?;
        }
        _ => {}
    }
    Ok(())
}
