//! bench PROGRAMS EMPTY: what the toolkit costs, beside the least that it could cost. Prints the page RESULTS.md.
//! PROGRAMS is the directory of the programs, EMPTY a program that does nothing.

mod chain;
mod live;
mod many;
mod one;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// Where the programs are, and a directory on a real disk: on a memory file system a sync costs nothing.
struct Bench {
    programs: PathBuf,
    empty: PathBuf,
    dir: tempfile::TempDir,
}

/// One line of the table.
struct Row {
    what: String,
    median: Duration,
    p90: Duration,
    /// Of another row's median.
    ratio: Option<f64>,
    bar: Option<Bar>,
}

enum Bar {
    Ratio(f64),
    Time(Duration),
}

fn main() -> anyhow::Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match &args[..] {
        // the process that the second table compares with
        [word, db] if word == Path::new("--loop") => many::bare_loop(db),
        [programs, empty] => {
            let here = std::env::current_exe()?;
            let dir = tempfile::tempdir_in(here.parent().context("no directory")?)?;
            let bench = Bench { programs: programs.canonicalize()?, empty: empty.clone(), dir };
            let page = [
                one::measure(&bench)?,
                many::measure(&bench)?,
                chain::measure(&bench)?,
                live::measure(&bench)?,
            ];
            write_page(&page)
        }
        _ => anyhow::bail!("usage: bench PROGRAMS EMPTY"),
    }
}

fn write_page(tables: &[(String, Vec<Row>)]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let cores = std::thread::available_parallelism()?;
    writeln!(out, "# Results\n")?;
    writeln!(
        out,
        "Written by `make bench`: {} {}, {cores} cores, one run.",
        std::env::consts::OS,
        std::env::consts::ARCH
    )?;
    for (title, rows) in tables {
        writeln!(out, "\n{title}\n\n| what | median | p90 | ratio | bar | |")?;
        writeln!(out, "|---|--:|--:|--:|--:|---|")?;
        for r in rows {
            let ratio = r.ratio.map_or(String::new(), |x| format!("{x:.2}"));
            let (bar, held) = match (&r.bar, r.ratio) {
                (Some(Bar::Ratio(b)), Some(x)) => (format!("≤ {b}"), said(x <= *b)),
                (Some(Bar::Time(b)), _) => (format!("≤ {}", shown(*b)), said(r.median <= *b)),
                _ => Default::default(),
            };
            let (median, p90) = (shown(r.median), shown(r.p90));
            writeln!(out, "| {} | {median} | {p90} | {ratio} | {bar} | {held} |", r.what)?;
        }
    }
    Ok(())
}

fn said(held: bool) -> &'static str {
    if held { "held" } else { "missed" }
}

fn shown(d: Duration) -> String {
    format!("{:.2} ms", d.as_secs_f64() * 1000.0)
}

impl Row {
    fn new(what: &str, times: &mut [Duration], beside: Option<Duration>, bar: Option<Bar>) -> Row {
        times.sort();
        let median = times[times.len() / 2];
        let ratio = beside.map(|b| median.as_secs_f64() / b.as_secs_f64());
        Row { what: what.into(), median, p90: times[times.len() * 9 / 10], ratio, bar }
    }
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// One of the programs, on a database, in nobody's configuration.
    fn program(&self, name: &str, db: &Path) -> Command {
        let mut c = Command::new(self.programs.join(name));
        c.env("XDG_CONFIG_HOME", self.dir.path()).env("ORCH_DB", db).env_remove("TMUX");
        c.env("ORCH_TMUX", self.path("tmux")).stdin(Stdio::null()).stdout(Stdio::null());
        c
    }

    /// A database with so many tasks in it.
    fn database(&self, name: &str, tasks: usize) -> anyhow::Result<PathBuf> {
        let db = self.path(name);
        if tasks == 0 {
            run(self.program("orch-enqueue", &db).args(["--provider", "shell", "--hold", "true"]))?;
            return Ok(db);
        }
        let input = self.path("lines");
        std::fs::write(&input, many::lines(tasks))?;
        let mut c = self.program("orch-enqueue", &db);
        run(c.args(["--provider", "shell", "--lines"]).stdin(std::fs::File::open(input)?))?;
        Ok(db)
    }
}

/// How long a process takes from its start to its end.
fn run(command: &mut Command) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let status = command.status().with_context(|| format!("{command:?}"))?;
    let took = begun.elapsed();
    ensure!(status.success(), "{command:?}: {status}");
    Ok(took)
}
