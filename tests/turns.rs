//! Turns in live clients, from the queue to their end: each end as the client's own record and status tell it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::client::{self, Kind};
use crate::support::live::{Live, Setup};
use crate::support::stub::Stub;
use crate::support::world::{World, until};

const BOTH: [Kind; 2] = [Kind::Claude, Kind::Codex];

/// A live client that is adopted, and the queue.
struct Bench {
    world: World,
    stub: Stub,
    dir: PathBuf,
}

impl Bench {
    fn new(kind: Kind) -> Option<Bench> {
        client::present(kind).then(|| {
            let world = World::new();
            let dir = world.repository("proj", &["side"]);
            Bench { world, stub: Stub::start(), dir }
        })
    }

    fn adopted(&self, kind: Kind) -> Live<'_> {
        self.adopted_with(kind, &Setup::default())
    }

    fn adopted_with(&self, kind: Kind, setup: &Setup) -> Live<'_> {
        let live = Live::ready(&self.world, &self.stub, kind, kind.name(), &self.dir, setup);
        self.world.ok("orch-ctx", &["adopt", kind.name()]);
        self.world.await_idle(kind.name());
        live
    }

    fn task(&self, kind: Kind, content: &str) -> String {
        self.world.enqueue(&["--provider", kind.name(), content])
    }

    /// Hands a new task over, and wants it seen to be taken.
    fn submitted(&self, kind: Kind, content: &str) -> String {
        let id = self.task(kind, content);
        self.hand_over(&id);
        id
    }

    /// Passes until the task was handed over: a client that is still drawing is given nothing yet.
    fn hand_over(&self, id: &str) {
        let number: i64 = id.parse().expect("an id");
        let record = until("the task to be handed over", || {
            let did = self.world.assign();
            did.iter()
                .find(|d| d["task"] == number && d["outcome"].is_string())
                .cloned()
                .ok_or_else(|| self.account())
        });
        assert_eq!(record["outcome"], "submitted", "{record}");
    }

    /// What is to be known when something does not come.
    fn account(&self) -> String {
        let rows = |sql: &str| self.world.sql(sql);
        format!(
            "{}\n{}\n{}\n{}\n{}",
            self.world.run("orch-assign", &["--explain", "--dry-run"]).stdout,
            rows("select id, state, reason, not_before from tasks"),
            rows("select task_id, number, state, reason, receipt from attempts"),
            rows("select account, until, reason from limits"),
            rows(
                "select name, condition, condition_why, avoid_why, working_dir, git_branch from sessions"
            ),
        )
    }

    fn attempt(&self, id: &str) -> Value {
        self.world.attempts(id).pop().expect("an attempt")
    }
}

#[test]
fn a_good_turn_completes_with_its_answer_and_the_pane_is_no_longer_watched() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let live = b.adopted(kind);
        let id = b.submitted(kind, "STUB:ok all is well");
        let t = b.world.await_state(&id, "completed");
        assert_eq!(t["evidence"], "protocol", "{t}");
        assert_eq!(b.world.ok("orch-ls", &["--answer", &id]), "all is well");
        until("the watch to be off", || match live.field("pane_pipe").as_str() {
            "0" => Ok(()),
            other => Err(other.to_owned()),
        });
        assert_eq!(b.stub.deliveries().len(), 1);
    }
}

#[test]
fn a_pane_that_somebody_else_reads_is_left_to_him_and_the_passes_see_to_the_end() {
    let Some(b) = Bench::new(Kind::Claude) else { return };
    let live = b.adopted(Kind::Claude);
    let seen = b.world.text("seen");
    b.world.tmux(&["pipe-pane", "-t", &live.pane, &format!("cat >> {seen}")]);
    let id = b.submitted(Kind::Claude, "STUB:ok read by another");
    b.world.assign_until(&id, "completed");
    assert_eq!(live.field("pane_pipe"), "1");
    let events = b.world.events(&id);
    assert!(
        events.iter().any(|e| e["type"] == "watch" && e.to_string().contains("another command")),
        "{events:?}"
    );
}

#[test]
fn a_prompt_that_a_person_adds_to_the_turn_is_noted() {
    let Some(b) = Bench::new(Kind::Claude) else { return };
    let live = b.adopted(Kind::Claude);
    let id = b.submitted(Kind::Claude, "STUB:slow 4");
    b.stub.await_prompts(1);
    live.submit("STUB:ok somebody else's");
    let t = b.world.await_state(&id, "completed");
    assert!(t["note"].as_str().is_some_and(|n| n.contains("somebody else")), "{t}");
}

#[test]
fn the_next_task_follows_without_cron_in_a_conversation_of_its_own() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let _live = b.adopted(kind);
        let first = b.task(kind, "STUB:ok one");
        let second = b.task(kind, "STUB:ok two");
        b.hand_over(&first);
        b.world.await_state(&first, "completed");
        b.world.await_state(&second, "completed");
        let (one, two) = (b.attempt(&first), b.attempt(&second));
        assert_ne!(one["agent_session"], two["agent_session"], "{one} {two}");
        assert!(one["agent_session"].is_string());
    }
}

#[test]
fn tasks_of_one_group_share_a_conversation() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let _live = b.adopted(kind);
        let of = |text: &str| b.world.enqueue(&["--provider", kind.name(), "--group", "g", text]);
        let (first, second) = (of("STUB:ok one"), of("STUB:ok two"));
        b.hand_over(&first);
        b.world.await_state(&first, "completed");
        b.world.assign_until(&second, "completed");
        assert_eq!(b.attempt(&first)["agent_session"], b.attempt(&second)["agent_session"]);
    }
}

#[test]
fn a_permission_waits_for_a_person_and_goes_on_when_it_is_answered() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let _live = b.adopted(kind);
        let made = b.dir.join("made");
        let directive = if kind == Kind::Claude { "bash" } else { "esc" };
        let id = b.submitted(kind, &format!("STUB:{directive} touch {}", made.display()));
        let t = b.world.await_state(&id, "waiting");
        assert!(t["reason"].as_str().is_some_and(|r| r.starts_with("permission")), "{t}");
        until("what is asked to be known everywhere", || {
            let reason = b.world.task(&id)["reason"].to_string();
            if reason.contains("touch") { Ok(()) } else { Err(reason) }
        });
        let why = b.world.ok("orch-ls", &["--why", &id]);
        assert!(why.contains(&format!("orch-ctl answer {}", kind.name())), "{why}");
        assert!(!made.exists());
        assert_eq!(b.world.ctx(kind.name())["state"], "waiting");
        let asked = b.world.json("orch-ctl", &["answer", kind.name()]).remove(0);
        assert!(asked["question"].to_string().contains("touch"), "{asked}");
        assert!(asked["options"]["1"].to_string().contains("Yes"), "{asked}");
        let id_of = asked["asked"].as_str().expect("an id");
        let other = b.world.run("orch-ctl", &["answer", kind.name(), "yes", "--asked", "000000"]);
        assert!(other.code == 2 && other.stderr.contains("something else"), "{}", other.stderr);
        assert!(!made.exists());
        b.world.ok("orch-ctl", &["answer", kind.name(), "yes", "--asked", id_of]);
        let t = b.world.await_state(&id, "completed");
        assert_eq!(t["evidence"], "protocol", "{t}");
        assert!(made.exists());
        let again = b.world.run("orch-ctl", &["answer", kind.name(), "yes"]);
        assert_eq!(again.code, 2);
        assert!(again.stderr.contains("asks nothing"), "{}", again.stderr);
    }
}

#[test]
fn a_denied_permission_waits_for_a_person() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let live = b.adopted(kind);
        let directive = if kind == Kind::Claude { "bash" } else { "esc" };
        let made = b.dir.join("made");
        let id = b.submitted(kind, &format!("STUB:{directive} touch {}", made.display()));
        b.world.await_state(&id, "waiting");
        live.key("Escape");
        until("the interrupt to be known", || {
            let t = b.world.task(&id);
            let reason = t["reason"].as_str().unwrap_or_default().to_owned();
            if reason.contains("interrupted") { Ok(()) } else { Err(t.to_string()) }
        });
        assert_eq!(b.world.state(&id), "waiting");
        assert!(!made.exists());
        b.world.ok("orch-ctl", &["fail", &id]);
        assert_eq!(b.world.state(&id), "failed");
    }
}

#[test]
fn claudes_question_is_answered_by_number() {
    let Some(b) = Bench::new(Kind::Claude) else { return };
    let _live = b.adopted(Kind::Claude);
    let id = b.submitted(Kind::Claude, "STUB:ask");
    let t = b.world.await_state(&id, "waiting");
    assert!(t["reason"].as_str().is_some_and(|r| r.starts_with("question")), "{t}");
    let none = b.world.run("orch-ctl", &["answer", "claude", "9"]);
    assert!(none.code == 2 && none.stderr.contains("no such option"), "{}", none.stderr);
    b.world.ok("orch-ctl", &["answer", "claude", "2"]);
    b.world.await_state(&id, "completed");
}

#[test]
fn an_api_error_is_tried_again_later() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let _live = b.adopted(kind);
        let id = b.submitted(kind, "STUB:400");
        let t = b.world.await_state(&id, "queued");
        assert!(t["reason"].as_str().is_some_and(|r| r.contains("bad request")), "{t}");
        assert!(t["not_before"].is_string(), "{t}");
        let a = b.attempt(&id);
        assert_eq!((&a["state"], &a["counts"]), (&"failed".into(), &true.into()), "{a}");
        assert_eq!(b.world.ctx(kind.name())["state"], "error");
    }
}

#[test]
fn a_limit_holds_the_account_until_its_reset_and_then_the_task_goes_on() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        b.world.config("[retry]\njitter = '1ms'\n");
        let _live = b.adopted(kind);
        let two = format!("{}-two", kind.name());
        let _two = Live::ready(&b.world, &b.stub, kind, &two, &b.dir, &Setup::default());
        b.world.ok("orch-ctx", &["adopt", &two]);
        b.world.await_idle(&two);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("now");
        // Codex tells the minute, rounded down: this one
        let content = format!("STUB:limit {}", now.as_secs());
        let limited =
            b.world.enqueue(&["--provider", kind.name(), "--session", kind.name(), &content]);
        b.hand_over(&limited);
        let t = b.world.await_state(&limited, "queued");
        assert!(t["reason"].as_str().is_some_and(|r| r.contains("rate limited")), "{t}");
        assert_eq!(b.attempt(&limited)["counts"], false, "{}", b.attempt(&limited));
        // the other session is of the same account
        let other =
            b.world.enqueue(&["--provider", kind.name(), "--session", &two, "STUB:ok the other"]);
        b.world.assign();
        assert_eq!(b.world.state(&other), "queued", "{}", b.account());
        let why = b.world.ok("orch-ls", &["--why", &other]);
        assert!(why.contains("is limited until"), "{why}");
        // with an API key Claude does not say when: then it is looked at again after a while
        if kind == Kind::Codex {
            let begun = Instant::now();
            while b.world.state(&other) != "completed" || b.world.attempts(&limited).len() < 2 {
                assert!(begun.elapsed() < Duration::from_secs(100), "{}", b.account());
                b.world.run("orch-assign", &[]);
                std::thread::sleep(Duration::from_millis(500));
            }
            assert_eq!(b.world.attempts(&other).len(), 1);
        }
    }
}

#[test]
fn an_account_that_is_refused_holds_the_session() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let _live = b.adopted(kind);
        let id = b.submitted(kind, "STUB:401");
        b.world.await_state(&id, "queued");
        let why = b.world.sql("select paused from sessions");
        assert!(why.contains("authentication failed"), "{why}");
    }
}

#[test]
fn an_interrupt_waits_for_a_person() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let live = b.adopted(kind);
        let id = b.submitted(kind, "STUB:slow 20");
        b.stub.await_prompts(1);
        until("words", || {
            let s = live.screen();
            if s.contains("• word") || live.kind == Kind::Claude { Ok(()) } else { Err(s) }
        });
        live.key("Escape");
        let t = b.world.await_state(&id, "waiting");
        assert!(t["reason"].as_str().is_some_and(|r| r.contains("interrupted")), "{t}");
    }
}

#[test]
fn a_background_task_is_not_the_end() {
    let Some(b) = Bench::new(Kind::Claude) else { return };
    let _live = b.adopted(Kind::Claude);
    let done = b.dir.join("done");
    let id =
        b.submitted(Kind::Claude, &format!("STUB:background sleep 6; touch {}", done.display()));
    let begun = Instant::now();
    loop {
        let state = b.world.state(&id);
        if state == "waiting" {
            // it may have been taken meanwhile
            b.world.run("orch-ctl", &["answer", "claude", "yes"]);
        }
        if state == "completed" {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "{}", b.world.task(&id));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(done.exists(), "it was completed while its background task ran");
}

/// A server that the agent has left running never ends by itself.
#[test]
fn what_runs_on_in_the_background_does_not_keep_a_task_from_its_end() {
    for kind in BOTH {
        for by in ["cancel", "timeout"] {
            let Some(b) = Bench::new(kind) else { return };
            // its sandbox is not to be had everywhere
            let free: &[&str] = match kind {
                Kind::Claude => &[],
                Kind::Codex => &["--sandbox", "danger-full-access"],
            };
            let setup = Setup { args: free, ..Setup::default() };
            let _live = b.adopted_with(kind, &setup);
            let limit = if by == "timeout" { "12s" } else { "1h" };
            let content = "STUB:background sleep 600";
            let args =
                ["--provider", kind.name(), "--timeout", limit, "--max-attempts", "1", content];
            let id = b.world.enqueue(&args);
            b.hand_over(&id);
            until("the client to rest", || {
                if b.world.state(&id) == "waiting" {
                    b.world.run("orch-ctl", &["answer", kind.name(), "yes"]);
                }
                let m = b.world.json("orch-ctx", &["explain", kind.name()]).remove(0);
                let rests = m["state"] == "idle" && m["background"] == true;
                if rests { Ok(()) } else { Err(format!("{m} {}", b.world.screen(kind.name()))) }
            });
            if by == "timeout" {
                let t = b.world.await_state(&id, "failed");
                assert!(t["reason"].to_string().contains("timed out"), "{t}");
            } else {
                assert_eq!(b.world.state(&id), "running");
                b.world.ok("orch-ctl", &["cancel", &id]);
                assert_eq!(b.world.state(&id), "cancelled");
            }
            // no task is given to a client whose end could not be told
            let next = b.task(kind, "STUB:ok next");
            b.world.assign();
            assert_eq!(b.world.state(&next), "queued");
        }
    }
}

/// Interrupted before its first word, the client gives the prompt back.
#[test]
fn a_prompt_that_comes_back_is_not_left_in_the_composer() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let live = b.adopted(kind);
        let id = b.submitted(kind, "STUB:hang 30");
        b.stub.await_prompts(1);
        b.world.ok("orch-ctl", &["cancel", &id]);
        b.world.await_idle(kind.name());
        assert!(live.has_prompt(&live.screen()));
        let next = b.task(kind, "STUB:ok next");
        b.world.assign_until(&next, "completed");
    }
}

#[test]
fn an_end_is_verified_once_whoever_looks_and_not_for_ever() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let _live = b.adopted(kind);
        let runs = b.world.path("runs");
        let verify = |rest: &str| format!("echo run >>{}; {rest}", runs.display());
        let args = ["--provider", kind.name(), "--verify", &verify("sleep 2"), "STUB:ok one"];
        let id = b.world.enqueue(&args);
        b.world.assign_until(&id, "completed");
        b.world.await_quiet();
        assert_eq!(std::fs::read_to_string(&runs).expect("runs"), "run\n");
        let args = ["--provider", kind.name(), "--verify", &verify("sleep 600"), "STUB:ok two"];
        let id = b.world.enqueue(&args);
        until("the verification to run", || {
            b.world.run("orch-assign", &["--session", kind.name()]);
            let text = std::fs::read_to_string(&runs).expect("runs");
            if text == "run\nrun\n" { Ok(()) } else { Err(text) }
        });
        b.world.ok("orch-ctl", &["cancel", &id]);
        assert_eq!(b.world.state(&id), "cancelled");
        assert_eq!(std::fs::read_to_string(&runs).expect("runs"), "run\nrun\n");
    }
}

/// Its pass was killed after Enter, its client ended by itself, and what it did is still to be verified.
#[test]
fn an_end_that_is_found_late_is_verified_too() {
    let Some(b) = Bench::new(Kind::Claude) else { return };
    let live = b.adopted(Kind::Claude);
    let runs = b.world.path("runs");
    let verify = format!("echo run >>{}", runs.display());
    let of = |more: &[&str]| {
        b.world.enqueue(&[&["--provider", "claude", "--group", "g"], more].concat())
    };
    // the conversation is there already, and with it its record
    let first = of(&["STUB:ok first"]);
    b.world.assign_until(&first, "completed");
    b.world.await_quiet();
    b.world.await_idle("claude");
    let id = of(&["--verify", &verify, "STUB:ok late"]);
    let pass = crate::support::world::bin_dir().join("orch-assign");
    b.world.command(pass).env("ORCH_TEST_KILL", "entered").output().expect("runs");
    b.stub.await_prompts(2);
    b.world.await_idle("claude");
    b.world.tmux(&["respawn-pane", "-k", "-t", &live.pane, "sleep", "1000"]);
    b.world.assign_until(&id, "completed");
    assert_eq!(std::fs::read_to_string(&runs).expect("runs"), "run\n");
}

/// A person stops the client by Ctrl-Z in the shell that it runs in.
#[test]
fn a_suspended_client_does_not_keep_its_task() {
    let Some(b) = Bench::new(Kind::Claude) else { return };
    let script = launcher(&b, Kind::Claude, &b.dir);
    b.world.session("one", "bash", &b.dir);
    b.world.type_text("one", &script.display().to_string());
    b.world.key("one", "Enter");
    until("the client to be there", || {
        let c = b.world.ctx("one");
        if c["agent"] == "claude" && c["state"] == "idle" { Ok(()) } else { Err(c.to_string()) }
    });
    let id = b.submitted(Kind::Claude, "STUB:slow 30");
    b.stub.await_prompts(1);
    let client = "select json_extract(receipt, '$.client.pid') from attempts";
    let pid = b.world.sql(client).trim().to_owned();
    let signal = |s: &str| {
        assert!(b.world.command("kill").args([s, &pid]).status().expect("kill").success());
    };
    signal("-STOP");
    until("the shell to have its terminal back", || {
        let c = b.world.ctx("one");
        if c["agent"].is_null() { Ok(()) } else { Err(c.to_string()) }
    });
    b.world.ok("orch-ctl", &["cancel", &id]);
    assert_eq!(b.world.state(&id), "cancelled");
    signal("-KILL");
}

/// The tool outlives the client: nothing is done again while it runs. Codex takes its own with it.
#[test]
fn a_client_that_is_killed_leaves_its_task_unknown_until_its_tools_have_ended() {
    let Some(b) = Bench::new(Kind::Claude) else { return };
    let live = b.adopted(Kind::Claude);
    let on = b.dir.join("on");
    let tool = format!("touch {0}; while [ -e {0} ]; do sleep 0.1; done", on.display());
    let id = b.submitted(Kind::Claude, &format!("STUB:bash {tool}"));
    b.world.await_state(&id, "waiting");
    b.world.ok("orch-ctl", &["answer", "claude", "yes"]);
    until("the tool to run", || if on.exists() { Ok(()) } else { Err(live.screen()) });
    let client = "select json_extract(receipt, '$.client.pid') from attempts";
    let pid = b.world.sql(client).trim().to_owned();
    assert!(b.world.command("kill").args(["-KILL", &pid]).status().expect("kill").success());
    let t = b.world.assign_until(&id, "unknown");
    assert!(t["reason"].to_string().contains("still running"), "{t}");
    std::fs::remove_file(&on).expect("removed");
    let t = b.world.assign_until(&id, "queued");
    assert_eq!(b.attempt(&id)["state"], "lost", "{t}");
}

/// Without its own server Codex leaves its conversation to a daemon that all of the user's clients share.
#[test]
fn a_codex_with_a_daemon_is_told_from_one_that_can_be_followed() {
    let Some(b) = Bench::new(Kind::Codex) else { return };
    let setup = Setup { daemon: true, ..Setup::default() };
    let live = Live::ready(&b.world, &b.stub, Kind::Codex, "codex", &b.dir, &setup);
    b.world.ok("orch-ctx", &["adopt", "codex"]);
    let id = b.task(Kind::Codex, "STUB:ok never");
    let told = until("the daemon to be seen", || {
        let c = b.world.ctx("codex");
        if c["why"].to_string().contains("--no-daemon") { Ok(c) } else { Err(c.to_string()) }
    });
    b.world.assign();
    assert_eq!((b.world.state(&id), &told["state"]), ("queued".into(), &"blocked".into()));
    live.end_all();
}

#[test]
fn a_client_that_is_killed_within_its_turn_is_lost_and_the_task_queued_again() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let live = b.adopted(kind);
        let id = b.submitted(kind, "STUB:slow 20");
        b.stub.await_prompts(1);
        b.world.tmux(&["respawn-pane", "-k", "-t", &live.pane, "sleep", "1000"]);
        b.world.assign_until(&id, "queued");
        assert_eq!(b.attempt(&id)["state"], "lost", "{}", b.attempt(&id));
    }
}

#[test]
fn a_cancelled_turn_is_interrupted() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let _live = b.adopted(kind);
        let id = b.submitted(kind, "STUB:slow 20");
        b.stub.await_prompts(1);
        b.world.ok("orch-ctl", &["cancel", &id]);
        b.world.await_state(&id, "cancelled");
        b.world.await_idle(kind.name());
    }
}

#[test]
fn a_turn_that_takes_too_long_is_interrupted_and_has_failed() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let _live = b.adopted(kind);
        let args =
            ["--provider", kind.name(), "--timeout", "2s", "--max-attempts", "1", "STUB:slow 30"];
        let id = b.world.enqueue(&args);
        b.hand_over(&id);
        let t = b.world.await_state(&id, "failed");
        assert!(t["reason"].as_str().is_some_and(|r| r.contains("timed out")), "{t}");
    }
}

/// Ten tasks over two directories and two branches, one conversation after the other, each in its place.
#[test]
fn ten_tasks_in_two_directories_and_two_branches() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let other = b.world.repository("other", &["side"]);
        let _live = b.adopted(kind);
        launcher(&b, kind, &other);
        let mut ids = Vec::new();
        for i in 0..10 {
            let dir = if i % 2 == 0 { &b.dir } else { &other };
            let branch = if i % 4 < 2 { "main" } else { "side" };
            let words = format!("STUB:ok number {i}");
            let dir = dir.to_str().expect("UTF-8");
            ids.push((
                b.world.enqueue(&[
                    "--provider",
                    kind.name(),
                    "--dir",
                    dir,
                    "--branch",
                    branch,
                    // in this order: left to itself the plan would switch three times only
                    "--priority",
                    &(10 - i).to_string(),
                    &words,
                ]),
                format!("number {i}"),
            ));
        }
        let begun = Instant::now();
        while ids.iter().any(|(id, _)| b.world.state(id) != "completed") {
            assert!(begun.elapsed() < Duration::from_secs(90), "{}", b.account());
            b.world.run("orch-assign", &["--trust-dir"]);
            std::thread::sleep(Duration::from_millis(200));
        }
        for (id, answer) in &ids {
            let t = b.world.task(id);
            assert_eq!((&t["attempts"], &t["evidence"]), (&1.into(), &"protocol".into()), "{t}");
            assert_eq!(b.world.ok("orch-ls", &["--answer", id]), *answer);
        }
        assert_eq!(b.stub.deliveries().len(), 10);
        let ms = "select json_extract(receipt, '$.switch_ms') from attempts \
                  where json_extract(receipt, '$.switch_ms') is not null order by 1";
        let times: Vec<i64> = b.world.sql(ms).lines().filter_map(|l| l.parse().ok()).collect();
        // every other task is for the other directory
        assert!(times.len() >= 9, "{times:?}");
        bench(kind, &times);
    }
}

/// Figures for examples/bench/SWITCHES.md, where `make bench-switches` asks for them.
fn bench(kind: Kind, ms: &[i64]) {
    let Some(file) = std::env::var_os("ORCH_BENCH_SWITCHES") else { return };
    let mut out =
        std::fs::OpenOptions::new().append(true).create(true).open(file).expect("figures");
    let (median, worst) = (ms[ms.len() / 2], ms[ms.len() - 1]);
    writeln!(out, "| {} | {} | {median} | {worst} |", kind.name(), ms.len()).expect("written");
}

#[test]
fn a_client_that_was_started_in_a_shell_is_one_too_and_its_end_is_not_the_panes() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let script = launcher(&b, kind, &b.world.repository("other", &[]));
        b.world.session("one", "bash", &b.dir);
        let args = if kind == Kind::Codex { "--no-daemon" } else { "--permission-mode default" };
        b.world.type_text("one", &format!("{} {args}", script.display()));
        b.world.key("one", "Enter");
        until("the client to be at rest", || {
            let c = b.world.ctx("one");
            if c["agent"] == kind.name() && c["state"] == "idle" {
                Ok(())
            } else {
                Err(format!("{c} {}", b.world.screen("one")))
            }
        });
        let id = b.submitted(kind, "STUB:ok from a shell");
        b.world.await_state(&id, "completed");
        let cut = b.submitted(kind, "STUB:slow 30");
        b.stub.await_prompts(2);
        let client = b.world.sql(
            "select json_extract(receipt, '$.client.pid') from attempts order by id desc limit 1",
        );
        let pid = client.trim().to_owned();
        assert!(b.world.command("kill").args(["-KILL", &pid]).status().expect("kill").success());
        b.world.assign_until(&cut, "queued");
        assert_eq!(b.attempt(&cut)["state"], "lost", "{}", b.attempt(&cut));
        until("the shell to be back", || {
            let c = b.world.ctx("one");
            if c["agent"].is_null() { Ok(()) } else { Err(c.to_string()) }
        });
    }
}

/// What starts a client anew in the world's own environment: a profile's launch is what a user would write there.
fn launcher(b: &Bench, kind: Kind, also: &Path) -> PathBuf {
    let home = b.world.path(&format!("{}.home", kind.name()));
    std::fs::create_dir_all(&home).expect("home");
    let env = client::env(kind, b.stub.port(), &home, &[&b.dir, also]);
    let pairs: Vec<String> =
        env.iter().filter(|(k, _)| k != "TERM").map(|(k, v)| format!("'{k}={v}'")).collect();
    let program = client::root().join("bin").join(kind.name());
    let script = b.world.script(
        "launch",
        &format!(
            "#!/bin/sh\nexec env -i TERM=\"$TERM\" TMUX=\"$TMUX\" TMUX_PANE=\"$TMUX_PANE\" {} {} \"$@\"\n",
            pairs.join(" "),
            program.display()
        ),
    );
    let args =
        if kind == Kind::Codex { ", '--no-daemon'" } else { ", '--permission-mode', 'default'" };
    b.world.config(&format!(
        "[provider.{}.live]\nlaunch = ['{}'{args}]\n",
        kind.name(),
        script.display()
    ));
    script
}
