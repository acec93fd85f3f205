//! Many passes at once, and processes killed at every step: each task runs exactly once, none is lost.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::world::{World, bin_dir, until};

fn spawn(w: &World, program: &str, args: &[&str], env: &[(&str, &str)]) -> Child {
    let mut c: Command = w.command(bin_dir().join(program));
    c.args(args)
        .envs(env.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts")
}

#[test]
fn twenty_passes_over_500_tasks_and_10_panes_run_each_task_once() {
    let w = World::new();
    for i in 0..10 {
        w.session(&format!("s{i}"), "bash", &w.path("home"));
    }
    let log = w.text("log");
    let lines: String = (1..=500).map(|i| format!("echo {i} >> {log}\n")).collect();
    let ran =
        w.run_with_input("orch-enqueue", &["--provider", "shell", "--lines"], lines.as_bytes());
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 500));
    let passes: Vec<Child> = (0..20).map(|_| spawn(&w, "orch-assign", &[], &[])).collect();
    for mut p in passes {
        assert!(p.wait().expect("ends").success());
    }
    let begun = std::time::Instant::now();
    loop {
        let open = w.sql("select count(*) from tasks where state <> 'completed'");
        if open == "0" {
            break;
        }
        assert!(begun.elapsed().as_secs() < 180, "{open} tasks are still open");
        w.assign();
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let text = std::fs::read_to_string(&log).expect("log");
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for l in text.lines() {
        *seen.entry(l).or_default() += 1;
    }
    assert_eq!(seen.len(), 500);
    assert!(seen.values().all(|n| *n == 1), "run more than once: {seen:?}");
}

/// A pass that is killed at a step: the next one finds the task, and it runs once.
fn survives_a_killed_pass(step: &str, runs_at_once: bool) {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let log = w.text("log");
    let id = w.enqueue(&["--provider", "shell", &format!("echo ran >> {log}")]);
    let mut pass = spawn(&w, "orch-assign", &[], &[("ORCH_TEST_KILL", step)]);
    let status = pass.wait().expect("ends");
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(status.signal(), Some(9), "{step}: it was to be killed there");
    let state = w.state(&id);
    assert!(["assigned", "running", "completed"].contains(&state.as_str()), "{step}: {state}");
    if !runs_at_once {
        assert_eq!(state, "assigned");
    }
    w.assign_until(&id, "completed");
    w.await_quiet();
    assert_eq!(std::fs::read_to_string(&log).expect("log"), "ran\n", "{step}");
}

#[test]
fn a_pass_killed_after_its_claim_loses_nothing() {
    survives_a_killed_pass("claimed", false);
}

#[test]
fn a_pass_killed_before_it_typed_loses_nothing() {
    survives_a_killed_pass("sending", false);
}

#[test]
fn a_pass_killed_after_it_typed_runs_nothing_twice() {
    survives_a_killed_pass("typed", true);
}

/// An orch-wrap that is killed before it handed the content over: lost, tried again, and run once.
fn survives_a_killed_wrap(step: &str) {
    let mut w = World::new();
    let flag = w.text("flag");
    w.env.push(("ORCH_TEST_KILL".into(), format!("{step}@{flag}")));
    w.session("one", "bash", &w.path("home"));
    std::fs::write(&flag, "").expect("flag");
    let log = w.text("log");
    let id = w.enqueue(&["--provider", "shell", "--prereq", "true", &format!("echo ran >> {log}")]);
    w.assign_until(&id, "completed");
    w.await_quiet();
    assert!(!std::path::Path::new(&flag).exists(), "{step}: it was to be killed there");
    assert_eq!(std::fs::read_to_string(&log).expect("log"), "ran\n", "{step}");
    let states: Vec<Value> = w.attempts(&id).into_iter().map(|a| a["state"].clone()).collect();
    assert_eq!(states, ["lost", "completed"], "{step}");
}

#[test]
fn an_orch_wrap_killed_once_it_has_begun_loses_nothing() {
    survives_a_killed_wrap("begun");
}

#[test]
fn an_orch_wrap_killed_while_its_shell_prepares_loses_nothing() {
    survives_a_killed_wrap("spawned");
}

#[test]
fn an_orch_wrap_killed_right_before_it_lets_go_loses_nothing() {
    survives_a_killed_wrap("verified");
}

#[test]
fn a_line_that_comes_late_is_refused_and_runs_nothing() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let log = w.text("log");
    let id = w.enqueue(&["--provider", "shell", &format!("echo ran >> {log}")]);
    spawn(&w, "orch-assign", &[], &[("ORCH_TEST_KILL", "sending")]).wait().expect("ends");
    // taken back, and delivered as the second attempt
    w.assign_until(&id, "completed");
    for late in [format!("{id}.1"), format!("{id}.2"), format!("{id}.3"), "99.1".into()] {
        let ran = w.run("orch-wrap", &["--task", &late]);
        assert_eq!(ran.code, 1, "{late}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("orch-wrap: "), "{}", ran.stderr);
    }
    assert_eq!(std::fs::read_to_string(&log).expect("log"), "ran\n");
}

#[test]
fn of_eight_late_lines_and_eight_passes_one_wins() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let log = w.text("log");
    for round in 0..10 {
        let id = w.enqueue(&[
            "--provider",
            "shell",
            "--max-attempts",
            "9",
            &format!("echo {round} >> {log}"),
        ]);
        w.await_quiet();
        w.await_idle("one");
        spawn(&w, "orch-assign", &[], &[("ORCH_TEST_KILL", "sending")]).wait().expect("ends");
        let name = format!("{id}.1");
        let mut all: Vec<Child> =
            (0..8).map(|_| spawn(&w, "orch-wrap", &["--task", &name], &[])).collect();
        all.extend((0..8).map(|_| spawn(&w, "orch-assign", &[], &[])));
        for mut c in all {
            c.wait().expect("ends");
        }
        w.assign_until(&id, "completed");
    }
    w.await_quiet();
    let text = std::fs::read_to_string(&log).expect("log");
    let wanted: String = (0..10).map(|n| format!("{n}\n")).collect();
    assert_eq!(text, wanted);
}

fn wrap_pid(w: &World, id: &str) -> String {
    until("orch-wrap at work", || {
        let owner = w.sql(&format!(
            "select coalesce(owner, '') from attempts where task_id = {id} and state = 'running'"
        ));
        owner
            .split(':')
            .next()
            .filter(|p| !p.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| "none".into())
    })
}

#[test]
fn an_orch_wrap_that_is_killed_is_lost_when_nothing_of_it_lives() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let id = w.enqueue(&["--provider", "shell", "--max-attempts", "2", "sleep 4712"]);
    w.assign();
    let pid = wrap_pid(&w, &id);
    until("the command to run", || {
        let out = w.command("pgrep").args(["-f", "^sleep 4712"]).output().expect("pgrep");
        if out.stdout.is_empty() { Err("no".into()) } else { Ok(()) }
    });
    w.command("kill").args(["-KILL", &pid]).status().expect("kill");
    // its terminal went with it, and so did the command
    let t = w.assign_until(&id, "queued");
    let a: Vec<Value> = w.attempts(&id);
    assert_eq!((&a[0]["state"], &a[0]["counts"]), (&"lost".into(), &true.into()), "{t}");
}

#[test]
fn survivors_of_a_killed_orch_wrap_make_it_unknown_and_are_named() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let stop = w.text("stop");
    // leads its own session, so that the terminal's end does not reach it
    let content =
        format!("setsid bash -c 'until test -e {stop}; do sleep 0.05; done' & sleep 4713");
    let id = w.enqueue(&["--provider", "shell", "--max-attempts", "5", &content]);
    w.assign();
    let pid = wrap_pid(&w, &id);
    until("the survivor to be", || {
        let out = w
            .command("pgrep")
            .args(["-f", &format!("bash -c until test -e {stop}")])
            .output()
            .expect("pgrep");
        if out.stdout.is_empty() { Err("no".into()) } else { Ok(()) }
    });
    w.command("kill").args(["-KILL", &pid]).status().expect("kill");
    let t = w.assign_until(&id, "unknown");
    assert!(t["reason"].as_str().expect("a reason").contains("still running: bash ("), "{t}");
    assert!(w.assign().iter().all(|d| d["did"] != "started"), "the session is not free");
    std::fs::write(&stop, "").expect("stop");
    w.assign_until(&id, "queued");
    assert_eq!(w.attempts(&id)[0]["state"], "lost");
}

#[test]
fn a_server_that_dies_loses_no_task() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let id = w.enqueue(&["--provider", "shell", "sleep 4714"]);
    let next = w.enqueue(&["--provider", "shell", "true"]);
    w.assign();
    wrap_pid(&w, &id);
    w.tmux(&["kill-server"]);
    until("the attempt to end", || {
        w.run("orch-assign", &[]);
        let a = w.attempts(&id);
        if a[0]["state"] == "lost" { Ok(()) } else { Err(format!("{a:?}")) }
    });
    assert_eq!((w.state(&id), w.state(&next)), ("queued".to_owned(), "queued".to_owned()));
}

#[test]
fn cancel_interrupts_what_runs_and_keeps_the_session() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let id = w.enqueue(&["--provider", "shell", "sleep 4715"]);
    w.assign();
    wrap_pid(&w, &id);
    assert_eq!(w.ok("orch-ctl", &["cancel", &id]).trim(), id);
    assert_eq!(w.state(&id), "cancelled");
    assert_eq!(w.attempts(&id)[0]["state"], "cancelled");
    let next = w.enqueue(&["--provider", "shell", "true"]);
    w.assign_until(&next, "completed");
}

#[test]
fn a_cancelled_task_stays_cancelled_also_when_its_orch_wrap_is_killed() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let id = w.enqueue(&["--provider", "shell", "trap '' TERM HUP; while :; do sleep 0.05; done"]);
    w.assign();
    let pid = wrap_pid(&w, &id);
    let mut cancel = spawn(&w, "orch-ctl", &["cancel", &id], &[]);
    until("the cancel to be asked", || {
        let asked = w.sql("select count(*) from attempts where cancel_asked is not null");
        if asked == "1" { Ok(()) } else { Err(asked) }
    });
    w.command("kill").args(["-KILL", &pid]).status().expect("kill");
    // what ignores its end carries the attempt's mark
    until("the survivors to be named", || {
        w.assign();
        let t = w.task(&id);
        let reason = t["reason"].as_str().unwrap_or_default().to_owned();
        for pid in reason.split(['(', ')']).filter(|p| p.parse::<u32>().is_ok()) {
            w.command("kill").args(["-KILL", pid]).status().expect("kill");
        }
        if t["state"] == "cancelled" { Ok(()) } else { Err(reason) }
    });
    w.assign_until(&id, "cancelled");
    cancel.wait().expect("ends");
}

#[test]
fn a_cancel_at_any_moment_of_a_start_runs_nothing_afterwards() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let log = w.text("log");
    for round in 0..8u64 {
        let id = w.enqueue(&["--provider", "shell", &format!("sleep 3; echo {round} >> {log}")]);
        w.await_quiet();
        w.await_idle("one");
        let mut pass = spawn(&w, "orch-assign", &[], &[]);
        std::thread::sleep(std::time::Duration::from_millis(5 * round));
        assert_eq!(w.run("orch-ctl", &["cancel", &id]).stderr, "");
        pass.wait().expect("ends");
        w.assign();
        w.await_state(&id, "cancelled");
    }
    assert!(!std::path::Path::new(&log).exists(), "a cancelled task ran to its end");
}

#[test]
fn a_chain_pass_does_not_switch_the_branch_under_a_busy_neighbour() {
    let w = World::new();
    let repo = w.repository("repo", &["dev"]);
    w.session("human", "bash", &repo);
    w.session("one", "bash", &w.path("home"));
    let first = w.enqueue(&["--provider", "shell", "--session", "one", "sleep 1"]);
    w.assign();
    w.await_state(&first, "running");
    w.type_text("human", "sleep 4718");
    w.key("human", "Enter");
    let dir = repo.to_str().expect("UTF-8");
    let id = w.enqueue(&[
        "--provider",
        "shell",
        "--session",
        "one",
        "--dir",
        dir,
        "--branch",
        "dev",
        "true",
    ]);
    w.await_state(&first, "completed");
    w.await_quiet();
    assert_eq!(
        (w.state(&id).as_str(), w.git(&repo, &["branch", "--show-current"]).as_str()),
        ("queued", "main")
    );
    w.key("human", "C-c");
    w.assign_until(&id, "completed");
}
