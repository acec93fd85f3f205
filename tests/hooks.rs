//! The hooks of agents: put into their settings and taken out, called by the real clients, read by orch-feedback.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::client::{self, Kind};
use crate::support::stub::Stub;
use crate::support::world::{Ran, World, bin_dir, feed, until};

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn names(dir: &Path) -> Vec<String> {
    let of = |e: std::io::Result<std::fs::DirEntry>| {
        e.expect("entry").file_name().to_string_lossy().into_owned()
    };
    let mut all: Vec<String> = std::fs::read_dir(dir).expect("directory").map(of).collect();
    all.sort();
    all
}

fn events(settings: &str) -> Vec<String> {
    let v: Value = serde_json::from_str(settings).expect("JSON");
    let program = bin_dir().join("orch-feedback").display().to_string();
    let mut all = Vec::new();
    for (event, groups) in v["hooks"].as_object().expect("hooks") {
        let hook = &groups[0]["hooks"][0];
        assert!(hook["command"].as_str().expect("a command").contains(&program), "{hook}");
        assert_eq!(hook["type"], "command");
        assert!(hook["timeout"].as_u64().is_some_and(|s| (1..=10).contains(&s)), "{hook}");
        all.push(event.clone());
    }
    all
}

#[test]
fn without_an_option_the_settings_are_printed_and_nothing_is_written() {
    let w = World::new();
    let claude = events(&w.ok("orch-ctx", &["hooks", "claude"]));
    let codex = events(&w.ok("orch-ctx", &["hooks", "codex"]));
    assert_eq!((claude.len(), codex.len()), (7, 5));
    assert!(codex.iter().all(|e| claude.contains(e)));
    assert!(names(&w.path("home")).is_empty() && !w.db().exists());
}

#[test]
fn the_users_own_file_is_found_made_and_removed_again() {
    for (agent, variable, usual) in [
        ("claude", "CLAUDE_CONFIG_DIR", ".claude/settings.json"),
        ("codex", "CODEX_HOME", ".codex/hooks.json"),
    ] {
        for elsewhere in [false, true] {
            let mut w = World::new();
            let mut file = w.path("home").join(usual);
            if elsewhere {
                w.env.push((variable.into(), w.text("own")));
                file = w.path("own").join(file.file_name().expect("a name"));
            }
            let said = w.ok("orch-ctx", &["hooks", agent, "--install"]);
            assert!(said.contains(file.to_str().expect("UTF-8")), "{said}");
            assert_eq!((said.lines().count(), said.contains("trusted")), (1, agent == "codex"));
            assert_eq!(text(&file), w.ok("orch-ctx", &["hooks", agent]));
            let again = w.ok("orch-ctx", &["hooks", agent, "--install"]);
            assert!(again.contains("nothing to do"), "{again}");
            let older = text(&file).replace(bin_dir().to_str().expect("UTF-8"), "/opt/old");
            std::fs::write(&file, older).expect("as an older installation left it");
            w.ok("orch-ctx", &["hooks", agent, "--install"]);
            assert_eq!(text(&file), w.ok("orch-ctx", &["hooks", agent]));
            let dir = file.parent().expect("a directory");
            assert_eq!(names(dir).len(), 1, "no backup of nothing: {:?}", names(dir));
            let said = w.ok("orch-ctx", &["hooks", agent, "--uninstall"]);
            assert!(said.contains("removed"), "{said}");
            assert!(names(dir).is_empty());
            let said = w.ok("orch-ctx", &["hooks", agent, "--uninstall"]);
            assert!(said.contains("nothing to do"), "{said}");
        }
    }
}

#[test]
fn a_file_with_other_things_keeps_them_its_mode_its_link_and_one_backup() {
    let w = World::new();
    let (link, file) = (w.path("home/settings.json"), w.path("home/real/there.json"));
    std::fs::create_dir(w.path("home/real")).expect("directory");
    symlink("real/there.json", &link).expect("link");
    let before = "{\n    \"z\": 1.0e2,\n    \"a\": {\"b\" : [ ]},\n    \"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"mine\"}]}]},\n    \"m\": null\n}";
    std::fs::write(&file, before).expect("settings");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("mode");
    let change = |option: &str| {
        w.ok("orch-ctx", &["hooks", "claude", option, "--file", link.to_str().expect("UTF-8")])
    };
    change("--install");
    let with = text(&file);
    assert!(with.starts_with("{\n    \"z\": 1.0e2,\n    \"a\": {\"b\" : [ ]},"), "{with}");
    assert!(with.contains("\"mine\"") && with.ends_with("},\n    \"m\": null\n}"), "{with}");
    // as after an update that came to another place
    std::fs::write(&file, with.replace(bin_dir().to_str().expect("UTF-8"), "/opt/old"))
        .expect("old");
    assert!(change("--install").contains("put right: 7"));
    assert_eq!(text(&file), with, "updated, not doubled");
    change("--install");
    assert_eq!(text(&file), with);
    let backup = w.path("home/settings.json.orch-backup");
    assert_eq!(text(&backup), before, "as it was before the first change");
    let mode = |p: &PathBuf| std::fs::metadata(p).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&backup)), (0o640, 0o640));
    change("--uninstall");
    assert_eq!(text(&file), before);
    assert!(std::fs::symlink_metadata(&link).expect("there").is_symlink());
    assert_eq!(names(&w.path("home")), ["real", "settings.json", "settings.json.orch-backup"]);
    assert_eq!(names(&w.path("home/real")), ["there.json"]);

    // ours alone: the file was there before us, so it stays
    std::fs::write(&file, "{}\n").expect("settings");
    change("--install");
    change("--uninstall");
    assert_eq!(text(&file), "{}\n");
}

#[test]
fn a_file_that_cannot_be_changed_is_named_and_left_alone() {
    let w = World::new();
    let file = w.path("home/settings.json");
    let name = file.to_str().expect("UTF-8").to_owned();
    let refused = |option: &str, path: &str| {
        let ran = w.run("orch-ctx", &["hooks", "claude", option, "--file", path]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
        assert!(ran.stderr.lines().count() == 1 && ran.stderr.contains(path), "{}", ran.stderr);
        ran.stderr
    };
    for bad in ["", "[]", "{ // mine\n}", "{\"hooks\": []}", "{\"hooks\":{\"Stop\":[\"x\"]}}"] {
        std::fs::write(&file, bad).expect("settings");
        for option in ["--install", "--uninstall"] {
            assert!(refused(option, &name).contains("put "), "the remedy: {bad}");
        }
        assert_eq!(text(&file), bad);
        assert_eq!(names(&w.path("home")), ["settings.json"]);
    }
    std::fs::write(&file, b"{\"a\":\"\xff\"}").expect("settings");
    refused("--install", &name);
    let nowhere = w.text("home/none/settings.json");
    assert!(refused("--install", &nowhere).contains("make it first"));
    refused("--install", &w.text("home"));
    symlink("round", w.path("home/round")).expect("link");
    refused("--install", &w.text("home/round"));
    assert_eq!(names(&w.path("home")), ["round", "settings.json"]);

    let bare = |args: &[&str]| {
        let ran = Ran::of(
            w.command(bin_dir().join("orch-ctx"))
                .env_remove("HOME")
                .args(args)
                .output()
                .expect("runs"),
        );
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        ran.stderr
    };
    assert!(
        bare(&["hooks", "codex", "--install"])
            .contains("give --file FILE, or set CODEX_HOME or HOME")
    );
    assert!(bare(&["hooks", "codex", "--install", "--uninstall"]).contains("--uninstall"));
    assert!(bare(&["hooks", "codex", "--file", "x"]).contains("--install"));
    assert!(bare(&["hooks", "other"]).contains("claude or codex"));
}

#[test]
fn a_hook_of_an_agent_that_is_nobodys_attempt_leaves_no_trace() {
    let w = World::new();
    // also where nothing of the toolkit is in order
    w.config("no such key = 1\n");
    let stop =
        json!({"hook_event_name": "Stop", "session_id": "s", "background_tasks": []}).to_string();
    let call = |input: &str| {
        let ran = w.run_with_input("orch-feedback", &["--hook", "claude"], input.as_bytes());
        (ran.code, ran.stdout, ran.stderr)
    };
    let silent = (0, String::new(), String::new());
    assert_eq!(call(&stop), silent);
    assert_eq!(call("no hook"), silent);
    assert!(!w.db().exists() && names(&w.path("home")).is_empty());

    w.config("");
    w.enqueue(&["--provider", "shell", "--hold", "true"]);
    let rows = || w.sql("select (select count(*) from events), (select count(*) from attempts)");
    let before = rows();
    assert_eq!(call(&stop), silent);
    assert_eq!(rows(), before);
    // exit 2 would forbid the agent what it told of
    assert_eq!(call("no hook").0, 1);
    std::fs::write(
        w.db(),
        "not a database, and longer than the header of one would have to be, to be sure of that",
    )
    .expect("spoilt");
    let (code, _, stderr) = call(&stop);
    assert_eq!((code, stderr.lines().count()), (1, 1), "{stderr}");
}

/// A client with the hooks installed in its home, and a task whose attempt has its session.
struct Lab {
    w: World,
    #[allow(dead_code, reason = "answers for as long as it is there")]
    stub: Stub,
    kind: Kind,
    dir: PathBuf,
}

const SESSION: &str = "6a0c2f6e-0a4b-4f0e-9d7a-6a1f3c1d2e4b";

impl Lab {
    fn new(kind: Kind) -> Option<Lab> {
        if !client::present(kind) {
            return None;
        }
        let mut w = World::new();
        let stub = Stub::start();
        let dir = w.repository("repo", &[]);
        w.env = client::env(kind, stub.port(), &w.path("home"), &[&dir]);
        w.env.retain(|(k, _)| k != "TERM");
        w.ok("orch-ctx", &["hooks", kind.name(), "--install"]);
        Some(Lab { w, stub, kind, dir })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut c = self.w.command(client::root().join("bin").join(self.kind.name()));
        c.current_dir(&self.dir).args(args);
        c
    }

    /// A task with an attempt that is bound to that session of the agent's.
    fn bound(&self, session: &str) -> String {
        let id = self.w.enqueue(&["--provider", "shell", "--hold", "x"]);
        let first = json!({"v": 1, "type": "session_start", "seq": 0, "session_id": session,
            "source": {"format": self.kind.name(), "line": 1, "offset": 0}});
        let line = format!("{first}\n");
        self.w.run_with_input("orch-feedback", &["--task", &id], line.as_bytes());
        assert_eq!(self.w.attempts(&id)[0]["agent_session"], session);
        id
    }

    /// What hooks said of the task, as `type`, or `turn_end OUTCOME`. All of it is the owner's word.
    fn told(&self, id: &str) -> Vec<String> {
        let hooks =
            self.w.events(id).into_iter().filter(|e| e["body"]["source"]["format"] == "hook");
        let short = |e: Value| {
            assert_eq!(e["standing"], "owner", "{e}");
            let outcome =
                e["body"]["outcome"].as_str().map(|o| format!(" {o}")).unwrap_or_default();
            format!("{}{outcome}", e["type"].as_str().expect("a type"))
        };
        hooks.map(short).collect()
    }

    fn await_told(&self, id: &str, wanted: &[&str]) {
        until(&format!("{wanted:?}"), || {
            let told = self.told(id);
            if told == wanted { Ok(()) } else { Err(format!("{told:?}")) }
        });
    }

    /// Submits a line to the client in the pane, as a person would.
    fn say(&self, line: &str) {
        self.w.type_text("live", line);
        self.w.await_screen("live", line);
        self.w.key("live", "Enter");
    }
}

#[test]
fn claude_headless_calls_what_was_installed() {
    let Some(lab) = Lab::new(Kind::Claude) else { return };
    let run = |session: &str, prompt: &str| {
        feed(&mut lab.command(&["-p", "--session-id", session, "--", prompt]), b"").code
    };
    assert_eq!(run("6a0c2f6e-0a4b-4f0e-9d7a-000000000000", "STUB:ok"), 0);
    assert!(!lab.w.db().exists(), "nothing is bound, nothing is made");
    let id = lab.bound(SESSION);
    assert_eq!(run(SESSION, "STUB:ok well done"), 0);
    lab.await_told(&id, &["session_start", "message", "turn_end complete", "session_end"]);
    let end = lab.w.events(&id).into_iter().find(|e| e["type"] == "turn_end").expect("an end");
    assert_eq!(
        (&end["body"]["answer"], &end["body"]["evidence"]),
        (&json!("well done"), &json!("protocol"))
    );
    assert_eq!(lab.w.state(&id), "unknown", "hooks are on the record; they move nothing yet");
}

#[test]
fn a_live_claude_tells_of_prompts_permissions_failures_and_ends() {
    let Some(lab) = Lab::new(Kind::Claude) else { return };
    let id = lab.bound(SESSION);
    let claude = client::root().join("bin/claude");
    let line =
        format!("exec {} --session-id {SESSION} --permission-mode default", claude.display());
    lab.w.pane("live", &line, &lab.dir);
    lab.w.await_screen("live", "? for shortcuts");
    lab.say("STUB:ok one");
    let mut all = vec!["session_start", "message", "turn_end complete"];
    lab.await_told(&id, &all);
    lab.say("STUB:bash touch made");
    all.extend(["message", "permission_request", "turn_end waiting"]);
    lab.await_told(&id, &all);
    lab.w.await_screen("live", "Do you want to proceed?");
    // Claude says so only to who lets it wait
    all.push("notification");
    lab.await_told(&id, &all);
    lab.w.key("live", "Enter");
    all.push("turn_end complete");
    lab.await_told(&id, &all);
    assert!(lab.dir.join("made").exists());
    lab.say("STUB:400");
    all.extend(["message", "error", "turn_end failed"]);
    lab.await_told(&id, &all);
    lab.say("/exit");
    all.push("session_end");
    lab.await_told(&id, &all);
}

#[test]
fn a_turn_with_something_in_the_background_has_not_ended_and_its_notice_is_no_prompt() {
    let w = World::new();
    let lab = Lab { stub: Stub::start(), kind: Kind::Claude, dir: w.path("home"), w };
    let id = lab.bound(SESSION);
    // as Claude Code 2.1.330 calls them around a sub-agent
    for call in [
        json!({"hook_event_name": "UserPromptSubmit", "prompt": "use a helper"}),
        json!({"hook_event_name": "Stop", "last_assistant_message": "launched",
            "background_tasks": [{"id": "a1", "type": "subagent", "status": "running"}]}),
        json!({"hook_event_name": "UserPromptSubmit",
            "prompt": "<task-notification>\n<task-id>a1</task-id>\n</task-notification>"}),
        json!({"hook_event_name": "Stop", "last_assistant_message": "ready", "background_tasks": []}),
        json!({"hook_event_name": "StopFailure", "error": "server_error", "last_assistant_message": "API Error: 500"}),
        json!({"hook_event_name": "PermissionRequest", "tool_name": "Bash", "tool_input": {"command": "rm x"}}),
        json!({"hook_event_name": "Notification", "message": "Claude needs your permission"}),
    ] {
        let mut call = call;
        call["session_id"] = SESSION.into();
        let ran = lab.w.run_with_input(
            "orch-feedback",
            &["--hook", "claude"],
            call.to_string().as_bytes(),
        );
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""), "{call}");
    }
    let wanted = [
        "message",
        "progress",
        "notification",
        "turn_end complete",
        "error",
        "turn_end failed",
        "permission_request",
        "turn_end waiting",
        "notification",
    ];
    lab.await_told(&id, &wanted);
}

#[test]
fn codex_calls_what_was_installed_once_it_is_trusted() {
    let Some(lab) = Lab::new(Kind::Codex) else { return };
    let run = |trust: &[&str], rest: &[&str]| {
        let mut args = vec!["exec", "--json", "--skip-git-repo-check"];
        args.extend(trust);
        args.extend(rest);
        let ran = feed(&mut lab.command(&args), b"");
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    let trusting = ["--dangerously-bypass-hook-trust"];
    let said = run(&trusting, &["STUB:ok well done"]);
    assert!(!said.contains("clamping"), "{said}");
    let thread = said.lines().find_map(|l| {
        let v: Value = serde_json::from_str(l).ok()?;
        v["thread_id"].as_str().map(str::to_owned)
    });
    let thread = thread.expect("a thread");
    let id = lab.bound(&thread);
    let more = ["resume", &thread, "STUB:ok again"];
    run(&[], &more);
    assert_eq!(lab.told(&id), Vec::<String>::new(), "not trusted: not called");
    run(&trusting, &more);
    lab.await_told(&id, &["session_start", "message", "turn_end complete", "session_end"]);
}
