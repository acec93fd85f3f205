//! The directions in which the sources depend on each other, held by reading them.

use regex::Regex;

use crate::support::house::{files, read};

/// What no file may mention, except some.
struct Rule {
    what: &'static str,
    pattern: &'static str,
    /// Where it may be: beginnings of paths.
    only_in: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule { what: "SQLite", pattern: r"\brusqlite\b", only_in: &["src/store/"] },
    Rule {
        what: "the command line",
        pattern: r"\bclap(_complete)?\b",
        only_in: &["bin/", "src/cli.rs"],
    },
    Rule {
        what: "tmux is started",
        pattern: r#"\bnew\(\s*"tmux"\s*\)"#,
        only_in: &["src/tmux.rs"],
    },
    Rule { what: "git is started", pattern: r#"\bnew\(\s*"git"\s*\)"#, only_in: &["src/git.rs"] },
    Rule { what: "/proc", pattern: r#""/proc\b"#, only_in: &["src/proc/"] },
    Rule {
        what: "exit codes are decided",
        pattern: r"\bExitCode::from\b|\bprocess::exit\b",
        only_in: &["src/cli.rs"],
    },
];

/// Fed values, returns values: no I/O, no clock, no SQL.
const PURE: &[&str] = &[
    "src/agent/",
    "src/route/",
    "src/extract/",
    "src/policy.rs",
    "src/task.rs",
    "src/attempt.rs",
    "src/session.rs",
    "src/context.rs",
    "src/event.rs",
];
const WORLD: &[&str] = &["src/store/", "src/tmux.rs", "src/git.rs", "src/proc/"];
const WORLD_MODULES: &[&str] = &["store", "tmux", "git", "proc"];
const VERBS: &[&str] =
    &["assign", "ctl", "ctx", "doctor", "enqueue", "explain", "feedback", "wrap"];
/// What stands on a verb, and so is unknown to it.
const ORDER: &[(&str, &[&str])] = &[
    ("src/ctx/", &["assign", "feedback", "wrap", "ctl", "doctor"]),
    ("src/feedback/", &["assign", "wrap", "ctl", "doctor"]),
    ("src/wrap/", &["assign", "ctl", "doctor"]),
    ("src/assign/", &["wrap", "ctl", "doctor"]),
];
const SYSTEM: &[&str] = &["fs", "process", "env", "net", "thread", "io"];
const CLOCK: &str = r"\bwhen::now\b|\bSystemTime\b|\bInstant\b|\b(Timestamp|Zoned)::now\b";

/// The code of a file: no comments, no tests.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().expect("a part");
    let lines = code.lines().filter(|l| !l.trim_start().starts_with("//"));
    lines.map(|l| format!("{l}\n")).collect()
}

fn sources() -> Vec<(String, String)> {
    let all = files("bin").into_iter().chain(files("src")).filter(|p| p.ends_with(".rs"));
    all.map(|p| (p.clone(), code(&read(&p)))).collect()
}

fn is_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|p| path.starts_with(p))
}

/// The modules under `root` (`crate`, `std`) that some code names, also in `use root::{a::b, c}`.
fn named(code: &str, root: &str) -> Vec<String> {
    let start = Regex::new(&format!(r"\b{root}::(\{{|\w+)")).expect("pattern");
    let mut all = Vec::new();
    for m in start.captures_iter(code) {
        match &m[1] {
            "{" => all.extend(top_level(&code[m.get(1).expect("it").end()..])),
            name => all.push(name.to_owned()),
        }
    }
    all
}

/// The first words of a braced list up to its end: `a::{x, y}, b as c}` gives a, b.
fn top_level(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut deep = move |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth
    };
    let inner: String = list
        .chars()
        .map(|c| (c, deep(c)))
        .take_while(|(_, d)| *d >= 0)
        .map(|(c, d)| if d > 0 { ' ' } else { c })
        .collect();
    let first = |item: &str| {
        Some(
            item.split(|c: char| c != '_' && !c.is_alphanumeric())
                .find(|w| !w.is_empty())?
                .to_owned(),
        )
    };
    inner.split(',').filter_map(first).collect()
}

fn breaches(sources: &[(String, String)]) -> Vec<String> {
    let mut all = Vec::new();
    for rule in RULES {
        let pattern = Regex::new(rule.pattern).expect("pattern");
        let elsewhere = sources.iter().filter(|(path, _)| !is_in(path, rule.only_in));
        for (path, _) in elsewhere.filter(|(_, code)| pattern.is_match(code)) {
            all.push(format!("{path}: {}: only in {}", rule.what, rule.only_in.join(", ")));
        }
    }
    let clock = Regex::new(CLOCK).expect("pattern");
    for (path, code) in sources {
        let asks = clock.is_match(code) || !named(code, "rustix").is_empty();
        if is_in(path, PURE) && asks {
            all.push(format!("{path}: the pure core asks neither the clock nor the system"));
        }
        let mut refuse = |root: &str, modules: &[&str], why: &str| {
            for m in named(code, root).iter().filter(|m| modules.contains(&m.as_str())) {
                all.push(format!("{path}: {root}::{m}: {why}"));
            }
        };
        if is_in(path, PURE) {
            let why = "the pure core knows nothing of the world";
            refuse("crate", WORLD_MODULES, why);
            refuse("crate", VERBS, why);
            refuse("crate", &["cli"], why);
            refuse("std", SYSTEM, why);
        }
        if is_in(path, WORLD) {
            refuse("crate", VERBS, "the world does not know what is done with it");
            refuse("crate", &["cli"], "the world does not know who asks");
        }
        for (verb, later) in ORDER {
            if is_in(path, &[verb]) {
                refuse("crate", later, "verbs depend on each other one way");
            }
        }
        if is_in(path, &["bin/"]) {
            refuse("orch", &["tmux", "git"], "a program calls a verb");
        }
    }
    all
}

#[test]
fn dependencies_point_one_way() {
    let sources = sources();
    let pure = sources.iter().filter(|(p, _)| is_in(p, PURE)).count();
    assert!(pure > 20 && sources.len() > 50, "{pure} of {} sources", sources.len());
    let found = breaches(&sources);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn a_source_that_breaks_a_direction_is_found() {
    for (path, text) in [
        ("src/route/x.rs", "use crate::{git, task::Task};"),
        ("src/route/x.rs", "use crate::{task::{self, Task}, store};"),
        ("src/extract/x.rs", "fn f() { std::fs::read(\"x\"); }"),
        ("src/policy.rs", "use std::{\n    collections::BTreeMap,\n    time::SystemTime,\n};"),
        ("src/task.rs", "let now = when::now();"),
        ("src/session.rs", "use rustix::fs::statfs;"),
        ("src/feedback/feed.rs", "use rusqlite::Connection;"),
        ("src/ctl.rs", "#[derive(clap::Args)]\nstruct A;"),
        ("src/doctor.rs", "Command::new(\"tmux\");"),
        ("src/ctx/mod.rs", "std::process::Command::new( \"git\" )"),
        ("src/session.rs", "let path = format!(\"/proc/{pid}/stat\");"),
        ("src/store/task.rs", "use crate::{clean, assign::reap};"),
        ("src/wrap/mod.rs", "std::process::exit(3)"),
        ("bin/orch-x.rs", "use orch::{cli, tmux::Tmux};"),
    ] {
        let found = breaches(&[(path.to_owned(), code(text))]);
        assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
    }
    let fine =
        "// crate::store\nuse crate::{task, when};\n#[cfg(test)]\nmod tests { use std::fs; }";
    assert!(breaches(&[("src/route/x.rs".to_owned(), code(fine))]).is_empty());
}
