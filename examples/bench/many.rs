//! Many tasks in one transaction, beside a bare loop that inserts the same rows.

use std::fmt::Write as _;
use std::io::BufRead;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};

use crate::{Bar, Bench, Row, run};

const TASKS: usize = 100_000;
const ROUNDS: usize = 15;

pub fn lines(n: usize) -> String {
    (0..n).fold(String::new(), |mut s, i| {
        // a String cannot fail to be written to
        let _ = writeln!(s, "look into case {i} and say what it is");
        s
    })
}

pub fn measure(b: &Bench) -> anyhow::Result<(String, Vec<Row>)> {
    let input = b.path("lines");
    std::fs::write(&input, lines(TASKS))?;
    let mut times: [Vec<Duration>; 2] = Default::default();
    for round in 0..ROUNDS {
        let (ours, bare) = (format!("ours{round}.db"), format!("bare{round}.db"));
        let (ours, bare) = (b.database(&ours, 0)?, b.database(&bare, 0)?);
        let mut c = b.program("orch-enqueue", &ours);
        c.args(["--provider", "shell", "--lines"]).stdin(std::fs::File::open(&input)?);
        times[0].push(run(&mut c)?);
        let mut c = Command::new(std::env::current_exe()?);
        c.arg("--loop").arg(&bare).stdin(std::fs::File::open(&input)?);
        times[1].push(run(&mut c)?);
        for db in [ours, bare] {
            std::fs::remove_file(&db)?;
        }
    }
    let [ours, bare] = &mut times;
    let bare = Row::new("a bare rusqlite loop", bare, None, None);
    let ours = Row::new("orch-enqueue --lines", ours, Some(bare.median), Some(Bar::Ratio(1.2)));
    let title = format!(
        "100,000 tasks from a file in one transaction, {ROUNDS} rounds in turn, ratio to the bare loop:"
    );
    Ok((title, vec![bare, ours]))
}

/// Reads lines and inserts a row for each: the same columns, one transaction, FULL.
pub fn bare_loop(db: &Path) -> anyhow::Result<()> {
    let mut db = Connection::open(db)?;
    db.execute_batch("pragma synchronous = full; pragma foreign_keys = on")?;
    let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut insert = tx.prepare(
        "insert into tasks (state, reason, content, provider, priority, session, context, context_hash, working_dir, \
         git_branch, tree, key, group_name, max_attempts, timeout_ms, verify, accept, not_before, created_at, updated_at) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?19)",
    )?;
    let none = None::<String>;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        insert.execute(params![
            "queued",
            none,
            line,
            "shell",
            0,
            none,
            "{}",
            hash,
            none,
            none,
            none,
            none,
            none,
            3,
            none,
            none,
            "status",
            none,
            1_767_225_600_000_i64,
        ])?;
    }
    drop(insert);
    tx.commit()?;
    Ok(())
}
