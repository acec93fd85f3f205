//! From the end of one attempt to the start of the next, in one pane, with nothing but the chain.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use rusqlite::Connection;

use crate::{Bar, Bench, Row, run};

const TASKS: i64 = 100;

/// A tmux server of this run's own; it ends with it.
struct Server<'a>(&'a Path);

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // nothing is left to do about a server that does not end
        let _ = tmux(self.0, &["kill-server"]);
    }
}

pub fn measure(b: &Bench) -> anyhow::Result<(String, Vec<Row>)> {
    let db = b.database("chain.db", TASKS as usize)?;
    Connection::open(&db)?.execute("update tasks set content = 'true'", [])?;
    let socket = b.path("tmux");
    let _server = Server(&socket);
    let shell =
        ["new-session", "-d", "-s", "bench", "-e", "PS1=$ ", "bash", "--norc", "--noprofile"];
    tmux(&socket, &[&["-f", "/dev/null"], &shell[..]].concat())?;
    let begun = Instant::now();
    let late = |what: &str| {
        std::thread::sleep(Duration::from_millis(20));
        ensure!(begun.elapsed() < Duration::from_secs(120), "{what}: not within two minutes");
        Ok(())
    };
    run(b.program("orch-ctx", &db).args(["adopt", "bench"]))?;
    while count(&db, "select count(*) from attempts where state = 'completed'")? == 0 {
        run(&mut b.program("orch-assign", &db))?;
        late("a first task")?;
    }
    while count(&db, "select count(*) from tasks where state <> 'completed'")? > 0 {
        late("the chain")?;
    }
    ensure!(count(&db, "select max(number) from attempts")? == 1, "a task ran twice");
    let mut gaps = gaps(&db)?;
    let bar = Some(Bar::Time(Duration::from_millis(100)));
    let row = Row::new("end of an attempt to the start of the next", &mut gaps, None, bar);
    let title = format!("{TASKS} tasks `true` in one bash pane, started by the chain alone:");
    Ok((title, vec![row]))
}

fn tmux(socket: &Path, args: &[&str]) -> anyhow::Result<Duration> {
    run(Command::new("tmux")
        .env_remove("TMUX")
        .arg("-S")
        .arg(socket)
        .args(args)
        .stdin(Stdio::null()))
}

fn count(db: &Path, sql: &str) -> anyhow::Result<i64> {
    Ok(Connection::open(db)?.query_row(sql, [], |r| r.get(0))?)
}

fn gaps(db: &Path) -> anyhow::Result<Vec<Duration>> {
    let db = Connection::open(db)?;
    let mut statement = db.prepare(
        "select started_at - lag(ended_at) over (order by started_at) as gap from attempts order by started_at",
    )?;
    let gaps = statement.query_map([], |r| r.get::<_, Option<i64>>(0))?;
    let gaps: Vec<Option<i64>> = gaps.collect::<Result<_, _>>()?;
    Ok(gaps.into_iter().flatten().map(|ms| Duration::from_millis(ms.max(0) as u64)).collect())
}
