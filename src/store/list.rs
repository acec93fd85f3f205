//! What people and scripts are shown: rows as JSON objects.

use rusqlite::types::{Value as Sql, ValueRef};
use serde_json::{Map, Value};

use super::Store;
use crate::when::Ms;

/// Which tasks, attempts.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    pub ids: Vec<i64>,
    pub states: Vec<String>,
    pub provider: Option<String>,
    pub since: Option<Ms>,
}

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Of these tasks; empty: of all.
    pub tasks: Vec<i64>,
    pub since: Option<Ms>,
    /// After this event's id.
    pub after: i64,
    pub limit: i64,
}

/// The columns that hold UTC milliseconds are shown as RFC 3339.
const TIMES: &[&str] = &[
    "at",
    "not_before",
    "created_at",
    "updated_at",
    "ended_at",
    "claimed_at",
    "started_at",
    "lease_until",
    "seen_at",
    "last_active_at",
];
const JSON: &[&str] = &["context", "tests", "body", "prompt", "receipt"];

impl Store {
    pub fn list_tasks(&self, f: &TaskFilter) -> anyhow::Result<Vec<Value>> {
        let mut q = Query::new(
            "select t.id, t.state, t.reason, t.provider, t.priority, t.session, t.context, t.content, t.key, \
             t.group_name as \"group\", t.max_attempts, t.timeout_ms, t.verify, t.accept, t.not_before, t.created_at, \
             t.updated_at, t.ended_at, a.number as attempts, s.name as ran_in, a.evidence, a.confidence, a.exit_code, \
             a.input_tokens, a.output_tokens, a.cost_usd, a.tests, a.note, \
             (select json_group_array(depends_on) from dependencies where task_id = t.id) as after \
             from tasks t \
             left join attempts a on a.task_id = t.id \
               and a.number = (select max(number) from attempts where task_id = t.id) \
             left join sessions s on s.id = a.session_id where true",
        );
        q.task_filter(f, "t.id", "t.state", "t.provider", "t.updated_at");
        q.run(self, " order by t.id")
    }

    pub fn list_attempts(&self, f: &TaskFilter) -> anyhow::Result<Vec<Value>> {
        let mut q = Query::new(
            "select a.task_id || '.' || a.number as attempt, a.task_id as task, a.number, a.state, a.reason, a.counts, \
             s.name as session, a.evidence, a.confidence, a.exit_code, a.input_tokens, a.output_tokens, a.cost_usd, \
             a.tests, a.note, a.agent_session, a.receipt, a.claimed_at, a.started_at, a.ended_at, a.lease_until \
             from attempts a join tasks t on t.id = a.task_id left join sessions s on s.id = a.session_id where true",
        );
        q.task_filter(f, "a.task_id", "a.state", "t.provider", "a.claimed_at");
        q.run(self, " order by a.task_id, a.number")
    }

    pub fn list_sessions(&self, names: &[String], states: &[String]) -> anyhow::Result<Vec<Value>> {
        let mut q = Query::new(
            "select s.name, s.condition as state, coalesce(s.paused, s.condition_why) as why, \
             s.paused is not null as paused, s.provider, s.shell, s.agent, s.agent_session, s.socket, s.pane_id as pane, s.pane_pid as pid, \
             s.working_dir, s.git_branch, a.task_id as task, s.last_active_at, s.seen_at \
             from sessions s left join attempts a on a.session_id = s.id \
             and a.state in ('claimed','sending','running','waiting') where true",
        );
        q.any_of("s.name", names.iter().map(|n| Sql::Text(n.clone())));
        q.any_of("s.condition", states.iter().map(|n| Sql::Text(n.clone())));
        q.run(self, " order by s.name")
    }

    pub fn list_events(&self, f: &EventFilter) -> anyhow::Result<Vec<Value>> {
        let mut q = Query::new(
            "select e.id, e.at, case when e.attempt_id is not null then a.task_id || '.' || a.number end as attempt, \
             e.task_id as task, s.name as session, e.stream, e.standing, e.type, e.body \
             from events e left join attempts a on a.id = e.attempt_id left join sessions s on s.id = e.session_id \
             where e.id > ?",
        );
        q.values.push(Sql::Integer(f.after));
        q.any_of("e.task_id", f.tasks.iter().map(|n| Sql::Integer(*n)));
        if let Some(t) = f.since {
            q.and("e.at >= ?", Sql::Integer(t));
        }
        q.values.push(Sql::Integer(f.limit));
        q.run(self, " order by e.id limit ?")
    }
}

struct Query {
    sql: String,
    values: Vec<Sql>,
}

impl Query {
    fn new(sql: &str) -> Query {
        Query { sql: sql.to_owned(), values: Vec::new() }
    }

    fn and(&mut self, condition: &str, value: Sql) {
        self.sql.push_str(" and ");
        self.sql.push_str(condition);
        self.values.push(value);
    }

    fn any_of(&mut self, column: &str, values: impl Iterator<Item = Sql>) {
        let before = self.values.len();
        self.values.extend(values);
        let marks = vec!["?"; self.values.len() - before].join(", ");
        if !marks.is_empty() {
            self.sql.push_str(&format!(" and {column} in ({marks})"));
        }
    }

    fn task_filter(&mut self, f: &TaskFilter, id: &str, state: &str, provider: &str, since: &str) {
        self.any_of(id, f.ids.iter().map(|n| Sql::Integer(*n)));
        self.any_of(state, f.states.iter().map(|s| Sql::Text(s.clone())));
        self.any_of(provider, f.provider.iter().map(|s| Sql::Text(s.clone())));
        if let Some(t) = f.since {
            self.and(&format!("{since} >= ?"), Sql::Integer(t));
        }
    }

    fn run(&self, store: &Store, tail: &str) -> anyhow::Result<Vec<Value>> {
        let mut statement = store.db.prepare(&format!("{}{tail}", self.sql))?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query(rusqlite::params_from_iter(&self.values))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let mut object = Map::new();
            for (i, name) in names.iter().enumerate() {
                object.insert(name.clone(), value(name, row.get_ref(i)?));
            }
            all.push(Value::Object(object));
        }
        Ok(all)
    }
}

fn value(name: &str, v: ValueRef) -> Value {
    match v {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) if TIMES.contains(&name) => crate::when::rfc3339(n).into(),
        ValueRef::Integer(n) if name == "counts" || name == "paused" => (n != 0).into(),
        ValueRef::Integer(n) => n.into(),
        ValueRef::Real(x) => x.into(),
        ValueRef::Text(t) => {
            let text = String::from_utf8_lossy(t);
            let json = JSON.contains(&name) || name == "after";
            json.then(|| serde_json::from_str(&text).ok())
                .flatten()
                .unwrap_or_else(|| text.into_owned().into())
        }
        ValueRef::Blob(_) => Value::Null,
    }
}
