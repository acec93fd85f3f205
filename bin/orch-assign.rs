//! orch-assign - give queued tasks to idle sessions

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use orch::assign::{self, Options, Pass};
use orch::cli::{self, Answer};
use orch::config::Config;
use orch::store::Store;
use orch::{proc, when};

/// One pass: look after what runs, look at the panes, hand queued tasks to idle ones
#[derive(Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
struct Args {
    /// Say what would be started; start nothing
    #[arg(long)]
    dry_run: bool,
    /// Every session with its score, term by term, or what keeps it from the task
    #[arg(long)]
    explain: bool,
    /// Start this many at most
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// For this session only
    #[arg(long, value_name = "S")]
    session: Option<String>,
    /// First wait until the session is idle, this long at most
    #[arg(long, value_name = "DURATION", value_parser = when::duration, requires = "session")]
    when_idle: Option<when::Ms>,
    /// Pass after pass: at every change of the database, and this often
    #[arg(long, value_name = "DURATION", value_parser = when::duration, num_args = 0..=1, require_equals = true,
          default_missing_value = "5s")]
    watch: Option<when::Ms>,
    /// Where a live client asks whether to trust a task's directory, say yes
    #[arg(long)]
    trust_dir: bool,
    /// Exit 1 when nothing was started
    #[arg(long)]
    exit_code: bool,
    /// The database
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args) -> anyhow::Result<Answer> {
    if args.when_idle.is_some() {
        // the end of an attempt starts this: it must outlive the pane's command, and its terminal
        proc::lead_session();
    }
    let config = Config::load()?;
    let mut store = Store::open(args.db.as_deref())?;
    if let (Some(ms), Some(session)) = (args.when_idle, &args.session)
        && !assign::await_idle(&store, &config, session, Duration::from_millis(ms as u64))?
    {
        return Ok(if args.exit_code { Answer::No } else { Answer::Yes });
    }
    let options = Options {
        dry_run: args.dry_run,
        explain: args.explain,
        limit: args.limit,
        session: args.session.clone(),
        trust_dir: args.trust_dir,
    };
    loop {
        let pass = assign::pass(&mut store, &config, &options)?;
        if pass.sessions == 0 {
            cli::warn(
                env!("CARGO_BIN_NAME"),
                "no adopted session: orch-ctx adopt PANE, or sessions = [\"PATTERN\"] in config.toml",
            );
        }
        print(&pass)?;
        let Some(every) = args.watch else {
            return Ok(if args.exit_code && pass.started == 0 { Answer::No } else { Answer::Yes });
        };
        let seen = store.data_version()?;
        // one change often comes with others
        std::thread::sleep(Duration::from_millis(100));
        let begun = std::time::Instant::now();
        while begun.elapsed().as_millis() < every as u128 && store.data_version()? == seen {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn print(pass: &Pass) -> anyhow::Result<()> {
    let mut out = cli::stdout();
    for r in &pass.records {
        writeln!(out, "{r}")?;
    }
    out.flush()?;
    Ok(())
}
