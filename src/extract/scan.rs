//! What tools print: test summaries, errors with their place, and verdicts.

mod diagnostic;
mod milestone;
mod suite;
mod verdict;

use super::decoder::Sink;
use super::render::{is_plain, render, strip_prefix};
use crate::event::{Body, Outcome};
use diagnostic::Diagnostics;
use suite::Suites;

/// What a row of text says about the end.
#[derive(Clone, Debug)]
pub struct Claim {
    pub outcome: Outcome,
    pub reason: String,
    pub confidence: f64,
    pub because: Vec<u64>,
}

/// Reads the rows of one output in their order.
#[derive(Default)]
pub struct Scanner {
    suites: Suites,
    diagnostics: Diagnostics,
    /// The last verdict of a test runner or a build.
    pub verdict: Option<Claim>,
    /// How many verdicts there were.
    pub verdicts: u64,
    /// What the CI job itself said; nothing but another such line overrides it.
    pub job: Option<Claim>,
    /// Errors with a place, and the like.
    pub pattern: Option<Claim>,
}

impl Scanner {
    pub fn row(&mut self, row: &str, sink: &mut Sink<'_>) {
        if let Some(claim) = self.suites.row(row, sink) {
            self.decide(claim);
        }
        if let Some(found) = verdict::of(row) {
            if found.ends_run {
                self.flush_suites(sink);
            }
            let claim = Claim {
                outcome: if found.good { Outcome::Complete } else { Outcome::Failed },
                reason: found.reason,
                confidence: found.confidence,
                because: Vec::new(),
            };
            match found.weight {
                verdict::Weight::Job => self.job = Some(claim),
                verdict::Weight::Build => self.decide(claim),
                verdict::Weight::Phrase => self.pattern = Some(claim),
            }
        }
        if let Some(text) = milestone::of(row) {
            sink.put(Body::Milestone { text });
        }
        if let Some(seq) = self.diagnostics.row(row, sink) {
            let because = self.pattern.as_ref().map(|c| c.because.clone()).unwrap_or_default();
            let mut because: Vec<u64> = because.into_iter().take(9).collect();
            because.push(seq);
            self.pattern = Some(Claim {
                outcome: Outcome::Failed,
                reason: "an error with its place is the last thing of note".into(),
                confidence: 0.5,
                because,
            });
        }
    }

    fn decide(&mut self, claim: Claim) {
        self.verdict = Some(claim);
        self.verdicts += 1;
    }

    /// A whole output, as a tool's result holds it.
    pub fn whole(&mut self, text: &str, sink: &mut Sink<'_>) {
        self.part(text, sink);
        self.flush(sink);
    }

    pub fn part(&mut self, text: &str, sink: &mut Sink<'_>) {
        for line in text.lines() {
            if is_plain(line) {
                self.row(strip_prefix(line), sink);
            } else {
                for row in render(line).rows {
                    self.row(strip_prefix(&row), sink);
                }
            }
        }
    }

    /// Events that wait for the end of the output.
    pub fn flush(&mut self, sink: &mut Sink<'_>) {
        self.flush_suites(sink);
        self.diagnostics.flush(sink);
    }

    fn flush_suites(&mut self, sink: &mut Sink<'_>) {
        if let Some(claim) = self.suites.flush(sink) {
            self.decide(claim);
        }
    }
}
