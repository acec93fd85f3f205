//! As much of HTTP as the clients use: one request and one answer on a connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Shared, anthropic, openai};

pub fn serve(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut http = Http { stream };
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    let mut session = String::new();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                // Claude's name for it, and Codex's
                "x-claude-code-session-id" | "session-id" | "session_id" => {
                    session = value.trim().into()
                }
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let target = request.split(' ').nth(1).unwrap_or_default();
    match target.split('?').next().unwrap_or_default() {
        "/v1/messages" => anthropic::messages(shared, &mut http, &session, &body),
        "/v1/messages/count_tokens" => http.json(200, "", &json!({"input_tokens": length / 4})),
        "/v1/responses" => openai::responses(shared, &mut http, &session, &body),
        "/v1/models" => http.json(200, "", &json!({"data": [], "models": [], "has_more": false})),
        path => http.json(404, "", &json!({"error": {"message": format!("stub: no {path}")}})),
    }
}

/// One connection, one answer.
pub struct Http {
    stream: TcpStream,
}

impl Http {
    /// `headers` are whole lines, each with its line end.
    pub fn json(&mut self, status: u16, headers: &str, body: &Value) -> io::Result<()> {
        let body = body.to_string();
        write!(
            self.stream,
            "HTTP/1.1 {status} Stub\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n{body}",
            body.len()
        )
    }

    pub fn start_events(&mut self) -> io::Result<()> {
        self.stream.write_all(
            b"HTTP/1.1 200 Stub\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
        )
    }

    pub fn event(&mut self, event: &Value) -> io::Result<()> {
        let name = event["type"].as_str().unwrap_or_default();
        write!(self.stream, "event: {name}\ndata: {event}\n\n")
    }

    pub fn cut(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Both)
    }

    /// Lets time pass, but not longer than the stub lives; a client that hangs up meanwhile is an error.
    pub fn pause(&mut self, shared: &Shared, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || shared.lock().stopped {
                return Ok(());
            }
            self.stream.set_read_timeout(Some(left.min(Duration::from_millis(20))))?;
            match self.stream.peek(&mut [0]) {
                Ok(0) => return Err(io::ErrorKind::BrokenPipe.into()),
                // no client sends anything after its request
                Ok(_) => std::thread::sleep(Duration::from_millis(20)),
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(e) => return Err(e),
            }
        }
    }
}
