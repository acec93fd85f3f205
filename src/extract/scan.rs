//! What tools print: test summaries, errors with their place, and verdicts.

mod diagnostic;
mod suite;

use std::collections::VecDeque;

use super::capture::Captures;
use super::decoder::Sink;
use super::phrase::clip;
use super::prefix::strip;
use super::render::{Look, look};
use super::rules::{Kind, Rule, Rules, Says, Weight, current};
use super::walk::{Walk, Want};
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
    /// The rule that says so, where it is to be told.
    pub rule: Option<&'static str>,
}

/// Reads the rows of one output in their order.
pub struct Scanner {
    rules: &'static Rules,
    suites: Suites,
    diagnostics: Diagnostics,
    /// The rules whose literals a row has.
    found: Vec<u16>,
    /// Rows before those of the next part.
    rows: u64,
    /// The row that last spoke of an error.
    spoke: Option<u64>,
    /// The last verdict of a test runner or a build.
    pub verdict: Option<Claim>,
    /// How many verdicts there were.
    pub verdicts: u64,
    /// The last row of a test summary.
    pub summary: u64,
    /// What the CI job itself said; nothing but another such line overrides it.
    pub job: Option<Claim>,
    /// Errors with a place, and the like.
    pub pattern: Option<Claim>,
    /// The last errors and failed tests since a good verdict: what a failure rests on.
    blamed: VecDeque<u64>,
}

/// So many of them.
const BLAMED: usize = 10;

impl Default for Scanner {
    fn default() -> Scanner {
        Scanner::new(current())
    }
}

impl Scanner {
    pub fn new(rules: &'static Rules) -> Scanner {
        Scanner {
            rules,
            suites: Suites::default(),
            diagnostics: Diagnostics::new(rules),
            found: Vec::new(),
            rows: 0,
            spoke: None,
            verdict: None,
            verdicts: 0,
            summary: 0,
            job: None,
            pattern: None,
            blamed: VecDeque::new(),
        }
    }

    pub fn rules(&self) -> &'static Rules {
        self.rules
    }

    /// The source that a compiler shows, underlined, may stand here.
    pub fn shows_source(&self, number: u64) -> bool {
        self.spoke.is_some_and(|row| number.saturating_sub(row) <= 5)
    }

    /// Whether a row is a CI system's last word of a job.
    pub fn ends_job(&mut self, row: &str) -> bool {
        self.rules.candidates(row.as_bytes(), false, &mut self.found);
        let rules = self.found.iter().map(|i| &self.rules.rules[usize::from(*i)]);
        let mut jobs =
            rules.filter(|rule| rule.weight == Weight::Job && rule.kind == Kind::Verdict);
        jobs.any(|rule| rule.captures(row).is_some())
    }

    /// Which rows are to be shown from the one of this number on.
    pub fn want(&self, number: u64) -> Want {
        self.diagnostics.want(number)
    }

    /// A row without its prefix; `number` tells how far rows are apart.
    pub fn row(&mut self, number: u64, row: &str, sink: &mut Sink<'_>) {
        let mut found = std::mem::take(&mut self.found);
        let hungry = self.want(number) == Want::All;
        self.rules.candidates(row.as_bytes(), hungry, &mut found);
        self.prefer_running(&mut found);
        let mut taken = None;
        for i in &found {
            let rule = &self.rules.rules[usize::from(*i)];
            // Of a kind only one. A part leaves its row to others.
            let kind = rule.kind.min(Kind::Error);
            if taken == Some(kind) || !self.diagnostics.awaits(rule, number) {
                continue;
            }
            if let Some(c) = rule.captures(row) {
                sink.set_rule(Some(&rule.name));
                let shared = matches!(rule.kind, Kind::Metric | Kind::Part);
                if self.take(rule, &c, number, row, sink) && !shared {
                    taken = Some(kind);
                }
            }
        }
        sink.set_rule(None);
        self.found = found;
    }

    /// A row that several runners word alike belongs to the one that is being read.
    fn prefer_running(&self, found: &mut [u16]) {
        if found.len() < 2 {
            return;
        }
        let Some(running) = self.suites.running() else { return };
        found.sort_by_key(|i| {
            let rule = &self.rules.rules[usize::from(*i)];
            let other = rule.kind == Kind::Tests && rule.framework != running;
            (rule.kind.min(Kind::Error), other)
        });
    }

    /// False: the row is none of this rule's after all.
    fn take(
        &mut self,
        rule: &'static Rule,
        c: &Captures<'_>,
        number: u64,
        row: &str,
        sink: &mut Sink<'_>,
    ) -> bool {
        match rule.kind {
            Kind::Tests => {
                let Some(claim) = self.suites.take(rule, c, row, sink) else { return false };
                self.summary = number;
                if let Some(claim) = claim {
                    self.decide(claim);
                }
            }
            Kind::Verdict => self.verdict(rule, c, row, sink),
            Kind::Milestone => {
                let template = rule.message.as_deref().unwrap_or("{message}");
                sink.put(Body::Milestone { text: c.fill(template) });
            }
            Kind::Metric => return metric(rule, c, sink),
            Kind::Error | Kind::Part => {
                let Some(told) = self.diagnostics.take(rule, c, (number, row), sink) else {
                    return false;
                };
                self.spoke = Some(number);
                if let Some(seq) = told {
                    self.blame(seq, sink);
                }
            }
        }
        true
    }

    fn verdict(&mut self, rule: &Rule, c: &Captures<'_>, row: &str, sink: &mut Sink<'_>) {
        let good = match rule.says {
            Says::Good => true,
            Says::Bad => false,
            Says::Code => ["code", "code2", "code3"]
                .iter()
                .find_map(|name| c.text(name))
                .is_some_and(|code| code.trim_start_matches('0').is_empty()),
            Says::Named => c.name("bad").is_none(),
        };
        // Summaries that add up end here.
        if rule.weight != Weight::Phrase && !row.starts_with("FAIL") {
            self.flush_suites(sink);
        }
        let claim = |confidence| Claim {
            outcome: if good { Outcome::Complete } else { Outcome::Failed },
            reason: clip(row.trim(), 200),
            confidence,
            because: if good { Vec::new() } else { self.blamed.iter().copied().collect() },
            rule: sink.place().rule,
        };
        match rule.weight {
            Weight::Job => {
                self.job = Some(claim(0.8));
                if good {
                    self.blamed.clear();
                }
                self.verdicts += 1;
            }
            Weight::Build => self.decide(claim(0.6)),
            Weight::Phrase => self.pattern = Some(claim(0.4)),
        }
    }

    /// An error with its place is a claim as long as nothing else is said.
    fn blame(&mut self, seq: u64, sink: &Sink<'_>) {
        self.rest_on(seq);
        self.pattern = Some(Claim {
            outcome: Outcome::Failed,
            reason: "an error with its place is the last thing of note".into(),
            confidence: 0.5,
            because: self.blamed.iter().copied().collect(),
            rule: sink.place().rule,
        });
    }

    fn rest_on(&mut self, seq: u64) {
        if self.blamed.contains(&seq) {
            return;
        }
        if self.blamed.len() == BLAMED {
            self.blamed.pop_front();
        }
        self.blamed.push_back(seq);
    }

    fn decide(&mut self, claim: Claim) {
        match claim.outcome {
            Outcome::Complete => self.blamed.clear(),
            _ => claim.because.iter().for_each(|seq| self.rest_on(*seq)),
        }
        self.verdict = Some(claim);
        self.verdicts += 1;
    }

    /// A whole output, as a tool's result holds it.
    pub fn whole(&mut self, text: &str, sink: &mut Sink<'_>) {
        self.part(text, sink);
        self.flush(sink);
    }

    pub fn part(&mut self, text: &str, sink: &mut Sink<'_>) {
        let (first, filter) = (self.rows, &self.rules.filter);
        let want = self.want(first);
        let rows = Walk::default().block(filter, text.as_bytes(), want, |line| {
            let number = first + line.number;
            match look(line.bytes) {
                Look::Row(row) => self.row(number, strip(&row), sink),
                Look::Rows(shown) => {
                    shown.rows.iter().for_each(|row| self.row(number, strip(row), sink));
                }
            }
            self.want(number + 1)
        });
        self.rows += rows;
    }

    /// Events that wait for the end of the output.
    pub fn flush(&mut self, sink: &mut Sink<'_>) {
        self.flush_suites(sink);
        if let Some(seq) = self.diagnostics.flush(sink) {
            self.blame(seq, sink);
        }
    }

    fn flush_suites(&mut self, sink: &mut Sink<'_>) {
        if let Some(claim) = self.suites.flush(sink) {
            self.decide(claim);
        }
    }
}

/// A number with its unit; a duration is told in milliseconds.
fn metric(rule: &Rule, c: &Captures<'_>, sink: &mut Sink<'_>) -> bool {
    let number = |name| {
        let number = c.text(name).and_then(|n| n.replace(',', "").parse::<f64>().ok());
        number.filter(|n| n.is_finite())
    };
    let (value, unit) = if rule.metric == "duration" {
        let scales =
            [("hours", 3_600_000.0), ("minutes", 60_000.0), ("seconds", 1000.0), ("ms", 1.0)];
        let parts = scales.iter().filter_map(|(name, scale)| number(name).map(|n| n * scale));
        let parts: Vec<f64> = parts.collect();
        if parts.is_empty() {
            return false;
        }
        (parts.iter().sum::<f64>().round(), Some("ms".to_string()))
    } else {
        let Some(value) = number("value") else { return false };
        let unit = c.text("unit").map(std::borrow::Cow::into_owned).or(rule.unit.clone());
        (value, unit)
    };
    sink.put(Body::Metric { name: rule.metric.clone(), value, unit });
    true
}
