//! A model API on loopback for the real clients; the prompt itself says what the model does.
//!
//! It speaks as much of the Anthropic Messages API (Claude Code) and of the OpenAI Responses API (Codex) as the pinned
//! clients use. The last directive in the last human prompt decides:
//!
//! | directive | the model |
//! |---|---|
//! | `STUB:ok TEXT` | answers TEXT |
//! | `STUB:bash CMD` | runs CMD with the client's shell tool, then names the result |
//! | `STUB:loop N CMD` | the same, N times |
//! | `STUB:fail` | says that it could not do it |
//! | `STUB:question` | ends with a question to the user |
//! | `STUB:slow N` | streams words for N seconds |
//! | `STUB:hang N` | says nothing for N seconds, then answers |
//! | `STUB:drop` | begins to answer, then the line is cut |
//! | `STUB:400`, `401`, `429`, `500`, `529` | that HTTP error, every time |
//! | `STUB:flaky N` | 529 for the first N requests with this prompt, then an answer |
//! | `STUB:limit [EPOCH]` | the usage limit is reached; EPOCH says when it resets |

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Stub {
    pub fn start() -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind on loopback");
        let address = listener.local_addr().expect("address of a listener");
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if theirs.lock().stopped {
                    break;
                }
                let shared = theirs.clone();
                // a client may leave in the middle of an answer: that ends the connection and nothing else
                std::thread::spawn(move || drop(serve(&shared, stream)));
            }
        });
        Stub { address, shared, accepting: Some(accepting) }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The user's prompt of every model request so far, retries and the rounds after a tool call included.
    pub fn prompts(&self) -> Vec<String> {
        self.shared.lock().prompts.clone()
    }

    /// Waits for the `n`th model request, so that a test can act while the model answers.
    pub fn await_prompts(&self, n: usize) -> Vec<String> {
        let (state, wait) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), Duration::from_secs(60), |s| {
                s.prompts.len() < n
            })
            .expect("stub state");
        assert!(!wait.timed_out(), "{} of {n} model requests in 60 s", state.prompts.len());
        state.prompts.clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.accepting.take() {
            drop(thread.join());
        }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    prompts: Vec<String>,
    stopped: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("stub state")
    }

    /// Notes a model request and answers how many had the same prompt before.
    fn note(&self, prompt: &str) -> usize {
        let mut state = self.lock();
        let before = state.prompts.iter().filter(|p| *p == prompt).count();
        state.prompts.push(prompt.to_owned());
        self.changed.notify_all();
        before
    }

    /// Sleeps, but not longer than the stub lives.
    fn pause(&self, time: Duration) {
        drop(self.changed.wait_timeout_while(self.lock(), time, |s| !s.stopped));
    }
}

/// What the model does in one turn.
enum Answer {
    Text(String),
    Shell(String),
    Slow(Duration),
    Hang(Duration),
    Drop,
    Error(u16),
    Limit(Option<u64>),
}

/// A prompt, and what the tool calls made for it gave.
#[derive(Default)]
struct Turn {
    prompt: String,
    results: Vec<String>,
}

impl Turn {
    /// `before` counts the earlier requests with this prompt.
    fn answer(&self, before: usize) -> Answer {
        let Some(at) = self.prompt.rfind("STUB:") else {
            return Answer::Text("There is no directive in the prompt.".into());
        };
        let line = self.prompt[at + 5..].lines().next().unwrap_or_default();
        let (name, argument) = line.split_once(' ').unwrap_or((line, ""));
        let number = || argument.split(' ').next().and_then(|n| n.parse::<u64>().ok());
        let seconds = Duration::from_secs(number().unwrap_or(5));
        match name.trim_end() {
            "ok" if argument.is_empty() => Answer::Text("It is finished.".into()),
            "ok" => Answer::Text(argument.into()),
            "bash" => self.shell(1, argument),
            "loop" => {
                let (times, command) = argument.split_once(' ').unwrap_or(("1", argument));
                self.shell(times.parse().unwrap_or(1), command)
            }
            "fail" => Answer::Text("I could not do it: a dependency is missing.".into()),
            "question" => Answer::Text("Should I delete the old table, or keep it?".into()),
            "slow" => Answer::Slow(seconds),
            "hang" => Answer::Hang(seconds),
            "drop" => Answer::Drop,
            "flaky" if (before as u64) < number().unwrap_or(1) => Answer::Error(529),
            "flaky" => Answer::Text(format!("It is finished, at request {}.", before + 1)),
            "limit" => Answer::Limit(number()),
            other => match other.parse() {
                Ok(status) => Answer::Error(status),
                Err(_) => Answer::Text(format!("STUB:{other} is no directive.")),
            },
        }
    }

    fn shell(&self, times: usize, command: &str) -> Answer {
        match self.results.last() {
            Some(result) if self.results.len() >= times => {
                Answer::Text(format!("The command gave: {}", result.trim()))
            }
            _ => Answer::Shell(command.into()),
        }
    }

    /// Texts of one user message: a prompt, unless the client wrote them all itself.
    fn say(&mut self, texts: &[&str]) {
        let human: Vec<&str> = texts.iter().copied().filter(|t| !written_by_client(t)).collect();
        if !human.is_empty() {
            *self = Turn { prompt: human.join("\n"), results: Vec::new() };
        }
    }
}

fn written_by_client(text: &str) -> bool {
    const TAGS: [&str; 8] = [
        "<system-reminder>",
        "<local-command",
        "<command-name>",
        "<environment_context>",
        "<user_instructions>",
        "<permissions",
        "<skills_instructions>",
        "# AGENTS.md",
    ];
    TAGS.iter().any(|tag| text.trim_start().starts_with(tag))
}

fn serve(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut http = Http { stream };
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let target = request.split(' ').nth(1).unwrap_or_default();
    match target.split('?').next().unwrap_or_default() {
        "/v1/messages" => messages(shared, &mut http, &body),
        "/v1/messages/count_tokens" => http.json(200, "", &json!({"input_tokens": length / 4})),
        "/v1/responses" => responses(shared, &mut http, &body),
        "/v1/models" => http.json(200, "", &json!({"data": [], "models": [], "has_more": false})),
        path => http.json(404, "", &json!({"error": {"message": format!("stub: no {path}")}})),
    }
}

/// One connection, one answer.
struct Http {
    stream: TcpStream,
}

impl Http {
    /// `headers` are whole lines, each with its line end.
    fn json(&mut self, status: u16, headers: &str, body: &Value) -> io::Result<()> {
        let body = body.to_string();
        write!(
            self.stream,
            "HTTP/1.1 {status} Stub\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn start_events(&mut self) -> io::Result<()> {
        self.stream.write_all(
            b"HTTP/1.1 200 Stub\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
        )
    }

    fn event(&mut self, event: Value) -> io::Result<()> {
        let name = event["type"].as_str().unwrap_or_default();
        write!(self.stream, "event: {name}\ndata: {event}\n\n")
    }

    fn cut(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Both)
    }
}

/// The text of an answer, given to `emit` piece by piece at its own pace.
fn speak(
    shared: &Shared,
    answer: &Answer,
    mut emit: impl FnMut(&str) -> io::Result<()>,
) -> io::Result<String> {
    let mut said = String::new();
    let last = match answer {
        Answer::Slow(time) => {
            let end = Instant::now() + *time;
            while Instant::now() < end && !shared.lock().stopped {
                emit("word ")?;
                said += "word ";
                shared.pause(Duration::from_millis(100));
            }
            "and that is all."
        }
        Answer::Text(text) => text,
        Answer::Shell(_) => "I will run a command.",
        Answer::Hang(_) => "Here is a late answer.",
        Answer::Drop => "I begin to ans",
        Answer::Error(_) | Answer::Limit(_) => "",
    };
    emit(last)?;
    Ok(said + last)
}

/// The text in a string, in `{text}` blocks, or in a list of both.
fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text],
        Value::Array(blocks) => blocks.iter().filter_map(|b| b["text"].as_str()).collect(),
        _ => Vec::new(),
    }
}

/// Numbers ids: Claude merges messages of the same id, and then loses count of the tool calls.
fn serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

// --- Anthropic Messages

fn messages(shared: &Shared, http: &mut Http, body: &Value) -> io::Result<()> {
    let mut turn = Turn::default();
    for message in list(&body["messages"]).iter().filter(|m| m["role"] == "user") {
        for block in list(&message["content"]).iter().filter(|b| b["type"] == "tool_result") {
            turn.results.push(texts(&block["content"]).join("\n"));
        }
        turn.say(&texts(&message["content"]));
    }
    // a request without tools is the client's own: a title, a topic
    let answer = if list(&body["tools"]).is_empty() {
        Answer::Text(json!({"title": "Stub title"}).to_string())
    } else {
        turn.answer(shared.note(&turn.prompt))
    };
    let error = |kind: &str, message: &str| json!({"type": "error", "error": {"type": kind, "message": message}});
    match answer {
        Answer::Error(status) => {
            let (kind, message) = match status {
                400 => ("invalid_request_error", "stub: bad request"),
                401 => ("authentication_error", "invalid x-api-key"),
                429 => ("rate_limit_error", "stub: too many requests"),
                529 => ("overloaded_error", "Overloaded"),
                _ => ("api_error", "Internal server error"),
            };
            return http.json(status, "", &error(kind, message));
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
            return http.json(429, &headers, &error("rate_limit_error", message));
        }
        _ => {}
    }
    let serial = serial();
    let call = match &answer {
        Answer::Shell(command) => Some(json!({
            "type": "tool_use", "id": format!("toolu_{serial}"), "name": "Bash",
            "input": {"command": command, "description": "Run the stub's command"},
        })),
        _ => None,
    };
    let stop = if call.is_some() { "tool_use" } else { "end_turn" };
    let mut reply = json!({
        "id": format!("msg_{serial}"), "type": "message", "role": "assistant", "model": body["model"], "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": turn.prompt.len() / 4, "output_tokens": 7},
    });
    let streaming = body["stream"] == true;
    if streaming {
        http.start_events()?;
    }
    if let Answer::Hang(time) = answer {
        shared.pause(time);
    }
    if !streaming {
        if let Answer::Drop = answer {
            return http.cut();
        }
        let text = speak(shared, &answer, |_| Ok(()))?;
        reply["content"] =
            [json!({"type": "text", "text": text})].into_iter().chain(call).collect();
        reply["stop_reason"] = stop.into();
        return http.json(200, "", &reply);
    }
    http.event(json!({"type": "message_start", "message": reply}))?;
    http.event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}))?;
    speak(shared, &answer, |piece| {
        http.event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}))
    })?;
    if let Answer::Drop = answer {
        return http.cut();
    }
    http.event(json!({"type": "content_block_stop", "index": 0}))?;
    if let Some(mut call) = call {
        let input = call["input"].take().to_string();
        call["input"] = json!({});
        http.event(json!({"type": "content_block_start", "index": 1, "content_block": call}))?;
        http.event(json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": input}}))?;
        http.event(json!({"type": "content_block_stop", "index": 1}))?;
    }
    http.event(json!({
        "type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": 7},
    }))?;
    http.event(json!({"type": "message_stop"}))
}

// --- OpenAI Responses

fn responses(shared: &Shared, http: &mut Http, body: &Value) -> io::Result<()> {
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
    let answer = if turn.prompt.starts_with("Generate a concise, single-line task title") {
        Answer::Text("Stub title".into())
    } else {
        turn.answer(shared.note(&turn.prompt))
    };
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
            return http.json(
                status,
                "",
                &json!({"error": {"type": kind, "code": code, "message": message}}),
            );
        }
        Answer::Limit(reset) => {
            return http.json(429, "", &json!({"error": {
                "type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "plus", "resets_at": reset,
            }}));
        }
        _ => {}
    }
    let serial = serial();
    let id = format!("msg_{serial}");
    let base = json!({"id": format!("resp_{serial}"), "object": "response", "model": body["model"], "created_at": 0});
    let whole = |status: &str, output: Vec<Value>| {
        let mut response = base.clone();
        response["status"] = status.into();
        response["output"] = output.into();
        response["usage"] = json!({
            "input_tokens": turn.prompt.len() / 4, "output_tokens": 7, "total_tokens": turn.prompt.len() / 4 + 7,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
        });
        response
    };
    http.start_events()?;
    http.event(json!({"type": "response.created", "response": whole("in_progress", Vec::new())}))?;
    if let Answer::Hang(time) = answer {
        shared.pause(time);
    }
    let message = |status: &str, content: Value| json!({"type": "message", "id": id, "role": "assistant", "status": status, "content": content});
    let added = message("in_progress", json!([]));
    http.event(json!({"type": "response.output_item.added", "output_index": 0, "item": added}))?;
    let text = speak(shared, &answer, |piece| {
        http.event(json!({
            "type": "response.output_text.delta", "item_id": id, "output_index": 0, "content_index": 0, "delta": piece,
        }))
    })?;
    if let Answer::Drop = answer {
        return http.cut();
    }
    let mut output = vec![message(
        "completed",
        json!([{"type": "output_text", "text": text, "annotations": []}]),
    )];
    if let Answer::Shell(command) = &answer {
        output.push(codex_call(command, serial));
    }
    for (index, item) in output.iter().enumerate() {
        http.event(
            json!({"type": "response.output_item.done", "output_index": index, "item": item}),
        )?;
    }
    http.event(json!({"type": "response.completed", "response": whole("completed", output)}))
}

/// Codex offers one tool, which runs JavaScript; the shell is a function in there.
fn codex_call(command: &str, serial: u64) -> Value {
    let script = format!(
        "const r = await tools.exec_command({});\ntext(r.output ?? r);\n",
        json!({"cmd": command})
    );
    json!({
        "type": "custom_tool_call", "id": format!("ctc_{serial}"), "call_id": format!("call_{serial}"),
        "namespace": "functions", "name": "exec", "input": script, "status": "completed",
    })
}
