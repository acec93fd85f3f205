//! orch-wrap: a command as an attempt, by hand.

use std::process::Stdio;

use serde_json::json;

use crate::support::world::{World, feed, until};

#[test]
fn a_command_by_hand_is_a_task_with_events_and_its_exit_code() {
    let w = World::new();
    let ran = w.run("orch-wrap", &["--", "sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (3, "out\n", "err\n"));
    let t = w.task("1");
    assert_eq!(
        (&t["state"], &t["exit_code"], &t["evidence"]),
        (&json!("failed"), &json!(3), &json!("exit"))
    );
    assert_eq!(w.run("orch-wrap", &["--", "sh", "-c", "kill -9 $$"]).code, 137);
    assert_eq!(w.attempts("2")[0]["state"], "lost");
    assert_eq!(w.run("orch-wrap", &["--", "no-such-program"]).code, 127);
    assert_eq!(w.run("orch-wrap", &["--", "/"]).code, 126);
    let ran = feed(
        w.command(crate::support::world::bin_dir().join("orch-wrap")).args(["--", "cat"]),
        b"through\n",
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "through\n"));
}

#[test]
fn a_named_task_is_run_in_its_context() {
    let w = World::new();
    let repo = w.repository("repo", &["work"]);
    let metadata = json!({"working_dir": repo, "git_branch": "work", "env": {"A": "b"}, "prerequisites": ["export C=d"]});
    let id = w.enqueue(&[
        "--provider",
        "shell",
        "--hold",
        "--metadata",
        &metadata.to_string(),
        "unused",
    ]);
    let ran = w.run(
        "orch-wrap",
        &["--task", &id, "--", "sh", "-c", "echo $PWD $A $C $(git branch --show-current)"],
    );
    assert_eq!((ran.code, ran.stdout), (0, format!("{} b d work\n", repo.display())));
    assert_eq!(w.state(&id), "completed");
    let again = w.run("orch-wrap", &["--task", &id, "--", "true"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("only a queued or held task"), "{}", again.stderr);
}

#[test]
fn a_timeout_ends_the_whole_group() {
    let w = World::new();
    let ran =
        w.run("orch-wrap", &["--timeout", "300ms", "--", "sh", "-c", "sleep 4716 & sleep 4716"]);
    assert_eq!(ran.code, 143);
    assert!(w.task("1")["reason"].as_str().expect("a reason").contains("timed out"));
    let out = w.command("pgrep").args(["-f", "^sleep 4716"]).output().expect("pgrep");
    assert!(out.stdout.is_empty());
}

#[test]
fn on_a_terminal_the_command_has_one_with_its_size_colours_and_keys() {
    let w = World::new();
    w.pane("one", "bash", &w.path("home"));
    w.type_text("one", "orch-wrap -- sh -c 'stty size; tty; test -t 0 && test -t 1 && test -t 2 && echo all-terminals; sleep 4717'; c=$?; echo; echo code=$c");
    w.key("one", "Enter");
    let s = w.await_screen("one", "\nall-terminals");
    assert!(s.contains("40 150"), "{s}");
    w.tmux(&["resize-window", "-t", "=one:", "-x", "100", "-y", "30"]);
    w.key("one", "C-c");
    let s = w.await_screen("one", "\ncode=");
    assert!(s.contains("code=130"), "{s}");
    until("the terminal to be as it was", || {
        w.type_text("one", "stty -a | grep -o ' icanon'");
        w.key("one", "Enter");
        if w.screen("one").lines().any(|l| l == " icanon") { Ok(()) } else { Err(w.screen("one")) }
    });
}

#[test]
fn a_record_is_shown_readably_or_raw() {
    let w = World::new();
    let record = json!({"type": "result", "subtype": "success", "is_error": false, "terminal_reason": "completed",
        "result": "fine", "session_id": "s-1", "num_turns": 1});
    let file = w.path("record");
    std::fs::write(&file, format!("{record}\n")).expect("record");
    let file = file.to_str().expect("UTF-8");
    let shown = w.run("orch-wrap", &["--format", "claude", "--", "cat", file]);
    assert!(!shown.stdout.contains('{') && shown.stdout.contains("complete"), "{}", shown.stdout);
    let raw = w.run("orch-wrap", &["--raw", "--format", "claude", "--", "cat", file]);
    assert_eq!(raw.stdout, format!("{record}\n"));
    assert_eq!(w.ok("orch-ls", &["--answer", "1"]), "fine");
    assert_eq!(w.task("1")["evidence"], "protocol");
}

#[test]
fn many_events_are_kept_in_batches() {
    let w = World::new();
    let begun = std::time::Instant::now();
    let ran = w.run(
        "orch-wrap",
        &["--", "sh", "-c", "for i in $(seq 20000); do echo src/a.rs:$i:1: warning: odd; done"],
    );
    assert_eq!(ran.code, 0);
    assert!(
        w.sql("select count(*) from events where type = 'error'").parse::<i64>().expect("n")
            >= 20_000
    );
    // one commit per event took longer by two orders of magnitude: this is no timing, but a wall it cannot reach
    assert!(begun.elapsed().as_secs() < 60);
}

#[test]
fn by_hand_a_tree_that_another_attempt_holds_is_refused() {
    let w = World::new();
    let repo = w.repository("repo", &["dev"]);
    w.session("one", "bash", &w.path("home"));
    let stop = w.text("stop");
    let dir = repo.to_str().expect("UTF-8");
    let wait = format!("until test -e {stop}; do sleep 0.05; done; git branch --show-current");
    let first = w.enqueue(&["--provider", "shell", "--dir", dir, "--branch", "main", &wait]);
    let second =
        w.enqueue(&["--provider", "shell", "--hold", "--dir", dir, "--branch", "dev", "true"]);
    w.assign();
    w.await_state(&first, "running");
    let ran = w.run("orch-wrap", &["--task", &second, "--", "true"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("task 1 works in"), "{}", ran.stderr);
    std::fs::write(&stop, "").expect("stop");
    w.await_state(&first, "completed");
    assert_eq!(w.ok("orch-ls", &["--answer", &first]), "main");
}

#[test]
fn what_was_run_by_hand_is_never_put_on_the_queue() {
    let w = World::new();
    let say = "echo 'usage limit reached, resets at 3pm'; exit 1";
    let ran = w.run("orch-wrap", &["--", "sh", "-c", say]);
    assert_eq!(ran.code, 1);
    let t = w.task("1");
    assert_eq!((t["state"].as_str(), t["not_before"].as_str()), (Some("failed"), None), "{t}");
    let words = "sh -c 'echo '\\''usage limit reached, resets at 3pm'\\''; exit 1'";
    assert_eq!(t["content"], words, "quoted word by word");
    let ran = w.run("orch-ctl", &["retry", "1"]);
    assert!(ran.code == 2 && ran.stderr.contains("run that again"), "{}", ran.stderr);
}

#[test]
fn inside_an_attempt_a_command_is_a_task_of_its_own() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let id = w.enqueue(&[
        "--provider",
        "shell",
        "orch-wrap -- sh -c 'echo inner; exit 4'; echo code=$?",
    ]);
    w.assign();
    w.await_state(&id, "completed");
    assert!(w.ok("orch-ls", &["--answer", &id]).contains("code=4"));
    assert_eq!(w.task("2")["exit_code"], 4);
}

#[test]
fn an_unknown_provider_begins_nothing() {
    let w = World::new();
    let ran = w.run("orch-wrap", &["--provider", "nosuch", "--", "true"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("no provider 'nosuch'"), "{}", ran.stderr);
    assert_eq!(w.sql("select count(*) from tasks"), "0");
}

#[test]
fn a_database_that_is_busy_at_the_end_takes_the_end_later() {
    use rustix::fs::{FlockOperation, flock};
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let stop = w.text("stop");
    let id =
        w.enqueue(&["--provider", "shell", &format!("until test -e {stop}; do sleep 0.05; done")]);
    w.assign();
    w.await_state(&id, "running");
    let lock = std::fs::File::open(w.path("orch.db.lock")).expect("lock");
    flock(&lock, FlockOperation::LockExclusive).expect("locked");
    std::fs::write(&stop, "").expect("stop");
    // longer than a writer waits for its turn
    w.await_screen("one", "tried again until it is written");
    flock(&lock, FlockOperation::Unlock).expect("unlocked");
    w.await_state(&id, "completed");
}

#[test]
fn a_reader_that_stands_still_stops_neither_the_clock_nor_the_record() {
    let w = World::new();
    let stop = w.text("stop");
    let line = format!(
        "orch-wrap --timeout 300ms -- yes | {{ until test -e {stop}; do sleep 0.05; done; cat >/dev/null; }}"
    );
    let mut pipeline =
        w.command("bash").args(["-c", &line]).stdout(Stdio::null()).spawn().expect("bash");
    until("the attempt to end", || {
        let tasks = w.run("orch-ls", &["--state", "failed"]);
        if tasks.stdout.is_empty() { Err(tasks.stderr) } else { Ok(()) }
    });
    std::fs::write(&stop, "").expect("stop");
    pipeline.wait().expect("ended");
    assert!(w.task("1")["reason"].as_str().expect("a reason").contains("timed out"));
}

#[test]
fn a_long_script_is_run_whole_or_not_at_all() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let lines: String = (0..20_000).map(|i| format!("x={i}\n")).collect();
    let id = w.enqueue(&["--provider", "shell", "true"]);
    let ran = w.run_with_input(
        "orch-enqueue",
        &["--provider", "shell"],
        format!("echo begun\n{lines}echo $x ended\n").as_bytes(),
    );
    w.assign();
    w.await_state(&id, "completed");
    let id = ran.stdout.trim();
    w.assign_until(id, "completed");
    assert_eq!(w.ok("orch-ls", &["--answer", id]), "begun\n19999 ended");
}

#[test]
fn what_ignores_its_end_is_killed_before_the_attempt_is_over() {
    let w = World::new();
    let ran = w.run(
        "orch-wrap",
        &["--timeout", "300ms", "--", "bash", "-c", "(trap '' TERM; exec sleep 4719) & wait"],
    );
    assert_eq!(ran.code, 143);
    let t = w.task("1");
    assert!(t["reason"].as_str().expect("a reason").contains("timed out"), "{t}");
    let out = w.command("pgrep").args(["-f", "^sleep 4719"]).output().expect("pgrep");
    assert!(out.stdout.is_empty(), "it lives on");
}

#[test]
fn a_reader_that_is_slow_costs_no_record() {
    let w = World::new();
    let result = json!({"type": "result", "subtype": "success", "is_error": false, "terminal_reason": "completed",
        "result": "fine", "session_id": "s-1", "num_turns": 1});
    let agent = w.script(
        "agent",
        &format!("#!/bin/sh\nyes '{{\"type\":\"noise\"}}' | head -200000\necho '{result}'\n"),
    );
    let line = format!(
        "orch-wrap --raw --format claude -- {} | {{ sleep 1; head -c 1000 >/dev/null; sleep 1; cat >/dev/null; }}",
        agent.display()
    );
    let ran = feed(w.command("bash").args(["-c", &line]), b"");
    assert_eq!(ran.stderr, "");
    let t = w.task("1");
    assert_eq!(
        (t["state"].as_str(), t["evidence"].as_str()),
        (Some("completed"), Some("protocol")),
        "{t}"
    );
}
