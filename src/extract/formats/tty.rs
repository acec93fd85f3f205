//! The bytes that a terminal gets, of a full-screen program or of a shell.

mod escape;
mod screen;

use super::text::Text;
use crate::event::{Body, End, Evidence, Exit, Outcome};
use crate::extract::decoder::{Decoder, Sink, lossy};
use crate::extract::ending::{failed_exit, unknown};
use crate::extract::{limit, phrase};
use escape::{Escapes, Token};
use screen::Screen;

/// A frame longer than this was left open: its program died in the middle.
const LONGEST_FRAME: u64 = 256 << 10;

#[derive(Default)]
pub struct Tty {
    escapes: Escapes,
    view: View,
}

/// All but the scanner, whose tokens are borrowed from it.
#[derive(Default)]
struct View {
    main: Screen,
    /// The alternate screen, while it is shown.
    alternate: Option<Screen>,
    /// Where the open frame began.
    frame: Option<u64>,
    /// The program draws in frames.
    frames: bool,
    text: Text,
    agent: Agent,
    line: u64,
    offset: u64,
    /// The place is that of what carries these bytes.
    carried: bool,
    /// A program drew on it, not only wrote.
    painted: bool,
}

/// What the agent says of itself (OSC 7501).
#[derive(Default)]
struct Agent {
    app: String,
    state: String,
    /// A turn runs, or waits for a person.
    open: bool,
    /// Said to be over, and the `seq` of that; the words that tell how come in the next frame.
    unsettled: Option<u64>,
    /// The end, were this the end of the input.
    end: Option<End>,
}

impl Tty {
    pub fn push(&mut self, bytes: &[u8], sink: &mut Sink<'_>) {
        let view = &mut self.view;
        self.escapes.push(bytes, |token, length| {
            view.token(token, sink);
            if !view.carried {
                view.offset += length as u64;
            }
        });
    }

    /// Bytes that a recording's line carries: their place is that line's.
    pub fn push_at(&mut self, bytes: &[u8], sink: &mut Sink<'_>) {
        let (line, offset) = sink.at();
        (self.view.line, self.view.offset, self.view.carried) = (line - 1, offset, true);
        self.push(bytes, sink);
    }

    /// So many lines and bytes of the input were read, some by another.
    pub fn skip(&mut self, lines: u64, bytes: u64) {
        (self.view.line, self.view.offset) = (lines, bytes);
    }

    /// A full-screen program drew here.
    pub fn is_painted(&self) -> bool {
        self.view.painted || self.view.frames
    }

    pub fn rest(&mut self, sink: &mut Sink<'_>) {
        let view = &mut self.view;
        sink.set_place(view.line + 1, view.offset);
        let rows: Vec<String> = view.screen().texts().map(|row| bare(&row).into()).collect();
        view.text.ask(&rows, sink);
    }

    pub fn close(&mut self, sink: &mut Sink<'_>) {
        let view = &mut self.view;
        view.end_frame(sink);
        if view.agent.unsettled.is_some() {
            view.settle(None, sink);
        }
        if view.screen().painted {
            let rows: Vec<String> = view.screen().texts().map(|row| bare(&row).into()).collect();
            view.text.screen(rows);
        }
        view.text.close(sink);
    }

    /// A full-screen client that exits with 0 has merely been left: its own word goes before it.
    pub fn end(&self, exit: Option<Exit>) -> End {
        let View { text, agent, .. } = &self.view;
        match &agent.end {
            Some(end) if matches!(exit, None | Some(Exit::Code(0))) => end.clone(),
            _ => text.outcome(exit),
        }
    }
}

impl View {
    fn screen(&mut self) -> &mut Screen {
        self.alternate.as_mut().unwrap_or(&mut self.main)
    }

    fn token(&mut self, token: Token<'_>, sink: &mut Sink<'_>) {
        let at = (self.line + 1, self.offset);
        match token {
            Token::Text(text) => {
                self.screen().print(&text, at);
                return;
            }
            Token::Control(c) => {
                self.screen().control(c, at);
                self.line += u64::from(c == b'\n' && !self.carried);
            }
            Token::Escape(last) => self.screen().escape(last),
            Token::Csi { params, last: last @ (b'h' | b'l') } => {
                if let Some(modes) = params.strip_prefix(b"?") {
                    modes.split(|c| *c == b';').for_each(|m| self.mode(m, last == b'h', sink));
                }
            }
            Token::Csi { params, last } => {
                if params.iter().all(|c| matches!(c, b'0'..=b';')) {
                    self.screen().csi(params, last, at);
                }
            }
            Token::Osc(text) => self.mark(&lossy(text), sink),
            Token::Other => {}
        }
        if self.frame.is_some_and(|from| self.offset.saturating_sub(from) > LONGEST_FRAME) {
            self.end_frame(sink);
        }
        self.read(sink);
    }

    fn mode(&mut self, mode: &[u8], on: bool, sink: &mut Sink<'_>) {
        match mode {
            b"2026" if on => {
                self.end_frame(sink);
                self.frames = true;
                self.frame = Some(self.offset);
                self.screen().begin_frame();
            }
            b"2026" => {
                self.end_frame(sink);
                // The words of an error had this frame to be in.
                if self.agent.state == "error" {
                    self.settle(None, sink);
                }
            }
            b"47" | b"1047" | b"1049" if on != self.alternate.is_some() => {
                let framed = self.frame.is_some();
                self.screen().flush();
                self.read(sink);
                self.painted = true;
                self.alternate = on.then(Screen::alternate);
                if framed {
                    self.screen().begin_frame();
                }
            }
            _ => {}
        }
    }

    fn end_frame(&mut self, sink: &mut Sink<'_>) {
        self.frame = None;
        self.screen().flush();
        self.read(sink);
    }

    /// Reads the rows that are done.
    fn read(&mut self, sink: &mut Sink<'_>) {
        if self.screen().done.is_empty() {
            return;
        }
        let painted = self.alternate.is_some();
        for row in std::mem::take(&mut self.screen().done) {
            sink.set_place(row.at.0, row.at.1);
            if row.dropped > 0 {
                sink.put(Body::Truncated { dropped: row.dropped });
            }
            if painted {
                self.text.painted(bare(&row.text), sink)
            } else {
                self.text.row(&row.text, sink)
            }
            if self.agent.unsettled.is_some() {
                self.settle(Some(&row.text), sink);
            }
        }
    }

    /// Marks in the stream: what is on the screen is read before them.
    fn mark(&mut self, text: &str, sink: &mut Sink<'_>) {
        if let Some(mark) = text.strip_prefix("133;") {
            self.shell(mark, sink);
        } else if let Some(mark) = text.strip_prefix("7501;") {
            self.end_frame(sink);
            sink.set_place(self.line + 1, self.offset);
            self.status(mark, sink);
        }
    }

    /// What a shell says of its commands (OSC 133).
    fn shell(&mut self, mark: &str, sink: &mut Sink<'_>) {
        let mut parts = mark.split(';');
        match parts.next() {
            Some("B") => self.screen().begin_input(),
            Some("C") => {
                self.end_frame(sink);
                let command = self.screen().take_input();
                self.screen().forget();
                self.agent = Agent::default();
                self.text.begin_command(command);
            }
            Some("D") => {
                self.end_frame(sink);
                sink.set_place(self.line + 1, self.offset);
                let code = parts.next().and_then(|code| code.parse().ok());
                let Some((code, seq)) = self.text.end_command(code, sink) else { return };
                // Its exit stands for the agent that ran in it.
                self.agent = Agent::default();
                let exit = Exit::Code(code.try_into().unwrap_or(i32::MAX));
                let failed = failed_exit(exit);
                let outcome = if code == 0 { Outcome::Complete } else { Outcome::Failed };
                sink.put(Body::TurnEnd(End { outcome, because: vec![seq], ..failed }));
            }
            _ => {}
        }
    }

    fn status(&mut self, mark: &str, sink: &mut Sink<'_>) {
        let field = |name: &str| {
            let mut pairs = mark.split(':').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
        };
        let (Some(state), app) = (field("state"), field("app").unwrap_or("agent")) else { return };
        let agent = &self.agent;
        // A program that the agent runs ends no turn of the agent's.
        let foreign = agent.open && agent.app != app;
        let known = matches!(state, "idle" | "working" | "blocked" | "done" | "error");
        if !known || foreign || (agent.app == app && agent.state == state) {
            return;
        }
        if agent.unsettled.is_some() && agent.state == "error" {
            self.settle(None, sink);
        }
        let kind = field("kind").map(|kind| format!(" ({kind})")).unwrap_or_default();
        let seq = sink.put(Body::Notification { text: format!("{app}: {state}{kind}") });
        let open = self.agent.open;
        self.agent.app = app.to_string();
        self.agent.state = state.to_string();
        match state {
            "working" => {
                self.agent.open = true;
                // Codex goes to idle and back while it starts: that was no interruption.
                self.agent.unsettled = None;
                self.agent.end = Some(unknown("still at work when the input ended"));
            }
            "blocked" => {
                let text = format!("{app} asks: {}", field("kind").unwrap_or("input"));
                let asked = Body::PermissionRequest { text: text.clone(), tool: None };
                let because = vec![sink.put(asked)];
                self.agent.open = true;
                let end = End { reason: Some(text), ..by_status(Outcome::Waiting, because) };
                self.end_turn(end, sink);
            }
            "done" if open => {
                self.agent.open = false;
                self.end_turn(by_status(Outcome::Complete, vec![seq]), sink);
            }
            "error" | "idle" if open => {
                self.agent.open = false;
                self.agent.unsettled = Some(seq);
                if state == "error" && !self.frames {
                    self.settle(None, sink);
                }
            }
            _ => {}
        }
    }

    /// Tells how a turn ended that was not done. `row` is what the screen said after the state
    /// changed; without one there is nothing to wait for.
    fn settle(&mut self, row: Option<&str>, sink: &mut Sink<'_>) {
        let Some(seq) = self.agent.unsettled else { return };
        let words = row.map(|row| phrase::clip(bare(row), 300));
        let end = match (self.agent.state.as_str(), words) {
            ("error", Some(words)) if limit::is_limit(&words) => {
                let resets = limit::resets(&words);
                let end = by_status(Outcome::RateLimited, vec![seq]);
                End { resets, reason: Some(words), ..end }
            }
            ("error", Some(words)) if row.is_some_and(|row| row.trim_start().starts_with('■')) => {
                End { reason: Some(words), ..by_status(Outcome::Failed, vec![seq]) }
            }
            ("error", None) => by_status(Outcome::Failed, vec![seq]),
            ("idle", words) if words.as_ref().is_none_or(|w| w.contains("interrupted")) => {
                let end = by_status(Outcome::Unknown, vec![seq]);
                End { reason: Some("interrupted".into()), ..end }
            }
            _ => return,
        };
        self.agent.unsettled = None;
        self.end_turn(end, sink);
    }

    fn end_turn(&mut self, end: End, sink: &mut Sink<'_>) {
        self.agent.end = Some(end.clone());
        sink.put(Body::TurnEnd(end));
    }
}

fn by_status(outcome: Outcome, because: Vec<u64>) -> End {
    End {
        outcome,
        evidence: Evidence::Status,
        confidence: 1.0,
        reason: None,
        because,
        ..unknown("")
    }
}

/// A row without the bullets and brackets that clients put before what a tool printed.
fn bare(row: &str) -> &str {
    row.trim_start_matches(|c: char| c == ' ' || "⎿●•■└│┃".contains(c))
}
