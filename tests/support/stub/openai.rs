//! The OpenAI Responses API, as Codex uses it.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Answer, Call, QUESTION, THOUGHT, Turn, list, serial, texts};
use super::http::Http;
use super::{End, Shared};

pub fn responses(shared: &Shared, http: &mut Http, session: &str, body: &Value) -> io::Result<()> {
    let mut turn = Turn::default();
    for item in list(&body["input"]) {
        match item["type"].as_str() {
            Some("message") | None if item["role"] == "user" => turn.say(&texts(&item["content"])),
            Some("function_call_output" | "custom_tool_call_output") => {
                let output = texts(&item["output"]).join("\n");
                let of_command = output.split_once("Output:\n").map(|(_, text)| text.to_owned());
                turn.results.push(of_command.unwrap_or(output));
            }
            _ => {}
        }
    }
    // Codex names its thread in a second, hidden one
    if turn.prompt.starts_with("Generate a concise, single-line task title") {
        return reply(shared, http, body, &turn, &Answer::Text("Stub title".into()));
    }
    let (number, answer) = shared.begin(session, &turn);
    let answer = match answer {
        // Codex offers no such tools
        Answer::Call(Call::Ask) => Answer::Text(QUESTION.into()),
        Answer::Call(Call::Task(_)) => Answer::Text("I have no helper.".into()),
        other => other,
    };
    let replied = reply(shared, http, body, &turn, &answer);
    shared.end(number, if replied.is_ok() { answer.end() } else { End::Left });
    replied
}

fn reply(
    shared: &Shared,
    http: &mut Http,
    body: &Value,
    turn: &Turn,
    answer: &Answer,
) -> io::Result<()> {
    if let Some((status, error)) = refusal(answer) {
        return http.json(status, "", &json!({"error": error}));
    }
    let serial = serial();
    let id = format!("msg_{serial}");
    let base = json!({"id": format!("resp_{serial}"), "object": "response", "model": body["model"], "created_at": 0});
    let whole = |status: &str, output: Vec<Value>| {
        let mut response = base.clone();
        let asked = turn.prompt.len() / 4;
        response["status"] = status.into();
        response["output"] = output.into();
        response["usage"] = json!({
            "input_tokens": asked, "output_tokens": 7, "total_tokens": asked + 7,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
        });
        response
    };
    http.start_events()?;
    http.event(&json!({"type": "response.created", "response": whole("in_progress", Vec::new())}))?;
    if let Answer::Hang(time) = answer {
        http.pause(shared, *time)?;
    }
    let mut output = Vec::new();
    if let Answer::Think = answer {
        output.push(think(shared, http, serial)?);
    }
    let message = |status: &str, content: Value| json!({"type": "message", "id": id, "role": "assistant", "status": status, "content": content});
    let index = output.len();
    let added = message("in_progress", json!([]));
    http.event(
        &json!({"type": "response.output_item.added", "output_index": index, "item": added}),
    )?;
    let text = answer.speak(shared, http, |http, piece| {
        http.event(&json!({
            "type": "response.output_text.delta", "item_id": id, "output_index": index, "content_index": 0,
            "delta": piece,
        }))
    })?;
    match answer {
        Answer::Drop => return http.cut(),
        Answer::StreamError => {
            let mut failed = whole("failed", Vec::new());
            failed["error"] = json!({"code": "server_is_overloaded", "message": "Overloaded"});
            return http.event(&json!({"type": "response.failed", "response": failed}));
        }
        _ => {}
    }
    let said = json!([{"type": "output_text", "text": text, "annotations": []}]);
    let item = message("completed", said);
    http.event(&json!({"type": "response.output_item.done", "output_index": index, "item": item}))?;
    output.push(item);
    if let Answer::Call(call) = answer {
        let item = tool_call(call, serial);
        http.event(
            &json!({"type": "response.output_item.done", "output_index": index + 1, "item": item}),
        )?;
        output.push(item);
    }
    http.event(&json!({"type": "response.completed", "response": whole("completed", output)}))
}

/// A reasoning item, which takes its second.
fn think(shared: &Shared, http: &mut Http, serial: u64) -> io::Result<Value> {
    let id = format!("rs_{serial}");
    let item = |summary: Value| json!({"type": "reasoning", "id": id, "summary": summary});
    http.event(
        &json!({"type": "response.output_item.added", "output_index": 0, "item": item(json!([]))}),
    )?;
    let mut thought = String::new();
    for _ in 0..10 {
        http.event(&json!({
            "type": "response.reasoning_summary_text.delta", "item_id": id, "output_index": 0, "summary_index": 0,
            "delta": THOUGHT,
        }))?;
        thought += THOUGHT;
        http.pause(shared, Duration::from_millis(100))?;
    }
    let item = item(json!([{"type": "summary_text", "text": thought}]));
    http.event(&json!({"type": "response.output_item.done", "output_index": 0, "item": item}))?;
    Ok(item)
}

/// Status and error of an answer that is none.
fn refusal(answer: &Answer) -> Option<(u16, Value)> {
    match answer {
        Answer::Error(status) => {
            let (kind, code, message) = match status {
                400 => ("invalid_request_error", Value::Null, "stub: bad request"),
                401 => (
                    "invalid_request_error",
                    "invalid_api_key".into(),
                    "Incorrect API key provided",
                ),
                429 => ("requests", "rate_limit_exceeded".into(), "stub: too many requests"),
                529 => ("server_error", "server_is_overloaded".into(), "Overloaded"),
                _ => ("server_error", Value::Null, "Internal server error"),
            };
            Some((*status, json!({"type": kind, "code": code, "message": message})))
        }
        Answer::Limit(reset) => {
            let error = json!({
                "type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "plus",
                "resets_at": reset,
            });
            Some((429, error))
        }
        _ => None,
    }
}

/// A tool call in Codex's terms: it offers one tool, which runs JavaScript; the others are functions in there.
fn tool_call(call: &Call, serial: u64) -> Value {
    let script = match call {
        Call::Shell { command, escape, background } => {
            let mut arguments = json!({"cmd": command});
            if *escape {
                arguments["sandbox_permissions"] = "require_escalated".into();
                arguments["justification"] = "May the stub's command leave the sandbox?".into();
            }
            if *background {
                // what still runs after this time goes on in the background
                arguments["yield_time_ms"] = 250.into();
            }
            format!("const r = await tools.exec_command({arguments});\ntext(r.output ?? r);\n")
        }
        Call::Write { path, text } => {
            let patch = format!("*** Begin Patch\n*** Add File: {path}\n+{text}\n*** End Patch\n");
            format!("text(await tools.apply_patch({}));\n", json!(patch))
        }
        Call::Ask | Call::Task(_) => String::new(),
    };
    json!({
        "type": "custom_tool_call", "id": format!("ctc_{serial}"), "call_id": format!("call_{serial}"),
        "namespace": "functions", "name": "exec", "input": script, "status": "completed",
    })
}
