//! orch-enqueue, orch-ls, orch-ctl, orch-ctx: the queue as people and scripts use it.

use serde_json::{Value, json};

use crate::support::world::{World, feed, lines};

#[test]
fn a_task_comes_from_arguments_from_input_from_lines_or_from_json() {
    let w = World::new();
    assert_eq!(w.enqueue(&["--provider", "shell", "echo", "one"]), "1");
    assert_eq!(w.task("1")["content"], "echo one");
    let ran = w.run_with_input("orch-enqueue", &["--provider", "shell"], b"two\nlines\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "2\n"));
    assert_eq!(w.task("2")["content"], "two\nlines");
    let ran = w.run_with_input("orch-enqueue", &["--provider", "shell", "--lines"], b"a\n\nb\n");
    assert_eq!(ran.stdout, "3\n4\n");
    let ran =
        w.run_with_input("orch-enqueue", &["--provider", "shell", "--lines", "-0"], b"a\nb\0c\0");
    assert_eq!((ran.stdout.as_str(), &w.task("5")["content"]), ("5\n6\n", &json!("a\nb")));
    let input =
        json!({"content": "j", "priority": 7, "max-attempts": 1, "env": {"A": "b"}, "group": "g"})
            .to_string();
    let ran =
        w.run_with_input("orch-enqueue", &["--jsonl", "--provider", "shell"], input.as_bytes());
    assert_eq!(ran.stdout, "7\n", "{}", ran.stderr);
    let t = w.task("7");
    assert_eq!(
        (&t["priority"], &t["max_attempts"], &t["context"], &t["group"]),
        (&json!(7), &json!(1), &json!({"env": {"A": "b"}}), &json!("g"))
    );
}

#[test]
fn a_bad_line_is_named_by_number_and_field_and_nothing_is_stored() {
    let w = World::new();
    let bad = [
        (r#"{"content": "x", "priority": "high"}"#, "priority"),
        (r#"{"content": "x", "prioritty": 1}"#, "prioritty"),
        (r#"{"provider": "shell"}"#, "content"),
        (r#"{"content": "x", "in": "soon"}"#, "in"),
        (r#"{"content": "x", "provider": "nobody"}"#, "nobody"),
        (r#"{"content": "x", "accept": "hope"}"#, "accept"),
        (r#"["x"]"#, "not a JSON object"),
        ("{", "EOF"),
    ];
    for (line, named) in bad {
        let input = format!("{{\"content\": \"fine\"}}\n{line}\n");
        let ran =
            w.run_with_input("orch-enqueue", &["--jsonl", "--provider", "shell"], input.as_bytes());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{line}");
        assert!(
            ran.stderr.contains("line 2") && ran.stderr.contains(named),
            "{line}: {}",
            ran.stderr
        );
    }
    assert!(!w.db().exists());
    let ran =
        w.run_with_input("orch-enqueue", &["--provider", "shell", "--lines"], b"ok\nbad \xff\n");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("line 2: not UTF-8"), "{}", ran.stderr);
}

#[test]
fn the_provider_is_fixed_at_enqueue_and_shell_is_never_a_default() {
    let w = World::new();
    let ran = w.run("orch-enqueue", &["x"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--provider"), "{}", ran.stderr);
    w.config("default_provider = 'claude'\n");
    let id = w.enqueue(&["x"]);
    w.config("default_provider = 'codex'\n");
    assert_eq!(w.task(&id)["provider"], "claude");
    w.config("default_provider = 'shell'\n");
    assert!(w.run("orch-enqueue", &["x"]).stderr.contains("never a default"));
}

#[test]
fn the_same_key_gives_the_same_task() {
    let w = World::new();
    let put = || w.enqueue(&["--provider", "shell", "--key", "nightly", "true"]);
    assert_eq!((put(), put()), ("1".to_owned(), "1".to_owned()));
    assert_eq!(w.sql("select count(*) from tasks"), "1");
}

#[test]
fn a_task_waits_for_others_and_is_held_when_they_fail() {
    let w = World::new();
    let first = w.enqueue(&["--provider", "shell", "--hold", "true"]);
    let after = w.enqueue(&["--provider", "shell", "--after", &first, "true"]);
    let any = w.enqueue(&["--provider", "shell", "--after-any", &first, "true"]);
    w.session("one", "bash", &w.path("home"));
    assert!(w.assign().is_empty());
    assert!(w.ok("orch-ls", &["--why", &after]).contains("waits: task 1 is held"));
    w.ok("orch-ctl", &["fail", &first]);
    let t = w.task(&after);
    assert_eq!(t["state"], "held");
    assert!(t["reason"].as_str().expect("a reason").contains("depends on task 1"), "{t}");
    w.assign_until(&any, "completed");
    assert_eq!(w.run("orch-enqueue", &["--provider", "shell", "--after", "99", "x"]).code, 2);
}

#[test]
fn times_are_kept() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let later = w.enqueue(&["--provider", "shell", "--in", "2h", "true"]);
    assert!(w.assign().is_empty());
    assert!(w.ok("orch-ls", &["--why", &later]).contains("not before"));
    let soon = w.enqueue(&["--provider", "shell", "--in", "300ms", "true"]);
    w.assign_until(&soon, "completed");
    let dated = w.enqueue(&["--provider", "shell", "--at", "2100-01-01T00:00:00Z", "true"]);
    assert_eq!(w.task(&dated)["not_before"], "2100-01-01T00:00:00.000Z");
}

#[test]
fn wait_answers_with_the_end() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    assert_eq!(w.run("orch-enqueue", &["--provider", "shell", "--now", "--wait", "true"]).code, 0);
    w.await_quiet();
    w.await_idle("one");
    let ran = w.run(
        "orch-enqueue",
        &["--provider", "shell", "--max-attempts", "1", "--now", "--wait", "false"],
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (1, "2\n"));
}

#[test]
fn a_persons_word_is_taken_where_the_state_allows_it() {
    let w = World::new();
    let id = w.enqueue(&["--provider", "shell", "true"]);
    let refuse = |args: &[&str], why: &str| {
        let ran = w.run("orch-ctl", args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
        assert!(ran.stderr.contains(why), "{args:?}: {}", ran.stderr);
    };
    refuse(&["release", &id], "is queued, not held");
    assert_eq!(w.ok("orch-ctl", &["hold", &id]), "1\n");
    refuse(&["hold", &id], "only a queued task can be held");
    refuse(&["retry", &id], "orch-ctl release 1");
    w.ok("orch-ctl", &["release", &id]);
    w.ok("orch-ctl", &["priority", &id, "--to", "5"]);
    assert_eq!(w.task(&id)["priority"], 5);
    refuse(&["reassign", &id, "--session", "nobody"], "no session 'nobody'");
    w.ok("orch-ctl", &["cancel", &id]);
    refuse(&["complete", &id], "it has ended");
    refuse(&["priority", &id, "--to", "1"], "it has ended");
    w.ok("orch-ctl", &["retry", &id]);
    assert_eq!(w.state(&id), "queued");
    w.ok("orch-ctl", &["fail", &id]);
    refuse(&["cancel", "99"], "no task 99");
    refuse(&["pause", "nobody"], "no session 'nobody'");
}

#[test]
fn a_paused_session_gets_nothing_and_a_wanted_one_is_waited_for() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    w.session("two", "bash", &w.path("home"));
    w.ok("orch-ctl", &["pause", "one", "--reason", "mine for now"]);
    let id = w.enqueue(&["--provider", "shell", "--session", "one", "true"]);
    let out = lines(&w.run("orch-assign", &["--explain"]).stdout);
    let why = |s: &str| {
        out.iter().find(|r| r["session"] == s).expect("a verdict")["filter"]
            .as_str()
            .expect("a filter")
            .to_owned()
    };
    assert_eq!(why("one"), "paused: mine for now");
    assert!(why("two").contains("wants session 'one'"));
    w.ok("orch-ctl", &["resume", "one"]);
    assert_eq!(w.assign_until(&id, "completed")["ran_in"], "one");
    let bound = w.enqueue(&["--provider", "shell", "--session", "nowhere", "true"]);
    w.ok("orch-ctl", &["reassign", &bound, "--session", "two"]);
    assert_eq!(w.assign_until(&bound, "completed")["ran_in"], "two");
}

#[test]
fn a_dry_run_changes_nothing_and_exit_code_tells_of_idleness() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    assert_eq!(w.run("orch-assign", &["--exit-code"]).code, 1);
    w.enqueue(&["--provider", "shell", "true"]);
    let would = lines(&w.run("orch-assign", &["--dry-run"]).stdout);
    assert_eq!(would, [json!({"would": "start", "task": 1, "session": "one"})]);
    assert_eq!(w.state("1"), "queued");
    w.enqueue(&["--provider", "shell", "true"]);
    w.session("two", "bash", &w.path("home"));
    let did = lines(&w.run("orch-assign", &["--limit", "1", "--exit-code"]).stdout);
    assert_eq!(did.iter().filter(|d| d["did"] == "started").count(), 1);
}

#[test]
fn the_context_of_panes_is_shown_verified_and_put_into_shells() {
    let w = World::new();
    let repo = w.repository("repo", &["work"]);
    w.session("one", "bash", &repo);
    let c = w.ctx("one");
    assert_eq!(
        (c["working_dir"].as_str(), c["git_branch"].as_str()),
        (repo.to_str(), Some("main"))
    );
    w.git(&repo, &["worktree", "add", "-q", w.path("tree").to_str().expect("UTF-8"), "work"]);
    w.pane("two", "bash", &w.path("tree"));
    let c = w.ctx("two");
    assert_eq!((c["adopted"].as_bool(), c["git_branch"].as_str()), (Some(false), Some("work")));
    w.git(&repo, &["branch", "third"]);
    let metadata = json!({"working_dir": repo, "git_branch": "third", "env": {"A": "it's"}, "prerequisites": ["export B=c"]});
    let id = w.enqueue(&["--provider", "shell", "--metadata", &metadata.to_string(), "true"]);
    assert_eq!(w.run("orch-ctx", &["verify", &id]).code, 0);
    let ran = w.run("orch-ctx", &["verify", &id, "one"]);
    assert_eq!((ran.code, ran.stdout.trim()), (1, "session 'one' is on branch main, not third"));
    for shell in ["bash", "zsh", "dash", "fish"] {
        if w.command(shell).args(["-c", "true"]).output().is_err() {
            continue;
        }
        w.git(&repo, &["switch", "-q", "main"]);
        let eval = if shell == "fish" {
            "eval (orch-ctx shell 1 --shell fish | string collect)"
        } else {
            "eval \"$(orch-ctx shell 1 --shell SH)\""
        };
        let line = format!("{}; echo \"$PWD $A $B\"", eval.replace("SH", shell));
        let ran = feed(w.command(shell).args(["-c", &line]), b"");
        assert_eq!(
            ran.stdout.trim(),
            format!("{} it's c", repo.display()),
            "{shell}: {}",
            ran.stderr
        );
        assert_eq!(w.git(&repo, &["branch", "--show-current"]), "third", "{shell}");
    }
    std::fs::write(repo.join("file"), "edited").expect("edit");
    w.git(&repo, &["switch", "-q", "main"]);
    let ran = w.run("orch-ctx", &["verify", &id]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("dirty"), "{}", ran.stdout);
    assert_eq!(w.ok("orch-ctx", &["forget", "one"]), "one\n");
    assert_eq!(w.json("orch-ls", &["sessions"]).len(), 0);
}

#[test]
fn a_directory_changed_by_hand_is_noted_as_not_by_us() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    w.type_text("one", "cd /");
    w.key("one", "Enter");
    crate::support::world::until("the change", || {
        w.ok("orch-ctx", &["sync"]);
        let n = w.sql("select body ->> 'by' from events where type = 'context_change'");
        if n == "not by us" { Ok(()) } else { Err(n) }
    });
}

#[test]
fn lists_are_json_in_a_pipe_and_the_schema_has_a_word_on_every_column() {
    let w = World::new();
    let ran = w.run("orch-ls", &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("no database yet"), "{}", ran.stderr);
    w.enqueue(&["--provider", "shell", "--hold", "true"]);
    assert_eq!(w.run("orch-ls", &["--state", "failed"]).code, 1);
    let ran = w.run("orch-ls", &["--state", "faild"]);
    assert_eq!((ran.code, ran.stderr.contains("no state 'faild'")), (2, true));
    let rows: Vec<Value> = w.json("orch-ls", &["--columns", "id,state"]);
    assert_eq!(rows, [json!({"id": 1, "state": "held"})]);
    assert_eq!(w.run("orch-ls", &["--columns", "nope"]).code, 2);
    assert_eq!(w.run("orch-ls", &["--answer", "1"]).code, 1);
    let schema = w.ok("orch-ls", &["--schema"]);
    let column = |l: &&str| {
        l.starts_with("  ") && !l.trim_start().starts_with(['p', 'u'])
            || l.starts_with("  p") && !l.contains("primary key (")
    };
    let bare: Vec<&str> = schema
        .split("create view")
        .next()
        .expect("tables")
        .lines()
        .filter(column)
        .filter(|l| !l.contains("--") && !l.contains("unique (") && !l.contains("primary key"))
        .collect();
    assert!(bare.is_empty(), "no comment on: {bare:#?}");
    assert_eq!(w.sql("select state from v_tasks"), "held");
    assert_eq!(w.sql("select count(*) from v_sessions"), "0");
}

#[test]
fn the_doctor_names_what_is_missing() {
    let w = World::new();
    let checks = w.json("orch-ctl", &["doctor"]);
    let of = |name: &str| {
        checks
            .iter()
            .find(|c| c["check"] == name)
            .unwrap_or_else(|| panic!("{name}: {checks:?}"))
            .clone()
    };
    assert_eq!(of("socket")["ok"], false);
    assert!(of("socket")["remedy"].as_str().expect("a remedy").contains("ORCH_TMUX"));
    assert_eq!(of("database")["ok"], false);
    w.session("one", "bash", &w.path("home"));
    w.assign();
    assert_eq!(w.run("orch-ctl", &["doctor"]).code, 0, "{:?}", w.json("orch-ctl", &["doctor"]));
    w.config("nonsense = 1\n");
    let checks = w.json("orch-ctl", &["doctor"]);
    assert!(checks[0]["found"].as_str().expect("found").contains("nonsense"), "{checks:?}");
}
