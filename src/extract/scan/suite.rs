//! Test runners' summaries.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use regex::Regex;

use super::Claim;
use crate::event::{Body, Outcome};
use crate::extract::capture::Captures;
use crate::extract::decoder::{Place, Sink};
use crate::extract::rules::{Counts as Form, Rule, Span, Step, regex};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    errors: u64,
    skipped: u64,
    total: u64,
    /// Of these the others failed.
    of: u64,
    duration_ms: Option<u64>,
}

static NUMBER_WORD: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?P<n>\d[\d,]*) (?:tests? |scenarios? )?(?P<w>[A-Za-z]+)"));
static WORD_NUMBER: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?P<w>[A-Za-z]+)(?:: +| |:)(?P<n>\d+)\b"));
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?P<w>expected failures|unexpected successes|failures|errors|skipped|SKIP)=(?P<n>\d+)")
});
static SECONDS: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?:in|finished in|\[|Duration:|Time:)\s*(?P<n>\d+(?:\.\d+)?) ?(?P<u>ms|s\b|seconds)")
});

/// Gathers the summaries of one output.
#[derive(Default)]
pub struct Suites {
    open: Option<Open>,
    unittest: Option<Counts>,
    /// Whole files of tests failed: the counts of the tests need not show it.
    broken: Option<String>,
    /// A binary's tests failed: more binaries may follow, or another run.
    paused: bool,
}

/// A run whose rows are still being added up.
struct Open {
    framework: &'static str,
    counts: Counts,
    place: Place,
    /// Hashes of names. Go prints a line a package: one that comes again is a new run.
    packages: HashSet<u64>,
    package_counts: Counts,
}

impl Suites {
    /// The framework whose rows are being added up.
    pub fn running(&self) -> Option<&str> {
        self.open.as_ref().map(|open| open.framework)
    }

    /// None: the row is none of this rule's.
    pub fn take(
        &mut self,
        rule: &'static Rule,
        c: &Captures<'_>,
        row: &str,
        sink: &mut Sink<'_>,
    ) -> Option<Option<Claim>> {
        if let Some(step) = rule.step {
            return self.step(step, rule, c, row, sink);
        }
        let (counts, first) = match rule.counts {
            Form::Words => (by_words(&NUMBER_WORD, row), false),
            Form::Labels => (by_words(&WORD_NUMBER, row), false),
            Form::Groups => by_groups(c, row),
        };
        if rule.span == Span::Whole {
            let earlier = self.flush(sink);
            let claim = emit(&rule.framework, counts, &sink.place(), sink);
            return Some(self.break_in(claim).or(earlier));
        }
        let running = self.running() == Some(&rule.framework);
        let again = running && std::mem::take(&mut self.paused);
        let ended = if again { self.flush(sink) } else { None };
        if !running && !first && rule.has_start() {
            return None;
        }
        let claim = if first { self.flush(sink) } else { self.switch(&rule.framework, sink) };
        self.open(&rule.framework, sink).counts.add(counts);
        Some(claim.or(ended))
    }

    /// A summary without a failure, of a run in which files of tests failed.
    fn break_in(&mut self, claim: Option<Claim>) -> Option<Claim> {
        let Some(reason) = self.broken.take() else { return claim };
        let whole = claim.as_ref().is_none_or(|c| c.outcome == Outcome::Complete);
        let because = claim.as_ref().map(|c| c.because.clone()).unwrap_or_default();
        let broken =
            Claim { outcome: Outcome::Failed, reason, confidence: 0.7, because, rule: None };
        if whole { Some(broken) } else { claim }
    }

    fn step(
        &mut self,
        step: Step,
        rule: &'static Rule,
        c: &Captures<'_>,
        row: &str,
        sink: &mut Sink<'_>,
    ) -> Option<Option<Claim>> {
        let text = |name| c.text(name);
        let number = |name| text(name).and_then(|n| count(&n)).unwrap_or(0);
        let framework = rule.framework.as_str();
        Some(match step {
            Step::UnittestRan => {
                self.unittest = Some(Counts {
                    total: number("total"),
                    duration_ms: text("seconds").and_then(|s| milliseconds(&s)),
                    ..Counts::default()
                });
                None
            }
            Step::UnittestEnd => {
                let mut counts = self.unittest.take()?;
                for pair in PAIR.captures_iter(&text("counts").unwrap_or_default()) {
                    let n = count(&pair["n"]).unwrap_or(0);
                    match &pair["w"] {
                        "failures" | "unexpected successes" => counts.failed += n,
                        "errors" => counts.errors += n,
                        "skipped" | "SKIP" | "expected failures" => counts.skipped += n,
                        _ => {}
                    }
                }
                let earlier = self.flush(sink);
                emit(framework, counts, &sink.place(), sink).or(earlier)
            }
            Step::GoTest => {
                let claim = self.switch(framework, sink);
                // A subtest is indented; its parent counts.
                if row.starts_with("---") {
                    let open = self.open(framework, sink);
                    match text("word").as_deref() {
                        Some("PASS") => open.counts.passed += 1,
                        Some("FAIL") => open.counts.failed += 1,
                        _ => open.counts.skipped += 1,
                    }
                }
                claim
            }
            Step::GoPackage => {
                let mut hasher = DefaultHasher::new();
                c.name("name").hash(&mut hasher);
                let name = hasher.finish();
                let open = self.open.as_ref().filter(|o| o.framework == framework);
                let again = open.is_some_and(|o| o.packages.contains(&name));
                let claim = if again { self.flush(sink) } else { self.switch(framework, sink) };
                let open = self.open(framework, sink);
                if open.packages.len() < 10_000 {
                    open.packages.insert(name);
                }
                let ok = text("word").as_deref() == Some("ok");
                open.package_counts.passed += u64::from(ok);
                open.package_counts.failed += u64::from(!ok);
                claim
            }
            Step::Tap => {
                let claim = self.switch(framework, sink);
                let open = self.open(framework, sink);
                match (text("directive"), text("not")) {
                    (Some(_), _) => open.counts.skipped += 1,
                    (None, Some(_)) => open.counts.failed += 1,
                    (None, None) => open.counts.passed += 1,
                }
                claim
            }
            Step::TapPlan => {
                // A plan may stand first or last; first, with results open, it is a new run.
                let open = self.open.as_ref().filter(|o| o.framework == framework);
                let done = open.is_some_and(|o| o.counts.sum() >= number("total"));
                if done { self.flush(sink) } else { None }
            }
            Step::CargoFailed => {
                self.paused = true;
                None
            }
            Step::CargoBinary => {
                self.paused = false;
                None
            }
            Step::Files => {
                self.broken = Some(row.trim().to_string());
                None
            }
            Step::CargoRun => {
                let open = self.open.as_ref().filter(|o| o.framework == framework);
                if open.is_some() { self.flush(sink) } else { None }
            }
        })
    }

    /// Ends another framework's run.
    fn switch(&mut self, framework: &str, sink: &mut Sink<'_>) -> Option<Claim> {
        let other = self.open.as_ref().is_some_and(|o| o.framework != framework);
        if other { self.flush(sink) } else { None }
    }

    fn open(&mut self, framework: &'static str, sink: &Sink<'_>) -> &mut Open {
        let open = self.open.get_or_insert_with(|| Open {
            framework,
            counts: Counts::default(),
            place: sink.place(),
            packages: HashSet::new(),
            package_counts: Counts::default(),
        });
        open.place = sink.place();
        open
    }

    pub fn flush(&mut self, sink: &mut Sink<'_>) -> Option<Claim> {
        let open = self.open.take()?;
        let mut counts = open.counts;
        if open.framework == "go test" {
            // Without -v only failures have a line of their own.
            if counts.passed == 0 {
                counts.passed = open.package_counts.passed;
            }
            counts.failed = counts.failed.max(open.package_counts.failed);
        }
        emit(open.framework, counts, &open.place, sink)
    }
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.errors += other.errors;
        self.skipped += other.skipped;
        self.total += other.total;
        self.of += other.of;
        self.duration_ms = match (self.duration_ms, other.duration_ms) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
    }

    fn sum(&self) -> u64 {
        self.passed + self.failed + self.errors + self.skipped
    }
}

fn emit(framework: &str, mut counts: Counts, place: &Place, sink: &mut Sink<'_>) -> Option<Claim> {
    if counts.passed == 0 && counts.total > 0 {
        let bad = counts.failed + counts.errors + counts.skipped;
        counts.passed = counts.total.saturating_sub(bad);
    }
    counts.failed += counts.of.saturating_sub(counts.sum());
    let Counts { passed, failed, errors, skipped, duration_ms, .. } = counts;
    let framework = framework.to_string();
    let seq = sink.put_at(
        place,
        Body::TestSummary {
            framework: framework.clone(),
            passed,
            failed,
            errors,
            skipped,
            duration_ms,
        },
    );
    let (outcome, reason) = match (failed + errors, passed) {
        (0, 0) => return None,
        (0, n) => (Outcome::Complete, format!("{framework}: {n} passed")),
        (bad, n) => (Outcome::Failed, format!("{framework}: {bad} failed, {n} passed")),
    };
    Some(Claim { outcome, reason, confidence: 0.7, because: vec![seq], rule: place.rule })
}

/// Counts by the groups of the pattern, and whether a new run begins here.
fn by_groups(c: &Captures<'_>, row: &str) -> (Counts, bool) {
    let number = |names: &[&str]| {
        let found = names.iter().find_map(|name| c.name(name));
        count(found.and_then(|m| std::str::from_utf8(m).ok())?)
    };
    let counts = Counts {
        passed: number(&["passed", "first"]).unwrap_or(0),
        failed: number(&["failed"]).unwrap_or(0),
        errors: number(&["errors"]).unwrap_or(0),
        skipped: number(&["skipped"]).unwrap_or(0),
        total: number(&["total", "first_total"]).unwrap_or(0),
        of: number(&["of", "first_of"]).unwrap_or(0),
        duration_ms: duration(row),
    };
    (
        counts,
        ["start", "first", "first_total", "first_of"].iter().any(|name| c.name(name).is_some()),
    )
}

/// Counts by the words that stand beside the numbers.
fn by_words(pattern: &Regex, row: &str) -> Counts {
    let mut counts = Counts { duration_ms: duration(row), ..Counts::default() };
    for c in pattern.captures_iter(row) {
        let Some(n) = count(&c["n"]) else { continue };
        match c["w"].to_ascii_lowercase().as_str() {
            "passed" | "pass" | "passing" | "succeeded" | "success" | "successes" | "xpassed" => {
                counts.passed += n;
            }
            "failed" | "fail" | "failing" | "failure" | "failures" | "timed" => counts.failed += n,
            "error" | "errors" | "errored" => counts.errors += n,
            "skipped" | "skip" | "skips" | "broken" | "pending" | "ignored" | "todo"
            | "xfailed" | "excluded" | "incomplete" | "canceled" | "undefined" => {
                counts.skipped += n
            }
            "total" | "completed" | "test" | "tests" | "run" | "runs" | "examples" | "example"
            | "specs" | "spec" | "doctests" | "doctest" | "properties" | "property"
            | "scenarios" | "scenario" => {
                counts.total += n;
            }
            _ => {}
        }
    }
    counts
}

/// A number of tests: no more than can be added up.
fn count(digits: &str) -> Option<u64> {
    let digits = digits.replace(',', "");
    let is_number = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    let most = u64::from(u32::MAX);
    is_number.then(|| digits.parse().map_or(most, |n: u64| n.min(most)))
}

fn duration(row: &str) -> Option<u64> {
    let c = SECONDS.captures(row)?;
    if &c["u"] == "ms" {
        c["n"].parse::<f64>().ok().map(|n| n as u64)
    } else {
        milliseconds(&c["n"])
    }
}

fn milliseconds(seconds: &str) -> Option<u64> {
    seconds.parse::<f64>().ok().map(|s| (s * 1000.0).round() as u64)
}
