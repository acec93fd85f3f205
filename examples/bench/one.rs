//! One durable task, beside a process that does nothing: all in turn, so that what else the machine does hits all alike.

use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;

use crate::{Bar, Bench, Row, run};

const ROUNDS: usize = 400;
const QUEUED: usize = 100_000;

pub fn measure(b: &Bench) -> anyhow::Result<(String, Vec<Row>)> {
    let sole = b.database("sole.db", 0)?;
    let held = b.database("held.db", 0)?;
    let full = b.database("full.db", QUEUED)?;
    let full_held = b.database("full-held.db", QUEUED)?;
    // this process is the other one that has them open
    let _open = [hold(&held)?, hold(&full_held)?];
    let mut times: [Vec<Duration>; 5] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(run(Command::new(&b.empty).stdin(Stdio::null()).stdout(Stdio::null()))?);
        for (i, db) in [&sole, &held, &full, &full_held].into_iter().enumerate() {
            let mut c = b.program("orch-enqueue", db);
            times[i + 1].push(run(c.args(["--provider", "shell", "make test"]))?);
        }
    }
    let [empty, sole, held, full, full_held] = &mut times;
    let empty = Row::new("an empty static program", empty, None, None);
    let beside = Some(empty.median);
    let rows = vec![
        Row::new("orch-enqueue, sole process", sole, beside, Some(Bar::Ratio(3.3))),
        Row::new("orch-enqueue, another holds the database", held, beside, Some(Bar::Ratio(2.5))),
        Row::new("the same with 100,000 queued, sole", full, beside, Some(Bar::Ratio(3.3))),
        Row::new("the same with 100,000 queued, held", full_held, beside, Some(Bar::Ratio(2.5))),
    ];
    let title = format!(
        "One durable task (`synchronous=FULL`), {ROUNDS} rounds in turn, ratio to the empty program:"
    );
    Ok((title, [empty].into_iter().chain(rows).collect()))
}

fn hold(db: &std::path::Path) -> anyhow::Result<Connection> {
    let c = Connection::open(db)?;
    // SQLite opens its files at the first look
    c.query_row("select count(*) from facts", [], |_| Ok(()))?;
    Ok(c)
}
