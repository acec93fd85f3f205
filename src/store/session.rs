//! Sessions: slots, what fills them, and what was seen of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use rusqlite::{OptionalExtension, Row, params};

use super::Store;
use crate::agent::menu::Menu;
use crate::session::{self, Agent, Condition, Incarnation, Place, Prompt, Session, SessionId};
use crate::when::Ms;

const COLUMNS: &str = "id, name, provider, paused, socket, server_pid, pane_id, pane_pid, pane_start, boot_id, condition, \
     condition_why, condition_since, shell, agent, agent_session, agent_version, working_dir, git_branch, tree, prompt, avoid_until, avoid_why, last_active_at, seen_at, \
     (select t.group_name from attempts a join tasks t on t.id = a.task_id where a.session_id = sessions.id \
      order by a.id desc limit 1) as last_group";

/// What one look at a pane gave.
#[derive(Clone, Debug)]
pub struct Seen {
    pub incarnation: Incarnation,
    pub condition: Condition,
    pub shell: Option<String>,
    pub place: Place,
    pub prompt: Prompt,
    /// What stands at the cursor of a shell at rest.
    pub row: Option<session::Row>,
    /// Since when it is in that condition, as far as something told.
    pub since: Option<Ms>,
    /// The live client that is the pane's process.
    pub agent: Option<Agent>,
    /// What is typed into that client's composer; `None` where it shows none.
    pub composer: Option<String>,
    /// What it asks, where its screen shows that.
    pub menu: Option<Menu>,
    /// Prompts that its screen shows, the composer's own among them.
    pub prompts: usize,
    /// What the client has started still runs, and will wake it: its turn is not over.
    pub background: bool,
    /// The last rows of a screen that no rule knows.
    pub drift: Option<Box<str>>,
    /// When somebody who has the pane before him pressed a key last.
    pub touched: Option<Ms>,
}

impl Store {
    pub fn sessions(&self) -> anyhow::Result<Vec<Session>> {
        let mut s = self.db.prepare(&format!("select {COLUMNS} from sessions order by name"))?;
        let rows = s.query_map([], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub fn session(&self, name: &str) -> anyhow::Result<Option<Session>> {
        let sql = format!("select {COLUMNS} from sessions where name = ?1");
        Ok(self.db.query_row(&sql, [name], read).optional()?)
    }

    /// The session, or an error that names it.
    pub fn need_session(&self, name: &str) -> anyhow::Result<Session> {
        self.session(name)?
            .with_context(|| format!("no session '{name}': see orch-ls sessions, orch-ctx adopt"))
    }

    /// Makes a slot, or gives a slot whose pane is gone to a new one. A slot that a living pane fills is refused.
    pub fn adopt(
        &mut self,
        name: &str,
        provider: Option<&str>,
        seen: &Seen,
        now: Ms,
    ) -> anyhow::Result<()> {
        self.write(|tx| {
            let i = &seen.incarnation;
            let taken: Option<String> = tx
                .query_row(
                    "select name from sessions where socket = ?1 and pane_id = ?2 and server_pid = ?3 \
                     and pane_pid = ?4 and name <> ?5 and condition <> 'dead'",
                    params![i.socket, i.pane_id, i.server_pid, i.pane_pid, name],
                    |r| r.get(0),
                )
                .optional()?;
            if let Some(other) = taken {
                bail!("pane {}: already adopted as '{other}'", i.pane_id);
            }
            // another server's or an ended process's pane may have had the same id
            tx.execute(
                "update sessions set condition = 'dead', condition_why = null where socket = ?1 and pane_id = ?2 and name <> ?3",
                params![i.socket, i.pane_id, name],
            )?;
            tx.execute(
                "insert into sessions (name, provider, socket, server_pid, pane_id, pane_pid, pane_start, boot_id, condition) \
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'dead') \
                 on conflict (name) do update set provider = coalesce(?2, provider), socket = ?3, server_pid = ?4, \
                 pane_id = ?5, pane_pid = ?6, pane_start = ?7, boot_id = ?8, avoid_until = null, avoid_why = null",
                params![name, provider, i.socket, i.server_pid, i.pane_id, i.pane_pid, i.pane_start, i.boot_id],
            )?;
            see(tx, name, seen, now)
        })
    }

    /// Takes in what was seen of the slots' panes in one look; `None`: no pane fills the slot any more.
    pub fn see(&mut self, looks: &[(String, Option<Seen>)], now: Ms) -> anyhow::Result<()> {
        self.write(|tx| {
            for (name, seen) in looks {
                match seen {
                    Some(seen) => see(tx, name, seen, now)?,
                    None => {
                        tx.execute(
                            "update sessions set condition = 'dead', condition_why = null, seen_at = ?2 where name = ?1",
                            params![name, now],
                        )?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Forgets a slot: its pane is never typed into again. Its attempts stay on the record.
    pub fn forget(&mut self, name: &str) -> anyhow::Result<()> {
        let session = self.need_session(name)?;
        self.write(|tx| {
            let open: Option<i64> = tx
                .query_row(
                    "select task_id from attempts where session_id = ?1 \
                     and state in ('claimed','sending','running','waiting','unknown')",
                    [session.id.0],
                    |r| r.get(0),
                )
                .optional()?;
            if let Some(task) = open {
                bail!("session '{name}' has task {task} open: orch-ctl cancel {task} first");
            }
            tx.execute(
                "update attempts set session_id = null where session_id = ?1",
                [session.id.0],
            )?;
            tx.execute(
                "update events set session_id = null where session_id = ?1",
                [session.id.0],
            )?;
            tx.execute("delete from sessions where id = ?1", [session.id.0])?;
            Ok(())
        })
    }

    /// Pauses (with a reason) or resumes (without) a session.
    pub fn pause(&mut self, name: &str, why: Option<&str>) -> anyhow::Result<()> {
        self.need_session(name)?;
        self.write(|tx| {
            tx.execute(
                "update sessions set paused = ?2, avoid_until = null, avoid_why = null where name = ?1",
                params![name, why],
            )?;
            Ok(())
        })
    }

    /// A line typed there came to nothing: no other is typed for a while.
    pub fn avoid(&mut self, id: SessionId, why: &str, until: Ms) -> anyhow::Result<()> {
        self.write(|tx| {
            tx.execute(
                "update sessions set avoid_until = ?2, avoid_why = ?3 where id = ?1",
                params![id.0, until, why],
            )?;
            Ok(())
        })
    }

    /// Per session how many attempts began in the last hour.
    pub fn recent_attempts(&self, now: Ms) -> anyhow::Result<BTreeMap<SessionId, i64>> {
        let mut s = self.db.prepare(
            "select session_id, count(*) from attempts where claimed_at > ?1 and session_id is not null \
             and id > (select max(id) - 10000 from attempts) group by session_id",
        )?;
        let rows = s.query_map([now - 3_600_000], |r| Ok((SessionId(r.get(0)?), r.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Per session and tree, of the last attempts: how many ended, and how many of those well.
    pub fn expertise(&self) -> anyhow::Result<Vec<(SessionId, String, i64, i64)>> {
        let mut s = self.db.prepare(
            "select session_id, tree, count(*), count(*) filter (where state = 'completed') from attempts \
             where id > (select max(id) - 2000 from attempts) and tree is not null and session_id is not null \
             and state in ('completed', 'failed', 'lost') group by session_id, tree",
        )?;
        let rows =
            s.query_map([], |r| Ok((SessionId(r.get(0)?), r.get(1)?, r.get(2)?, r.get(3)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn see(tx: &rusqlite::Transaction, name: &str, seen: &Seen, now: Ms) -> anyhow::Result<()> {
    let agent = seen.agent.as_ref();
    tx.execute(
        "update sessions set condition = ?2, condition_why = ?3, shell = ?4, agent = ?14, agent_session = ?15, agent_version = ?16, \
         condition_since = coalesce(?17, case when condition = ?2 then condition_since end, ?9), working_dir = ?5, git_branch = ?6, \
         tree = ?7, prompt = ?8, seen_at = ?9, server_pid = ?10, pane_pid = ?11, pane_start = ?12, boot_id = ?13 \
         where name = ?1",
        params![
            name,
            seen.condition.as_str(),
            seen.condition.why(),
            seen.shell,
            seen.place.working_dir,
            seen.place.git_branch,
            seen.place.tree,
            serde_json::to_string(&seen.prompt)?,
            now,
            seen.incarnation.server_pid,
            seen.incarnation.pane_pid,
            seen.incarnation.pane_start,
            seen.incarnation.boot_id,
            agent.map(|a| &a.provider),
            agent.and_then(|a| a.session_id.as_ref()),
            agent.and_then(|a| a.version.as_ref()),
            seen.since,
        ],
    )?;
    Ok(())
}

fn read(r: &Row) -> rusqlite::Result<Session> {
    let why = || {
        Ok::<_, rusqlite::Error>(r.get::<_, Option<String>>("condition_why")?.unwrap_or_default())
    };
    let condition =
        Condition::parse(&r.get::<_, String>("condition")?, why()?).unwrap_or(Condition::Dead);
    Ok(Session {
        id: SessionId(r.get("id")?),
        name: r.get("name")?,
        provider: r.get("provider")?,
        paused: r.get("paused")?,
        incarnation: Incarnation {
            socket: r.get("socket")?,
            server_pid: r.get("server_pid")?,
            pane_id: r.get("pane_id")?,
            pane_pid: r.get("pane_pid")?,
            pane_start: r.get("pane_start")?,
            boot_id: r.get("boot_id")?,
        },
        condition,
        since: r.get("condition_since")?,
        shell: r.get("shell")?,
        agent: match r.get::<_, Option<String>>("agent")? {
            Some(provider) => Some(Agent {
                provider,
                session_id: r.get("agent_session")?,
                version: r.get("agent_version")?,
                record: None,
                process: None,
            }),
            None => None,
        },
        place: Place {
            working_dir: r.get("working_dir")?,
            git_branch: r.get("git_branch")?,
            tree: r.get("tree")?,
        },
        prompt: serde_json::from_str(&r.get::<_, String>("prompt")?).unwrap_or_default(),
        avoid: match r.get::<_, Option<Ms>>("avoid_until")? {
            Some(until) => {
                Some((until, r.get::<_, Option<String>>("avoid_why")?.unwrap_or_default()))
            }
            None => None,
        },
        last_active_at: r.get("last_active_at")?,
        last_group: r.get("last_group")?,
        seen_at: r.get("seen_at")?,
    })
}
