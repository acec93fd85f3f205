//! The real Claude Code and Codex as providers: what they say decides what becomes of a task.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::client::{self, Kind};
use crate::support::stub::Stub;
use crate::support::world::{World, feed, until};

/// A world whose panes have a real client on PATH, against a stub of its own.
struct Lab {
    w: World,
    stub: Stub,
    kind: Kind,
    repo: PathBuf,
}

impl Lab {
    fn new(kind: Kind) -> Option<Lab> {
        Lab::of(kind, false)
    }

    /// `subscriber`: Claude's limits of a plan are told to subscribers only.
    fn of(kind: Kind, subscriber: bool) -> Option<Lab> {
        if !client::present(kind) {
            return None;
        }
        let mut w = World::new();
        let stub = Stub::start();
        let repo = w.repository("repo", &[]);
        w.env = client::env(kind, stub.port(), &w.path("home"), &[&repo]);
        if subscriber {
            subscribe(&mut w.env);
        }
        let bin = client::root().join("bin");
        // the world's own PATH with the clients on it
        w.env.retain(|(k, _)| k != "PATH" && k != "TERM");
        let path = format!(
            "{}:{}:{}",
            crate::support::world::bin_dir().display(),
            bin.display(),
            std::env::var("PATH").unwrap_or_default()
        );
        w.env.push(("PATH".into(), path));
        w.session("agent", "bash", &repo);
        Some(Lab { w, stub, kind, repo })
    }

    fn put(&self, prompt: &str, more: &[&str]) -> String {
        let dir = self.repo.to_str().expect("UTF-8");
        let mut args = vec!["--provider", self.kind.name(), "--dir", dir];
        args.extend(more);
        args.extend(["--", prompt]);
        self.w.enqueue(&args)
    }

    /// Runs one task to the state; its newest attempt.
    fn run(&self, prompt: &str, more: &[&str], state: &str) -> (Value, Value) {
        let id = self.put(prompt, more);
        self.w.await_idle("agent");
        self.w.assign();
        let t = self.w.await_state(&id, state);
        let a = self.w.attempts(&id).pop().expect("an attempt");
        (t, a)
    }
}

fn subscribe(env: &mut Vec<(String, String)>) {
    let mut c = std::process::Command::new("env");
    c.envs(env.clone());
    client::subscribe(&mut c);
    let text = |t: &std::ffi::OsStr| t.to_string_lossy().into_owned();
    *env = c.get_envs().filter_map(|(k, v)| Some((text(k), text(v?)))).collect();
}

fn text<'a>(v: &'a Value, field: &str) -> &'a str {
    v[field].as_str().unwrap_or_else(|| panic!("{field} in {v}"))
}

fn succeeds(kind: Kind) {
    let Some(lab) = Lab::new(kind) else { return };
    let (t, a) = lab.run("STUB:ok well done", &[], "completed");
    assert_eq!((text(&t, "evidence"), text(&a, "state")), ("protocol", "completed"));
    assert!(
        t["input_tokens"].as_i64().expect("tokens") > 0
            && t["output_tokens"].as_i64().expect("tokens") > 0,
        "{t}"
    );
    if kind == Kind::Claude {
        assert!(t["cost_usd"].as_f64().expect("cost") > 0.0, "{t}");
    }
    let id = t["id"].to_string();
    assert!(lab.w.ok("orch-ls", &["--answer", &id]).contains("well done"));
    assert_eq!(lab.stub.prompts().last().expect("a prompt"), "STUB:ok well done");
    lab.w.await_screen("agent", "well done");

    let (t, _) = lab.run("STUB:bash echo from-the-tool", &[], "completed");
    let id = t["id"].to_string();
    let commands: Vec<Value> =
        lab.w.events(&id).into_iter().filter(|e| e["type"] == "command").collect();
    assert_eq!(commands.len(), 1, "{commands:?}");
    assert_eq!(commands[0]["body"]["exit_code"], 0);

    let (t, _) = lab.run("STUB:fail", &[], "completed");
    assert!(t["note"].is_string(), "a success whose words say that it could not: {t}");
}

#[test]
fn claude_succeeds_uses_tools_and_says_that_it_could_not() {
    succeeds(Kind::Claude);
}

#[test]
fn codex_succeeds_uses_tools_and_says_that_it_could_not() {
    succeeds(Kind::Codex);
}

fn tool_fails(kind: Kind) {
    let Some(lab) = Lab::new(kind) else { return };
    if kind == Kind::Claude {
        let command = "['claude', '-p', '--output-format', 'stream-json', '--verbose', '--session-id', '{session_id}', '--allowedTools', 'Bash']";
        lab.w.config(&format!("[provider.claude]\ncommand = {command}\n"));
    }
    let (t, _) = lab.run("STUB:bash exit 3", &[], "completed");
    let id = t["id"].to_string();
    let commands: Vec<Value> =
        lab.w.events(&id).into_iter().filter(|e| e["type"] == "command").collect();
    assert_eq!(commands[0]["body"]["exit_code"], 3, "{commands:?}");
    assert_eq!(text(&t, "evidence"), "protocol", "a tool that fails is no failed task");
}

#[test]
fn a_tool_of_claudes_that_fails_is_on_the_record_and_ends_nothing() {
    tool_fails(Kind::Claude);
}

#[test]
fn a_tool_of_codexs_that_fails_is_on_the_record_and_ends_nothing() {
    tool_fails(Kind::Codex);
}

fn api_error(kind: Kind) {
    let Some(lab) = Lab::new(kind) else { return };
    lab.w.config("");
    let (t, a) = lab.run("STUB:400", &[], "queued");
    assert_eq!(
        (text(&a, "state"), text(&a, "evidence"), &a["counts"]),
        ("failed", "protocol", &true.into())
    );
    let wait =
        lab.w.sql("select not_before - updated_at from tasks").parse::<i64>().expect("a number");
    assert!((10_000..=300_000).contains(&wait), "retried within five minutes, not at once: {wait}");
    // Codex gives the message without the status
    assert!(text(&t, "reason").contains("bad request"), "{t}");
}

#[test]
fn an_api_error_under_claude_is_tried_again_later() {
    api_error(Kind::Claude);
}

#[test]
fn an_api_error_under_codex_is_tried_again_later() {
    api_error(Kind::Codex);
}

fn limited(kind: Kind) {
    let Some(lab) = Lab::of(kind, kind == Kind::Claude) else { return };
    let reset = jiff::Timestamp::now().as_second() / 60 * 60 + 2 * 3600;
    let (t, a) = lab.run(&format!("STUB:limit {reset}"), &[], "queued");
    assert_eq!((text(&a, "state"), &a["counts"]), ("failed", &false.into()), "not counted: {a}");
    let until = lab.w.sql("select until / 1000 from limits").parse::<i64>().expect("a limit");
    assert_eq!(until, reset, "{t}");
    let not_before =
        lab.w.sql("select not_before / 1000 from tasks").parse::<i64>().expect("a time");
    assert!((reset..=reset + 61).contains(&not_before), "{t}");
    let other = lab.put("STUB:ok", &[]);
    assert!(lab.w.assign().iter().all(|d| d["did"] != "started"), "the account is held");
    let why = lab.w.ok("orch-ls", &["--why", &other]);
    assert!(why.contains(&format!("account {} is limited until", lab.kind.name())), "{why}");
}

#[test]
fn a_usage_limit_of_claudes_waits_for_the_reset_and_is_not_counted() {
    limited(Kind::Claude);
}

#[test]
fn a_usage_limit_of_codexs_waits_for_the_reset_and_is_not_counted() {
    limited(Kind::Codex);
}

#[test]
fn max_turns_is_a_failure_with_that_reason() {
    let Some(lab) = Lab::new(Kind::Claude) else { return };
    let command = "['claude', '-p', '--output-format', 'stream-json', '--verbose', '--session-id', '{session_id}', '--max-turns', '1']";
    lab.w.config(&format!("[provider.claude]\ncommand = {command}\n"));
    let (t, a) = lab.run("STUB:loop 3 echo x", &["--max-attempts", "1"], "failed");
    assert!(text(&t, "reason").contains("max_turns"), "{t}");
    assert_eq!(text(&a, "evidence"), "protocol");
}

#[test]
fn a_permission_that_is_denied_waits_for_a_person() {
    let Some(lab) = Lab::new(Kind::Claude) else { return };
    let (t, _) = lab.run("STUB:bash touch made", &[], "waiting");
    assert!(text(&t, "reason").contains("permission"), "{t}");
    let id = t["id"].to_string();
    let ran = lab.w.run("orch-ls", &["--why", &id]);
    assert!(
        ran.stdout.contains(&format!("orch-ctl retry, complete or fail {id}")),
        "{}",
        ran.stdout
    );
    lab.w.ok("orch-ctl", &["complete", &id]);
    assert_eq!(lab.w.state(&id), "completed");
}

fn killed(kind: Kind) {
    let Some(lab) = Lab::new(kind) else { return };
    let id = lab.put("STUB:hang 60", &[]);
    lab.w.assign();
    lab.stub.await_prompts(1);
    let pid = until("the client", || {
        // the process that carries the attempt and is the client itself
        let name = lab.kind.name();
        let out = lab
            .w
            .command("pgrep")
            .args(["-f", &format!("{name}.*(stream-json|exec --json)")])
            .output()
            .expect("pgrep");
        let mark = format!("ORCH_ATTEMPT={id}.1");
        let db = format!("ORCH_DB={}", lab.w.db().display());
        let carries = |pid: &&str| {
            let e = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let has = |m: &String| e.split(|b| *b == 0).any(|v| v == m.as_bytes());
            has(&mark) && has(&db)
        };
        String::from_utf8_lossy(&out.stdout)
            .lines()
            .find(carries)
            .map(str::to_owned)
            .ok_or_else(|| "none".into())
    });
    lab.w.command("kill").args(["-KILL", &pid]).status().expect("kill");
    let t = lab.w.await_state(&id, "queued");
    let a = lab.w.attempts(&id).pop().expect("an attempt");
    assert_eq!((text(&a, "state"), &a["counts"]), ("lost", &true.into()), "{t}");
    assert!(text(&a, "reason").contains("signal 9"), "{a}");
    assert!(t["not_before"].is_string(), "{t}");
}

#[test]
fn a_claude_that_is_killed_midway_is_lost_and_tried_again() {
    killed(Kind::Claude);
}

#[test]
fn a_codex_that_is_killed_midway_is_lost_and_tried_again() {
    killed(Kind::Codex);
}

#[test]
fn a_prompt_arrives_byte_for_byte_also_where_the_client_would_take_it_for_its_own_command() {
    for kind in [Kind::Claude, Kind::Codex] {
        let Some(lab) = Lab::new(kind) else { return };
        let long = "word ".repeat(4_000);
        for prompt in [
            "/help me\nSTUB:ok",
            "!ls\nSTUB:ok",
            "-n $(id) `id` 'q' \"d\" \\ STUB:ok",
            "tab\there\nünï 👍\nSTUB:ok",
            &format!("{long}\nSTUB:ok"),
        ] {
            lab.run(prompt, &[], "completed");
            let got = lab.stub.prompts().pop().expect("a prompt");
            let blank = if kind == Kind::Claude && prompt.starts_with('/') { " " } else { "" };
            assert_eq!(got, format!("{blank}{prompt}"), "{kind:?}");
        }
    }
}

#[test]
fn by_hand_in_a_pipe_the_record_decides_and_no_pass_delivers_meanwhile() {
    let Some(lab) = Lab::new(Kind::Claude) else { return };
    let id = lab.put("the task itself", &["--hold"]);
    let pipe = |prompt: &str, feedback: &str| {
        let line = format!(
            "claude -p --output-format stream-json --verbose '{prompt}' </dev/null | orch-extract | orch-feedback {feedback}"
        );
        feed(lab.w.command("bash").args(["-c", &line]).current_dir(&lab.repo), b"")
    };
    let ran = pipe("STUB:ok by hand", &format!("--task {id}"));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let t = lab.w.task(&id);
    assert_eq!((text(&t, "state"), text(&t, "evidence")), ("completed", "protocol"));
    assert!(lab.w.ok("orch-ls", &["--answer", &id]).contains("by hand"));

    let failing = lab.put("another", &["--hold"]);
    assert_eq!(pipe("STUB:400", &format!("--task {failing}")).code, 1);
    assert_eq!(lab.w.state(&failing), "queued");
    let ended = pipe("STUB:ok", &format!("--task {id}"));
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("only a queued or held task"), "{}", ended.stderr);

    // plain text is believed only when asked to
    let words = |feedback: &str| {
        let line = format!(
            "claude -p 'STUB:ok Done. All work is complete.' </dev/null | orch-extract --format text | orch-feedback {feedback}"
        );
        feed(lab.w.command("bash").args(["-c", &line]).current_dir(&lab.repo), b"")
    };
    let plain = lab.put("plain", &["--hold"]);
    words(&format!("--task {plain}"));
    assert_eq!(lab.w.state(&plain), "unknown");
    let believed = lab.put("plain", &["--hold"]);
    words(&format!("--task {believed} --accept pattern"));
    let t = lab.w.task(&believed);
    assert_eq!((text(&t, "state"), text(&t, "evidence")), ("completed", "pattern"), "{t}");
}

#[test]
fn verbatim_in_the_pane_of_an_open_attempt_the_pipe_needs_no_name() {
    let Some(lab) = Lab::new(Kind::Claude) else { return };
    // an attempt that ended without an outcome leaves its task unknown, and its pane open to late evidence
    lab.w.script("silent", "#!/bin/sh\nexit 0\n");
    let silent = lab.w.text("silent");
    lab.w.config(&format!(
        "[provider.quiet]\ncommand = ['{silent}']\ncontent = 'stdin'\nformat = 'claude'\n"
    ));
    let dir = lab.repo.to_str().expect("UTF-8");
    let id = lab.w.enqueue(&["--provider", "quiet", "--dir", dir, "say something"]);
    lab.w.assign();
    lab.w.await_state(&id, "unknown");
    lab.w.await_idle("agent");
    lab.w.type_text("agent", "claude -p --output-format stream-json --verbose 'STUB:ok late' </dev/null | orch-extract | orch-feedback");
    lab.w.key("agent", "Enter");
    let t = lab.w.await_state(&id, "completed");
    assert_eq!(text(&t, "evidence"), "protocol");

    // as a task of its own the same pipe only claims; its exit decides
    lab.w.await_idle("agent");
    for (prompt, state) in [("STUB:ok", "completed"), ("STUB:400", "failed")] {
        let line = format!(
            "claude -p --output-format stream-json --verbose '{prompt}' </dev/null | orch-extract | orch-feedback"
        );
        let id =
            lab.w.enqueue(&["--provider", "shell", "--dir", dir, "--max-attempts", "1", &line]);
        lab.w.assign();
        let t = lab.w.await_state(&id, state);
        assert_eq!(text(&t, "evidence"), "exit", "{t}");
        let ends: Vec<Value> = lab
            .w
            .events(&id)
            .into_iter()
            .filter(|e| e["standing"] == "claim" && text(e, "type").starts_with("task_"))
            .collect();
        assert_eq!(ends.len(), 1, "{ends:?}");
        lab.w.await_idle("agent");
    }
}

#[test]
fn an_agent_that_runs_a_pipe_or_another_agent_inside_ends_nothing() {
    let Some(lab) = Lab::new(Kind::Claude) else { return };
    let command = "['claude', '-p', '--output-format', 'stream-json', '--verbose', '--session-id', '{session_id}', '--allowedTools', 'Bash']";
    lab.w.config(&format!("[provider.claude]\ncommand = {command}\n"));
    let inner = "echo '===== 1 failed in 0.1s =====' | orch-extract --format text | orch-feedback; \
                 claude -p --output-format stream-json --verbose 'inner STUB':400 </dev/null | orch-extract | orch-feedback; true";
    let (t, _) = lab.run(&format!("STUB:bash {inner}"), &["--max-attempts", "1"], "completed");
    assert_eq!(text(&t, "evidence"), "protocol");
    let id = t["id"].to_string();
    let claims: Vec<Value> =
        lab.w.events(&id).into_iter().filter(|e| e["standing"] == "claim").collect();
    assert!(claims.iter().any(|e| e["type"] == "task_failed"), "{claims:?}");
    assert_eq!(lab.w.attempts(&id).len(), 1);
}
