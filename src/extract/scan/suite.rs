//! Test runners' summaries.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::Claim;
use crate::event::{Body, Outcome};
use crate::extract::decoder::{Place, Sink};
use crate::extract::rules::{Rule, Rules, regex};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    errors: u64,
    skipped: u64,
    total: u64,
    duration_ms: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Span {
    /// The row is the whole summary.
    Whole,
    /// Rows of one run follow each other and add up (a binary, a module each).
    Part,
    /// One count a row; a summary has several rows.
    Row,
}

struct Suite {
    framework: &'static str,
    span: Span,
    form: Form,
}

/// How a row pairs counts with their names.
enum Form {
    /// `3 passed, 1 failed`
    NumberWord,
    /// `Passed: 3, Failed: 1`
    WordNumber,
    /// Named groups of the pattern.
    Groups(&'static [&'static str]),
}

const fn words(framework: &'static str, span: Span) -> Suite {
    Suite { framework, span, form: Form::NumberWord }
}

const fn labels(framework: &'static str, span: Span) -> Suite {
    Suite { framework, span, form: Form::WordNumber }
}

const fn groups(framework: &'static str, span: Span, groups: &'static [&'static str]) -> Suite {
    Suite { framework, span, form: Form::Groups(groups) }
}

const SUITES: &[Rule<Suite>] = &[
    Rule {
        any: &["test result: "],
        pattern: r"^\s*test result: (?:ok|FAILED)\. ",
        make: words("cargo test", Span::Part),
    },
    Rule { any: &["Summary ["], pattern: r"^\s*Summary \[", make: words("nextest", Span::Whole) },
    Rule {
        any: &[" in "],
        pattern: r"^(?:=+ )?(?:no tests ran|\d+ (?:failed|passed|skipped|deselected|xfailed|xpassed|warnings?|errors?|rerun|subtests passed))(?:, \d+ (?:failed|passed|skipped|deselected|xfailed|xpassed|warnings?|errors?|rerun|subtests passed))* in \d+(?:\.\d+)? ?s(?:econds)?\b",
        make: words("pytest", Span::Whole),
    },
    Rule {
        any: &["Tests: "],
        pattern: r"^\s*Tests:\s+\d+ .*\d+ total\s*$",
        make: words("jest", Span::Whole),
    },
    Rule {
        any: &["Tests: "],
        pattern: r"^\s*Tests:\s+\d+ \w+.*\(\d+ assertions\)",
        make: words("pest", Span::Whole),
    },
    Rule {
        any: &["Tests: "],
        pattern: r"^Tests: \d+, Assertions: \d+",
        make: labels("phpunit", Span::Whole),
    },
    Rule {
        any: &["Tests: succeeded"],
        pattern: r"^\s*(?:\[\w+\] )?Tests: succeeded \d+",
        make: labels("scalatest", Span::Whole),
    },
    Rule {
        any: &["OK ("],
        pattern: r"^OK \(\d+ tests?, \d+ assertions?\)",
        make: words("phpunit", Span::Whole),
    },
    Rule { any: &["OK ("], pattern: r"^OK \(\d+ tests?\)$", make: words("junit", Span::Whole) },
    Rule {
        any: &[" Tests  "],
        pattern: r"^\s+Tests  (?:\d+ \w+(?: \| )?)+ ?\(\d+\)",
        make: words("vitest", Span::Whole),
    },
    Rule {
        any: &[" passing", " pending", " failing"],
        pattern: r"^\s+(?:(?P<first>\d+) passing(?: \(.*\))?|(?P<skipped>\d+) pending|(?P<failed>\d+) failing)\s*$",
        make: groups("mocha", Span::Row, &["first", "skipped", "failed"]),
    },
    Rule {
        any: &[" passed", " failed", " skipped", " flaky", " did not run"],
        pattern: r"^ {2}(?:(?P<failed>\d+) failed|(?P<passed>\d+) passed|(?P<skipped>\d+) (?:skipped|did not run))(?: \([\d.]+m?s?\))?$",
        make: groups("playwright", Span::Row, &["passed", "skipped", "failed"]),
    },
    Rule {
        any: &["# ", "ℹ "],
        pattern: r"^\s*[#ℹ] (?:(?P<start>tests) +\d+|pass +(?P<passed>\d+)|fail +(?P<failed>\d+)|(?:skip|skipped|todo|cancelled) +(?P<skipped>\d+))$",
        make: groups("node", Span::Row, &["passed", "failed", "skipped"]),
    },
    Rule {
        any: &[" pass", " fail", " skip", " todo"],
        pattern: r"^ ?(?:(?P<first>\d+) pass|(?P<failed>\d+) fail|(?P<skipped>\d+) (?:skip|todo))$",
        make: groups("bun", Span::Row, &["first", "failed", "skipped"]),
    },
    Rule {
        any: &["Tests run: "],
        pattern: r"^(?:\[\w+\] +)?Tests run: \d+,\s+Failures: \d+(?:,\s+Errors: \d+)?(?:,\s+Skipped: \d+)?\s*$",
        make: labels("maven", Span::Part),
    },
    Rule {
        any: &[" completed"],
        pattern: r"^\d+ tests? completed(?:, \d+ \w+)*",
        make: words("gradle", Span::Whole),
    },
    Rule {
        any: &["% tests passed"],
        pattern: r"^\s*\d+% tests passed, (?P<failed>\d+) tests? failed out of (?P<total>\d+)",
        make: groups("ctest", Span::Whole, &["failed", "total"]),
    },
    Rule {
        any: &["! "],
        pattern: r"^\s*(?:Passed|Failed|Skipped)!\s+-\s+Failed:\s+\d+, Passed:\s+\d+",
        make: labels("dotnet", Span::Part),
    },
    Rule {
        any: &["Passed: ", "Failed: ", "Skipped: ", "Total tests: "],
        pattern: r"^\s*(?:Total tests: (?P<first_total>\d+)|Passed: (?P<passed>\d+)|Failed: (?P<failed>\d+)|Skipped: (?P<skipped>\d+))(?:\.|\s*)$",
        make: groups("dotnet", Span::Row, &["first_total", "passed", "failed", "skipped"]),
    },
    Rule {
        any: &["Tests Passed: "],
        pattern: r"^\s*Tests Passed: \d+, Failed: \d+",
        make: labels("pester", Span::Whole),
    },
    Rule {
        any: &["Executed "],
        pattern: r"^\s*Executed (?P<total>\d+) tests?, with (?:(?P<skipped>\d+) tests? skipped and )?(?P<failed>\d+) failures?",
        make: groups("xctest", Span::Whole, &["total", "skipped", "failed"]),
    },
    Rule {
        any: &["Executed "],
        pattern: r"^\s*Executed (?P<total>\d+) of \d+(?: \((?P<failed>\d+) FAILED\))?(?: \(skipped (?P<skipped>\d+)\))?.*(?:SUCCESS|secs|FAILED)",
        make: groups("karma", Span::Whole, &["total", "skipped", "failed"]),
    },
    Rule {
        any: &["[  PASSED  ]", "[  FAILED  ]", "[  SKIPPED ]"],
        pattern: r"^\[  (?:PASSED  \] (?P<first>\d+) tests?\.|FAILED  \] (?P<failed>\d+) tests?, listed|SKIPPED \] (?P<skipped>\d+) tests?, listed)",
        make: groups("googletest", Span::Row, &["first", "failed", "skipped"]),
    },
    Rule {
        any: &["test cases: "],
        pattern: r"^(?:\[doctest\] )?test cases:\s+\d+\s+\|",
        make: words("catch2", Span::Whole),
    },
    Rule {
        any: &["All tests passed ("],
        pattern: r"^All tests passed \(\d+ assertions? in (?P<passed>\d+) test cases?\)",
        make: groups("catch2", Span::Whole, &["passed"]),
    },
    Rule {
        any: &[": Total "],
        pattern: r"^\s*(?:\[\w+\] )?(?:Passed|Failed): Total (?P<total>\d+), Failed (?P<failed>\d+), Errors (?P<errors>\d+), Passed (?P<passed>\d+)(?:, Skipped (?P<skipped>\d+))?",
        make: groups("sbt", Span::Whole, &["total", "failed", "errors", "passed", "skipped"]),
    },
    Rule {
        any: &["ok | ", "FAILED | "],
        pattern: r"^(?:ok|FAILED) \| \d+ passed",
        make: words("deno", Span::Whole),
    },
    Rule {
        any: &[" assertions, "],
        pattern: r"^\d+ (?:runs|tests), \d+ assertions, \d+ failures, \d+ errors",
        make: words("minitest", Span::Whole),
    },
    Rule {
        any: &[" examples, ", " example, "],
        pattern: r"^\d+ examples?, \d+ failures?",
        make: words("rspec", Span::Whole),
    },
    Rule {
        any: &[" specs, ", " spec, "],
        pattern: r"^\d+ specs?, \d+ failures?",
        make: words("jasmine", Span::Whole),
    },
    Rule {
        any: &[" failure"],
        pattern: r"^(?:\d+ (?:doctests?|properties|property), )*\d+ tests?, \d+ failures?(?:, \d+ \w+)*$",
        make: words("exunit", Span::Whole),
    },
    Rule {
        any: &["scenario"],
        pattern: r"^\d+ scenarios? \((?:\d+ \w+(?:, )?)+\)",
        make: words("cucumber", Span::Whole),
    },
    Rule {
        any: &["scenario"],
        pattern: r"^\d+ scenarios? passed, \d+ failed",
        make: words("behave", Span::Whole),
    },
    Rule {
        any: &["[ FAIL "],
        pattern: r"\[ FAIL (?P<failed>\d+) \| WARN \d+ \| SKIP (?P<skipped>\d+) \| PASS (?P<passed>\d+) \]",
        make: groups("testthat", Span::Whole, &["failed", "skipped", "passed"]),
    },
    Rule {
        any: &["Files="],
        pattern: r"^Files=\d+, Tests=(?P<total>\d+),",
        make: groups("prove", Span::Whole, &["total"]),
    },
    Rule {
        any: &[" tests, "],
        pattern: r"^\d+ (?:critical )?tests?, \d+ passed, \d+ failed",
        make: words("robot", Span::Whole),
    },
];

static RULES: LazyLock<Rules<Suite>> = LazyLock::new(|| Rules::new(SUITES));

/// Rows that a state machine reads: literal first, so that most rows cost one look.
static STEPS: LazyLock<Rules<Step>> = LazyLock::new(|| Rules::new(STEP_ROWS));

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    UnittestRan,
    UnittestEnd,
    GoTest,
    GoPackage,
    Tap,
    TapPlan,
    CargoRun,
}

const STEP_ROWS: &[Rule<Step>] = &[
    Rule {
        any: &["Ran "],
        pattern: r"^Ran (?P<total>\d+) tests? in (?P<seconds>[\d.]+)s",
        make: Step::UnittestRan,
    },
    Rule {
        any: &["OK", "FAILED", "NO TESTS RAN"],
        pattern: r"^(?:OK|FAILED|NO TESTS RAN)(?: \((?P<counts>[\w ]+=\d+(?:, [\w ]+=\d+)*)\))?$",
        make: Step::UnittestEnd,
    },
    Rule {
        any: &["--- "],
        pattern: r"^\s*--- (?P<word>PASS|FAIL|SKIP): (?P<name>\S+) \([\d.]+s\)$",
        make: Step::GoTest,
    },
    Rule {
        any: &["ok  \t", "FAIL\t", "ok \t", "ok    "],
        pattern: r"^(?P<word>ok|FAIL)\s+(?P<name>[\w./~@-]+)\s+(?:(?P<seconds>[\d.]+)s|\(cached\)|\[(?:build|setup) failed\])",
        make: Step::GoPackage,
    },
    Rule {
        any: &["ok "],
        pattern: r"^(?P<not>not )?ok (?P<number>\d+)\b(?:.*# (?P<directive>(?i:skip|todo)))?",
        make: Step::Tap,
    },
    Rule { any: &["1.."], pattern: r"^1\.\.(?P<total>\d+)\b", make: Step::TapPlan },
    Rule {
        any: &["Finished `", "Finished test ["],
        pattern: r"^\s*Finished (?:`\w+` profile|test) \[",
        make: Step::CargoRun,
    },
];

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
