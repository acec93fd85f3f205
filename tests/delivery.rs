//! A task comes into the right pane, directory and branch, or not at all.

use serde_json::{Value, json};

use crate::support::world::{World, lines, until};

fn terms<'a>(records: &'a [Value], session: &str) -> &'a Value {
    &records.iter().find(|r| r["session"] == session && r.get("terms").is_some()).expect("scored")["terms"]
}

#[test]
fn a_shell_task_runs_in_its_directory_and_is_completed_by_its_exit() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let id = w.enqueue(&[
        "--provider",
        "shell",
        "--metadata",
        r#"{"working_dir": "/tmp"}"#,
        "ls -la; echo listing-ended",
    ]);
    let did = w.assign();
    assert_eq!(did[0]["did"], "started", "{did:?}");
    let t = w.await_state(&id, "completed");
    assert_eq!(
        (&t["evidence"], &t["exit_code"], &t["ran_in"]),
        (&json!("exit"), &json!(0), &json!("one"))
    );
    w.await_screen("one", "listing-ended");
    w.await_idle("one");
    assert_eq!(w.ctx("one")["working_dir"], "/tmp");
    let listed = w.json("orch-ls", &["--state", "completed"]);
    assert_eq!(listed.len(), 1);
    assert!(w.ok("orch-ls", &["--answer", &id]).contains("listing-ended"));
}

#[test]
fn of_two_idle_panes_the_one_in_place_is_chosen_and_nothing_is_switched() {
    let w = World::new();
    let repo = w.repository("repo", &["work"]);
    w.git(&repo, &["switch", "-q", "work"]);
    w.session("elsewhere", "bash", &w.path("home"));
    w.pane("there", "bash", &repo);
    w.ok("orch-ctx", &["adopt", "there", "--provider", "shell"]);
    let dir = repo.to_str().expect("UTF-8");
    let id = w.enqueue(&["--provider", "shell", "--dir", dir, "--branch", "work", "true"]);
    let out = lines(&w.run("orch-assign", &["--explain"]).stdout);
    assert_eq!(
        *terms(&out, "there"),
        json!({"directory": 20.0, "branch": 10.0, "idle": 3.0, "provider": 2.0})
    );
    assert_eq!(*terms(&out, "elsewhere"), json!({"idle": 3.0}));
    assert_eq!(w.await_state(&id, "completed")["ran_in"], "there");
    w.await_quiet();
    let again = w.enqueue(&["--provider", "shell", "--dir", dir, "--branch", "work", "true"]);
    let out = lines(&w.run("orch-assign", &["--explain"]).stdout);
    assert_eq!(terms(&out, "there")["active"], 5.0, "recently active since the first task");
    w.await_state(&again, "completed");
    w.ok("orch-ctx", &["sync"]);
    assert_eq!(w.sql("select count(*) from events where type = 'context_change'"), "0");
}

#[test]
fn directory_branch_and_prerequisites_hold_for_the_task_and_not_for_the_next() {
    let w = World::new();
    let repo = w.repository("repo", &["work"]);
    std::fs::create_dir_all(repo.join("venv/bin")).expect("venv");
    std::fs::write(repo.join("venv/bin/activate"), "export VIRTUAL_ENV=$PWD/venv\n")
        .expect("activate");
    w.session("one", "bash", &w.path("home"));
    let metadata = json!({"working_dir": repo, "git_branch": "work",
        "prerequisites": ["source venv/bin/activate", "export TEST_ENV=staging"]});
    let show = "echo \"[$VIRTUAL_ENV|$TEST_ENV|$(git branch --show-current)|$PWD]\"; \
        echo '===== 3 passed, 1 skipped in 0.10s ====='";
    let id = w.enqueue(&["--provider", "shell", "--metadata", &metadata.to_string(), show]);
    w.assign();
    let t = w.await_state(&id, "completed");
    let repo = repo.display();
    let answer = w.ok("orch-ls", &["--answer", &id]);
    assert!(answer.contains(&format!("[{repo}/venv|staging|work|{repo}]")), "{answer}");
    assert_eq!((&t["tests"]["passed"], &t["tests"]["skipped"]), (&json!(3), &json!(1)), "{t}");
    assert!(w.events(&id).iter().any(|e| e["type"] == "context_verified"));
    let next = w.enqueue(&[
        "--provider",
        "shell",
        "--session",
        "one",
        "echo \"[$VIRTUAL_ENV|$TEST_ENV]\"",
    ]);
    w.assign_until(&next, "completed");
    assert!(w.ok("orch-ls", &["--answer", &next]).contains("[|]"));
}

/// A context that cannot be established: the content never runs, the reason is on the record, the other session is
/// tried, then the task is held; the tree is as it was.
fn refused(w: &World, metadata: Value, reason: &str) {
    let mark = w.path("the-content-ran");
    let id = w.enqueue(&[
        "--provider",
        "shell",
        "--metadata",
        &metadata.to_string(),
        &format!("touch {}", mark.display()),
    ]);
    let t = w.assign_until(&id, "held");
    let why = t["reason"].as_str().expect("a reason");
    assert!(why.contains(reason), "{why:?} lacks {reason:?}");
    assert!(!mark.exists(), "the content ran all the same");
    let attempts = w.attempts(&id);
    let mut sessions: Vec<&str> = attempts.iter().filter_map(|a| a["session"].as_str()).collect();
    sessions.sort_unstable();
    assert_eq!(sessions, ["one", "two"], "{attempts:?}");
    assert!(
        attempts.iter().all(|a| a["state"] == "context_failed" && a["counts"] == false),
        "{attempts:?}"
    );
}

#[test]
fn a_context_that_cannot_be_established_hands_nothing_over_and_changes_nothing() {
    let w = World::new();
    let repo = w.repository("repo", &["work"]);
    w.session("one", "bash", &w.path("home"));
    w.session("two", "bash", &w.path("home"));
    let on = |branch: &str| json!({"working_dir": repo, "git_branch": branch});
    refused(&w, on("no-such-branch"), "no branch 'no-such-branch'");
    std::fs::write(repo.join("file"), "edited\n").expect("edit");
    refused(&w, on("work"), "is dirty");
    assert_eq!(std::fs::read_to_string(repo.join("file")).expect("file"), "edited\n");
    assert_eq!(w.git(&repo, &["branch", "--show-current"]), "main");
    w.git(&repo, &["checkout", "-q", "--", "file"]);
    let gone = w.path("gone");
    std::fs::create_dir(&gone).expect("directory");
    let id = w.enqueue(&["--provider", "shell", "--dir", gone.to_str().expect("UTF-8"), "true"]);
    std::fs::remove_dir(&gone).expect("removed");
    assert!(
        w.assign_until(&id, "held")["reason"].as_str().expect("a reason").contains("No such file")
    );
    let here = |p: &str| json!({"working_dir": repo, "prerequisites": ["true", p]});
    refused(&w, here("false"), "prerequisite 2 failed: false");
    refused(&w, here("exit 0"), "a prerequisite ended the shell");
    refused(&w, here("cd /"), "a prerequisite moved it");
    refused(&w, here("git switch -q work; exit 7"), "a prerequisite ended the shell");
    w.git(&repo, &["switch", "-q", "main"]);
    let both =
        json!({"working_dir": repo, "git_branch": "main", "prerequisites": ["git switch -q work"]});
    refused(&w, both, "is on branch 'work', not 'main'");
}

#[test]
fn a_repository_that_would_run_code_on_a_switch_is_refused_or_kept_from_it() {
    let w = World::new();
    let repo = w.repository("repo", &["work"]);
    w.session("one", "bash", &w.path("home"));
    w.session("two", "bash", &w.path("home"));
    let ran = w.path("hook-ran");
    let hook = format!("#!/bin/sh\ntouch {}\n", ran.display());
    std::fs::write(repo.join(".git/hooks/post-checkout"), hook).expect("hook");
    w.command("chmod")
        .args(["+x", repo.join(".git/hooks/post-checkout").to_str().expect("UTF-8")])
        .status()
        .expect("chmod");
    w.git(&repo, &["config", "core.fsmonitor", &format!("touch {}", ran.display())]);
    let dir = repo.to_str().expect("UTF-8");
    let id = w.enqueue(&["--provider", "shell", "--dir", dir, "--branch", "work", "true"]);
    w.assign();
    w.await_state(&id, "completed");
    assert_eq!(
        std::fs::read_to_string(repo.join(".git/HEAD")).expect("HEAD").trim(),
        "ref: refs/heads/work"
    );
    assert!(!ran.exists(), "a hook of the repository ran");
    w.git(&repo, &["config", "--unset", "core.fsmonitor"]);
    w.git(&repo, &["config", "filter.evil.smudge", &format!("touch {}", ran.display())]);
    refused(
        &w,
        json!({"working_dir": repo, "git_branch": "main"}),
        "filter.evil.smudge would run a command",
    );
    assert!(!ran.exists());
}

#[test]
fn a_branch_is_switched_to_and_an_ignored_file_is_not_overwritten() {
    let w = World::new();
    let repo = w.repository("repo", &["plain"]);
    w.git(&repo, &["switch", "-q", "-c", "tracks"]);
    std::fs::write(repo.join("notes"), "tracked\n").expect("notes");
    w.git(&repo, &["add", "notes"]);
    w.git(&repo, &["commit", "-q", "-m", "notes"]);
    w.git(&repo, &["switch", "-q", "main"]);
    std::fs::write(repo.join(".git/info/exclude"), "notes\n").expect("exclude");
    std::fs::write(repo.join("notes"), "mine\n").expect("notes");
    w.session("one", "bash", &w.path("home"));
    w.session("two", "bash", &w.path("home"));
    refused(&w, json!({"working_dir": repo, "git_branch": "tracks"}), "git switch tracks");
    assert_eq!(std::fs::read_to_string(repo.join("notes")).expect("notes"), "mine\n");
}

#[test]
fn two_tasks_for_one_checkout_on_two_branches_never_run_at_the_same_time() {
    let w = World::new();
    let repo = w.repository("repo", &["a", "b"]);
    let log = w.text("log");
    for name in ["one", "two", "three"] {
        w.session(name, "bash", &w.path("home"));
    }
    let dir = repo.to_str().expect("UTF-8");
    let work = |b: &str| {
        format!(
            "echo begin {b} $(git branch --show-current) >> {log}; sleep 0.2; \
                 echo end {b} $(git branch --show-current) >> {log}"
        )
    };
    let mut ids = Vec::new();
    for branch in ["a", "b", "a", "b"] {
        ids.push(w.enqueue(&[
            "--provider",
            "shell",
            "--dir",
            dir,
            "--branch",
            branch,
            &work(branch),
        ]));
    }
    for id in &ids {
        w.assign_until(id, "completed");
    }
    let text = std::fs::read_to_string(&log).expect("log");
    let mut inside: Vec<&str> = Vec::new();
    for line in text.lines() {
        let f: Vec<&str> = line.split(' ').collect();
        assert_eq!(f[1], f[2], "on another branch than wanted: {text}");
        match f[0] {
            "begin" => {
                assert!(inside.iter().all(|b| *b == f[1]), "two branches at once: {text}");
                inside.push(f[1]);
            }
            _ => drop(inside.pop()),
        }
    }
    assert_eq!(text.lines().count(), 8);
}

#[test]
fn the_line_works_in_every_shell_and_names_with_quotes_arrive() {
    let w = World::new();
    w.config("canonical_shells = ['dash']\n");
    let odd = w.path("it's a \\dir $(id) ;ü");
    std::fs::create_dir(&odd).expect("directory");
    for shell in ["bash", "zsh", "fish", "dash"] {
        if w.command(shell).args(["-c", "true"]).output().is_err() {
            eprintln!("SKIPPED for {shell}: not installed");
            continue;
        }
        w.session(shell, shell, &w.path("home"));
        let id = w.enqueue(&[
            "--provider",
            "shell",
            "--session",
            shell,
            "--dir",
            odd.to_str().expect("UTF-8"),
            "pwd",
        ]);
        let did = w.assign();
        assert!(did.iter().any(|d| d["did"] == "started"), "{shell}: {did:?} {}", w.screen(shell));
        w.await_state(&id, "completed");
        assert_eq!(w.ok("orch-ls", &["--answer", &id]), odd.to_str().expect("UTF-8"), "{shell}");
        w.await_idle(shell);
        assert_eq!(w.ctx(shell)["working_dir"], odd.to_str().expect("UTF-8"), "{shell}");
    }
}

#[test]
fn dash_is_typed_into_only_when_the_owner_opts_in() {
    let w = World::new();
    w.session("one", "dash", &w.path("home"));
    w.enqueue(&["--provider", "shell", "true"]);
    let out = lines(&w.run("orch-assign", &["--explain"]).stdout);
    assert!(out[0]["filter"].as_str().expect("a filter").contains("canonical_shells"), "{out:?}");
}

#[test]
fn a_failing_task_is_tried_again_with_backoff_and_then_has_failed() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let id = w.enqueue(&["--provider", "shell", "--max-attempts", "2", "exit 7"]);
    w.assign();
    let t = w.await_state(&id, "queued");
    assert!(t["not_before"].is_string(), "{t}");
    assert!(w.assign().iter().all(|d| d["did"] != "started"), "before its time");
    let t = w.assign_until(&id, "failed");
    assert_eq!(
        (&t["attempts"], &t["exit_code"], &t["evidence"]),
        (&json!(2), &json!(7), &json!("exit"))
    );
    w.ok("orch-ctl", &["retry", &id]);
    assert_eq!(w.state(&id), "queued");
}

#[test]
fn the_end_of_an_attempt_starts_the_sessions_next_task_without_another_pass() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let ids: Vec<String> = (0..5).map(|_| w.enqueue(&["--provider", "shell", "true"])).collect();
    w.assign();
    for id in &ids {
        w.await_state(id, "completed");
    }
}

#[test]
fn a_success_is_believed_only_when_verify_agrees() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let no = w.enqueue(&[
        "--provider",
        "shell",
        "--max-attempts",
        "1",
        "--verify",
        "test -e made",
        "true",
    ]);
    w.assign();
    let t = w.await_state(&no, "failed");
    assert!(t["reason"].as_str().expect("a reason").contains("verify failed"), "{t}");
    let dir = w.text("home");
    let yes = w.enqueue(&[
        "--provider",
        "shell",
        "--dir",
        &dir,
        "--verify",
        "test -e made",
        "touch made",
    ]);
    w.assign_until(&yes, "completed");
}

#[test]
fn a_task_that_takes_too_long_is_ended_with_all_that_it_started() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let id = w.enqueue(&[
        "--provider",
        "shell",
        "--max-attempts",
        "1",
        "--timeout",
        "1s",
        "setsid sleep 4711 & sleep 4711",
    ]);
    w.assign();
    let t = w.await_state(&id, "failed");
    assert!(t["reason"].as_str().expect("a reason").contains("timed out"), "{t}");
    until("its processes to be gone", || {
        let out = w.command("pgrep").args(["-f", "^sleep 4711"]).output().expect("pgrep");
        if out.stdout.is_empty() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&out.stdout).into_owned())
        }
    });
}

#[test]
fn tasks_without_context_drain_by_priority_and_age() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let log = w.text("log");
    let put = |p: &str, name: &str| {
        w.enqueue(&["--provider", "shell", "-p", p, &format!("echo {name} >> {log}")])
    };
    let ids = [put("0", "c"), put("1", "b"), put("0", "d"), put("9", "a"), put("-1", "e")];
    w.assign();
    for id in &ids {
        w.await_state(id, "completed");
    }
    assert_eq!(std::fs::read_to_string(&log).expect("log"), "a\nb\nc\nd\ne\n");
    let by_hand = w.enqueue(&["--provider", "shell", "--hold", "true"]);
    assert_eq!(w.ok("orch-ctl", &["complete", &by_hand]).trim(), by_hand);
    assert_eq!(w.state(&by_hand), "completed");
}

/// The real one is not to be had here: the stand-in prints what it was given.
#[test]
fn ollama_gets_its_model_and_the_prompt_and_its_output_is_the_answer() {
    let mut w = World::new();
    w.script("ollama", "#!/bin/sh\nprintf 'args: %s\\n' \"$*\"; cat\n");
    let path = format!(
        "{}:{}:{}",
        w.text(""),
        crate::support::world::bin_dir().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    w.env.push(("PATH".into(), path));
    w.config("[provider.ollama]\nmodel = 'tiny'\n");
    w.session("one", "bash", &w.path("home"));
    let id = w.enqueue(&["--provider", "ollama", "--", "/help me: say \"hi\""]);
    w.assign();
    let t = w.await_state(&id, "completed");
    assert_eq!(t["evidence"], "exit");
    assert_eq!(w.ok("orch-ls", &["--answer", &id]), "args: run tiny\n/help me: say \"hi\"");
}

/// Stand-ins for the real ones: they take prompt and arguments down, and print what those were recorded to print.
#[test]
fn gemini_and_opencode_get_their_prompt_and_their_records_decide() {
    let mut w = World::new();
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/extract");
    for name in ["gemini", "opencode"] {
        let got = w.text(name);
        let text = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$*\" >{got}.args\ncat >{got}.prompt\ncat \"{recorded}/{name}-$(sed 's/.*recorded as //' {got}.prompt).jsonl\"\n"
        );
        w.script(name, &text);
    }
    let path = format!(
        "{}:{}:{}",
        w.text(""),
        crate::support::world::bin_dir().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    w.env.push(("PATH".into(), path));
    w.session("one", "bash", &w.path("home"));
    let got = |file: &str| std::fs::read_to_string(w.path(file)).expect("what it was given");
    for name in ["gemini", "opencode"] {
        for (recorded, state) in
            [("ok", "completed"), ("question", "waiting"), ("http-400", "failed")]
        {
            let prompt = format!("/init recorded as {recorded}");
            let id = w.enqueue(&["--provider", name, "--max-attempts", "1", "--", &prompt]);
            w.await_idle("one");
            w.assign();
            let t = w.await_state(&id, state);
            assert_eq!(t["evidence"], "protocol", "{name} {recorded}: {t}");
            let session = w.attempts(&id)[0]["agent_session"].as_str().expect("one").to_owned();
            if name == "gemini" {
                assert_eq!(got("gemini.prompt"), format!(" {prompt}"), "its own commands");
                let args = format!("--output-format stream-json --session-id {session}\n");
                assert_eq!(got("gemini.args"), args);
            } else {
                assert_eq!(got("opencode.prompt"), prompt);
                assert_eq!(got("opencode.args"), "run --format json\n");
                assert!(session.starts_with("ses_"), "the one that it told: {session}");
            }
            if recorded == "ok" {
                let answer = w.ok("orch-ls", &["--answer", &id]);
                assert_eq!(answer, "The parser handles empty input now.");
            }
        }
    }
}

#[test]
fn a_hook_speaks_for_the_attempt_whose_session_it_names_and_ends_no_command() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let stop = w.text("stop");
    let id =
        w.enqueue(&["--provider", "shell", &format!("until test -e {stop}; do sleep 0.05; done")]);
    w.assign();
    w.await_state(&id, "running");
    let session = w.attempts(&id)[0]["agent_session"].as_str().expect("a session").to_owned();
    let hook = |session: &str| {
        json!({"hook_event_name": "Stop", "session_id": session, "cwd": "/", "transcript_path": "/t",
            "stop_hook_active": false, "last_assistant_message": "All done.", "background_tasks": []})
        .to_string()
    };
    let ran = w.run_with_input("orch-feedback", &["--hook", "claude"], hook(&session).as_bytes());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let ran = w.run_with_input("orch-feedback", &["--hook", "claude"], hook("another").as_bytes());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let ends: Vec<Value> = w.events(&id).into_iter().filter(|e| e["type"] == "turn_end").collect();
    assert_eq!((ends.len(), &ends[0]["standing"]), (1, &json!("owner")), "{ends:?}");
    assert_eq!(w.state(&id), "running");
    std::fs::write(stop, "").expect("stop");
    w.await_state(&id, "completed");
}
