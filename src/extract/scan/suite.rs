//! Test runners' summaries.

mod table;

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::Claim;
use crate::event::{Body, Outcome};
use crate::extract::decoder::{Place, Sink};
use crate::extract::rules::{Rules, regex};
use table::{Form, STEP_ROWS, SUITES, Span, Step, Suite};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    errors: u64,
    skipped: u64,
    total: u64,
    duration_ms: Option<u64>,
}

static RULES: LazyLock<Rules<Suite>> = LazyLock::new(|| Rules::new(SUITES));

/// Rows that a state machine reads: literal first, so that most rows cost one look.
static STEPS: LazyLock<Rules<Step>> = LazyLock::new(|| Rules::new(STEP_ROWS));

static NUMBER_WORD: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?P<n>\d[\d,]*) (?:tests? |scenarios? )?(?P<w>[A-Za-z]+)"));
static WORD_NUMBER: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?P<w>[A-Za-z]+)(?:: +| |:)(?P<n>\d+)\b"));
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?P<w>expected failures|unexpected successes|failures|errors|skipped)=(?P<n>\d+)")
});
static SECONDS: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?:in|finished in|\[|Duration:|Time:)\s*(?P<n>\d+(?:\.\d+)?) ?(?P<u>ms|s\b|seconds)")
});

/// Gathers the summaries of one output.
#[derive(Default)]
pub struct Suites {
    open: Option<Open>,
    unittest: Option<Counts>,
}

/// A run whose rows are still being added up.
struct Open {
    framework: &'static str,
    counts: Counts,
    place: Place,
    /// Go prints a line a package: one that comes again is a new run.
    packages: HashSet<String>,
    package_counts: Counts,
}

impl Suites {
    pub fn row(&mut self, row: &str, sink: &mut Sink<'_>) -> Option<Claim> {
        let found = RULES.first(row, |suite, c| {
            let groups = match suite.form {
                Form::NumberWord => return Some((suite, by_words(&NUMBER_WORD, row), false)),
                Form::WordNumber => return Some((suite, by_words(&WORD_NUMBER, row), false)),
                Form::Groups(groups) => groups,
            };
            let mut counts = Counts::default();
            let mut first = c.name("start").is_some();
            for name in groups {
                let Some(n) = c.name(name).and_then(|m| m.as_str().parse::<u64>().ok()) else {
                    continue;
                };
                first |= name.starts_with("first");
                match name.trim_start_matches("first_") {
                    "passed" | "first" => counts.passed = n,
                    "failed" => counts.failed = n,
                    "errors" => counts.errors = n,
                    "skipped" => counts.skipped = n,
                    _ => counts.total = n,
                }
            }
            counts.duration_ms = duration(row);
            Some((suite, counts, first))
        });
        if let Some((suite, counts, first)) = found {
            return self.take(suite, counts, first, sink);
        }
        self.step(row, sink)
    }

    fn take(
        &mut self,
        suite: &Suite,
        counts: Counts,
        first: bool,
        sink: &mut Sink<'_>,
    ) -> Option<Claim> {
        if suite.span == Span::Whole {
            let earlier = self.flush(sink);
            return emit(suite.framework, counts, &sink.place(), sink).or(earlier);
        }
        let other = self.open.as_ref().is_some_and(|o| o.framework != suite.framework);
        let claim = if other || first { self.flush(sink) } else { None };
        let open = self.open(suite.framework, sink);
        open.counts.add(counts);
        claim
    }

    fn step(&mut self, row: &str, sink: &mut Sink<'_>) -> Option<Claim> {
        STEPS
            .first(row, |step, c| {
                let text = |name| c.name(name).map(|m| m.as_str());
                let number = |name| text(name).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
                Some(match step {
                    Step::UnittestRan => {
                        self.unittest = Some(Counts {
                            total: number("total"),
                            duration_ms: text("seconds").and_then(milliseconds),
                            ..Counts::default()
                        });
                        None
                    }
                    Step::UnittestEnd => {
                        let mut counts = self.unittest.take()?;
                        for pair in PAIR.captures_iter(text("counts").unwrap_or_default()) {
                            let n = pair["n"].parse().unwrap_or(0);
                            match &pair["w"] {
                                "failures" | "unexpected successes" => counts.failed += n,
                                "errors" => counts.errors += n,
                                "skipped" => counts.skipped += n,
                                _ => {}
                            }
                        }
                        let earlier = self.flush(sink);
                        emit("unittest", counts, &sink.place(), sink).or(earlier)
                    }
                    Step::GoTest => {
                        let claim = self.switch("go test", sink);
                        // A subtest is indented; its parent counts.
                        if row.starts_with("---") {
                            let open = self.open("go test", sink);
                            match text("word") {
                                Some("PASS") => open.counts.passed += 1,
                                Some("FAIL") => open.counts.failed += 1,
                                _ => open.counts.skipped += 1,
                            }
                        }
                        claim
                    }
                    Step::GoPackage => {
                        let name = text("name").unwrap_or_default();
                        let again = self
                            .open
                            .as_ref()
                            .is_some_and(|o| o.framework == "go test" && o.packages.contains(name));
                        let claim =
                            if again { self.flush(sink) } else { self.switch("go test", sink) };
                        let open = self.open("go test", sink);
                        if open.packages.len() < 10_000 {
                            open.packages.insert(name.to_string());
                        }
                        let ok = text("word") == Some("ok");
                        open.package_counts.passed += u64::from(ok);
                        open.package_counts.failed += u64::from(!ok);
                        open.place = sink.place();
                        claim
                    }
                    Step::Tap => {
                        let claim = self.switch("tap", sink);
                        let open = self.open("tap", sink);
                        match (text("directive"), text("not")) {
                            (Some(_), _) => open.counts.skipped += 1,
                            (None, Some(_)) => open.counts.failed += 1,
                            (None, None) => open.counts.passed += 1,
                        }
                        claim
                    }
                    Step::TapPlan => {
                        // A plan may stand first or last; first, with results open, it is a new run.
                        let done = self.open.as_ref().is_some_and(|o| {
                            o.framework == "tap" && o.counts.sum() >= number("total")
                        });
                        if done { self.flush(sink) } else { None }
                    }
                    Step::CargoRun => {
                        let cargo = self.open.as_ref().is_some_and(|o| o.framework == "cargo test");
                        if cargo { self.flush(sink) } else { None }
                    }
                })
            })
            .flatten()
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
        self.duration_ms = match (self.duration_ms, other.duration_ms) {
            (Some(a), Some(b)) => Some(a + b),
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
    Some(Claim { outcome, reason, confidence: 0.7, because: vec![seq] })
}

/// Counts by the words that stand beside the numbers.
fn by_words(pattern: &Regex, row: &str) -> Counts {
    let mut counts = Counts { duration_ms: duration(row), ..Counts::default() };
    for c in pattern.captures_iter(row) {
        let Ok(n) = c["n"].replace(',', "").parse::<u64>() else { continue };
        match c["w"].to_ascii_lowercase().as_str() {
            "passed" | "pass" | "passing" | "succeeded" | "success" | "successes" | "xpassed" => {
                counts.passed += n;
            }
            "failed" | "fail" | "failing" | "failure" | "failures" | "timed" => counts.failed += n,
            "error" | "errors" => counts.errors += n,
            "skipped" | "skip" | "skips" | "pending" | "ignored" | "todo" | "xfailed"
            | "excluded" | "incomplete" | "canceled" | "undefined" => counts.skipped += n,
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

#[cfg(test)]
mod tests {
    #[test]
    fn every_pattern_compiles() {
        assert_eq!(super::RULES.compile(), super::SUITES.len());
        assert_eq!(super::STEPS.compile(), super::STEP_ROWS.len());
    }
}
