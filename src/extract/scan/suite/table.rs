//! The test runners that are known, and how each words its summary.

use crate::extract::rules::Rule;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The row is the whole summary.
    Whole,
    /// Rows of one run follow each other and add up (a binary, a module each).
    Part,
    /// One count a row; a summary has several rows.
    Row,
}

pub struct Suite {
    pub framework: &'static str,
    pub span: Span,
    pub form: Form,
}

/// How a row pairs counts with their names.
pub enum Form {
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

pub const SUITES: &[Rule<Suite>] = &[
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

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step {
    UnittestRan,
    UnittestEnd,
    GoTest,
    GoPackage,
    Tap,
    TapPlan,
    CargoRun,
}

pub const STEP_ROWS: &[Rule<Step>] = &[
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
