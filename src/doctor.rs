//! What is missing for cron or a shell to work here, and how to mend it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::config::{self, Config};
use crate::provider::Content;
use crate::store::{self, Store};
use crate::tmux::{self, Tmux};
use crate::when::{self, Ms};
use crate::{ctx, proc};

/// Cron that has not run for this long is worth a word.
const STALE_PASS: Ms = 5 * 60_000;
const DAY: Ms = 24 * 60 * 60_000;

/// One record a check: `check`, `ok`, `found`, and `remedy` where it is not.
pub fn examine(db: Option<&Path>, now: Ms) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut say = |check: &str, ok: bool, found: String, remedy: &str| {
        let mut r = json!({"check": check, "ok": ok, "found": found});
        if !ok {
            r["remedy"] = remedy.into();
        }
        all.push(r);
    };
    let config = Config::load();
    let place = config::path().map_or_else(|| "no HOME".into(), |p| p.display().to_string());
    match &config {
        Ok(_) => say("config", true, place, ""),
        Err(e) => say("config", false, format!("{e:#}"), "mend that line: see orch-config(5)"),
    }
    let config = config.unwrap_or_default();
    let version = tmux::version();
    say(
        "tmux",
        version.is_some(),
        version.unwrap_or_else(|| "not on PATH".into()),
        "install tmux, or put it on cron's PATH",
    );
    say("git", proc::on_path("git"), "git".into(), "install git, or put it on cron's PATH");
    say(
        "shell",
        proc::on_path(&config.shell.0),
        config.shell.0.clone(),
        "install it, or set shell in config.toml",
    );
    let listing = Tmux::from_env().panes().ok().flatten();
    let found = listing.as_ref().map_or("no server answers".to_owned(), |l| {
        format!("{}: {} panes", l.socket, l.panes.len())
    });
    say(
        "socket",
        listing.is_some(),
        found,
        "start tmux, or set ORCH_TMUX to its -L name or socket path",
    );
    let path = store::path(db)?;
    match Store::open_existing(db) {
        Err(e) => {
            say("database", false, format!("{e:#}"), "move it away, or give --db another file")
        }
        Ok(None) => {
            say("database", false, format!("{}: none yet", path.display()), "orch-enqueue makes it")
        }
        Ok(Some(s)) => {
            let mode =
                std::fs::metadata(&path).map(|m| m.permissions().mode() & 0o777).unwrap_or(0);
            say(
                "permissions",
                mode & 0o077 == 0,
                format!("{} {mode:o}", path.display()),
                "chmod 600: others can read the tasks",
            );
            let sessions = ctx::show(Some(&s), &config, &[])?;
            let adopted: Vec<&Value> = sessions.iter().filter(|r| r["adopted"] == true).collect();
            let usable = adopted.iter().filter(|r| r["state"] != "dead").count();
            let found = format!("{} adopted, {usable} alive", adopted.len());
            say(
                "sessions",
                usable > 0,
                found,
                "orch-ctx adopt PANE, or sessions = [\"PATTERN\"] in config.toml",
            );
            let strange = s.drift(now - DAY)?;
            let count = |(of, n): &(String, i64)| format!("{of}: {n}");
            let found: Vec<String> = strange.iter().map(count).collect();
            say(
                "screens",
                found.is_empty(),
                if found.is_empty() {
                    "every one is known".into()
                } else {
                    format!("known by no rule in the last 24 h: {}", found.join(", "))
                },
                "orch-ctx record PANE keeps such a one, [[provider.NAME.live.screen]] in config.toml adds a rule: see orch-providers(5)",
            );
            let last = s.fact("last_pass")?;
            let found = last.map_or("never".to_owned(), when::rfc3339);
            let fresh = last.is_some_and(|t| now - t < STALE_PASS);
            say(
                "last pass",
                fresh,
                found,
                "run orch-assign from cron or a timer: see examples/crontab",
            );
        }
    }
    for name in ["orch-assign", "orch-wrap", "orch-extract", "orch-feedback"] {
        let found = proc::sibling(name);
        let text = found.as_ref().map_or_else(|e| format!("{e:#}"), |p| p.display().to_string());
        say(name, found.is_ok(), text, "install the programs side by side: make install");
    }
    for (name, profile) in config.profiles()? {
        if profile.content == Content::Stdin
            && let Some(program) = profile.command.first()
        {
            // an agent that nobody uses need not be there
            let here = proc::on_path(program);
            let text = if here { program.clone() } else { format!("{program}: not on PATH") };
            let unused = config.default_provider.as_deref() != Some(&name);
            say(
                &format!("provider {name}"),
                here || unused,
                text,
                "install it, or put it on cron's PATH",
            );
        }
    }
    Ok(all)
}
