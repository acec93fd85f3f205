use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use assert_cmd::cargo::cargo_bin;
use orch::event::{Body, End, Event, Evidence, Exit, Outcome, Severity, TYPES};
use orch::extract::{Extractor, Format};
use proptest::prelude::*;

fn events(format: Format, input: &[u8], exit: Option<Exit>) -> Vec<Event> {
    let (mut extractor, mut out) = (Extractor::new(format), Vec::new());
    extractor.push(input, &mut out);
    extractor.finish(exit, &mut out);
    out
}

fn end(events: &[Event]) -> &End {
    events.last().and_then(|e| e.body.task_end()).expect("a task_* event at the end")
}

fn text_end(input: &str) -> End {
    end(&events(Format::Text, input.as_bytes(), None)).clone()
}

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/extract/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn turn_ends(events: &[Event]) -> Vec<&End> {
    let ends = events.iter().filter_map(|e| match &e.body {
        Body::TurnEnd(end) => Some(end),
        _ => None,
    });
    ends.collect()
}

/// The recorded sessions of the real clients: name, outcome, words of the reason or the note.
const SESSIONS: &[(&str, Outcome, &str)] = &[
    ("claude-ok", Outcome::Complete, ""),
    ("claude-command-exits-3", Outcome::Complete, ""),
    ("claude-write", Outcome::Complete, ""),
    ("claude-could-not", Outcome::Complete, "says: I was not able to do this"),
    ("claude-question", Outcome::Waiting, "should I delete the old table"),
    ("claude-denied", Outcome::Waiting, "permission for Bash was denied"),
    ("claude-http-400", Outcome::Failed, "api_error 400"),
    ("claude-http-401", Outcome::Failed, "api_error 401"),
    ("claude-http-429", Outcome::RateLimited, "429"),
    ("claude-http-529", Outcome::Failed, "api_error 529"),
    ("claude-usage-limit", Outcome::RateLimited, "usage limit"),
    ("claude-prompt-too-long", Outcome::Failed, "prompt_too_long"),
    ("claude-connection-dropped", Outcome::Failed, "ECONNRESET"),
    ("claude-max-tokens", Outcome::Complete, ""),
    ("claude-max-turns", Outcome::Failed, "max_turns"),
    ("claude-sub-agent", Outcome::Complete, ""),
    ("claude-interrupted", Outcome::Failed, "aborted_streaming"),
    ("claude-killed", Outcome::Unknown, "no result record"),
    ("codex-ok", Outcome::Complete, ""),
    ("codex-command-exits-3", Outcome::Complete, ""),
    ("codex-could-not", Outcome::Complete, "says: I was not able to do this"),
    ("codex-question", Outcome::Waiting, "should I delete the old table"),
    ("codex-http-400", Outcome::Failed, "bad request"),
    ("codex-http-401", Outcome::Failed, "401 Unauthorized"),
    ("codex-http-429", Outcome::RateLimited, "429 Too Many Requests"),
    ("codex-connection-dropped", Outcome::Failed, "stream disconnected"),
    ("codex-max-tokens", Outcome::Failed, "max_output_tokens"),
    ("codex-killed", Outcome::Unknown, "no turn.completed"),
    ("gemini-ok", Outcome::Complete, ""),
    ("gemini-command-exits-3", Outcome::Complete, ""),
    ("gemini-write", Outcome::Complete, ""),
    ("gemini-could-not", Outcome::Complete, "says: I was not able to do this"),
    ("gemini-question", Outcome::Waiting, "should I delete the old table"),
    ("gemini-denied", Outcome::Waiting, "permission for run_shell_command was denied"),
    ("gemini-http-400", Outcome::Failed, "stub: bad request"),
    ("gemini-http-401", Outcome::Failed, "invalid x-api-key"),
    ("gemini-connection-dropped", Outcome::Failed, "without a finish reason"),
    ("gemini-killed", Outcome::Unknown, "no result record"),
    ("opencode-ok", Outcome::Complete, ""),
    ("opencode-command-exits-3", Outcome::Complete, ""),
    ("opencode-write", Outcome::Complete, ""),
    ("opencode-question", Outcome::Waiting, "should I delete the old table"),
    ("opencode-denied", Outcome::Waiting, "permission for bash was denied"),
    ("opencode-http-400", Outcome::Failed, "stub: bad request"),
    ("opencode-http-401", Outcome::Failed, "invalid x-api-key"),
    ("opencode-usage-limit", Outcome::RateLimited, "reached your usage limit"),
    ("opencode-max-tokens", Outcome::Failed, "the model stopped: length"),
    ("opencode-killed", Outcome::Unknown, "ends within a turn"),
];

#[test]
fn every_recorded_session_ends_as_it_did() {
    for (name, outcome, words) in SESSIONS {
        let format: Format = name.split('-').next().expect("a name").parse().expect("a format");
        let named = events(format, &fixture(name), None);
        let end = end(&named);
        assert_eq!(end.outcome, *outcome, "{name}: {end:?}");
        let said = end.reason.clone().or(end.note.clone()).unwrap_or_default();
        assert!(said.contains(words), "{name}: {said:?}");
        let evidence =
            if *outcome == Outcome::Unknown { Evidence::None } else { Evidence::Protocol };
        assert_eq!(end.evidence, evidence, "{name}");
        assert!(named.iter().all(|e| e.source.format == format.as_str()), "{name}");
        assert_eq!(events(Format::Auto, &fixture(name), None), named, "{name}: auto");
    }
}

#[test]
fn every_file_of_the_fixtures_has_its_expected_end() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/extract");
    let files = std::fs::read_dir(dir).expect("the fixtures");
    let mut names: Vec<_> =
        files.map(|f| f.expect("a file").file_name().into_string().expect("a name")).collect();
    names.sort();
    let listed = SESSIONS.iter().map(|s| s.0).chain(["claude-hooks"]);
    let mut want: Vec<_> = listed.map(|name| format!("{name}.jsonl")).collect();
    want.sort();
    assert_eq!(names, want);
}

#[test]
fn the_protocol_decides_over_the_exit_code() {
    for exit in [Exit::Code(0), Exit::Code(1), Exit::Signal(9)] {
        let events = events(Format::Claude, &fixture("claude-ok"), Some(exit));
        assert_eq!(end(&events).outcome, Outcome::Complete);
        assert_eq!(end(&events).evidence, Evidence::Protocol);
    }
}

#[test]
fn a_session_without_its_last_record_ends_by_the_exit() {
    for (name, format) in [
        ("claude-killed", Format::Claude),
        ("codex-killed", Format::Codex),
        ("gemini-killed", Format::Gemini),
        ("opencode-killed", Format::Opencode),
    ] {
        let by = |exit| end(&events(format, &fixture(name), Some(exit))).clone();
        assert_eq!(by(Exit::Code(0)).outcome, Outcome::Unknown, "{name}: 0 is no proof");
        for (exit, reason) in [
            (Exit::Signal(15), "killed by signal 15"),
            (Exit::Code(143), "killed by signal 15 (exit code 143)"),
            (Exit::Code(1), "exit code 1"),
        ] {
            let end = by(exit);
            assert_eq!((end.outcome, end.evidence), (Outcome::Failed, Evidence::Exit), "{name}");
            assert_eq!(end.reason.as_deref(), Some(reason), "{name}");
        }
    }
}

#[test]
fn what_the_client_said_before_it_failed_is_in_the_reason() {
    let events = events(Format::Claude, b"error: unknown option '--nope'\n", Some(Exit::Code(1)));
    let reason = end(&events).reason.clone();
    assert_eq!(reason.as_deref(), Some("exit code 1: error: unknown option '--nope'"));
}

#[test]
fn the_events_of_a_session_carry_what_it_did() {
    let done = events(Format::Claude, &fixture("claude-command-exits-3"), None);
    assert!(done.iter().any(|e| matches!(&e.body,
        Body::Command { command, exit_code: Some(3), .. } if command == "echo hello; exit 3")));
    assert!(done.iter().all(|e| e.session_id.is_some()));
    assert!(done.iter().any(|e| e.ts.is_some()));
    let usage = done.iter().find_map(|e| match e.body {
        Body::Usage { input_tokens, output_tokens, cost_usd } => {
            Some((input_tokens, output_tokens, cost_usd.is_some()))
        }
        _ => None,
    });
    assert_eq!(usage, Some((14, 21, true)));

    let wrote = events(Format::Claude, &fixture("claude-write"), None);
    assert!(wrote.iter().any(|e| matches!(&e.body,
        Body::FileChange { path, kind } if path == "notes.txt" && kind == "add")));
    let answer = end(&events(Format::Codex, &fixture("codex-ok"), None)).answer.clone();
    assert_eq!(answer.as_deref(), Some("The parser handles empty input now."));
}

#[test]
fn the_pieces_of_a_gemini_message_are_one_and_its_command_has_no_exit_code() {
    let told = events(Format::Gemini, &fixture("gemini-command-exits-3"), None);
    let said: Vec<_> = told
        .iter()
        .filter_map(|e| match &e.body {
            Body::Message { role, text } if role == "assistant" => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(end(&told).answer.as_deref(), Some(said[1]));
    assert!(said[1].starts_with("The command ran.") && said[1].ends_with('}'), "{said:?}");
    assert!(told.iter().any(|e| matches!(&e.body,
        Body::Command { command, exit_code: None, .. } if command == "echo hello; exit 3")));
    assert!(told.iter().any(|e| matches!(
        e.body,
        Body::Usage { input_tokens: 20, output_tokens: 14, cost_usd: None }
    )));
    assert!(told.iter().all(|e| e.session_id.is_some() && (e.ts.is_some() || e.seq > 9)));

    let wrote = events(Format::Gemini, &fixture("gemini-write"), None);
    assert!(
        wrote
            .iter()
            .any(|e| matches!(&e.body, Body::FileChange { path, .. } if path == "notes2.txt"))
    );
}

#[test]
fn gemini_tells_the_exit_code_of_a_command_that_printed_nothing() {
    let call = r#"{"type":"tool_use","tool_name":"run_shell_command","tool_id":"1","parameters":{"command":"exit 3"}}
{"type":"tool_result","tool_id":"1","status":"success","output":"Command exited with code: 3"}
"#;
    let told = events(Format::Gemini, call.as_bytes(), None);
    assert!(told.iter().any(|e| matches!(e.body, Body::Command { exit_code: Some(3), .. })));
}

#[test]
fn gemini_without_a_record_ends_by_what_its_exit_code_means() {
    for (code, words) in [(55, "exit code 55: the directory is not trusted"), (7, "exit code 7")] {
        let told = events(Format::Gemini, b"", Some(Exit::Code(code)));
        assert_eq!(end(&told).reason.as_deref(), Some(words));
        assert_eq!(end(&told).evidence, Evidence::Exit);
    }
}

#[test]
fn gemini_ends_by_its_last_result_and_a_tool_that_a_policy_denied_waits() {
    let denied = String::from_utf8(fixture("gemini-denied")).expect("text");
    let lines: Vec<&str> = denied.lines().collect();
    let start = format!("{}\n", lines[..5].join("\n"));
    let later = r#"{"type":"tool_use","tool_name":"list_directory","tool_id":"2","parameters":{}}
{"type":"tool_result","tool_id":"2","status":"success"}
"#;
    let result = r#"{"type":"message","role":"assistant","content":"Done."}
{"type":"result","status":"success"}
"#;
    let outcome = |input: String| end(&events(Format::Gemini, input.as_bytes(), None)).outcome;
    assert_eq!(outcome(format!("{start}{result}")), Outcome::Waiting);
    assert_eq!(outcome(format!("{start}{later}{result}")), Outcome::Complete);
    // said after the result: another turn
    let open = format!("{start}{later}{result}{}", r#"{"type":"message","role":"user"}"#);
    assert_eq!(outcome(open), Outcome::Unknown);
    let limit = r#"{"type":"result","status":"error","error":{"message":"[API Error: {\"error\":{\"code\":429,\"message\":\"Too many requests. Please retry in 30s.\"}}]"}}"#;
    let told = events(Format::Gemini, format!("{start}{limit}").as_bytes(), None);
    assert_eq!(end(&told).outcome, Outcome::RateLimited);
    assert_eq!(end(&told).resets.resets_in_ms, Some(30_000));
}

#[test]
fn an_opencode_turn_is_over_when_no_step_follows_its_last_one() {
    let ran = events(Format::Opencode, &fixture("opencode-command-exits-3"), None);
    assert!(ran.iter().any(|e| matches!(&e.body,
        Body::Command { command, exit_code: Some(3), duration_ms: Some(_) } if command == "echo hello; exit 3")));
    assert_eq!(turn_ends(&ran).len(), 1);
    let used: u64 = ran
        .iter()
        .map(|e| if let Body::Usage { input_tokens, .. } = e.body { input_tokens } else { 0 })
        .sum();
    assert_eq!(used, 20, "of both steps");
    assert!(ran.iter().all(|e| e.session_id.as_deref().is_some_and(|id| id.starts_with("ses_"))));
    assert!(
        ran.iter().any(|e| e.ts.as_deref().is_some_and(|ts| ts.starts_with("2026-11-23T11:4")))
    );
    let wrote = events(Format::Opencode, &fixture("opencode-write"), None);
    assert!(wrote.iter().any(|e| matches!(&e.body,
        Body::FileChange { path, kind } if path == "notes.txt" && kind == "add")));

    // a step that follows opens the turn again, in whichever way the last one ended
    let next = r#"{"type":"step_start","sessionID":"s","part":{}}"#;
    for finish in ["stop", "unknown", "length"] {
        let step =
            format!(r#"{{"type":"step_finish","sessionID":"s","part":{{"reason":"{finish}"}}}}"#);
        let input = format!("{next}\n{step}\n{next}\n");
        let told = events(Format::Opencode, input.as_bytes(), None);
        assert_eq!(end(&told).outcome, Outcome::Unknown, "{finish}");
    }
    // a refused tool is a wait, unless another one succeeded after it
    let denied = String::from_utf8(fixture("opencode-denied")).expect("text");
    let id =
        denied.split(r#""sessionID":""#).nth(1).and_then(|t| t.split('"').next()).expect("an id");
    let round = format!(
        r#"{{"type":"step_start","sessionID":"{id}"}}
{{"type":"tool_use","sessionID":"{id}","part":{{"tool":"read","state":{{"status":"completed"}}}}}}
{{"type":"step_finish","sessionID":"{id}","part":{{"reason":"stop"}}}}
"#
    );
    let told = events(Format::Opencode, format!("{denied}{round}").as_bytes(), None);
    assert_eq!(end(&told).outcome, Outcome::Complete);
}

#[test]
fn an_opencode_limit_is_a_limit() {
    let input = r#"{"type":"error","sessionID":"s","error":{"name":"APIError","data":{"message":"You have reached your usage limit. It resets at 5pm.","statusCode":429}}}"#;
    let told = events(Format::Auto, input.as_bytes(), Some(Exit::Code(1)));
    assert_eq!(end(&told).outcome, Outcome::RateLimited);
    assert_eq!(end(&told).resets.resets_clock.as_deref(), Some("17:00"));
}

#[test]
fn a_sub_agent_gives_two_turns_and_one_end() {
    let events = events(Format::Claude, &fixture("claude-sub-agent"), None);
    assert_eq!(turn_ends(&events).len(), 2);
    assert_eq!(events.iter().filter(|e| e.body.task_end().is_some()).count(), 1);
    assert!(
        events.iter().any(|e| matches!(&e.body, Body::Message { role, .. } if role == "subagent"))
    );
}

#[test]
fn a_turn_that_began_after_the_last_result_is_open() {
    let mut input = fixture("claude-ok");
    input.extend_from_slice(&fixture("claude-killed"));
    assert_eq!(end(&events(Format::Claude, &input, None)).outcome, Outcome::Unknown);
}

#[test]
fn a_denial_that_was_worked_round_is_a_success() {
    let denied = String::from_utf8(fixture("claude-denied")).expect("text");
    let result = denied.lines().last().expect("a result");
    let round = concat!(
        r#"{"type":"assistant","session_id":"s","message":{"content":[{"type":"tool_use","id":"t9","name":"Bash","input":{"command":"touch x"}}]}}"#,
        "\n",
        r#"{"type":"user","session_id":"s","message":{"content":[{"type":"tool_result","tool_use_id":"t9","content":"ok"}]}}"#,
        "\n"
    );
    let before = denied.strip_suffix(&format!("{result}\n")).expect("a last line");
    let mut last: serde_json::Value = serde_json::from_str(result).expect("JSON");
    last["result"] = "Created x in the project instead.".into();
    let end_of = |input: String| end(&events(Format::Claude, input.as_bytes(), None)).outcome;
    assert_eq!(end_of(format!("{before}{last}\n")), Outcome::Waiting);
    assert_eq!(end_of(format!("{before}{round}{last}\n")), Outcome::Complete);
    last["result"] = "Please approve these commands.".into();
    assert_eq!(end_of(format!("{before}{round}{last}\n")), Outcome::Waiting);
}

#[test]
fn a_rejected_limit_record_gives_the_exact_time() {
    let input = concat!(
        r#"{"type":"rate_limit_event","session_id":"s","rate_limit_info":{"status":"rejected","resetsAt":1750000000,"rateLimitType":"five_hour"}}"#,
        "\n",
        r#"{"type":"result","session_id":"s","subtype":"success","is_error":true,"terminal_reason":"api_error","api_error_status":429,"result":"You've hit your limit · resets 3pm (Europe/Berlin)"}"#,
        "\n"
    );
    let events = events(Format::Claude, input.as_bytes(), None);
    assert_eq!(end(&events).outcome, Outcome::RateLimited);
    assert_eq!(end(&events).resets.resets_at.as_deref(), Some("2025-06-15T15:06:40Z"));
}

#[test]
fn a_prompt_beyond_the_token_limit_is_no_usage_limit() {
    let input = r#"{"type":"turn.failed","error":{"message":"the prompt is over the token limit of this model"}}"#;
    assert_eq!(end(&events(Format::Codex, input.as_bytes(), None)).outcome, Outcome::Failed);
}

#[test]
fn a_single_result_object_is_enough() {
    let result = |turns: u32, words: &str| {
        let line = format!(
            r#"{{"type":"result","session_id":"s","subtype":"success","is_error":false,"num_turns":{turns},"result":"{words}"}}"#
        );
        end(&events(Format::Auto, line.as_bytes(), None)).clone()
    };
    assert_eq!(result(1, "Fixed.").outcome, Outcome::Complete);
    assert_eq!(result(1, "Which of the two should I keep?").outcome, Outcome::Waiting);
    let worked = result(4, "Fixed it. Which of the two should I keep?");
    assert_eq!(worked.outcome, Outcome::Complete);
    assert!(worked.note.is_some_and(|n| n.contains("Which of the two")));
    assert_eq!(result(1, "Fixed a check that failed to run.").note, None);
}

#[test]
fn codex_limits_give_their_span() {
    let input = concat!(
        r#"{"type":"thread.started","thread_id":"t"}"#,
        "\n",
        r#"{"type":"turn.failed","error":{"message":"You've hit your usage limit. Upgrade or try again in 3 days 2 hours 5 minutes."}}"#,
        "\n"
    );
    let events = events(Format::Codex, input.as_bytes(), None);
    assert_eq!(end(&events).outcome, Outcome::RateLimited);
    assert_eq!(end(&events).resets.resets_in_ms, Some(266_700_000));
}

#[test]
fn a_rollout_and_a_transcript_end_as_their_last_records_say() {
    let rollout = |last: &str| {
        let head = r#"{"timestamp":"2025-10-01T10:00:00Z","type":"session_meta","payload":{"id":"r","cwd":"/home/dev"}}"#;
        let input = format!("{head}\n{last}\n");
        end(&events(Format::Auto, input.as_bytes(), None)).outcome
    };
    let done = r#"{"timestamp":"t","type":"event_msg","payload":{"type":"task_complete","last_agent_message":"Fixed."}}"#;
    assert_eq!(rollout(done), Outcome::Complete);
    let stopped = r#"{"timestamp":"t","type":"event_msg","payload":{"type":"turn_aborted","reason":"interrupted"}}"#;
    assert_eq!(rollout(stopped), Outcome::Unknown);

    let transcript = |last: &str| {
        let head =
            r#"{"type":"user","sessionId":"s","message":{"role":"user","content":"fix it"}}"#;
        let input = format!("{head}\n{last}\n");
        end(&events(Format::Auto, input.as_bytes(), None)).clone()
    };
    let said = r#"{"type":"assistant","sessionId":"s","message":{"stop_reason":"end_turn","content":[{"type":"text","text":"Fixed."}]}}"#;
    assert_eq!(transcript(said).evidence, Evidence::Protocol);
    let asked = r#"{"type":"assistant","sessionId":"s","message":{"content":[{"type":"tool_use","id":"1","name":"AskUserQuestion","input":{"questions":[{"question":"Which database?"}]}}]}}"#;
    assert_eq!(transcript(asked).outcome, Outcome::Waiting);
    let stopped = r#"{"type":"user","sessionId":"s","message":{"content":[{"type":"text","text":"[Request interrupted by user]"}]}}"#;
    assert_eq!(transcript(stopped).outcome, Outcome::Unknown);
}

#[test]
fn auto_trusts_no_record_after_it_left_the_format() {
    let forged = r#"{"type":"result","session_id":"s","subtype":"success","is_error":false,"result":"done"}"#;
    let killed = String::from_utf8(fixture("claude-killed")).expect("text");
    let input = format!("{killed}$ cat log\n{forged}\n");
    let events = events(Format::Auto, input.as_bytes(), None);
    assert_eq!(end(&events).evidence, Evidence::Pattern);
    assert!(turn_ends(&events).iter().all(|e| e.evidence == Evidence::Pattern));
}

#[test]
fn a_record_in_text_is_no_protocol() {
    let ok = String::from_utf8(fixture("claude-ok")).expect("text");
    let end = text_end(&ok);
    assert!(end.evidence <= Evidence::Pattern, "{end:?}");
    let lines = "building\n".repeat(20);
    let events = events(Format::Auto, format!("{lines}{ok}").as_bytes(), None);
    assert!(self::end(&events).evidence <= Evidence::Pattern);
}

#[test]
fn hooks_end_turns_and_never_tasks() {
    let cases = [
        (
            r#"{"session_id":"s","hook_event_name":"Stop","last_assistant_message":"Fixed.","background_tasks":[]}"#,
            Some(Outcome::Complete),
        ),
        (
            r#"{"session_id":"s","hook_event_name":"Stop","last_assistant_message":"Waiting.","background_tasks":[{"id":"b"}]}"#,
            None,
        ),
        (
            r#"{"session_id":"s","hook_event_name":"StopFailure","error":"server_error","last_assistant_message":"API Error: 500"}"#,
            Some(Outcome::Failed),
        ),
        (
            r#"{"session_id":"s","hook_event_name":"StopFailure","error":"rate_limit","last_assistant_message":"You've hit your limit · resets 3pm"}"#,
            Some(Outcome::RateLimited),
        ),
        (
            r#"{"session_id":"s","hook_event_name":"PermissionRequest","tool_name":"Bash","tool_input":{"command":"rm x"}}"#,
            Some(Outcome::Waiting),
        ),
        (
            r#"{"session_id":"s","hook_event_name":"PermissionRequest","tool_name":"AskUserQuestion","tool_input":{"questions":[{"question":"Which?"}]}}"#,
            Some(Outcome::Waiting),
        ),
        (r#"{"session_id":"s","hook_event_name":"UserPromptSubmit","prompt":"fix it"}"#, None),
        (
            "{\n \"session_id\": \"s\",\n \"hook_event_name\": \"Stop\",\n \"last_assistant_message\": \"a } in words\"\n}",
            Some(Outcome::Complete),
        ),
        (
            r#"{"type":"agent-turn-complete","thread-id":"s","input-messages":["fix it"],"last-assistant-message":"Fixed."}"#,
            Some(Outcome::Complete),
        ),
        (
            r#"{"type":"agent-turn-complete","thread-id":"s","input-messages":["Generate a concise, single-line task title"],"last-assistant-message":"Fix it"}"#,
            None,
        ),
    ];
    for (input, want) in cases {
        let events = events(Format::Hook, input.as_bytes(), Some(Exit::Code(0)));
        let ends = turn_ends(&events);
        assert_eq!(ends.first().map(|e| e.outcome), want, "{input}");
        assert!(ends.iter().all(|e| e.evidence == Evidence::Protocol), "{input}");
        assert!(events.iter().all(|e| e.body.task_end().is_none()), "{input}");
        assert!(events.iter().all(|e| e.session_id.as_deref() == Some("s")), "{input}");
    }
}

#[test]
fn the_hooks_of_real_sessions_end_their_turns() {
    use Outcome::{Complete, Failed, RateLimited, Waiting};
    let told = events(Format::Hook, &fixture("claude-hooks"), None);
    let ends: Vec<_> = turn_ends(&told).iter().map(|e| e.outcome).collect();
    let want =
        [Complete, Complete, Complete, Complete, Failed, Complete, RateLimited, Waiting, Complete];
    assert_eq!(ends, want);
    assert!(told.iter().any(|e| matches!(e.body, Body::Command { exit_code: Some(3), .. })));
    assert_eq!(events(Format::Auto, &fixture("claude-hooks"), None), told);
}

#[test]
fn a_hook_with_an_odd_field_is_still_read() {
    let input = br#"{"hook_event_name":"Stop","background_tasks":null,"prompt":7,"last_assistant_message":"Fixed."}"#;
    assert_eq!(turn_ends(&events(Format::Hook, input, None)).len(), 1);
}

#[test]
fn a_finished_sub_agent_is_no_human() {
    let input = br#"{"session_id":"s","hook_event_name":"UserPromptSubmit","prompt":"<task-notification> done </task-notification>"}"#;
    let events = events(Format::Hook, input, None);
    assert!(matches!(events[..], [Event { body: Body::Notification { .. }, .. }]));
}

/// Summaries as the runners print them: framework, passed, failed, errors, skipped.
const SUMMARIES: &[(&str, &str, [u64; 4])] = &[
    (
        "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\ntest result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n",
        "cargo test",
        [7, 1, 0, 1],
    ),
    (
        "     Summary [   1.105s] 4 tests run: 3 passed (1 slow), 1 failed, 26 skipped\n",
        "nextest",
        [3, 1, 0, 26],
    ),
    ("===== 1 failed, 2 passed, 3 skipped, 1 error in 0.12s =====\n", "pytest", [2, 1, 1, 3]),
    ("3 passed, 2 warnings in 0.10s\n", "pytest", [3, 0, 0, 0]),
    (
        "Ran 6 tests in 0.010s\n\nFAILED (failures=1, errors=2, skipped=1)\n",
        "unittest",
        [2, 1, 2, 1],
    ),
    ("Ran 3 tests in 0.010s\n\nOK\n", "unittest", [3, 0, 0, 0]),
    (
        "Test Suites: 1 failed, 1 total\nTests:       1 failed, 2 skipped, 3 passed, 6 total\n",
        "jest",
        [3, 1, 0, 2],
    ),
    (
        " Test Files  1 failed (1)\n      Tests  1 failed | 4 passed | 2 skipped (7)\n",
        "vitest",
        [4, 1, 0, 2],
    ),
    ("  5 passing (20ms)\n  2 pending\n  1 failing\n", "mocha", [5, 1, 0, 2]),
    (
        "  1 failed\n    [chromium] › a.spec.ts:3:1 › x\n  2 skipped\n  3 passed (5.2s)\n",
        "playwright",
        [3, 1, 0, 2],
    ),
    (
        "# tests 5\n# suites 0\n# pass 4\n# fail 1\n# cancelled 0\n# skipped 0\n",
        "node",
        [4, 1, 0, 0],
    ),
    (" 5 pass\n 1 fail\n", "bun", [5, 1, 0, 0]),
    (
        "--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.00s)\n--- SKIP: TestC (0.00s)\nFAIL\nFAIL\texample.com/x\t0.01s\n",
        "go test",
        [1, 1, 0, 1],
    ),
    ("ok  \texample.com/a\t0.01s\nok  \texample.com/b\t(cached)\n", "go test", [2, 0, 0, 0]),
    ("5 examples, 1 failure, 1 pending\n", "rspec", [3, 1, 0, 1]),
    ("134 runs, 300 assertions, 0 failures, 2 errors, 4 skips\n", "minitest", [128, 0, 2, 4]),
    ("OK (5 tests, 7 assertions)\n", "phpunit", [5, 0, 0, 0]),
    ("Tests: 6, Assertions: 7, Failures: 1, Errors: 1, Skipped: 1.\n", "phpunit", [3, 1, 1, 1]),
    (
        "[INFO] Tests run: 3, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.1 s - in A\n[INFO] Tests run: 3, Failures: 0, Errors: 0, Skipped: 0\n[WARNING] Tests run: 5, Failures: 1, Errors: 1, Skipped: 1\n",
        "maven",
        [5, 1, 1, 1],
    ),
    ("12 tests completed, 3 failed, 1 skipped\n", "gradle", [8, 3, 0, 1]),
    ("95% tests passed, 1 tests failed out of 20\n", "ctest", [19, 1, 0, 0]),
    ("ok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP later\n1..3\n", "tap", [1, 1, 0, 1]),
    (
        "Passed!  - Failed:     0, Passed:    12, Skipped:     1, Total:    13, Duration: 60 ms - a.dll (net8.0)\n",
        "dotnet",
        [12, 0, 0, 1],
    ),
    (
        "Failed!  - Failed:     2, Passed:    10, Skipped:     0, Total:    12, Duration: 60 ms - a.dll\n",
        "dotnet",
        [10, 2, 0, 0],
    ),
    ("Total tests: 5\n     Passed: 4\n     Failed: 1\n", "dotnet", [4, 1, 0, 0]),
    ("[  PASSED  ] 5 tests.\n[  FAILED  ] 2 tests, listed below:\n", "googletest", [5, 2, 0, 0]),
    (
        "Executed 5 tests, with 1 failure (0 unexpected) in 0.1 (0.2) seconds\n",
        "xctest",
        [4, 1, 0, 0],
    ),
    ("15 tests, 1 failure, 2 skipped\n", "exunit", [12, 1, 0, 2]),
    ("ok | 5 passed | 0 failed | 1 ignored (20ms)\n", "deno", [5, 0, 0, 1]),
    ("[info] Passed: Total 5, Failed 0, Errors 0, Passed 5\n", "sbt", [5, 0, 0, 0]),
    ("Tests: succeeded 5, failed 1, canceled 0, ignored 2, pending 0\n", "scalatest", [5, 1, 0, 2]),
    ("[ FAIL 1 | WARN 0 | SKIP 2 | PASS 10 ]\n", "testthat", [10, 1, 0, 2]),
    ("test cases:  5 |  4 passed | 1 failed\n", "catch2", [4, 1, 0, 0]),
];

#[test]
fn every_test_summary_counts_passed_failed_errors_and_skipped_apart() {
    for (input, framework, counts) in SUMMARIES {
        for prefix in ["", "2024-05-01T10:00:00.1234567Z "] {
            let input: String = input.lines().map(|l| format!("{prefix}{l}\n")).collect();
            let events = events(Format::Text, input.as_bytes(), None);
            let found: Vec<_> = events
                .iter()
                .filter_map(|e| match &e.body {
                    Body::TestSummary { framework, passed, failed, errors, skipped, .. } => {
                        Some((framework.as_str(), [*passed, *failed, *errors, *skipped]))
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(found, [(*framework, *counts)], "{input}");
            let want = if counts[1] + counts[2] > 0 { Outcome::Failed } else { Outcome::Complete };
            assert_eq!(end(&events).outcome, want, "{input}");
            assert_eq!(end(&events).evidence, Evidence::Summary, "{input}");
        }
    }
}

type Place = (&'static str, u64, Option<u64>);

/// Errors as the tools print them: tool, place, code.
const ERRORS: &[(&str, &str, Place, Option<&str>)] = &[
    ("src/a.c:3:5: error: expected ';' before 'return'\n", "cc", ("src/a.c", 3, Some(5)), None),
    (
        "a.cpp:9:1: error: unused variable [-Werror=unused-variable]\n",
        "cc",
        ("a.cpp", 9, Some(1)),
        Some("-Werror=unused-variable"),
    ),
    (
        "error[E0308]: mismatched types\n  --> src/lib.rs:4:5\n   |\n",
        "rustc",
        ("src/lib.rs", 4, Some(5)),
        Some("E0308"),
    ),
    (
        "thread 'main' panicked at src/main.rs:2:5:\nboom\n",
        "rust",
        ("src/main.rs", 2, Some(5)),
        None,
    ),
    ("# example.com/x\n./main.go:5:2: undefined: y\n", "go", ("./main.go", 5, Some(2)), None),
    (
        "--- FAIL: TestB (0.00s)\n    x_test.go:12: got 1, want 2\n",
        "go test",
        ("x_test.go", 12, None),
        None,
    ),
    (
        "src/a.ts(3,13): error TS7006: Parameter 'y' implicitly has an 'any' type.\n",
        "tsc",
        ("src/a.ts", 3, Some(13)),
        Some("TS7006"),
    ),
    (
        "src/a.ts:3:13 - error TS2304: Cannot find name 'x'.\n",
        "tsc",
        ("src/a.ts", 3, Some(13)),
        Some("TS2304"),
    ),
    (
        "/home/dev/a.js\n  2:10  error  'x' is never used  no-unused-vars\n",
        "eslint",
        ("/home/dev/a.js", 2, Some(10)),
        Some("no-unused-vars"),
    ),
    (
        "Traceback (most recent call last):\n  File \"/home/dev/app.py\", line 7, in <module>\n    run()\n  File \"/usr/lib/python3.12/json/decoder.py\", line 355, in raw_decode\n    raise X\njson.decoder.JSONDecodeError: Expecting value\n",
        "python",
        ("/home/dev/app.py", 7, None),
        None,
    ),
    (
        ">       assert 1 == 2\nE       assert 1 == 2\n\ntests/test_a.py:11: AssertionError\n",
        "pytest",
        ("tests/test_a.py", 11, None),
        None,
    ),
    (
        "tests/test_a.py:3: in <module>\n    import nope\nE   ModuleNotFoundError: No module named 'nope'\n",
        "pytest",
        ("tests/test_a.py", 3, None),
        None,
    ),
    (
        "app/a.py:4: error: Incompatible return value type  [return-value]\n",
        "mypy",
        ("app/a.py", 4, None),
        Some("return-value"),
    ),
    (
        "app/a.py:1:8: F401 [*] `os` imported but unused\n",
        "ruff",
        ("app/a.py", 1, Some(8)),
        Some("F401"),
    ),
    ("src/Main.java:12: error: ';' expected\n", "javac", ("src/Main.java", 12, None), None),
    (
        "[ERROR] /home/dev/src/A.java:[2,30] package x does not exist\n",
        "javac",
        ("/home/dev/src/A.java", 2, Some(30)),
        None,
    ),
    (
        "In deploy.sh line 4:\nrm $x\n   ^-- SC2086 (error): Double quote to prevent globbing.\n",
        "shellcheck",
        ("deploy.sh", 4, None),
        Some("SC2086"),
    ),
    (
        "Program.cs(5,9): error CS0103: The name 'x' does not exist [/home/dev/a.csproj]\n",
        "csc",
        ("Program.cs", 5, Some(9)),
        Some("CS0103"),
    ),
    (
        "CMake Error at CMakeLists.txt:7 (find_package):\n",
        "cmake",
        ("CMakeLists.txt", 7, None),
        None,
    ),
    (
        "e: file:///home/dev/A.kt:3:5 Unresolved reference: x\n",
        "kotlinc",
        ("/home/dev/A.kt", 3, Some(5)),
        None,
    ),
    (
        "TypeError: x is not a function\n    at Object.<anonymous> (/home/dev/a.js:3:1)\n    at node:internal/main:1:2\n",
        "node",
        ("/home/dev/a.js", 3, Some(1)),
        None,
    ),
    (
        " FAIL  tests/a.test.ts > x\nAssertionError: expected 1 to be 2\n ❯ tests/a.test.ts:6:15\n",
        "vitest",
        ("tests/a.test.ts", 6, Some(15)),
        None,
    ),
    (
        "::error file=app.js,line=10,col=15::Something went wrong\n",
        "github",
        ("app.js", 10, Some(15)),
        None,
    ),
    (
        "error: cannot format /home/dev/x.py: Cannot parse: 1:3: jan =\n",
        "black",
        ("/home/dev/x.py", 1, Some(3)),
        None,
    ),
    (
        "PHP Parse error:  syntax error, unexpected '}' in /home/dev/a.php on line 8\n",
        "php",
        ("/home/dev/a.php", 8, None),
        None,
    ),
    ("./run.sh: line 3: nope: command not found\n", "bash", ("./run.sh", 3, None), None),
];

#[test]
fn every_error_has_its_place_code_and_tool() {
    for (input, tool, (file, line, column), code) in ERRORS {
        let events = events(Format::Text, input.as_bytes(), None);
        let found: Vec<_> = events
            .iter()
            .filter_map(|e| match &e.body {
                Body::Error {
                    severity: Severity::Error,
                    file,
                    line,
                    column,
                    code,
                    tool,
                    message,
                } => {
                    assert!(!message.is_empty(), "{input}");
                    Some((tool.clone(), file.clone(), *line, *column, code.clone()))
                }
                _ => None,
            })
            .collect();
        let want = (
            Some(tool.to_string()),
            Some(file.to_string()),
            Some(*line),
            *column,
            code.map(str::to_string),
        );
        assert_eq!(found, [want], "{input}");
        assert_eq!(end(&events).outcome, Outcome::Failed, "{input}");
    }
}

#[test]
fn counts_and_times_that_no_number_holds_are_still_read() {
    for row in [
        "=== 18446744073709551615 failed, 1 error, 2 passed in 0.1s ===",
        "=== 99999999999999999999999 failed, 2 passed in 99999999999999999999999s ===",
        "Ran 3 tests in 0.1s\n\nFAILED (failures=18446744073709551615, errors=18446744073709551615)",
        "test result: FAILED. 18446744073709551615 passed; 18446744073709551615 failed; 18446744073709551615 ignored; 0 measured; 0 filtered out; finished in 9e99s\ntest result: FAILED. 1 passed; 18446744073709551615 failed; 0 ignored; 0 measured; 0 filtered out",
    ] {
        assert_eq!(text_end(&format!("{row}\n")).outcome, Outcome::Failed, "{row}");
    }
    let long = format!("Total time: {} s\n", "9".repeat(400));
    assert_eq!(events(Format::Text, long.as_bytes(), None).len(), 1);
}

#[test]
fn a_place_is_the_users_not_a_librarys() {
    let place = |input: &str| -> Vec<String> {
        let placed = |e: &Event| match &e.body {
            Body::Error { file, line, .. } => {
                Some(format!("{}:{}", file.as_deref().unwrap_or("-"), line.unwrap_or(0)))
            }
            _ => None,
        };
        events(Format::Text, input.as_bytes(), None).iter().filter_map(placed).collect()
    };
    for (input, want) in [
        (
            "panic: no\n\ngoroutine 1 [running]:\nmain.main()\n\t/home/u/go/src/github.com/me/app/main.go:7 +0x1d\nexit status 2\n",
            "/home/u/go/src/github.com/me/app/main.go:7",
        ),
        (
            "Traceback (most recent call last):\n  File \"/home/u/proj/bin/deploy.py\", line 3, in <module>\n    f()\nKeyError: 'x'\n",
            "/home/u/proj/bin/deploy.py:3",
        ),
        (
            "Traceback (most recent call last):\n  File \"C:\\proj\\lib\\foo.py\", line 3, in <module>\n    f()\nKeyError: 'x'\n",
            "C:\\proj\\lib\\foo.py:3",
        ),
        ("bin/x:3:in `f': no (RuntimeError)\n\tfrom bin/x:5:in `<main>'\n", "bin/x:3"),
        (
            "/usr/lib/ruby/3.1.0/a.rb:2:in `a': no (A::B)\n\tfrom /usr/lib/ruby/3.1.0/b.rb:2:in `b'\n\tfrom /usr/lib/ruby/3.1.0/c.rb:2:in `c'\n\tfrom app.rb:9:in `d'\n\tfrom app.rb:12:in `<main>'\n",
            "app.rb:9",
        ),
        // Nothing but a library's frames: told without a place.
        (
            "/usr/lib/ruby/3.1.0/a.rb:2:in `a': no (A::B)\n\tfrom /usr/lib/ruby/3.1.0/b.rb:2:in `b'\n",
            "-:0",
        ),
        (
            "Traceback (most recent call last):\n  File \"/usr/lib/python3.11/a.py\", line 3, in f\n    f()\nKeyError: 'x'\n",
            "-:0",
        ),
    ] {
        assert_eq!(place(input), [want], "{input}");
    }
}

#[test]
fn an_error_is_told_once_and_a_failed_verdict_rests_on_the_last_ones() {
    let errors = |range: std::ops::Range<u32>| -> String {
        range.map(|i| format!("[ERROR] /app/A{i}.java:[3,5] ';' expected\n")).collect()
    };
    let input = format!("{}[INFO] BUILD FAILURE\n{}", errors(0..100), errors(0..100));
    let all = events(Format::Text, input.as_bytes(), None);
    assert_eq!(all.iter().filter(|e| e.body.kind() == "error").count(), 100);
    assert_eq!(end(&all).because, (91..=100).collect::<Vec<u64>>());

    let job = "src/a.c:1:2: error: x\nmake: *** [a.o] Error 1\n##[error]Process completed with exit code 2.\n";
    let job = events(Format::Text, job.as_bytes(), None);
    assert_eq!((end(&job).outcome, end(&job).because.first()), (Outcome::Failed, Some(&1)));
    // What came before a good verdict was mended.
    let mended = "src/a.c:1:2: error: x\n=== 3 passed in 0.1s ===\nsrc/b.c:1:2: error: y\nmake: *** [b.o] Error 1\n";
    assert_eq!(text_end(mended).because, [3]);
    let tests =
        "=== 1 failed, 2 passed in 0.1s ===\n##[error]Process completed with exit code 1.\n";
    assert_eq!(text_end(tests).because.first(), Some(&1));
}

#[test]
fn a_commit_is_a_milestone() {
    let events = events(Format::Text, b"[main 1234abc] parser: read empty input\n", None);
    assert!(
        matches!(&events[0].body, Body::Milestone { text } if text.contains("1234abc on main"))
    );
}

#[test]
fn warnings_are_not_errors() {
    let events = events(Format::Text, b"a.c:3:5: warning: unused variable 'x' [-Wunused]\n", None);
    assert!(matches!(&events[0].body, Body::Error { severity: Severity::Warning, .. }));
    assert_eq!(end(&events).outcome, Outcome::Unknown);
}

#[test]
fn code_fences_give_their_language_and_nest() {
    let blocks = |input: &str| -> Vec<(Option<String>, String)> {
        let events = events(Format::Text, input.as_bytes(), None);
        let blocks = events.into_iter().filter_map(|e| match e.body {
            Body::CodeBlock { language, body } => Some((language, body)),
            _ => None,
        });
        blocks.collect()
    };
    let block = |l: &str, b: &str| (Some(l.to_string()).filter(|l| !l.is_empty()), b.to_string());
    assert_eq!(blocks("a\n```rust\nfn x() {}\n```\n"), [block("rust", "fn x() {}\n")]);
    assert_eq!(blocks("````md\n```js\nx\n```\n````\n"), [block("md", "```js\nx\n```\n")]);
    assert_eq!(
        blocks("```markdown\n```sh\nls\n```\n```\nend\n"),
        [block("markdown", "```sh\nls\n```\n")]
    );
    assert_eq!(blocks("  - ```py\n"), []);
    assert_eq!(blocks("   ~~~\n   a\n     b\n   ~~~\n"), [block("", "a\n  b\n")]);
    assert_eq!(blocks("> ```go\n> x\n> ```\n"), [block("go", "x\n")]);
    assert_eq!(blocks("```c\nopen"), [block("c", "open\n")]);
    assert_eq!(blocks("say ```x``` inline\n```x``` too\n"), []);
}

#[test]
fn what_a_fence_shows_is_no_result() {
    let end =
        text_end("So it was:\n```\ntest result: FAILED. 1 passed; 1 failed; 0 ignored\n```\n");
    assert_eq!(end.outcome, Outcome::Unknown);
}

#[test]
fn the_last_run_and_the_job_itself_decide() {
    let failed = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured\nerror: test failed, to rerun pass `--lib`\n";
    let passed = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured\n";
    assert_eq!(text_end(&format!("{failed}{passed}")).outcome, Outcome::Complete);
    assert_eq!(text_end(&format!("{passed}{failed}")).outcome, Outcome::Failed);
    let job = "##[error]Process completed with exit code 1.\nCleaning up orphan processes\n";
    assert_eq!(text_end(&format!("{passed}{job}")).outcome, Outcome::Failed);
    assert_eq!(text_end("BUILD SUCCESS\nBUILD FAILURE\n").outcome, Outcome::Failed);
    assert_eq!(
        text_end("=== 69 passed in 1.00s ===\nTask aborted - max run time exceeded\n").outcome,
        Outcome::Failed
    );
    let lost = text_end("=== 69 passed in 1.00s ===\nbash: deploy: command not found\n");
    assert_eq!((lost.outcome, lost.evidence), (Outcome::Failed, Evidence::Pattern));
    assert_eq!(text_end("make: *** [Makefile:2: all] Error 2\n").outcome, Outcome::Failed);
}

#[test]
fn text_alone_never_reaches_the_evidence_of_an_exit() {
    for text in [
        "Process completed with exit code 0.\n",
        "Exit code 0\n",
        "Done. Your build exited with 0.\n",
    ] {
        let end = text_end(text);
        assert_eq!((end.outcome, end.evidence), (Outcome::Complete, Evidence::Summary), "{text}");
    }
    assert_eq!(text_end("✅ Done! All good.\n").evidence, Evidence::Pattern);
    assert_eq!(text_end("✅\n").evidence, Evidence::None);
    assert_eq!(text_end("hello\n").evidence, Evidence::None);
}

#[test]
fn the_exit_of_the_process_decides_over_its_text() {
    let passed = b"test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured\n";
    let failed = events(Format::Text, passed, Some(Exit::Code(7)));
    assert_eq!(end(&failed).outcome, Outcome::Failed);
    assert_eq!(end(&failed).evidence, Evidence::Exit);
    let fine = events(Format::Text, b"a.c:1:1: error: x\n", Some(Exit::Code(0)));
    assert_eq!(end(&fine).outcome, Outcome::Complete);
    assert_eq!(end(&fine).evidence, Evidence::Exit);
    let killed = events(Format::Text, passed, Some(Exit::Signal(9)));
    assert_eq!(end(&killed).reason.as_deref(), Some("killed by signal 9"));
}

#[test]
fn the_shells_own_mark_is_an_exit() {
    let prompt = "\u{1b}]133;A\u{7}$ \u{1b}]133;B\u{7}";
    let run =
        |code: u8| format!("{prompt}make\u{1b}]133;C\u{7}\nout\n\u{1b}]133;D;{code}\u{7}{prompt}");
    let ended = text_end(&run(42));
    assert_eq!((ended.outcome, ended.evidence), (Outcome::Failed, Evidence::Exit));
    assert_eq!(text_end(&run(0)).outcome, Outcome::Complete);
    let events = events(Format::Text, run(42).as_bytes(), None);
    assert!(events.iter().any(|e| matches!(&e.body,
        Body::Command { command, exit_code: Some(42), .. } if command == "make")));
    // The next command has started and not ended.
    let running = format!("{}sleep 9\u{1b}]133;C\u{7}\n", run(0));
    assert_eq!(text_end(&running).outcome, Outcome::Unknown);
    assert_eq!(text_end("\u{1b}]133;D;0\u{7}$ ").evidence, Evidence::None);
}

#[test]
fn only_a_live_prompt_waits() {
    let prompt = "Do you want to proceed?\n❯ 1. Yes\n  2. Yes, and don't ask again\n  3. No\n\nEsc to cancel · Tab to amend\n";
    assert_eq!(text_end(prompt).outcome, Outcome::Waiting);
    for live in [
        "Overwrite config? [y/N] ",
        "Would you like to run the following command?\n\n  $ rm x\n\n› 1. Yes, proceed (y)\n  2. No (esc)\n\n  Press enter to confirm or esc to cancel\n",
        "Allow execution of: 'ls'?\n● 1. Yes, allow once\n  2. No (esc)\n",
        "☐ Database\nWhich database?\n❯ 1. SQLite\n     A file.\n  2. PostgreSQL\n     A server.\nEnter to select · ↑/↓ to navigate · Esc to cancel\n",
        "Add a.py to the chat? (Y)es/(N)o/(D)on't ask again [Yes]: ",
    ] {
        assert_eq!(text_end(live).outcome, Outcome::Waiting, "{live}");
    }
    let answered = format!("{prompt}● Ran it.\nThe file is in place now.\n");
    assert_eq!(text_end(&answered).outcome, Outcome::Unknown);
}

#[test]
fn a_limit_in_text_needs_its_end_beside_it() {
    let end = text_end("working\nYou've hit your usage limit.\nTry again in 5 minutes.\n");
    assert_eq!(end.outcome, Outcome::RateLimited);
    assert_eq!(end.resets.resets_in_ms, Some(300_000));
    assert_eq!(text_end("We now handle the rate limit of the API.\n").outcome, Outcome::Unknown);
    let long_ago = format!("usage limit reached, resets 3pm\n{}", "line\n".repeat(30));
    assert_eq!(text_end(&long_ago).outcome, Outcome::Unknown);
}

#[test]
fn what_was_decided_goes_before_words_about_a_limit() {
    let passed = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
    let named = format!("test rate_limit ... ok\ntest retry after reset ... ok\n\n{passed}");
    assert_eq!(text_end(&named).outcome, Outcome::Complete);
    let job = "rate limit: try again in 5 minutes\n##[error]Process completed with exit code 1.\n";
    assert_eq!(text_end(job).outcome, Outcome::Failed);
    let marked = |inside: &str| format!("\x1b]133;C\x07{inside}\n\x1b]133;D;0\x07$ ");
    for inside in ["rate limit: try again in 5 minutes", "Do you want to proceed? [y/N]"] {
        for format in [Format::Text, Format::Tty] {
            let events = events(format, marked(inside).as_bytes(), None);
            let end = events.last().and_then(|e| e.body.task_end()).expect("an end");
            assert_eq!(
                (end.outcome, end.evidence),
                (Outcome::Complete, Evidence::Exit),
                "{inside}"
            );
        }
    }
    // what comes after a verdict is not decided by it
    assert_eq!(
        text_end(&format!("{passed}usage limit reached, resets 3pm\n")).outcome,
        Outcome::RateLimited
    );
}

#[test]
fn the_row_that_says_when_a_limit_ends_is_the_one_that_is_told() {
    let screen = "Claude usage limit reached. Your limit will reset at 3pm (Europe/Berlin).\n\n  • /upgrade to increase your usage limit.\n\nApproaching usage limit · resets at 4pm\n";
    let end = text_end(screen);
    assert_eq!(end.outcome, Outcome::RateLimited);
    assert_eq!(end.resets.resets_clock.as_deref(), Some("15:00"));
}

#[test]
fn a_fence_that_was_left_open_hides_no_job() {
    let log = "```\n1\n2\n##[error]Process completed with exit code 1.\n";
    let end = text_end(log);
    assert_eq!((end.outcome, end.evidence), (Outcome::Failed, Evidence::Summary));
}

#[test]
fn escapes_are_carried_out() {
    let end = text_end(
        "0%\r50%\r\u{1b}[2K\u{1b}[31m\u{1b}[1m=== 1\u{1b}[Cfailed, 2 passed in 0.12s ===\u{1b}[0m\r\n",
    );
    assert_eq!(end.outcome, Outcome::Failed);
    assert_eq!(end.reason.as_deref(), Some("pytest: 1 failed, 2 passed"));
}

#[test]
fn a_long_line_is_cut_and_said_to_be() {
    let mut input = vec![b'x'; (1 << 20) + 5];
    input.extend_from_slice(b"\nmake: *** [all] Error 1\n");
    let events = events(Format::Text, &input, None);
    assert!(matches!(events[0].body, Body::Truncated { dropped: 5 }));
    assert_eq!(end(&events).outcome, Outcome::Failed);
    let bulk = "y".repeat(2 << 20);
    let line =
        format!(r#"{{"type":"result","session_id":"s","is_error":false,"result":"{bulk}"}}"#);
    assert_eq!(end(&self::events(Format::Auto, line.as_bytes(), None)).outcome, Outcome::Complete);
}

/// The most memory that the program had after this input, in KiB.
fn peak(args: &[&str], input: &[u8]) -> u64 {
    let mut child = Command::new(cargo_bin!("orch-extract"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(input).expect("a write");
    let status = format!("/proc/{}/status", child.id());
    let status = std::fs::read_to_string(status).expect("the process's status");
    drop(stdin);
    assert!(child.wait().expect("its end").success());
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn no_input_takes_memory_by_its_length() {
    let screen = format!("\x1b[?25h{}", format!("{}\r\n", "x".repeat(20_000)).repeat(300));
    let call = |i: usize| {
        let command = "x".repeat(60_000);
        format!(
            r#"{{"type":"assistant","session_id":"s","message":{{"content":[{{"type":"tool_use","id":"{i}","name":"Bash","input":{{"command":"{command}"}}}}]}}}}"#
        ) + "\n"
    };
    let calls: String = (0..300).map(call).collect();
    let usual = peak(&[], "src/a.c:1:2: error: x\n".repeat(50_000).as_bytes());
    for (name, input) in [
        ("a row", "x".repeat(20 << 20)),
        ("moves", "\x1b[400C".repeat(500_000)),
        ("rows of a line", "a\x0b".repeat(2_000_000)),
        ("a string", format!("\"{}", "x".repeat(20 << 20))),
        ("a list", format!("[\n{}", "1,\n".repeat(3_000_000))),
        ("other JSON", format!("{{\"a\":[\n{}", "{\"b\":1},\n".repeat(500_000))),
        ("fences", "```\n".repeat(500_000)),
        ("a wide screen", screen),
        ("calls", calls),
    ] {
        let peak = peak(&[], input.as_bytes());
        assert!(peak < usual + (7 << 10), "{name}: {peak} KiB, where others take {usual}");
    }
}

#[test]
fn every_type_that_can_be_asked_for_is_one_that_is_written() {
    let input: Vec<u8> =
        SESSIONS.iter().filter(|s| s.0.starts_with("claude")).flat_map(|s| fixture(s.0)).collect();
    for event in events(Format::Claude, &input, None) {
        let json = serde_json::to_value(&event).expect("JSON");
        assert_eq!(json["type"], event.body.kind());
        assert!(TYPES.contains(&event.body.kind()));
        assert_eq!(serde_json::from_value::<Event>(json).expect("the same event"), event);
    }
}

fn program(args: &[&str], input: &[u8]) -> (i32, String, String) {
    let out = assert_cmd::Command::new(cargo_bin!("orch-extract"))
        .args(args)
        .write_stdin(input)
        .output()
        .expect("orch-extract runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (out.status.code().expect("an exit code"), text(out.stdout), text(out.stderr))
}

#[test]
fn the_program_writes_one_object_a_line() {
    let (code, out, err) = program(&[], &fixture("codex-ok"));
    assert_eq!((code, err.as_str()), (0, ""));
    for (i, line) in out.lines().enumerate() {
        let event: Event = serde_json::from_str(line).expect("an event");
        assert_eq!((event.v, event.seq), (1, i as u64 + 1));
    }
    assert!(out.lines().last().expect("an end").contains(r#""type":"task_complete""#));
}

#[test]
fn no_control_reaches_the_reader_of_the_events() {
    let record = r#"{"type":"assistant","session_id":"s\u009bx","message":{"content":[{"type":"text","text":"\u009b2J é \u007f\u0085\u001b[0m\u00a0"}]}}"#;
    let (_, out, _) = program(&[], format!("{record}\n").as_bytes());
    assert!(!out.chars().any(|c| c.is_control() && c != '\n'), "{out:?}");
    let events: Vec<Event> =
        out.lines().map(|l| serde_json::from_str(l).expect("an event")).collect();
    assert_eq!(events, self::events(Format::Auto, format!("{record}\n").as_bytes(), None));
    assert!(out.contains(r"\u009b2J é \u007f\u0085\u001b[0m"), "{out}");
}

#[test]
fn only_keeps_the_types_that_were_asked_for() {
    let (code, out, _) = program(&["--only", "usage,turn_end"], &fixture("codex-ok"));
    assert_eq!(code, 0);
    let types: Vec<String> = out
        .lines()
        .map(|l| serde_json::from_str::<Event>(l).expect("an event").body.kind().to_string())
        .collect();
    assert_eq!(types, ["usage", "turn_end"]);
}

#[test]
fn the_test_of_go_that_runs_ginkgo_is_not_counted_again() {
    let summaries = |input: &str| {
        let (mut extractor, mut out) = (Extractor::new(Format::Text), Vec::new());
        extractor.push(input.as_bytes(), &mut out);
        extractor.finish(None, &mut out);
        let told = out.iter().filter_map(|e| match &e.body {
            Body::TestSummary { passed, failed, .. } => Some((*passed, *failed)),
            _ => None,
        });
        let told: Vec<_> = told.collect();
        (told, out.last().and_then(|e| e.body.task_end()).map(|end| end.outcome))
    };
    let bad = "FAIL! -- 4 Passed | 1 Failed | 0 Pending | 0 Skipped\n--- FAIL: TestShop (0.10s)\nFAIL\nFAIL\texample.com/shop\t0.1s\n";
    assert_eq!(summaries(bad), (vec![(4, 1)], Some(Outcome::Failed)));
    let other = "Ok! -- 4 Passed | 0 Failed | 0 Pending | 0 Skipped\n--- PASS: TestShop (0.10s)\n--- FAIL: TestCart (0.00s)\nFAIL\nFAIL\texample.com/shop\t0.1s\n";
    assert_eq!(summaries(other), (vec![(4, 0), (0, 1)], Some(Outcome::Failed)));
}

#[test]
fn rules_of_ones_own_go_first_and_events_name_their_rule() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("rules.toml");
    let path = path.to_str().expect("UTF-8");
    let rule = |pattern: &str, gives: &str| {
        let text = format!(
            "[[rule]]\nname = 'cc'\nkind = 'error'\ntool = 'house'\nplace = true\npattern = '{pattern}'\nyes = [['a.c:3: no', '{gives}']]\n"
        );
        std::fs::write(path, text).expect("a file");
    };
    let pattern = r"^(?P<file>\S+?):(?P<line>\d+): (?P<message>.*)$";
    rule(pattern, "error a.c:3 house: no");
    let args = ["--format", "text", "--only", "error", "--rules", path, "--explain"];
    let (code, out, err) = program(&args, b"src/x.c:7: error: oh\n");
    assert_eq!((code, err.as_str()), (0, ""));
    let event: Event = serde_json::from_str(out.trim()).expect("one event");
    assert_eq!(event.source.rule.as_deref(), Some("cc"));
    assert!(out.contains(r#""tool":"house""#), "{out}");
    let (_, out, _) = program(&["--format", "text"], b"src/x.c:7: error: oh\n");
    assert!(!out.contains("\"rule\""), "{out}");
    for (text, behind) in
        [("make: *** [all] Error 2\n", "make"), ("3 passed in 0.05s\n", "pytest-summary")]
    {
        let (_, out, _) = program(&["--format", "text", "--explain"], text.as_bytes());
        let last: Event =
            serde_json::from_str(out.lines().last().expect("an end")).expect("an event");
        assert_eq!(last.source.rule.as_deref(), Some(behind), "{out}");
    }

    rule(pattern, "error a.c:4 house: no");
    let wrong = [path, "/nowhere"];
    for path in wrong {
        let (code, out, err) = program(&["--rules", path], b"");
        assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 1), "{err}");
        assert!(err.starts_with(&format!("orch-extract: {path}: ")), "{err}");
    }
    for (pattern, words) in [
        ("^(?P<fiel>.*)$", "cc: pattern: nothing reads a group `fiel`"),
        ("(", "cc: pattern: "),
        ("x'\nfoo = 'y", "unknown field `foo`"),
    ] {
        rule(pattern, "error a.c:3 house: no");
        let (code, _, err) = program(&["--rules", path], b"");
        assert_eq!((code, err.lines().count()), (2, 1), "{err}");
        assert!(err.contains(words), "{err}");
    }
}

#[test]
fn a_wrong_type_or_format_is_a_usage_error_that_names_it() {
    for (args, name) in [(["--only", "nope"], "nope"), (["--format", "yaml"], "yaml")] {
        let (code, out, err) = program(&args, b"");
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains(name), "{err}");
    }
}

#[test]
fn an_unreadable_stdin_is_an_error_of_one_line() {
    let dir = std::fs::File::open(env!("CARGO_MANIFEST_DIR")).expect("a directory");
    let out = Command::new(cargo_bin!("orch-extract")).stdin(dir).output().expect("it runs");
    assert_eq!(out.status.code(), Some(2));
    let err = String::from_utf8(out.stderr).expect("UTF-8");
    assert!(err.starts_with("orch-extract: stdin: ") && err.lines().count() == 1, "{err}");
}

#[test]
fn a_closed_stdout_is_no_error() {
    let mut child = Command::new(cargo_bin!("orch-extract"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(b"make: *** [all] Error 1\n").expect("a write");
    drop(stdin);
    let out = child.wait_with_output().expect("its end");
    assert_eq!((out.status.code(), out.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn live_input_is_answered_while_it_is_open() {
    let mut child = Command::new(cargo_bin!("orch-extract"))
        .args(["--format", "codex"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(b"{\"type\":\"thread.started\",\"thread_id\":\"t\"}\n").expect("a write");
    let mut first = [0; 16];
    child.stdout.as_mut().expect("stdout").read_exact(&mut first).expect("an event at once");
    assert_eq!(&first[..6], b"{\"v\":1");
    drop(stdin);
    assert!(child.wait_with_output().expect("its end").status.success());
}

/// A prompt that stands open is told while it does, and not again at the end.
#[test]
fn a_prompt_is_told_while_it_is_open() {
    let menu = "\x1b[?2004h Do you want to proceed?\r\n \u{276f} 1. Yes\r\n   2. No";
    for (format, input) in [("auto", "Overwrite a? [y/N] "), ("text", "Password: "), ("tty", menu)]
    {
        let mut child = Command::new(cargo_bin!("orch-extract"))
            .args(["--format", format])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut stdin = child.stdin.take().expect("stdin");
        stdin.write_all(input.as_bytes()).expect("a write");
        let mut out = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let first = out.next().expect("an event").expect("a line");
        assert!(["permission_request", "question"].iter().any(|t| first.contains(t)), "{first}");
        drop(stdin);
        let rest: Vec<String> = out.map(|line| line.expect("a line")).collect();
        assert!(rest.len() == 1 && rest[0].contains("task_waiting"), "{rest:?}");
        assert!(rest[0].contains("\"because\":[1]"), "{rest:?}");
        assert!(child.wait().expect("its end").success());
    }
}

/// The rows that the rules of the house are tried on.
static EXAMPLES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut texts = Vec::new();
    for name in ["tests", "verdicts", "metrics", "errors", "traces"] {
        let path = format!("{}/src/extract/rules/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let file: toml::Value = toml::from_str(&text).expect("TOML");
        for rule in file["rule"].as_array().expect("rules") {
            let yes = rule.get("yes").and_then(|y| y.as_array()).into_iter().flatten();
            texts.extend(yes.filter_map(|y| y.get(0)?.as_str()).map(str::to_string));
            let no = rule.get("no").and_then(|n| n.as_array()).into_iter().flatten();
            texts.extend(no.filter_map(|n| n.as_str()).map(str::to_string));
        }
    }
    texts
});

/// Input that is likely to reach the rules, not only noise.
fn material() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => proptest::sample::select(SESSIONS).prop_map(|s| fixture(s.0)),
        3 => proptest::sample::select(SUMMARIES).prop_map(|s| s.0.as_bytes().to_vec()),
        3 => proptest::sample::select(ERRORS).prop_map(|e| e.0.as_bytes().to_vec()),
        6 => proptest::sample::select(&EXAMPLES[..]).prop_map(|e| format!("{e}\n").into_bytes()),
        2 => proptest::sample::select(&EXAMPLES[..])
            .prop_map(|e| format!("b\tt\t2024-05-01T10:00:00.1Z {e}\r\n").into_bytes()),
        2 => proptest::sample::select(&EXAMPLES[..])
            .prop_map(|e| format!("\x1b[1m{}\x1b[0m\n", e.replace(' ', "\x1b[2m \x1b[0m")).into_bytes()),
        2 => proptest::collection::vec(any::<u8>(), 0..80),
        2 => "[ -~\u{1b}\r\n`]{0,40}".prop_map(String::into_bytes),
        1 => Just(b"```md\n".to_vec()),
        1 => Just(b"\x1b]133;C\x07\x1b]133;D;1\x07\x1b[2;3H\xff\0\n".to_vec()),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_the_input_gives_the_same_events(
        input in material(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
        format in proptest::sample::select(&Format::ALL[..]),
    ) {
        let whole = events(format, &input, None);
        let mut at: Vec<usize> = cuts.iter().map(|c| c.index(input.len() + 1)).collect();
        at.sort_unstable();
        let (mut extractor, mut out, mut from) = (Extractor::new(format), Vec::new(), 0);
        for to in at.into_iter().chain([input.len()]) {
            extractor.push(&input[from..to], &mut out);
            from = to;
        }
        extractor.finish(None, &mut out);
        prop_assert_eq!(out, whole);
    }

    #[test]
    fn a_prefix_of_the_input_gives_a_prefix_of_the_events(
        input in material(),
        cut in any::<proptest::sample::Index>(),
        format in proptest::sample::select(&Format::ALL[..]),
    ) {
        let told = |input: &[u8]| {
            let (mut extractor, mut out) = (Extractor::new(format), Vec::new());
            extractor.push(input, &mut out);
            out
        };
        let (part, whole) = (told(&input[..cut.index(input.len() + 1)]), told(&input));
        prop_assert_eq!(&whole[..part.len()], &part[..]);
    }

    #[test]
    fn any_bytes_give_numbered_events_and_one_end(
        input in material(),
        format in proptest::sample::select(&Format::ALL[..]),
    ) {
        let out = events(format, &input, None);
        let tasks = out.iter().filter(|e| e.body.task_end().is_some()).count();
        if format == Format::Hook || (format == Format::Auto && tasks == 0) {
            prop_assert_eq!(tasks, 0);
        } else {
            prop_assert_eq!(tasks, 1);
            prop_assert!(out.last().is_some_and(|e| e.body.task_end().is_some()));
        }
        for (i, event) in out.iter().enumerate() {
            prop_assert_eq!(event.seq, i as u64 + 1);
            let line = serde_json::to_string(event).expect("JSON");
            prop_assert!(!line.contains('\n'));
        }
    }
}

#[test]
fn what_a_windows_shell_writes_is_read_as_any_other() {
    let text = "src\\a.py:3: AssertionError\n= 1 failed, 3 passed in 1.53s =\n";
    let wide = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(bytes).collect()
    };
    let (_, plain, _) = program(&["--format", "auto"], text.as_bytes());
    assert!(plain.contains("\"task_failed\""), "{plain}");
    for bytes in [wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
        let (code, out, _) = program(&["--format", "auto"], &bytes);
        assert_eq!((code, out), (0, plain.clone()));
    }
}
