//! The Anthropic Messages API, as Claude Code uses it.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Answer, Call, QUESTION, THOUGHT, Turn, list, serial, texts};
use super::http::Http;
use super::{End, Shared};

pub fn messages(shared: &Shared, http: &mut Http, session: &str, body: &Value) -> io::Result<()> {
    let mut turn = Turn::default();
    for message in list(&body["messages"]).iter().filter(|m| m["role"] == "user") {
        for block in list(&message["content"]).iter().filter(|b| b["type"] == "tool_result") {
            turn.results.push(texts(&block["content"]).join("\n"));
        }
        turn.say(&texts(&message["content"]));
    }
    // a request without tools is the client's own: a title, a topic
    if list(&body["tools"]).is_empty() {
        let title = Answer::Text(json!({"title": "Stub title"}).to_string());
        return reply(shared, http, body, &turn, &title);
    }
    let (number, answer) = shared.begin(session, &turn);
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
    if let Some((status, headers, error)) = refusal(answer) {
        return http.json(status, &headers, &error);
    }
    let serial = serial();
    let call = match answer {
        Answer::Call(call) => Some(tool_use(call, serial)),
        _ => None,
    };
    let stop = if call.is_some() { "tool_use" } else { "end_turn" };
    let mut message = json!({
        "id": format!("msg_{serial}"), "type": "message", "role": "assistant", "model": body["model"], "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": turn.prompt.len() / 4, "output_tokens": 7},
    });
    let streaming = body["stream"] == true;
    if streaming {
        http.start_events()?;
    }
    if let Answer::Hang(time) = answer {
        http.pause(shared, *time)?;
    }
    if !streaming {
        // this is how Claude tries again what failed in a stream
        match answer {
            Answer::Drop => return http.cut(),
            Answer::StreamError => {
                return http.json(529, "", &error("overloaded_error", "Overloaded"));
            }
            _ => {}
        }
        let text = answer.speak(shared, http, |_, _| Ok(()))?;
        message["content"] =
            [json!({"type": "text", "text": text})].into_iter().chain(call).collect();
        message["stop_reason"] = stop.into();
        return http.json(200, "", &message);
    }
    http.event(&json!({"type": "message_start", "message": message}))?;
    let mut index = 0;
    if let Answer::Think = answer {
        let empty = json!({"type": "thinking", "thinking": "", "signature": ""});
        http.event(
            &json!({"type": "content_block_start", "index": index, "content_block": empty}),
        )?;
        for _ in 0..10 {
            let thought = json!({"type": "thinking_delta", "thinking": THOUGHT});
            http.event(&json!({"type": "content_block_delta", "index": index, "delta": thought}))?;
            http.pause(shared, Duration::from_millis(100))?;
        }
        let signed = json!({"type": "signature_delta", "signature": "c3R1Yg=="});
        http.event(&json!({"type": "content_block_delta", "index": index, "delta": signed}))?;
        http.event(&json!({"type": "content_block_stop", "index": index}))?;
        index += 1;
    }
    let empty = json!({"type": "text", "text": ""});
    http.event(&json!({"type": "content_block_start", "index": index, "content_block": empty}))?;
    answer.speak(shared, http, |http, piece| {
        let text = json!({"type": "text_delta", "text": piece});
        http.event(&json!({"type": "content_block_delta", "index": index, "delta": text}))
    })?;
    match answer {
        Answer::Drop => return http.cut(),
        Answer::StreamError => return http.event(&error("overloaded_error", "Overloaded")),
        _ => {}
    }
    http.event(&json!({"type": "content_block_stop", "index": index}))?;
    if let Some(mut call) = call {
        index += 1;
        let input = call["input"].take().to_string();
        call["input"] = json!({});
        http.event(&json!({"type": "content_block_start", "index": index, "content_block": call}))?;
        let whole = json!({"type": "input_json_delta", "partial_json": input});
        http.event(&json!({"type": "content_block_delta", "index": index, "delta": whole}))?;
        http.event(&json!({"type": "content_block_stop", "index": index}))?;
    }
    http.event(&json!({
        "type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": 7},
    }))?;
    http.event(&json!({"type": "message_stop"}))
}

fn error(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

/// Status, header lines and body of an answer that is none.
fn refusal(answer: &Answer) -> Option<(u16, String, Value)> {
    match answer {
        Answer::Error(status) => {
            let (kind, message) = match status {
                400 => ("invalid_request_error", "stub: bad request"),
                401 => ("authentication_error", "invalid x-api-key"),
                429 => ("rate_limit_error", "stub: too many requests"),
                529 => ("overloaded_error", "Overloaded"),
                _ => ("api_error", "Internal server error"),
            };
            Some((*status, String::new(), error(kind, message)))
        }
        Answer::Limit(reset) => {
            let reset = reset.map_or(String::new(), |epoch| {
                format!("anthropic-ratelimit-unified-reset: {epoch}\r\n")
            });
            let headers = format!(
                "anthropic-ratelimit-unified-status: rejected\r\nanthropic-ratelimit-unified-representative-claim: five_hour\r\n{reset}"
            );
            let message =
                "This request would exceed your account's rate limit. Please try again later.";
            Some((429, headers, error("rate_limit_error", message)))
        }
        _ => None,
    }
}

/// A tool call in Claude's terms.
fn tool_use(call: &Call, serial: u64) -> Value {
    let (name, input) = match call {
        Call::Shell { command, background, .. } => {
            let mut input = json!({"command": command, "description": "Run the stub's command"});
            if *background {
                input["run_in_background"] = true.into();
            }
            ("Bash", input)
        }
        Call::Write { path, text } => ("Write", json!({"file_path": path, "content": text})),
        Call::Ask => (
            "AskUserQuestion",
            json!({"questions": [{
                "question": QUESTION, "header": "Old table", "multiSelect": false,
                "options": [
                    {"label": "Delete", "description": "it is of no more use"},
                    {"label": "Keep", "description": "somebody may want it"},
                ],
            }]}),
        ),
        Call::Task(prompt) => (
            "Agent",
            json!({"description": "Help the stub", "prompt": prompt, "subagent_type": "general-purpose"}),
        ),
    };
    json!({"type": "tool_use", "id": format!("toolu_{serial}"), "name": name, "input": input})
}
