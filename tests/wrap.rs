//! orch-wrap: a command as an attempt, by hand.

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
