use std::time::{Duration, Instant};

use orch::event::{Body, End, Event, Evidence, Exit, Outcome, Severity};
use orch::extract::{Extractor, Format};
use proptest::prelude::*;

fn events(format: Format, input: &[u8]) -> Vec<Event> {
    let (mut extractor, mut out) = (Extractor::new(format), Vec::new());
    extractor.push(input, &mut out);
    extractor.finish(None, &mut out);
    out
}

fn end(events: &[Event]) -> &End {
    events.last().and_then(|e| e.body.task_end()).expect("a task_* event at the end")
}

/// The events of an input, which `auto` must know for this format by itself.
fn known(format: Format, input: &str) -> Vec<Event> {
    let named = events(format, input.as_bytes());
    assert_eq!(events(Format::Auto, input.as_bytes()), named, "auto: {input}");
    assert!(named.iter().all(|e| e.source.format == format.as_str()), "{named:?}");
    named
}

fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|e| e.body.kind()).collect()
}

/// Command lines and the codes that they ended with.
fn commands(events: &[Event]) -> Vec<(&str, Option<i64>)> {
    let commands = events.iter().filter_map(|e| match &e.body {
        Body::Command { command, exit_code, .. } => Some((command.as_str(), *exit_code)),
        _ => None,
    });
    commands.collect()
}

const CAST_3: &str = r#"{"version":3,"term":{"cols":80,"rows":24},"timestamp":1776199990,"command":"make"}
[0.5, "o", "a.c:3:4: error: expected"]
[0.25, "i", "q"]
[0.25, "o", " ';'\r\n"]
# a comment
[1.0, "r", "100x30"]
[0.0, "x", "2"]
"#;
const CAST_2: &str = r#"{"version": 2, "width": 80, "height": 24, "timestamp": 1504467315}
[0.25, "o", "=== 1 failed, \u001b[31m2 passed\u001b[0m in 0.12s ===\r\n"]
[1.5, "m", "the end"]
"#;

#[test]
fn a_recording_is_drawn_and_ends_as_its_command_did() {
    let made = known(Format::Asciicast, CAST_3);
    let (error, place) = made
        .iter()
        .find_map(|e| match &e.body {
            Body::Error { file, line, .. } => Some(((file.clone(), *line), e)),
            _ => None,
        })
        .expect("an error");
    assert_eq!(error, (Some("a.c".into()), Some(3)));
    // the line at which its row began, and the time at which it was whole
    let offset = CAST_3.find("[0.5").expect("it") as u64;
    assert_eq!((place.source.line, place.source.offset), (2, offset));
    assert_eq!(place.ts.as_deref(), Some("2026-04-14T20:53:11Z"));
    assert_eq!((end(&made).outcome, end(&made).evidence), (Outcome::Failed, Evidence::Exit));

    let tests = known(Format::Asciicast, CAST_2);
    assert_eq!((end(&tests).outcome, end(&tests).evidence), (Outcome::Failed, Evidence::Summary));
    assert!(kinds(&tests).contains(&"milestone"));
    let marked = tests.iter().find(|e| e.body.kind() == "milestone").expect("a mark");
    assert_eq!(marked.ts.as_deref(), Some("2017-09-03T19:35:16.5Z"));
}

#[test]
fn a_shell_that_was_left_says_nothing_of_its_work() {
    let left = CAST_3.replace(",\"command\":\"make\"", "").replace("a.c:3:4: error: expected", "x");
    let left = left.replace("\"x\", \"2\"", "\"x\", \"0\"");
    assert_eq!(end(&known(Format::Asciicast, &left)).outcome, Outcome::Unknown);
}

const SCRIPT: &str = "Script started on 2026-01-01 10:00:00+00:00 [COMMAND=\"make\" TERM=\"xterm\" TTY=\"/dev/pts/1\" COLUMNS=\"80\" LINES=\"24\"]\ncc a.c\r\na.c:3:4: error: no\r\nmake: *** [all] Error 1\r\n\nScript done on 2026-01-01 10:00:01+00:00 [COMMAND_EXIT_CODE=\"2\"]\n";

#[test]
fn a_typescript_ends_as_its_command_did() {
    let made = known(Format::Script, SCRIPT);
    assert_eq!((end(&made).outcome, end(&made).evidence), (Outcome::Failed, Evidence::Exit));
    let error = made.iter().find(|e| e.body.kind() == "error").expect("an error");
    assert_eq!(error.source.line, 3);
    assert_eq!(error.source.offset, SCRIPT.find("a.c:3").expect("it") as u64);
    let good = SCRIPT.replace("CODE=\"2\"", "CODE=\"0\"").replace("error: no", "x");
    assert_eq!(end(&known(Format::Script, &good)).outcome, Outcome::Complete);
    let bsd = "Script started on Thu Jan  1 10:00:00 2026\nCommand: make\nx\r\n\nCommand exit status: 1\nScript done on Thu Jan  1 10:00:01 2026\n";
    assert_eq!(end(&known(Format::Script, bsd)).outcome, Outcome::Failed);
    // A line that only begins like one of its own is text.
    let text =
        events(Format::Script, b"Script started on x\nScript does it\nmake: *** [a] Error 1\n");
    assert_eq!(end(&text).outcome, Outcome::Failed);
}

const PI: &str = r#"{"type":"session","version":3,"id":"8c1","timestamp":"2026-01-01T00:00:00.000Z","cwd":"/w"}
{"type":"model_change","id":"0","timestamp":"2026-01-01T00:00:01.000Z","provider":"anthropic","modelId":"m"}
{"type":"message","id":"1","timestamp":"2026-01-01T00:00:02.000Z","message":{"role":"user","content":[{"type":"text","text":"run the tests"}]}}
{"type":"message","id":"2","timestamp":"2026-01-01T00:00:03.000Z","message":{"role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"toolCall","id":"c1","name":"bash","arguments":{"command":"pytest"}}],"usage":{"input":10,"output":5,"cacheRead":100,"cacheWrite":0,"cost":{"total":0.25}},"stopReason":"toolUse"}}
{"type":"message","id":"3","timestamp":"2026-01-01T00:00:04.000Z","message":{"role":"toolResult","toolCallId":"c1","toolName":"bash","content":[{"type":"text","text":"=== 1 failed in 0.12s ===\n\nCommand exited with code 1"}],"isError":true}}
"#;

fn pi(stop: &str) -> String {
    format!(
        "{PI}{{\"type\":\"message\",\"id\":\"4\",\"message\":{{\"role\":\"assistant\",\"content\":[{{\"type\":\"text\",\"text\":\"One test fails.\"}}],{stop}}}}}\n"
    )
}

#[test]
fn a_pi_session_ends_as_its_last_answer_says() {
    let done = known(Format::Pi, &pi("\"stopReason\":\"stop\""));
    assert_eq!((end(&done).outcome, end(&done).evidence), (Outcome::Complete, Evidence::Protocol));
    assert_eq!(end(&done).answer.as_deref(), Some("One test fails."));
    assert_eq!(commands(&done), [("pytest", Some(1))]);
    let want =
        "session_start message tool_call usage command test_summary message turn_end task_complete";
    assert_eq!(kinds(&done).join(" "), want);
    let limited = pi(
        r#""stopReason":"error","errorMessage":"429 {\"error\":{\"message\":\"rate limit, try again in 20s\"}}""#,
    );
    let limited = known(Format::Pi, &limited);
    assert_eq!(end(&limited).outcome, Outcome::RateLimited);
    assert_eq!(end(&limited).resets.resets_in_ms, Some(20_000));
    assert_eq!(
        end(&known(Format::Pi, &pi("\"stopReason\":\"aborted\""))).outcome,
        Outcome::Unknown
    );
    assert_eq!(end(&known(Format::Pi, PI)).outcome, Outcome::Unknown);
    // `pi --mode json` says every message twice.
    let stream =
        pi("\"stopReason\":\"stop\"").replace("\"type\":\"message\"", "\"type\":\"message_end\"");
    assert_eq!(end(&known(Format::Pi, &stream)).outcome, Outcome::Complete);
}

#[test]
fn what_claude_reads_of_a_task_in_the_background_is_a_tools_output() {
    let read = |path: &str| {
        let lines = format!(
            r#"{{"type":"assistant","sessionId":"s","message":{{"content":[{{"type":"tool_use","id":"1","name":"Read","input":{{"file_path":"{path}"}}}}]}}}}
{{"type":"user","sessionId":"s","message":{{"content":[{{"type":"tool_result","tool_use_id":"1","content":"     1→...\n     2→15 tests, 1 failure\n     3→"}}]}}}}
"#
        );
        kinds(&known(Format::Claude, &lines)).contains(&"test_summary")
    };
    assert!(read("/tmp/claude-1000/-w/tasks/b7636e2.output"));
    assert!(!read("/w/tasks/results.txt"));
}

#[test]
fn early_codex_sessions_are_read() {
    let rollout = r#"{"id":"5973b6c0","timestamp":"2025-05-07T17:24:21.123Z","instructions":null,"git":{}}
{"record_type":"state"}
{"type":"message","role":"user","content":[{"type":"input_text","text":"<environment_context>\n</environment_context>"}]}
{"type":"message","role":"user","content":[{"type":"input_text","text":"list"}]}
{"type":"function_call","name":"shell","arguments":"{\"command\":[\"bash\",\"-lc\",\"ls x\"]}","call_id":"c1"}
{"type":"function_call_output","call_id":"c1","output":"{\"output\":\"ls: x\\n\",\"metadata\":{\"exit_code\":2,\"duration_seconds\":0.1}}"}
"#;
    assert_eq!(end(&known(Format::Codex, rollout)).outcome, Outcome::Unknown);
    let said = r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"There is none."}]}"#;
    let done = known(Format::Codex, &format!("{rollout}{said}\n"));
    assert_eq!((end(&done).outcome, end(&done).evidence), (Outcome::Complete, Evidence::Pattern));
    assert_eq!(commands(&done), [("ls x", Some(2))]);

    let exec = r#"{"id":"0","msg":{"type":"session_configured","session_id":"s","model":"m"}}
{"id":"1","msg":{"type":"task_started"}}
{"id":"1","msg":{"type":"exec_command_begin","call_id":"c","command":["bash","-lc","pytest"],"cwd":"/"}}
{"id":"1","msg":{"type":"exec_command_end","call_id":"c","stdout":"=== 1 failed in 0.1s ===","stderr":"","exit_code":1}}
"#;
    let last = |msg: &str| known(Format::Codex, &format!("{exec}{{\"id\":\"1\",\"msg\":{msg}}}\n"));
    let done = last(r#"{"type":"task_complete","last_agent_message":"ok"}"#);
    assert_eq!((end(&done).outcome, end(&done).evidence), (Outcome::Complete, Evidence::Protocol));
    assert_eq!(commands(&done), [("pytest", Some(1))]);
    assert_eq!(
        end(&last(r#"{"type":"error","message":"usage limit reached, try again in 5s"}"#)).outcome,
        Outcome::RateLimited
    );
}

const TRAJECTORY: &str = r#"{
  "environment": "swe_main",
  "trajectory": [
    {
      "action": "python -m pytest\n",
      "observation": "=== 1 failed, 2 passed in 0.12s ===\n",
      "thought": "Run it.",
      "execution_time": 1.5
    },
    {
      "action": "open a.py 3\n",
      "observation": "error: nothing that ran\n=== 9 failed in 0.1s ===\n",
      "thought": "Look."
    }
  ],
  "history": [],
  "info": { "exit_status": "STATUS", "submission": "diff --git a/a.py", "model_stats": { "instance_cost": 0.5, "tokens_sent": 100, "tokens_received": 7 } }
}
"#;

#[test]
fn a_rollout_that_marks_no_turns_ends_with_what_it_tells_last() {
    let line = |kind: &str, payload: &str| {
        format!("{{\"timestamp\":\"t\",\"type\":\"{kind}\",\"payload\":{payload}}}\n")
    };
    let meta = line("session_meta", r#"{"id":"s","cwd":"/w"}"#);
    let asked = line("event_msg", r#"{"type":"user_message","message":"Do it."}"#);
    let said = line("event_msg", r#"{"type":"agent_message","message":"It is done."}"#);
    let call = line(
        "response_item",
        r#"{"type":"function_call","name":"shell","call_id":"c","arguments":"{}"}"#,
    );
    let limit = line("event_msg", r#"{"type":"error","message":"You've hit your usage limit."}"#);
    let ended = |parts: &[&String]| {
        let text: String = parts.iter().map(|part| part.as_str()).collect();
        end(&known(Format::Codex, &text)).outcome
    };
    assert_eq!(ended(&[&meta, &asked, &call, &said]), Outcome::Complete);
    assert_eq!(ended(&[&meta, &asked, &said, &call]), Outcome::Unknown);
    assert_eq!(ended(&[&meta, &asked, &said, &asked]), Outcome::Unknown);
    assert_eq!(ended(&[&meta, &asked, &limit]), Outcome::RateLimited);
    // one that is cut at its head is known too
    assert_eq!(ended(&[&asked, &said]), Outcome::Complete);
    let started = line("event_msg", r#"{"type":"task_started"}"#);
    assert_eq!(ended(&[&meta, &started, &asked, &said]), Outcome::Unknown);
}

#[test]
fn a_gemini_session_of_lines_has_each_message_once() {
    let text = r#"{"sessionId":"s","projectHash":"p","startTime":"t","lastUpdated":"t","kind":"main"}
{"id":"1","timestamp":"t","type":"user","content":[{"text":"Do it."}]}
{"id":"2","timestamp":"t","type":"gemini","content":"It was d"}
{"id":"2","timestamp":"t","type":"gemini","content":"It was done."}
{"$set":{"lastUpdated":"t"}}
{"id":"3","timestamp":"t","type":"gemini","content":"no"}
{"$rewindTo":"3"}
"#;
    let made = known(Format::Gemini, text);
    let said: Vec<(&str, u64)> = made
        .iter()
        .filter_map(|e| match &e.body {
            Body::Message { text, .. } => Some((text.as_str(), e.source.line)),
            _ => None,
        })
        .collect();
    assert_eq!(said, [("Do it.", 2), ("It was done.", 4)]);
    assert_eq!(end(&made).outcome, Outcome::Complete);
}

#[test]
fn output_within_json_lines_is_read_as_the_text_that_it_is() {
    let told = |output: &str| {
        format!(
            "{{\"Action\":\"output\",\"Package\":\"p\",\"Test\":\"TestA\",\"Output\":\"{output}\"}}\n"
        )
    };
    let text = told("=== RUN   TestA\\n")
        + &told("    a_test.go:5: b")
        + &told("ad\\n")
        + &told("--- FAIL: TestA (0.00s)\\n");
    let made = events(Format::Auto, text.as_bytes());
    assert_eq!(kinds(&made), ["error", "test_summary", "task_failed"], "{made:?}");
    assert!(
        matches!(&made[0].body, Body::Error { message, line: Some(5), .. } if message == "bad")
    );
    let text = "{\"reason\":\"compiler-message\",\"message\":{\"rendered\":\"error: bad\\n --> src/a.rs:3:4\\n\"}}\n";
    let made = events(Format::Auto, text.as_bytes());
    assert!(matches!(made[0].body, Body::Error { line: Some(3), .. }), "{made:?}");
}

#[test]
fn a_trajectory_ends_by_its_exit_status() {
    let of = |status: &str| known(Format::Sweagent, &TRAJECTORY.replace("STATUS", status));
    let done = of("submitted");
    assert_eq!((end(&done).outcome, end(&done).evidence), (Outcome::Complete, Evidence::Protocol));
    assert_eq!(end(&done).answer.as_deref(), Some("diff --git a/a.py"));
    assert_eq!(kinds(&done).iter().filter(|k| **k == "test_summary").count(), 1);
    // Events stand where their step begins.
    assert!(done.iter().any(|e| e.body.kind() == "command" && e.source.line == 4));
    assert!(done.iter().any(|e| e.body.kind() == "tool_call" && e.source.line == 10));
    for (status, outcome) in [
        ("exit_cost", Outcome::Failed),
        ("submitted (exit_context)", Outcome::Failed),
        ("exit_format", Outcome::Failed),
        ("RateLimitError", Outcome::RateLimited),
        ("", Outcome::Unknown),
    ] {
        assert_eq!(end(&of(status)).outcome, outcome, "{status}");
    }
    let mini = r#"{"info":{"exit_status":"Submitted","submission":"diff"},"messages":[{"role":"system","content":"You are"},{"role":"assistant","content":"THOUGHT: look\n\n```bash\nls x\n```"},{"role":"user","content":"<returncode>2</returncode>\n<output>\nls: x\n</output>"}],"trajectory_format":"mini-swe-agent-1"}"#;
    let mini = known(Format::Sweagent, mini);
    assert_eq!(end(&mini).outcome, Outcome::Complete);
    assert_eq!(commands(&mini), [("ls x", Some(2))]);
}

/// A step that changes the directory and then runs a tool ran a tool.
#[test]
fn any_command_of_a_step_may_be_the_shells() {
    let step = |action: &str| {
        let action = serde_json::to_string(action).expect("JSON");
        let session = format!(
            r#"{{"trajectory":[{{"action":{action},"observation":"=== 9 failed in 0.1s ===\n"}}],"info":{{"exit_status":"submitted"}}}}"#
        );
        kinds(&events(Format::Sweagent, session.as_bytes())).contains(&"test_summary")
    };
    for action in ["pytest", "cd x && python -m pytest", "cat a.py; pytest", "cd x\npytest"] {
        assert!(step(action), "{action}");
    }
    for action in [
        "cat log.txt",
        "cd x && cat log.txt",
        "open a.py 3",
        "edit 1:2\nimport os; x()\nend_of_edit",
        "",
    ] {
        assert!(!step(action), "{action}");
    }
}

/// Clients change how they spell a key, and may for a while spell it both ways.
#[test]
fn a_record_that_spells_a_key_both_ways_is_read() {
    let result = r#"{"type":"result","session_id":"s","sessionId":"s","is_error":false,"result":"Done.","num_turns":2}"#;
    let done = known(Format::Claude, result);
    assert_eq!((end(&done).outcome, end(&done).evidence), (Outcome::Complete, Evidence::Protocol));
    let item = "{\"type\":\"thread.started\",\"thread_id\":\"t\"}\n{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"item_type\":\"agent_message\",\"text\":\"hi\"}}\n";
    assert!(kinds(&known(Format::Codex, item)).contains(&"message"));
}

#[test]
fn sessions_that_are_one_value_end_as_their_last_message_says() {
    let gemini = r#"{
  "sessionId": "s1",
  "projectHash": "h",
  "startTime": "2026-01-01T00:00:00.000Z",
  "messages": [
    { "id": "1", "timestamp": "2026-01-01T00:00:00.000Z", "type": "user", "content": "list" },
    { "id": "2", "timestamp": "2026-01-01T00:00:01.000Z", "type": "gemini", "content": "",
      "toolCalls": [ { "id": "c", "name": "run_shell_command", "args": { "command": "ls x" }, "status": "success",
        "result": [ { "functionResponse": { "id": "c", "name": "run_shell_command", "response": { "output": "Command: ls x\nExit Code: 2\n" } } } ] } ] },
    { "id": "3", "timestamp": "2026-01-01T00:00:02.000Z", "type": "gemini", "content": "There is no x.", "tokens": { "input": 9, "output": 4 } }
  ]
}
"#;
    let done = known(Format::Gemini, gemini);
    assert_eq!((end(&done).outcome, end(&done).evidence), (Outcome::Complete, Evidence::Pattern));
    assert_eq!(commands(&done), [("ls x", Some(2))]);
    assert!(done.iter().all(|e| e.session_id.as_deref() == Some("s1")));
    let answer = "{\n  \"response\": \"It is done.\",\n  \"stats\": { \"models\": {} }\n}\n";
    assert_eq!(end(&known(Format::Gemini, answer)).outcome, Outcome::Complete);
    let failed = "{\n \"error\": { \"type\": \"ApiError\", \"message\": \"quota exceeded, retry in 5s\", \"code\": 429 },\n \"stats\": {}\n}\n";
    assert_eq!(end(&known(Format::Gemini, failed)).outcome, Outcome::RateLimited);
    let saved = r#"[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"replace","args":{"file_path":"a"}}}]},{"role":"user","parts":[{"functionResponse":{"name":"replace","response":{"output":"ok"}}}]},{"role":"model","parts":[{"text":"Changed."}]}]"#;
    let saved = known(Format::Gemini, saved);
    assert_eq!(end(&saved).outcome, Outcome::Complete);
    assert!(kinds(&saved).contains(&"file_change"));

    let opencode = r#"{
  "info": { "id": "ses_1", "directory": "/w" },
  "messages": [
    { "info": { "role": "user", "time": { "created": 1767225600000 } }, "parts": [ { "type": "text", "text": "list" } ] },
    { "info": { "role": "assistant", "time": { "created": 1767225601000 } }, "parts": [
      { "type": "tool", "tool": "bash", "callID": "c", "state": { "status": "completed", "input": { "command": "ls" }, "output": "a\n", "metadata": { "exit": 0 }, "time": { "start": 1, "end": 4 } } },
      { "type": "step-finish", "reason": "tool-calls", "tokens": { "input": 3, "output": 4, "cache": { "read": 0, "write": 0 } }, "cost": 0.1 } ] },
    { "info": { "role": "assistant", "time": { "created": 1767225602000 } }, "parts": [
      { "type": "text", "text": "One file." },
      { "type": "step-finish", "reason": "stop" } ] }
  ]
}
"#;
    let done = known(Format::Opencode, opencode);
    assert_eq!((end(&done).outcome, end(&done).evidence), (Outcome::Complete, Evidence::Protocol));
    assert_eq!(commands(&done), [("ls", Some(0))]);
    let broken = opencode.replace("\"role\": \"assistant\", \"time\": { \"created\": 1767225602000 }", "\"role\": \"assistant\", \"error\": { \"name\": \"APIError\", \"data\": { \"message\": \"no\", \"statusCode\": 500 } }");
    assert_eq!(end(&known(Format::Opencode, &broken)).outcome, Outcome::Failed);

    let noisy = events(Format::Auto, format!("Exporting session: ses_1\n{opencode}").as_bytes());
    assert_eq!(
        (end(&noisy).outcome, end(&noisy).evidence),
        (Outcome::Complete, Evidence::Protocol)
    );

    let claude = "[{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"s\"},\n{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"ok\",\"session_id\":\"s\",\"num_turns\":1}]";
    assert_eq!(end(&known(Format::Claude, claude)).evidence, Evidence::Protocol);
    let pretty = "{\n  \"type\": \"result\",\n  \"subtype\": \"success\",\n  \"is_error\": false,\n  \"result\": \"ok\",\n  \"session_id\": \"s\"\n}\n";
    assert_eq!(end(&known(Format::Claude, pretty)).outcome, Outcome::Complete);
}

#[test]
fn what_only_begins_like_a_value_is_text() {
    for text in [
        "{\n  \"a\": 1\n}\nmake: *** [all] Error 1\n",
        "{ echo x\nmake: *** [all] Error 1\n",
        "[1/2] cc\n[2/2] ld\nmake: *** [all] Error 1\n",
    ] {
        let text_alone = events(Format::Text, text.as_bytes());
        assert_eq!(events(Format::Auto, text.as_bytes()), text_alone, "{text}");
        assert_eq!(end(&text_alone).outcome, Outcome::Failed, "{text}");
    }
}

const AIDER: &str = "\n# aider chat started at 2026-01-01 16:40:05\n\n> Aider v0.86.1  \n\n#### /add a.py\n> Added a.py to the chat\n\n#### add a --foo option  \n#### please\n\nSure:\n\na.py\n```python\n<<<<<<< SEARCH\n#### x\n=======\ny\n>>>>>>> REPLACE\n```\n\n> Tokens: 5.9k sent, 237 received. Cost: $0.02 message, $0.05 session.  \n";

#[test]
fn an_aider_history_ends_as_its_last_turn_did() {
    let done = format!("{AIDER}> Applied edit to a.py  \n> Commit 1234abc feat: Add --foo  \n");
    let done = known(Format::Aider, &done);
    assert_eq!((end(&done).outcome, end(&done).evidence), (Outcome::Complete, Evidence::Summary));
    let want = "session_start message message code_block message usage file_change milestone turn_end task_complete";
    assert_eq!(kinds(&done).join(" "), want);
    assert!(done.iter().any(|e| matches!(&e.body,
        Body::Usage { input_tokens: 5900, output_tokens: 237, cost_usd: Some(c) } if *c == 0.02)));
    let of = |rest: &str| end(&known(Format::Aider, &format!("{AIDER}{rest}"))).outcome;
    assert_eq!(
        of(
            "> The LLM did not conform to the edit format.  \n> Only 3 reflections allowed, stopping.  \n"
        ),
        Outcome::Failed
    );
    assert_eq!(
        of("> litellm.RateLimitError: rate limit, try again in 20s\n"),
        Outcome::RateLimited
    );
    assert_eq!(of("> Run shell command? (Y)es/(N)o/(D)on't ask again [Yes]:\n"), Outcome::Waiting);
    assert_eq!(of("> Run shell command? (Y)es/(N)o [Yes]: y\n"), Outcome::Complete);
    assert_eq!(of("\n#### and then?\n"), Outcome::Unknown);
    let said = |rest: &str| {
        let all = events(Format::Aider, format!("{AIDER}{rest}").as_bytes());
        all.iter()
            .filter(|e| matches!(&e.body, Body::Message { role, .. } if role == "user"))
            .count()
    };
    let fence = "\n```markdown\n# Title\n\n#### Heading\n";
    assert_eq!(said(&format!("{fence}```\n")), said(""));
    assert_eq!(said(&format!("{fence}\n#### and then?  \n")), said("") + 1);
}

#[test]
fn a_markdown_transcript_ends_with_its_last_speaker() {
    let chat = "# Fix the parser\n\n## User\n\nfix it\n\n## Assistant\n\nIt is fixed:\n\n```rust\n## User\n```\n";
    let done = events(Format::Markdown, chat.as_bytes());
    assert_eq!((end(&done).outcome, end(&done).evidence), (Outcome::Complete, Evidence::Pattern));
    assert_eq!(kinds(&done).join(" "), "message code_block message turn_end task_complete");
    assert_eq!(end(&events(Format::Auto, chat.as_bytes())).outcome, Outcome::Complete);
    for (rest, outcome) in [
        ("\n_**User (2026-01-01 10:00Z)**_\n\nand now?\n", Outcome::Unknown),
        ("\n## User\n\ngo on\n\n## Assistant\n\n[Request interrupted by user]\n", Outcome::Unknown),
        ("\n## User\n\ngo on\n\n## Assistant\n\nAPI Error: 500 overloaded\n", Outcome::Failed),
        (
            "\n**User:** go on\n\n**Claude:** You've hit your limit · resets 3pm\n",
            Outcome::RateLimited,
        ),
    ] {
        assert_eq!(
            end(&events(Format::Markdown, format!("{chat}{rest}").as_bytes())).outcome,
            outcome,
            "{rest}"
        );
    }
}

#[test]
fn a_format_may_begin_late_and_end_early_and_that_is_told() {
    let init = "{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"s\"}\n";
    let result = "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"ok\",\"session_id\":\"s\"}\n";
    let notes = |input: &str| -> Vec<String> {
        let events = events(Format::Auto, input.as_bytes());
        let notes = events.iter().filter_map(|e| match &e.body {
            Body::Note { text } => Some(text.clone()),
            _ => None,
        });
        notes.collect()
    };
    let early = format!("npm warn\n{init}{result}done\n");
    assert_eq!(notes(&early), ["claude from here on", "no more claude: text from here on"]);
    assert_eq!(end(&events(Format::Auto, early.as_bytes())).evidence, Evidence::Protocol);
    let late = format!("{}{init}{result}", "added 3 packages\n".repeat(40));
    assert_eq!(notes(&late), ["claude from here on"]);
    let late = events(Format::Auto, late.as_bytes());
    // Whoever writes text can write records: they are words.
    assert_eq!((end(&late).outcome, end(&late).evidence), (Outcome::Complete, Evidence::Pattern));
    assert!(
        late.iter()
            .any(|e| matches!(&e.body, Body::TurnEnd(end) if end.evidence == Evidence::Pattern))
    );
}

#[test]
fn another_client_may_start_where_one_was_read() {
    let claude = "{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"s\"}\n{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"ok\",\"session_id\":\"s\"}\n";
    let codex = "{\"type\": \"thread.started\",\"thread_id\":\"t\"}\n{\"type\":\"turn.failed\",\"error\":{\"message\":\"no\"}}\n";
    let both = events(Format::Auto, format!("{claude}{codex}").as_bytes());
    assert!(
        both.iter().any(|e| matches!(&e.body, Body::Note { text } if text == "codex from here on"))
    );
    assert_eq!((end(&both).outcome, end(&both).evidence), (Outcome::Failed, Evidence::Protocol));
    // a session that says nothing of its end takes nothing back
    let begun = format!("{claude}{}", codex.lines().next().expect("a line"));
    assert_eq!(end(&events(Format::Auto, begun.as_bytes())).outcome, Outcome::Complete);
    // what stands between them may be anybody's words
    let between = events(Format::Auto, format!("{claude}text\n{codex}").as_bytes());
    assert_eq!(end(&between).outcome, Outcome::Complete);
    assert!(between.iter().any(|e| e.source.format == "codex"));
    // however many other records stand before it
    let log = format!("{}{codex}", "{\"type\":\"log\"}\n".repeat(600));
    assert!(kinds(&events(Format::Auto, log.as_bytes())).contains(&"turn_end"));
}

#[test]
fn an_event_has_the_time_of_its_row() {
    let log = "2024-05-01T10:00:00.5Z a.c:3:1: error: no\na.c:4:1: error: no\n";
    let said = events(Format::Auto, log.as_bytes());
    let times: Vec<Option<&str>> = said.iter().map(|e| e.ts.as_deref()).collect();
    assert_eq!(times, [Some("2024-05-01T10:00:00.5Z"), None, None]);
}

#[test]
fn a_heading_alone_makes_no_transcript() {
    for log in [
        "# Claude Code\n\nmake: *** [all] Error 1\n",
        "$ cat AGENTS.md\n# Agent: rules\n$ make\nsrc/a.c:3:5: error: no\nmake: *** [all] Error 1\n",
        "**Copilot** finished\n## Tools\nmake: *** [all] Error 1\n",
    ] {
        let said = events(Format::Auto, log.as_bytes());
        assert_eq!(end(&said).outcome, Outcome::Failed, "{log}");
    }
}

#[test]
fn a_captured_screen_tells_how_its_turn_ended() {
    let foot = "────────────────────\n❯ \n────────────────────\n  ? for shortcuts\n";
    for (screen, outcome) in [
        (format!("❯ fix it\n\n● Fixed.\n\n✻ Baked for 1m 3s\n\n{foot}"), Outcome::Complete),
        (format!("❯ fix it\n  ⎿  API Error: 500 {{\"type\":\"error\"}}\n\n✻ Baked for 2s\n\n{foot}"), Outcome::Failed),
        (format!("❯ fix it\n\n● Let me look.\n  ⎿  Interrupted · What should Claude do instead?\n\n{foot}"), Outcome::Unknown),
        (format!("❯ fix it\n  ⎿  You've hit your limit · resets 3pm (Europe/Berlin)\n     /upgrade to increase your usage limit.\n\n{foot}"), Outcome::RateLimited),
        (format!("❯ fix it\n\n✶ Baking… (3s · ↑ 20 tokens · esc to interrupt)\n\n{foot}"), Outcome::Unknown),
        (format!("❯ fix it\n\n● Fixed.\n\n✻ Baked for 3s\n\n{foot}  Approaching usage limit · resets at 3pm\n"), Outcome::Complete),
        ("› fix it\n\n• Ran ls\n  └ a\n\n─ Worked for <1s ────────\n\n• Fixed.\n\n\n› Explain this codebase\n\n  gpt · /w\n".into(), Outcome::Complete),
        ("› fix it\n\n■ You've hit your usage limit. Upgrade or try again at 5:00 PM.\n\n› Explain\n\n  gpt · /w\n".into(), Outcome::RateLimited),
        ("› fix it\n\n■ unexpected status 401 Unauthorized\n\n› Explain\n\n  gpt · /w\n".into(), Outcome::Failed),
        ("› fix it\n\n■ Conversation interrupted - tell the model what to do differently.\n\n› Explain\n".into(), Outcome::Unknown),
        (" Bash command\n\n   rm -r old\n\n Do you want to proceed?\n ❯ 1. Yes\n   2. Yes, and don't ask again for rm commands in\n      /home/me/a/long/path\n   3. No, and tell Claude what to do differently\n      (esc)\n".into(), Outcome::Waiting),
        ("☐ Database\n\nWhich database?\n\n❯ 1. SQLite\n     A file.\n  2. PostgreSQL\n     A server.\n\nEnter to select · ↑/↓ to navigate · Esc to\ncancel\n".into(), Outcome::Waiting),
    ] {
        let said = events(Format::Auto, screen.as_bytes());
        assert_eq!(end(&said).outcome, outcome, "{screen}\n{:?}", end(&said));
    }
    let asked = events(
        Format::Text,
        "Which one?\n❯ 1. a\n  2. b\nEnter to select · Esc to cancel\n".as_bytes(),
    );
    assert!(kinds(&asked).contains(&"question"));
}

/// What the ends and the parts of rare turns say: each was free to change without a test to see it.
#[test]
fn the_rarer_ends_of_a_turn_are_told() {
    let last = |format, input: &str| end(&events(format, input.as_bytes())).clone();
    let stopped = r#"{"type":"session_meta","payload":{"id":"r","cwd":"/w"}}
{"type":"event_msg","payload":{"type":"task_started"}}
{"type":"event_msg","payload":{"type":"turn_aborted","reason":"interrupted"}}
"#;
    assert_eq!(last(Format::Codex, stopped).reason.as_deref(), Some("interrupted by the user"));
    let stopped = last(Format::Pi, &pi("\"stopReason\":\"aborted\""));
    assert_eq!(stopped.reason.as_deref(), Some("interrupted by the user"));
    let limit = r#"{"type":"error","sessionID":"s","error":{"name":"APIError","data":{"message":"no","statusCode":429}}}"#;
    assert_eq!(last(Format::Opencode, limit).outcome, Outcome::RateLimited);
    let limit = "{\n \"error\": { \"message\": \"no\", \"code\": 429 },\n \"stats\": {}\n}\n";
    assert_eq!(last(Format::Gemini, limit).outcome, Outcome::RateLimited);
    let working = "=== 3 passed in 0.12s ===\n✻ Cogitating… (12s · esc to interrupt)\n> \n";
    let working = last(Format::Text, working).reason;
    assert_eq!(working.as_deref(), Some("still at work when the input ended"));
    // a shell that a person left by ^C
    let shell = "Script started on 2026-01-01 10:00:00+00:00 [TERM=\"xterm\"]\nx\r\n\nScript done on 2026-01-01 10:00:01+00:00 [COMMAND_EXIT_CODE=\"130\"]\n";
    assert_eq!(last(Format::Script, shell).outcome, Outcome::Unknown);
    let far = "usage limit reached, try again in 99999 days\n";
    assert_eq!(last(Format::Text, far).resets.resets_in_ms, None);
    let menu = "Do you want to proceed?\n❯ 1. Yes\n  2. No\n";
    for shell in ["%", "#"] {
        assert_eq!(last(Format::Text, &format!("{menu}{shell} \n")).outcome, Outcome::Unknown);
    }
}

#[test]
fn a_retry_of_codex_is_a_warning_and_a_cost_is_that_of_its_turn() {
    let retry = "{\"type\":\"thread.started\",\"thread_id\":\"t\"}\n{\"type\":\"error\",\"message\":\"Reconnecting... 1/5\"}\n";
    let told = events(Format::Codex, retry.as_bytes());
    assert!(told.iter().any(|e| matches!(e.body, Body::Error { severity: Severity::Warning, .. })));

    let result = |cost: &str| {
        format!(
            "{{\"type\":\"result\",\"session_id\":\"s\",\"is_error\":false,\"result\":\"ok\",\"usage\":{{}},\"total_cost_usd\":{cost}}}\n"
        )
    };
    let two = format!("{}{}", result("1.0"), result("1.5"));
    let costs: Vec<f64> = events(Format::Claude, two.as_bytes())
        .iter()
        .filter_map(|e| match e.body {
            Body::Usage { cost_usd, .. } => cost_usd,
            _ => None,
        })
        .collect();
    assert_eq!(costs, [1.0, 0.5]);
    let millions =
        format!("{AIDER}> Tokens: 2M sent, 1k received. Cost: $3 message, $4 session.\n");
    assert!(events(Format::Aider, millions.as_bytes()).iter().any(|e| matches!(
        e.body,
        Body::Usage { input_tokens: 2_000_000, output_tokens: 1_000, .. }
    )));
}

/// What is left open does not hold back all that follows.
#[test]
fn a_fence_and_a_frame_that_were_left_open_end() {
    let rows = format!("```\n{}make: *** [all] Error 1\n", "compiling\n".repeat(200_000));
    assert_eq!(end(&events(Format::Text, rows.as_bytes())).outcome, Outcome::Failed);
    let mut extractor = Extractor::new(Format::Tty);
    let mut out = Vec::new();
    extractor.push(b"\x1b[?2026ha.c:1:2: error: x\r\n", &mut out);
    extractor.push("y\r\n".repeat(200_000).as_bytes(), &mut out);
    assert_eq!(kinds(&out), ["error"]);
}

#[test]
fn two_runs_of_go_test_are_two_summaries() {
    let run = "ok  \texample.com/a\t0.01s\nok  \texample.com/b\t0.01s\n";
    let told = events(Format::Text, run.repeat(2).as_bytes());
    assert_eq!(kinds(&told), ["test_summary", "test_summary", "task_complete"]);
}

#[test]
fn what_a_fuzzer_found_is_read() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/fuzz");
    for file in std::fs::read_dir(dir).expect("the finds") {
        let path = file.expect("a file").path();
        let input = std::fs::read(&path).expect("its bytes");
        for format in Format::ALL {
            let whole = events(format, &input);
            let mut out = Vec::new();
            let mut extractor = Extractor::new(format);
            input.chunks(1).for_each(|byte| extractor.push(byte, &mut out));
            extractor.finish(None, &mut out);
            assert_eq!(out, whole, "{format:?}: {}", path.display());
        }
    }
}

type Make<'a> = &'a dyn Fn(usize) -> Vec<u8>;

/// Twice the input may cost a little more than twice the time.
#[test]
fn no_input_takes_more_than_its_length() {
    let deep = |n: usize| "{\"a\":[".repeat(n / 6).into_bytes();
    let hard: [(&str, Make<'_>); 11] = [
        ("escapes", &|n| b"\x1b".repeat(n)),
        ("half sequences", &|n| b"\x1b[1;".repeat(n / 4)),
        ("moves", &|n| b"\x1b[9;9Hx\x1b[2J".repeat(n / 11)),
        ("no UTF-8", &|n| b"\xff".repeat(n)),
        ("half characters", &|n| b"na\xefve \xf0\x9f".repeat(n / 8)),
        ("braces", &|n| b"{".repeat(n)),
        ("records", &|n| b"{\"type\":\"\n".repeat(n / 10)),
        ("nesting", &deep),
        ("a long line", &|n| b"error: a.c:1:2: ".repeat(n / 16)),
        ("returns", &|n| b"50%\r".repeat(n / 4)),
        ("fences", &|n| b"```\n````\n> ```x\n".repeat(n / 16)),
    ];
    for (name, make) in hard {
        for format in Format::ALL {
            let took = |n: usize| {
                let input = make(n);
                let start = Instant::now();
                events(format, &input);
                start.elapsed()
            };
            let (small, large) = (took(1 << 14), took(1 << 17));
            let limit = small.max(Duration::from_millis(20)) * 8 * 6;
            assert!(large < limit, "{name} as {}: {small:?}, then {large:?}", format.as_str());
        }
    }
}

fn material() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::sample::select(vec![CAST_2, CAST_3, SCRIPT, PI, TRAJECTORY, AIDER])
            .prop_map(|s| s.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..60),
        "[ -~\u{1b}\r\n{}\\[\\]\"#>]{0,60}".prop_map(String::into_bytes),
        Just(b"## User\nx\n## Assistant\ny\n".to_vec()),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_events_and_any_prefix_their_beginning(
        input in material(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
        format in proptest::sample::select(&Format::ALL[..]),
    ) {
        let whole = events(format, &input);
        let mut at: Vec<usize> = cuts.iter().map(|c| c.index(input.len() + 1)).collect();
        at.sort_unstable();
        let (mut extractor, mut out, mut from) = (Extractor::new(format), Vec::new(), 0);
        for to in at.into_iter().chain([input.len()]) {
            extractor.push(&input[from..to], &mut out);
            // What was said so far is said whatever comes.
            prop_assert_eq!(&out[..], &whole[..out.len()]);
            from = to;
        }
        extractor.finish(None, &mut out);
        prop_assert_eq!(out, whole);
    }

    /// Lines are what a format of lines is made of: cut between two of them, and but for what the
    /// end itself settles, nothing is said that the whole does not say.
    #[test]
    fn the_lines_of_a_beginning_give_the_beginning_of_the_events(
        input in material(),
        cut in any::<proptest::sample::Index>(),
        format in proptest::sample::select(vec![Format::Claude, Format::Codex, Format::Pi, Format::Asciicast]),
    ) {
        let ends: Vec<usize> = input.iter().enumerate().filter(|(_, c)| **c == b'\n').map(|(i, _)| i + 1).collect();
        if !ends.is_empty() {
            let (mut extractor, mut out) = (Extractor::new(format), Vec::new());
            extractor.push(&input[..ends[cut.index(ends.len())]], &mut out);
            let whole = events(format, &input);
            prop_assert_eq!(&out[..], &whole[..out.len()]);
            let exit = Some(Exit::Code(0));
            let before = out.len();
            extractor.finish(exit, &mut out);
            prop_assert!(out.len() > before);
        }
    }
}
