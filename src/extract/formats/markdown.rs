//! Transcripts in Markdown: SpecStory, the exports of OpenCode, Cursor and Copilot, and others that
//! put the speaker's name into a heading or a bold line of its own.

use crate::event::{Body, End, Evidence, Exit, Outcome, Severity};
use crate::extract::decoder::{Decoder, Place, Sink, TEXT_CAP, lossy};
use crate::extract::ending::{protocol, unknown};
use crate::extract::fence::Fences;
use crate::extract::{limit, phrase};

#[derive(Default)]
pub struct Markdown {
    fences: Fences,
    /// Who speaks, from where, and what was said so far.
    saying: Option<(Role, Place, String)>,
    /// What the agent said last, if nobody spoke since.
    answer: Option<(String, u64)>,
    interrupted: bool,
    trouble: Option<(String, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    User,
    Assistant,
    Tool,
}

/// The speaker that a row names.
pub fn role(row: &str) -> Option<Role> {
    let row = row.trim();
    let text = match row.trim_start_matches('#') {
        rest if rest.len() < row.len() && rest.starts_with(' ') && row.len() - rest.len() < 5 => {
            rest
        }
        _ => row.strip_prefix("_**").or(row.strip_prefix("**"))?,
    };
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let end = text.find(|c: char| !c.is_alphanumeric() && c != ' ' && c != '-');
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    // A name, and no more than a mark, a time or a model behind it.
    if !(rest.is_empty() || rest.starts_with([':', '*', '_', '(', '[', '·', '—'])) {
        return None;
    }
    match name.trim().to_lowercase().as_str() {
        "user" | "human" | "you" | "user message" | "user prompt" | "prompt" => Some(Role::User),
        "assistant" | "agent" | "claude" | "claude code" | "codex" | "cursor" | "copilot"
        | "gemini" | "ai" | "model" | "opencode" | "chatgpt" | "assistant message"
        | "assistant response" | "response" => Some(Role::Assistant),
        "tool" | "tools" | "tool result" | "tool results" | "tool use" | "tool call"
        | "tool calls" | "tool output" | "system" => Some(Role::Tool),
        _ => None,
    }
}

/// Whether a transcript may begin with this row: not every heading that names an agent is one.
pub fn is_start(row: &str) -> bool {
    let row = row.trim();
    let named = match role(row) {
        Some(Role::User) => true,
        Some(Role::Assistant) => row.to_lowercase().contains("assistant"),
        _ => false,
    };
    // `# user: alice` is a comment of many a file.
    named && (row.starts_with("##") || row.starts_with(['_', '*']) || !row.contains(':'))
}

impl Decoder for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn cap(&self) -> usize {
        TEXT_CAP
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let text = lossy(line);
        let row = text.trim_end();
        let shown = self.fences.row(row, sink);
        if !shown && let Some(role) = role(row) {
            self.said(sink);
            let inline = row.split_once(":**").map_or("", |(_, rest)| rest.trim());
            self.saying = Some((role, sink.place(), inline.to_string()));
            return;
        }
        if let Some((_, _, words)) = &mut self.saying
            && words.len() + row.len() < TEXT_CAP
            && !(words.is_empty() && row.is_empty())
        {
            words.push_str(row);
            words.push('\n');
        }
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        self.fences.close(sink);
        self.said(sink);
        if self.answer.is_some() || self.interrupted {
            sink.put(Body::TurnEnd(self.last()));
        }
    }

    fn end(&self, exit: Option<Exit>) -> Option<End> {
        Some(match exit {
            Some(exit @ (Exit::Signal(_) | Exit::Code(1..))) => {
                crate::extract::ending::failed_exit(exit)
            }
            _ => self.last(),
        })
    }
}

impl Markdown {
    /// Another speaks, or nobody.
    fn said(&mut self, sink: &mut Sink<'_>) {
        let Some((role, place, words)) = self.saying.take() else { return };
        let text = words.trim().trim_end_matches("---").trim().to_string();
        if text.is_empty() {
            return;
        }
        self.interrupted = text.contains("[Request interrupted by user");
        match role {
            Role::User => {
                if self.answer.is_some() {
                    sink.put(Body::TurnEnd(self.last()));
                }
                self.answer = None;
                self.trouble = None;
                sink.put_at(&place, Body::Message { role: "user".into(), text });
            }
            Role::Tool => self.answer = None,
            Role::Assistant => {
                let body = Body::Message { role: "assistant".into(), text: text.clone() };
                let seq = sink.put_at(&place, body);
                self.trouble = None;
                if is_trouble(&text) {
                    let error = Body::error(Severity::Error, phrase::clip(&text, 2000), None, "");
                    self.trouble = Some((text.clone(), sink.put_at(&place, error)));
                }
                self.answer = Some((text, seq));
            }
        }
    }

    /// A transcript shows no end: its last answer is one if nothing stands behind it.
    fn last(&self) -> End {
        let weak = |end: End| End {
            evidence: Evidence::Pattern,
            confidence: end.confidence.min(0.4),
            ..end
        };
        if self.interrupted {
            return unknown("interrupted by the user");
        }
        if let Some((words, seq)) = &self.trouble {
            let reason = Some(phrase::first_line(words));
            let limited = limit::is_limit(words);
            let outcome = if limited { Outcome::RateLimited } else { Outcome::Failed };
            let end = End { reason, ..protocol(outcome, vec![*seq]) };
            let resets = if limited { limit::resets(words) } else { Default::default() };
            return weak(End { resets, ..end });
        }
        match &self.answer {
            Some((words, seq)) => {
                let done = protocol(Outcome::Complete, vec![*seq]);
                weak(crate::extract::ending::judge(done, words.clone(), true))
            }
            None => unknown("nobody answered last"),
        }
    }
}

/// A client's own short words for an error, in the agent's place.
fn is_trouble(text: &str) -> bool {
    text.len() < 600
        && (text.starts_with("API Error") || (limit::is_limit(text) && limit::has_reset(text)))
}

#[cfg(test)]
mod tests {
    use super::{Role, is_start, role};

    #[test]
    fn a_transcript_begins_with_its_first_speaker() {
        for row in ["## User", "_**User (2025-07-01 10:00Z)**_", "**Human:** do it", "# Assistant"]
        {
            assert!(is_start(row), "{row}");
        }
        for row in
            ["# Claude Code", "# Agent: rules", "**Copilot** finished", "# user: alice", "## Tools"]
        {
            assert!(!is_start(row), "{row}");
        }
    }

    #[test]
    fn a_heading_names_the_speaker() {
        for (row, want) in [
            ("## User", Some(Role::User)),
            ("### 👤 User", Some(Role::User)),
            ("_**User (2025-07-01 10:00Z)**_", Some(Role::User)),
            ("**Human:** do it", Some(Role::User)),
            ("## Assistant (Build · claude · 3.2s)", Some(Role::Assistant)),
            ("_**Agent (model x, mode Agent)**_", Some(Role::Assistant)),
            ("**Tool: bash**", Some(Role::Tool)),
            ("## User guide", None),
            ("User", None),
            ("**Note:** you", None),
            ("##### x", None),
        ] {
            assert_eq!(role(row), want, "{row}");
        }
    }
}
