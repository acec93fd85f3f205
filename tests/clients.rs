//! What the real clients take and print when they run headless: the facts that the rest is built on.

use std::io::Write;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::{self, Kind};
use crate::support::stub::Stub;

const SESSION: &str = "5f0c2f6e-0a4b-4f0e-9d7a-6a1f3c1d2e4b";

/// A stub, and a home and a directory for the client.
struct Bench {
    kind: Kind,
    stub: Stub,
    home: TempDir,
    dir: TempDir,
}

impl Bench {
    fn new(kind: Kind) -> Option<Bench> {
        let tempdir = || TempDir::new().expect("temporary directory");
        client::present(kind).then(|| Bench {
            kind,
            stub: Stub::start(),
            home: tempdir(),
            dir: tempdir(),
        })
    }

    /// The client, ready to read its prompt on stdin.
    fn command(&self, flags: &[&str]) -> Command {
        let mut command =
            client::command(self.kind, self.stub.port(), self.home.path(), self.dir.path());
        match self.kind {
            Kind::Claude => {
                command.args(["-p", "--output-format", "stream-json", "--verbose"]).args(flags)
            }
            Kind::Codex => {
                command.args(["exec", "--json", "--skip-git-repo-check"]).args(flags).arg("-")
            }
        };
        command
    }

    fn run(&self, flags: &[&str], prompt: &str) -> Run {
        finish(start(self.command(flags), prompt))
    }

    /// Starts a shell command through the model and waits until it runs. Answers the client and the command's process.
    fn run_tool(&self, flags: &[&str]) -> (Child, Pid) {
        let child =
            start(self.command(flags), "STUB:bash echo $$ > running; exec tail -f /dev/null");
        let file = self.dir.path().join("running");
        let pid = wait_for("the tool to run", || {
            let text = std::fs::read_to_string(&file).ok()?;
            Pid::from_raw(text.strip_suffix('\n')?.parse().ok()?)
        });
        (child, pid)
    }
}

/// How a client ended and what it printed.
struct Run {
    status: ExitStatus,
    lines: Vec<Value>,
    stderr: String,
}

impl Run {
    fn code(&self) -> Option<i32> {
        self.status.code()
    }

    fn last(&self) -> &Value {
        self.lines.last().expect("a line on stdout")
    }

    fn types(&self) -> Vec<&str> {
        self.lines.iter().filter_map(|l| l["type"].as_str()).collect()
    }

    /// The items of a Codex stream that ended and are of this type.
    fn items(&self, kind: &str) -> Vec<&Value> {
        let ended = self.lines.iter().filter(|l| l["type"] == "item.completed");
        ended.map(|l| &l["item"]).filter(|item| item["type"] == kind).collect()
    }
}

fn start(mut command: Command, prompt: &str) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("start the client");
    child.stdin.take().expect("stdin").write_all(prompt.as_bytes()).expect("write the prompt");
    child
}

/// Waits for the client to end; one that would not is killed after 60 s.
fn finish(child: Child) -> Run {
    let pid = Pid::from_child(&child);
    let (ended, end) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        if end.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            kill_process(pid, Signal::KILL).expect("end the client");
        }
    });
    let output = child.wait_with_output().expect("wait for the client");
    drop(ended);
    let stdout = String::from_utf8(output.stdout).expect("UTF-8 on stdout");
    let lines = stdout.lines().map(|l| serde_json::from_str(l).expect("a JSON line"));
    Run {
        status: output.status,
        lines: lines.collect(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited 60 s for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("signal the client");
}

fn wait_until_gone(pid: Pid) {
    wait_for("the tool to end", || test_kill_process(pid).is_err().then_some(()));
}

/// Prompts that a terminal or an option parser would take for something else, and big ones.
fn prompts() -> Vec<String> {
    let forty: Vec<String> = (0..40).map(|n| format!("line {n}\twith a tab")).collect();
    let small = [
        "one line",
        "/etc/hosts is a file",
        "!ls",
        "@README.md is missing",
        "# a heading",
        "-n",
        "  spaces and line ends around \n\n",
        "line one\r\nline two",
        "héllo 世界 👩‍🚀 e\u{301} zero\u{200b}width",
        " /help",
    ];
    let big = [forty.join("\n"), "0123456789abcdef\n".repeat(1280)];
    small.map(str::to_owned).into_iter().chain(big).collect()
}

#[test]
fn claude_ends_with_a_result_under_the_session_id_we_chose() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let run = bench.run(&["--session-id", SESSION], "STUB:ok all is well");
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    assert_eq!(run.lines[0]["subtype"], "init");
    assert!(run.lines.iter().all(|l| l["session_id"] == SESSION));
    let last = run.last();
    assert_eq!(last["type"], "result");
    assert_eq!(last["subtype"], "success");
    assert_eq!(last["is_error"], false);
    assert_eq!(last["terminal_reason"], "completed");
    assert_eq!(last["num_turns"], 1);
    assert_eq!(last["result"], "all is well");
    assert_eq!(bench.stub.prompts(), ["STUB:ok all is well"]);
}

#[test]
fn codex_ends_with_a_completed_turn() {
    let Some(bench) = Bench::new(Kind::Codex) else { return };
    let run = bench.run(&[], "STUB:ok all is well");
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    assert_eq!(run.types(), ["thread.started", "turn.started", "item.completed", "turn.completed"]);
    assert!(run.lines[0]["thread_id"].is_string());
    assert_eq!(run.items("agent_message")[0]["text"], "all is well");
    assert_eq!(bench.stub.prompts(), ["STUB:ok all is well"]);
}

#[test]
fn claude_takes_prompts_on_stdin_byte_for_byte() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    for prompt in prompts() {
        bench.run(&[], &prompt);
    }
    assert_eq!(bench.stub.prompts(), prompts());
}

#[test]
fn codex_takes_prompts_on_stdin_byte_for_byte() {
    let Some(bench) = Bench::new(Kind::Codex) else { return };
    let all: Vec<String> = prompts().into_iter().chain(["/help me".to_owned()]).collect();
    for prompt in &all {
        bench.run(&[], prompt);
    }
    assert_eq!(bench.stub.prompts(), all);
}

#[test]
fn claude_runs_a_prompt_that_begins_with_a_command_and_calls_that_success() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let run = bench.run(&[], "/help me with this");
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    assert_eq!(run.last()["is_error"], false);
    assert_eq!(run.last()["num_turns"], 0);
    assert_eq!(run.last()["terminal_reason"], Value::Null);
    assert!(bench.stub.prompts().is_empty());
}

#[test]
fn claude_names_the_command_and_its_output() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let run = bench.run(&["--allowedTools", "Bash"], "STUB:bash echo $((6*7)); exit 3");
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    let content = |line: &Value| line["message"]["content"][0].clone();
    let call = run.lines.iter().map(content).find(|c| c["type"] == "tool_use").expect("a call");
    assert_eq!(call["name"], "Bash");
    assert_eq!(call["input"]["command"], "echo $((6*7)); exit 3");
    let result = run.lines.iter().map(content).find(|c| c["type"] == "tool_result");
    let result = result.expect("a result");
    assert_eq!(result["tool_use_id"], call["id"]);
    assert_eq!(result["is_error"], true);
    assert_eq!(result["content"], "Exit code 3\n42");
    assert_eq!(run.last()["is_error"], false);
    assert_eq!(run.last()["result"], "The command gave: Exit code 3\n42");
}

#[test]
fn codex_names_the_command_and_its_output() {
    let Some(bench) = Bench::new(Kind::Codex) else { return };
    // no sandbox: not every machine that runs the tests allows one
    let run = bench.run(&["-s", "danger-full-access"], "STUB:bash echo $((6*7)); exit 3");
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    let command = run.items("command_execution")[0];
    assert!(command["command"].as_str().is_some_and(|c| c.contains("echo $((6*7)); exit 3")));
    assert_eq!(command["aggregated_output"], "42\n");
    assert_eq!(command["exit_code"], 3);
    assert_eq!(command["status"], "failed");
    assert_eq!(run.items("agent_message")[1]["text"], "The command gave: 42");
    assert_eq!(run.last()["type"], "turn.completed");
}

#[test]
fn tools_run_as_often_as_the_model_asks() {
    for (kind, flags) in
        [(Kind::Claude, &["--allowedTools", "Bash"]), (Kind::Codex, &["-s", "danger-full-access"])]
    {
        let Some(bench) = Bench::new(kind) else { return };
        bench.run(flags, "STUB:loop 3 echo x >> file");
        let written = std::fs::read_to_string(bench.dir.path().join("file"));
        assert_eq!(written.expect("a file"), "x\nx\nx\n", "{kind:?}");
        assert_eq!(bench.stub.prompts().len(), 4, "{kind:?}");
    }
}

#[test]
fn claude_denies_a_tool_that_nobody_allowed_and_calls_that_success() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let run = bench.run(&["--permission-mode", "manual"], "STUB:bash touch file");
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    let denial = run.lines.iter().find(|l| l["subtype"] == "permission_denied");
    assert_eq!(denial.expect("a denial")["tool_name"], "Bash");
    let last = run.last();
    assert_eq!(last["is_error"], false);
    assert_eq!(last["permission_denials"][0]["tool_name"], "Bash");
    assert_eq!(last["permission_denials"][0]["tool_input"]["command"], "touch file");
    assert!(!bench.dir.path().join("file").exists());
}

#[test]
fn claude_in_accept_edits_writes_files_and_runs_nothing_else() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let flags = ["--permission-mode", "acceptEdits"];
    let run = bench.run(&flags, "STUB:bash touch file");
    assert_eq!(run.last()["permission_denials"], serde_json::json!([]));
    assert!(bench.dir.path().join("file").exists());
    let run = bench.run(&flags, "STUB:bash sh -c true");
    assert_eq!(run.last()["permission_denials"][0]["tool_name"], "Bash");
}

#[test]
fn claude_calls_an_api_error_a_success_that_is_an_error() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    for (prompt, status) in [("STUB:400", 400), ("STUB:529", 529)] {
        let run = bench.run(&[], prompt);
        assert_eq!(run.code(), Some(1));
        let last = run.last();
        assert_eq!(last["subtype"], "success");
        assert_eq!(last["is_error"], true);
        assert_eq!(last["terminal_reason"], "api_error");
        assert_eq!(last["api_error_status"], status);
        assert!(last["result"].as_str().is_some_and(|r| r.starts_with("API Error: ")), "{last}");
    }
}

#[test]
fn codex_fails_the_turn_at_an_api_error() {
    let Some(bench) = Bench::new(Kind::Codex) else { return };
    let run = bench.run(&[], "STUB:400");
    assert_eq!(run.code(), Some(1));
    assert_eq!(run.types(), ["thread.started", "turn.started", "error", "turn.failed"]);
    let message = run.last()["error"]["message"].as_str().expect("a message");
    assert!(message.contains("stub: bad request"), "{message}");
}

#[test]
fn a_cut_answer_is_an_error() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let run = bench.run(&[], "STUB:drop");
    assert_eq!(run.code(), Some(1));
    assert_eq!(run.last()["is_error"], true);
    assert_eq!(run.last()["api_error_status"], Value::Null);
    let Some(bench) = Bench::new(Kind::Codex) else { return };
    let run = bench.run(&[], "STUB:drop");
    assert_eq!(run.code(), Some(1));
    assert_eq!(run.last()["type"], "turn.failed");
}

#[test]
fn a_passing_overload_is_overcome() {
    for kind in [Kind::Claude, Kind::Codex] {
        let Some(bench) = Bench::new(kind) else { return };
        let run = bench.run(&[], "STUB:flaky 1");
        assert_eq!(run.code(), Some(0), "{kind:?}: {}", run.stderr);
        assert_eq!(bench.stub.prompts(), ["STUB:flaky 1", "STUB:flaky 1"], "{kind:?}");
    }
}

#[test]
fn claude_says_when_a_subscribers_limit_resets() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let mut command = bench.command(&[]);
    client::subscribe(&mut command);
    let run = finish(start(command, "STUB:limit 4102444800"));
    assert_eq!(run.code(), Some(1));
    let event = run.lines.iter().find(|l| l["type"] == "rate_limit_event").expect("an event");
    assert_eq!(event["rate_limit_info"]["status"], "rejected");
    assert_eq!(event["rate_limit_info"]["resetsAt"], 4_102_444_800_u64);
    let last = run.last();
    assert_eq!(last["is_error"], true);
    assert_eq!(last["api_error"], "usage_limit_reached");
    let text = last["result"].as_str().expect("text");
    assert!(text.starts_with("You've hit your 5-hour limit · resets "), "{text}");
    assert_eq!(bench.stub.prompts().len(), 1, "no use in trying again");
}

#[test]
fn claude_with_an_api_key_knows_no_reset() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let run = bench.run(&[], "STUB:limit 4102444800");
    assert_eq!(run.code(), Some(1));
    let last = run.last();
    assert_eq!(last["api_error_status"], 429);
    assert_eq!(last["api_error_type"], "rate_limit_error");
    let text = last["result"].as_str().expect("text");
    assert!(text.starts_with("API Error: Request rejected (429)"), "{text}");
    assert!(!run.types().contains(&"rate_limit_event"));
}

#[test]
fn codex_says_when_a_limit_resets_in_words() {
    let Some(bench) = Bench::new(Kind::Codex) else { return };
    for (prompt, end) in
        [("STUB:limit", "or try again later."), ("STUB:limit 4102444800", "2100 12:00 AM.")]
    {
        let mut command = bench.command(&[]);
        command.env("TZ", "UTC");
        let run = finish(start(command, prompt));
        assert_eq!(run.code(), Some(1));
        let message = run.last()["error"]["message"].as_str().expect("a message");
        assert!(message.starts_with("You’ve hit your usage limit."), "{message}");
        assert!(message.ends_with(end), "{message}");
    }
}

#[test]
fn words_of_failure_and_questions_are_ordinary_ends() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    for prompt in ["STUB:fail", "STUB:question"] {
        let run = bench.run(&[], prompt);
        assert_eq!(run.code(), Some(0));
        assert_eq!(run.last()["is_error"], false);
        assert_eq!(run.last()["stop_reason"], "end_turn");
    }
}

#[test]
fn claude_refuses_a_session_id_that_was_used() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    // a run that failed has used it too
    bench.run(&["--session-id", SESSION], "STUB:400");
    let requests = bench.stub.prompts().len();
    let run = bench.run(&["--session-id", SESSION], "STUB:ok");
    assert_eq!(run.code(), Some(1));
    assert!(run.lines.is_empty());
    assert_eq!(run.stderr.trim(), format!("Error: Session ID {SESSION} is already in use."));
    assert_eq!(bench.stub.prompts().len(), requests);
}

#[test]
fn an_empty_prompt_is_refused() {
    for (kind, blank, words) in [
        (Kind::Claude, "", "Error: Input must be provided"),
        (Kind::Claude, " \n\t", "Error: Input contained only whitespace."),
        (Kind::Codex, "", "No prompt provided via stdin."),
        (Kind::Codex, " \n\t", "No prompt provided via stdin."),
    ] {
        let Some(bench) = Bench::new(kind) else { return };
        let run = bench.run(&[], blank);
        assert_eq!(run.code(), Some(1));
        assert!(run.lines.is_empty());
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
}

#[test]
fn claude_calls_an_interrupt_an_error_and_exits_0() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let child = start(bench.command(&[]), "STUB:slow 600");
    bench.stub.await_prompts(1);
    send(&child, Signal::INT);
    let run = finish(child);
    assert_eq!(run.code(), Some(0));
    assert_eq!(run.last()["subtype"], "error_during_execution");
    assert_eq!(run.last()["is_error"], true);
}

#[test]
fn codex_stops_at_an_interrupt_without_a_word() {
    let Some(bench) = Bench::new(Kind::Codex) else { return };
    let child = start(bench.command(&[]), "STUB:hang 600");
    bench.stub.await_prompts(1);
    send(&child, Signal::INT);
    let run = finish(child);
    assert_eq!(run.code(), Some(1));
    assert_eq!(run.types(), ["thread.started", "turn.started"]);
}

#[test]
fn claude_ends_its_tool_when_it_is_told_to_end() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let (child, tool) = bench.run_tool(&["--allowedTools", "Bash"]);
    send(&child, Signal::TERM);
    let run = finish(child);
    assert_eq!(run.code(), Some(143));
    assert!(!run.types().contains(&"result"));
    wait_until_gone(tool);
}

#[test]
fn codex_ends_its_tool_when_it_is_told_to_end() {
    let Some(bench) = Bench::new(Kind::Codex) else { return };
    let (child, tool) = bench.run_tool(&["-s", "danger-full-access"]);
    send(&child, Signal::TERM);
    let run = finish(child);
    assert!(!run.types().contains(&"turn.failed"));
    assert!(!run.types().contains(&"turn.completed"));
    wait_until_gone(tool);
}

#[test]
fn a_killed_claude_leaves_its_tool_running() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let (mut child, tool) = bench.run_tool(&["--allowedTools", "Bash"]);
    send(&child, Signal::KILL);
    child.wait().expect("wait for the client");
    let left = test_kill_process(tool);
    kill_process(tool, Signal::KILL).expect("end the tool");
    assert_eq!(left, Ok(()));
}
