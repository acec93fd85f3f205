//! What stands around the programs: the demo, the examples, and the command lines that the documents show.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::world::{Ran, World, bin_dir, until};
use rustix::process::{Pid, Signal, kill_process};

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn text(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Runs an example, with its temporary files in a directory that is there to be looked at afterwards.
fn run(w: &World, name: &str, args: &[&str]) -> Ran {
    Ran::of(command(w, name, args).output().expect("runs"))
}

fn command(w: &World, name: &str, args: &[&str]) -> Command {
    let tmp = w.path("t");
    std::fs::create_dir_all(&tmp).expect("directory");
    let mut c = w.command(example(name));
    c.args(args).env("TMPDIR", tmp);
    c
}

fn leftovers(w: &World) -> Vec<PathBuf> {
    let dir = std::fs::read_dir(w.path("t")).expect("directory");
    dir.map(|e| e.expect("entry").path()).collect()
}

#[test]
fn the_demo_comes_out_as_it_says_and_leaves_nothing_behind() {
    let w = World::new();
    let ran = run(&w, "demo.sh", &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("It all came out as said.\n"), "{}", ran.stdout);
    assert_eq!(leftovers(&w), [] as [PathBuf; 0]);
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let w = World::new();
    let mut child = command(&w, "demo.sh", &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("starts");
    until("its tmux server", || {
        let socket = leftovers(&w).pop().map(|d| d.join("tmux"));
        if socket.is_some_and(|s| s.exists()) { Ok(()) } else { Err("no socket".into()) }
    });
    kill_process(Pid::from_child(&child), Signal::INT).expect("alive");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    assert_eq!(leftovers(&w), [] as [PathBuf; 0]);
}

#[test]
fn the_layout_makes_five_adopted_sessions_and_does_so_once() {
    let w = World::new();
    let dir = w.text("home");
    for _ in 0..2 {
        let ran = run(&w, "tmux-layout.sh", &[&w.text("tmux"), &dir]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        assert_eq!(ran.stdout, "architect\nfoundation\ncodex\ndev_worker1\ndev_worker2\n");
    }
    let shown = w.json("orch-ctx", &["show"]);
    let labels: Vec<(&str, bool)> = shown
        .iter()
        .map(|s| (s["provider"].as_str().unwrap_or("-"), s["adopted"] == true))
        .collect();
    assert_eq!(shown.len(), 5, "{shown:?}");
    assert!(labels.iter().all(|(_, adopted)| *adopted), "{labels:?}");
    assert_eq!(labels.iter().filter(|(p, _)| *p == "claude").count(), 2, "{labels:?}");
}

#[test]
fn the_status_line_names_what_needs_a_person() {
    let w = World::new();
    assert_eq!(run(&w, "tmux-status.sh", &[]).stdout, "", "no database yet");
    let [one, _two, three] =
        ["one", "two", "three"].map(|t| w.enqueue(&["--provider", "shell", "--hold", t]));
    w.ok("orch-ctl", &["fail", &one]);
    let ran = run(&w, "tmux-status.sh", &[]);
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "2 held · 1 failed\n", "")
    );
    w.ok("orch-ctl", &["release", &three]);
    assert_eq!(run(&w, "tmux-status.sh", &[]).stdout, "1 held · 1 failed\n");
}

#[test]
fn an_older_queue_is_imported_once_and_whole() {
    let w = World::new();
    let old = w.text("old.db");
    let made = w
        .command("sqlite3")
        .arg(&old)
        .arg(format!(
            "create table queue (id integer primary key, prompt text, priority integer, agent text, \
             project_dir text, branch text, status text, notes text); insert into queue values \
             (1, 'Mend it''s \"login\"' || char(10) || 'and $(id)', 5, 'claude', '{dir}', 'main', 'pending', 'spring'), \
             (2, 'done long ago', 0, 'codex', null, null, 'done', null), \
             (3, 'Review', null, 'codex', null, null, 'pending', null)",
            dir = w.text("home")
        ))
        .status();
    assert!(made.expect("sqlite3").success());
    for _ in 0..2 {
        let ran = run(&w, "import-queue.sh", &[&old, "--max-attempts", "2"]);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "1\n2\n", ""));
    }
    let tasks = w.json("orch-ls", &[]);
    assert_eq!(tasks.len(), 2);
    assert_eq!(tasks[0]["content"], "Mend it's \"login\"\nand $(id)");
    assert_eq!(
        (&tasks[0]["priority"], &tasks[0]["group"], &tasks[0]["max_attempts"]),
        (&5.into(), &"spring".into(), &2.into())
    );
    assert_eq!(tasks[0]["context"]["git_branch"], "main");
    assert_eq!((&tasks[1]["provider"], &tasks[1]["key"]), (&"codex".into(), &"old-queue:3".into()));
}

#[test]
fn the_crontab_is_one() {
    let field = |f: &str| f.chars().all(|c| c.is_ascii_digit() || "*/,-".contains(c));
    let mut jobs = 0;
    for line in text("examples/crontab").lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.len() == 1 && line.split_once('=').is_some_and(|(n, _)| n == "PATH") {
            continue;
        }
        assert!(words[..5].iter().all(|f| field(f)), "{line}");
        assert!(words[5].starts_with("/usr/local/bin/orch-"), "a program's whole path: {line}");
        assert!(!line.contains('%'), "cron ends the line there: {line}");
        jobs += 1;
    }
    assert_eq!(jobs, 2);
}

#[test]
fn systemd_takes_the_units() {
    let w = World::new();
    if w.command("systemd-analyze").arg("--version").output().is_err() {
        return;
    }
    for unit in ["orch.service", "orch.timer"] {
        let here = bin_dir().display().to_string();
        let unit_text = text(&format!("examples/{unit}"))
            .replace("/usr/local/bin/orch", &format!("{here}/orch"));
        std::fs::write(w.path(unit), unit_text).expect("unit");
    }
    let out = w
        .command("systemd-analyze")
        .args(["verify", "--user", "--man=no"])
        .args([w.path("orch.service"), w.path("orch.timer")])
        .env("XDG_RUNTIME_DIR", w.path("home"))
        .output();
    let ran = Ran::of(out.expect("runs"));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn documents_show_programs_and_options_that_exist() {
    let w = World::new();
    let mut seen = 0;
    for file in ["README.md", "examples/pipelines.md", "examples/crontab"] {
        for line in text(file).lines() {
            seen += commands(line).iter().map(|c| check(&w, file, c)).sum::<usize>();
        }
    }
    assert!(seen > 20, "{seen} options: are the documents read?");
}

/// The words of each of our programs' command lines in a line of a document.
fn commands(line: &str) -> Vec<Vec<String>> {
    let code = line.starts_with("    ") || line.contains("/bin/orch-");
    let before_comment = line.split(" # ").next().unwrap_or(line);
    let mut found: Vec<Vec<String>> = Vec::new();
    let (mut open, mut nested) = (false, false);
    for word in before_comment.split_whitespace().filter(|_| code && !line.contains("──►")) {
        let start = word.find("orch-").filter(|i| *i == 0 || word[..*i].ends_with(['(', '/']));
        match start {
            Some(i) => {
                found.push(vec![word[i..].trim_end_matches(['"', ')']).to_owned()]);
                open = !word.ends_with(')');
            }
            // another program's options
            None if nested || word.contains("$(") => {
                nested = !word.trim_end_matches('"').ends_with(')')
            }
            None if ["|", "&&", "--"].contains(&word) || word.starts_with('\'') => open = false,
            None if open => {
                if let Some(last) = found.last_mut() {
                    last.push(word.trim_end_matches(['"', ')', ';']).to_owned());
                }
            }
            None => {}
        }
    }
    found
}

/// How many options the command line has, all of which its help names.
fn check(w: &World, file: &str, words: &[String]) -> usize {
    let mut help = w.ok(&words[0], &["--help"]);
    if let Some(verb) = words.get(1).filter(|v| !v.starts_with('-')) {
        help += &w.run(&words[0], &[verb, "--help"]).stdout;
    }
    let options: Vec<&str> =
        words.iter().filter_map(|o| o.split('=').next()).filter(|o| o.starts_with('-')).collect();
    for o in &options {
        let names = help.split(|c: char| c.is_whitespace() || ",=[".contains(c));
        assert!(names.into_iter().any(|n| n == *o), "{file}: {} has no option {o}", words[0]);
    }
    options.len()
}
