//! Aider's `.aider.chat.history.md`: `#### ` is the user, `> ` the client, the rest the model.

use crate::event::{Body, End, Evidence, Exit, Outcome, Severity};
use crate::extract::decoder::{Decoder, Place, Sink, TEXT_CAP, lossy};
use crate::extract::ending::{judge, protocol, unknown};
use crate::extract::fence::Fences;
use crate::extract::{limit, phrase};

const STARTED: &str = "# aider chat started at ";

#[derive(Default)]
pub struct Aider {
    fences: Fences,
    saying: Option<(Speaker, Place, String)>,
    answer: Option<(String, u64)>,
    /// A turn of the agent's is open: something was asked of the model.
    asked: bool,
    /// Edits and commits of this turn.
    done: Vec<u64>,
    trouble: Option<(String, u64)>,
    question: Option<String>,
    /// The last row was blank.
    blank: bool,
    end: Option<End>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    Model,
}

impl Aider {
    pub fn is_head(line: &str) -> bool {
        line.starts_with(STARTED)
    }

    fn add(&mut self, who: Speaker, row: &str, sink: &mut Sink<'_>) {
        if self.saying.as_ref().is_none_or(|(speaker, ..)| *speaker != who) {
            self.said(sink);
            self.saying = Some((who, sink.place(), String::new()));
        }
        if let Some((_, _, words)) = &mut self.saying
            && words.len() + row.len() < TEXT_CAP
        {
            words.push_str(row);
            words.push('\n');
        }
    }

    fn said(&mut self, sink: &mut Sink<'_>) {
        let Some((who, place, words)) = self.saying.take() else { return };
        let text = words.trim().to_string();
        if text.is_empty() {
            return;
        }
        match who {
            Speaker::User => {
                self.end_turn(sink);
                // A command of the client's own asks nothing of the model.
                self.asked = !text.starts_with('/') || is_asking(&text);
                if self.asked {
                    self.end = None;
                }
                sink.put_at(&place, Body::Message { role: "user".into(), text });
            }
            Speaker::Model => {
                let body = Body::Message { role: "assistant".into(), text: text.clone() };
                let seq = sink.put_at(&place, body);
                self.answer = Some((text, seq));
            }
        }
    }

    /// A row of the client's.
    fn client(&mut self, row: &str, sink: &mut Sink<'_>) {
        self.said(sink);
        self.question = None;
        if let Some(path) = row.strip_prefix("Applied edit to ") {
            let path = path.trim().to_string();
            self.done.push(sink.put(Body::FileChange { path, kind: "update".into() }));
            self.trouble = None;
        } else if let Some(commit) = row.strip_prefix("Commit ").filter(|c| is_commit(c)) {
            self.done.push(sink.put(Body::Milestone { text: format!("commit {commit}") }));
            self.trouble = None;
        } else if let Some(usage) = row.strip_prefix("Tokens: ") {
            tokens(usage, sink);
        } else if is_trouble(row) {
            let seq = sink.put(Body::error(Severity::Error, row.to_string(), None, "aider"));
            self.trouble = Some((row.to_string(), seq));
        } else if row.contains("(Y)es/(N)o") && row.ends_with("]:") {
            self.question = Some(row.to_string());
        }
    }

    fn end_turn(&mut self, sink: &mut Sink<'_>) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        let end = self.ending();
        sink.put(Body::TurnEnd(end.clone()));
        self.end = Some(end);
        self.answer = None;
        self.trouble = None;
        self.done.clear();
    }

    fn ending(&self) -> End {
        let by = |evidence, confidence, end: End| End { evidence, confidence, ..end };
        if let Some(text) = &self.question {
            let end = End { reason: Some(text.clone()), ..protocol(Outcome::Waiting, vec![]) };
            return by(Evidence::Pattern, 0.6, end);
        }
        if let Some((words, seq)) = &self.trouble {
            let limited = limit::is_limit(words);
            let outcome = if limited { Outcome::RateLimited } else { Outcome::Failed };
            let reason = Some(phrase::first_line(words));
            let resets = if limited { limit::resets(words) } else { Default::default() };
            let end = End { reason, resets, ..protocol(outcome, vec![*seq]) };
            return by(Evidence::Pattern, 0.6, end);
        }
        let Some((words, seq)) = &self.answer else {
            return unknown("the model did not answer");
        };
        if !self.done.is_empty() {
            let end = End {
                reason: Some("edits were applied".into()),
                answer: Some(words.clone()),
                ..protocol(Outcome::Complete, self.done.clone())
            };
            return by(Evidence::Summary, 0.7, end);
        }
        let end = judge(protocol(Outcome::Complete, vec![*seq]), words.clone(), false);
        let confidence = end.confidence.min(0.4);
        by(Evidence::Pattern, confidence, end)
    }
}

impl Decoder for Aider {
    fn name(&self) -> &'static str {
        "aider"
    }

    fn cap(&self) -> usize {
        TEXT_CAP
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let text = lossy(line);
        let row = text.trim_end();
        // Where a fence was left open a prompt still stands behind a blank row, and has the two
        // blanks of a hard break at its end, which a heading in a fence has not.
        let blank = std::mem::replace(&mut self.blank, row.is_empty());
        let prompts = !self.fences.is_open() || (blank && text.ends_with("  "));
        if Aider::is_head(row) {
            self.fences.close(sink);
            self.said(sink);
            self.end_turn(sink);
            sink.put(Body::SessionStart { cwd: None, model: None });
        } else if let Some(words) = row.strip_prefix("#### ").filter(|_| prompts) {
            self.fences.close(sink);
            self.add(Speaker::User, words.trim(), sink);
        } else if self.fences.row(row, sink) {
            self.add(Speaker::Model, row, sink);
        } else if let Some(words) = row.strip_prefix("> ") {
            self.client(words.trim(), sink);
        } else if !row.is_empty() || matches!(self.saying, Some((Speaker::Model, ..))) {
            self.add(Speaker::Model, row, sink);
        } else {
            self.said(sink);
        }
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        self.fences.close(sink);
        self.said(sink);
        self.end_turn(sink);
    }

    fn end(&self, exit: Option<Exit>) -> Option<End> {
        Some(match (&self.end, exit) {
            (_, Some(exit @ (Exit::Signal(_) | Exit::Code(1..)))) => {
                crate::extract::ending::failed_exit(exit)
            }
            (Some(end), _) => end.clone(),
            (None, _) => unknown("nothing was asked of the model"),
        })
    }
}

/// Commands that pass words on to the model.
fn is_asking(text: &str) -> bool {
    let name = text.split_whitespace().next().unwrap_or_default();
    matches!(name, "/ask" | "/code" | "/architect") && text.len() > name.len()
}

fn is_commit(text: &str) -> bool {
    let hash = text.split(' ').next().unwrap_or_default();
    (7..=40).contains(&hash.len()) && hash.bytes().all(|c| c.is_ascii_hexdigit())
}

fn is_trouble(row: &str) -> bool {
    const WORDS: [&str; 8] = [
        "The LLM did not conform to the edit format",
        "Only 3 reflections allowed",
        "SEARCH/REPLACE block failed to match",
        "has hit a token limit",
        "Traceback (most recent call last)",
        "Unable to ",
        "API error",
        "Error:",
    ];
    row.starts_with("litellm.") || WORDS.iter().any(|w| row.contains(w)) || limit::is_limit(row)
}

/// `5.9k sent, 237 received. Cost: $0.02 message, $0.05 session.`
fn tokens(text: &str, sink: &mut Sink<'_>) {
    let before = |word: &str| {
        let head = &text[..text.find(word)?];
        let number = head.trim_end().rsplit([' ', ',', '$']).next()?;
        let (digits, scale) = match number.strip_suffix('k') {
            Some(digits) => (digits, 1000.0),
            None => (number.strip_suffix('M').unwrap_or(number), 1.0),
        };
        let scale = if number.ends_with('M') { 1e6 } else { scale };
        digits.parse::<f64>().ok().map(|n| n * scale)
    };
    sink.put(Body::Usage {
        input_tokens: before(" sent").unwrap_or(0.0) as u64,
        output_tokens: before(" received").unwrap_or(0.0) as u64,
        cost_usd: before(" message"),
    });
}
