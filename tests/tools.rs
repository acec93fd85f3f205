use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use serde::Deserialize;
use serde_json::Value;

/// What is true of a run, written down when its project was (examples/captures).
#[derive(Deserialize)]
struct Truth {
    case: String,
    outcome: String,
    /// Other outcomes that a reader of the text alone may come to.
    #[serde(default)]
    accept: Vec<String>,
    tests: Option<BTreeMap<String, u64>>,
    errors: Vec<Planted>,
}

#[derive(Deserialize)]
struct Planted {
    /// error, warning or any
    severity: String,
    file: String,
    line: Option<u64>,
    column: Option<u64>,
    code: Option<String>,
    /// It may be told and need not.
    #[serde(default)]
    optional: bool,
}

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tools")
}

fn truths() -> Vec<Truth> {
    let text = fs::read_to_string(dir().join("expected.jsonl")).expect("expected.jsonl");
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

/// The captures of a case: its name, a dot, and the form.
fn forms(case: &str) -> Vec<(String, PathBuf)> {
    let (tool, name) = case.split_once('/').expect("tool/case");
    let mut found: Vec<(String, PathBuf)> = fs::read_dir(dir().join(tool))
        .unwrap_or_else(|e| panic!("{case}: {e}"))
        .map(|entry| entry.expect("an entry").path())
        .filter_map(|path| {
            let file = path.file_name()?.to_str()?.to_string();
            let form = file.strip_prefix(name)?.strip_prefix('.')?.to_string();
            Some((form, path))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{case}: no capture");
    found
}

fn events(path: &Path) -> Vec<Value> {
    let format = if path.extension().is_some_and(|e| e == "raw") { "tty" } else { "auto" };
    let output = Command::new(cargo_bin("orch-extract"))
        .args(["--format", format])
        .stdin(File::open(path).expect("a capture"))
        .output()
        .expect("orch-extract");
    assert!(output.status.success(), "{}: {}", path.display(), output.status);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let events: Vec<Value> =
        text.lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect();
    let ends = events.iter().filter(|e| kind(e).starts_with("task_")).count();
    assert_eq!(ends, 1, "{}: one end", path.display());
    assert!(kind(events.last().expect("an end")).starts_with("task_"), "{}", path.display());
    events
}

fn kind(event: &Value) -> &str {
    event["type"].as_str().unwrap_or_default()
}

fn same_path(a: &str, b: &str) -> bool {
    let plain = |s: &str| s.replace('\\', "/").trim_start_matches("./").to_string();
    let (a, b) = (plain(a), plain(b));
    a == b || a.ends_with(&format!("/{b}")) || b.ends_with(&format!("/{a}"))
}

/// Errors and warnings that have a place; notes are not looked at.
fn placed(events: &[Value]) -> Vec<&Value> {
    events
        .iter()
        .filter(|e| kind(e) == "error" && e["file"].is_string() && e["severity"] != "note")
        .collect()
}

fn at(planted: &Planted, event: &Value) -> bool {
    same_path(event["file"].as_str().unwrap_or_default(), &planted.file)
        && planted.line.is_none_or(|line| event["line"] == line)
}

fn exact(planted: &Planted, event: &Value) -> bool {
    planted.column.is_none_or(|column| event["column"] == column)
        && planted.code.as_ref().is_none_or(|code| event["code"] == *code)
}

/// What of outcome, tests, places and details (column, code) is not as it was, in words.
fn misses(truth: &Truth, events: &[Value]) -> BTreeMap<&'static str, String> {
    let mut found: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut miss = |aspect: &'static str, words: String| {
        let all = found.entry(aspect).or_default();
        all.push_str(if all.is_empty() { "" } else { ", " });
        all.push_str(&words);
    };
    let outcome = events.last().expect("an end")["outcome"].as_str().unwrap_or_default();
    if outcome != truth.outcome && !truth.accept.iter().any(|o| o == outcome) {
        miss("outcome", format!("{outcome}, not {}", truth.outcome));
    }
    if let Some(tests) = &truth.tests {
        let last = events.iter().rfind(|e| kind(e) == "test_summary");
        let said = |name: &String| last.map(|e| e[name].as_u64().unwrap_or(0));
        if tests.iter().any(|(name, n)| said(name) != Some(*n)) {
            let said: Vec<String> = tests.keys().map(|k| format!("{k} {:?}", said(k))).collect();
            miss("tests", format!("{said:?}, not {tests:?}"));
        }
    }
    let said = placed(events);
    let mut free: Vec<bool> = vec![true; said.len()];
    for planted in truth.errors.iter().filter(|p| !p.optional) {
        let fits = |i: &usize| {
            let severity = planted.severity == "any" || said[*i]["severity"] == planted.severity;
            free[*i] && severity && at(planted, said[*i])
        };
        let candidates: Vec<usize> = (0..said.len()).filter(fits).collect();
        let best = candidates.iter().find(|i| exact(planted, said[**i])).or(candidates.first());
        let place = format!("{}:{:?}", planted.file, planted.line.unwrap_or(0));
        match best {
            Some(i) => {
                free[*i] = false;
                if !exact(planted, said[*i]) {
                    let (column, code) = (&said[*i]["column"], &said[*i]["code"]);
                    miss("details", format!("{place}: column {column}, code {code}"));
                }
            }
            None => miss("places", format!("no {} at {place}", planted.severity)),
        }
    }
    for (i, event) in said.iter().enumerate() {
        if free[i] && !truth.errors.iter().any(|p| p.optional && at(p, event)) {
            miss("places", format!("{}:{} is none", event["file"], event["line"]));
        }
    }
    found
}

#[test]
fn every_capture_says_what_was_so() {
    let known: BTreeSet<String> = KNOWN_MISSES
        .iter()
        .flat_map(|(_, list)| list.split_whitespace().map(str::to_string))
        .collect();
    let (mut missed, mut words) = (BTreeSet::new(), Vec::new());
    for truth in truths() {
        for (form, path) in forms(&truth.case) {
            for (aspect, what) in misses(&truth, &events(&path)) {
                let name = format!("{}:{aspect}", truth.case);
                if !known.contains(&name) {
                    words.push(format!("{name} ({form}): {what}"));
                }
                missed.insert(name);
            }
        }
    }
    let mended: Vec<&String> = known.difference(&missed).collect();
    assert!(words.is_empty(), "not as it was:\n{}", words.join("\n"));
    assert!(mended.is_empty(), "take these from KNOWN_MISSES, they are right now: {mended:?}");
}

/// What the failure at a place says, in every form of a capture.
const WORDS: &[(&str, &str, u64, &str)] = &[
    ("awk/syntax", "a.awk", 1, "syntax error"),
    ("cargo-test/failing", "src/lib.rs", 23, "assertion `left == right` failed: two and two"),
    ("cargo-test/failing", "src/lib.rs", 7, "odd: 3"),
    ("gcc/errors", "src/a.c", 8, "expected ‘;’ before ‘}’ token"),
    ("go-test/failing", "shop_test.go", 17, "got 4"),
    ("jasmine/failing", "spec/a_spec.js", 5, "Expected 3 to be 4."),
    ("java/exception", "Main.java", 13, "java.lang.IllegalStateException: bad order"),
    ("jest/failing", "sum.test.js", 11, "expect(received).toBe(expected) // Object.is equality"),
    ("jest/failing", "sum.js", 3, "TypeError: boom"),
    ("jest/import-error", "sum.test.js", 1, "Cannot find module './nothing' from 'sum.test.js'"),
    ("minitest/failing", "test.rb", 17, "ArgumentError: boom"),
    ("mocha/failing", "test/sum.js", 11, "AssertionError [ERR_ASSERTION]: 3 == 4"),
    ("node/throw", "a.js", 2, "TypeError: Cannot read properties of undefined (reading 'toFixed')"),
    ("phpunit/failing", "ShopTest.php", 13, "ShopTest::testWrong"),
    ("pytest/failing", "test_shop.py", 20, "AssertionError: assert 7 == 8"),
    ("pytest/failing", "shop.py", 6, "KeyError: 'plum'"),
    ("rspec/failing", "spec/shop_spec.rb", 8, "expect(1 + 2).to eq(4)"),
    ("unittest/failing", "test_shop.py", 18, "AssertionError: 3 != 4"),
    (
        "vitest/failing",
        "sum.test.ts",
        13,
        "AssertionError: expected 3 to be 4 // Object.is equality",
    ),
];

#[test]
fn the_message_is_what_the_failure_says() {
    let mut wrong = Vec::new();
    for (case, file, line, words) in WORDS {
        for (form, path) in forms(case) {
            let all = events(&path);
            let at = |e: &&&Value| {
                same_path(e["file"].as_str().unwrap_or_default(), file) && e["line"] == *line
            };
            let said: Vec<&str> =
                placed(&all).iter().filter(at).filter_map(|e| e["message"].as_str()).collect();
            if said != [*words] {
                wrong.push(format!("{case} ({form}) {file}:{line}: {said:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "not what was said:\n{}", wrong.join("\n"));
}

/// Colour is no part of what is said: the same places, counts and outcome as without.
#[test]
fn colour_changes_nothing() {
    let facts = |path: &Path| {
        let all = events(path);
        let mut errors: Vec<String> = placed(&all)
            .iter()
            .map(|e| {
                format!(
                    "{} {} {} {} {}",
                    e["severity"], e["file"], e["line"], e["column"], e["code"]
                )
            })
            .collect();
        errors.sort();
        let tests = all.iter().rfind(|e| kind(e) == "test_summary").map(|e| {
            let names = ["passed", "failed", "errors", "skipped"];
            names.map(|name| e[name].as_u64().unwrap_or(0))
        });
        (all.last().expect("an end")["outcome"].clone(), tests, errors)
    };
    let known: BTreeSet<&str> = COLOUR_MISSES.split_whitespace().collect();
    let (mut missed, mut words) = (BTreeSet::new(), Vec::new());
    for truth in truths() {
        let forms: BTreeMap<String, PathBuf> = forms(&truth.case).into_iter().collect();
        let (Some(plain), Some(colour)) = (forms.get("plain.txt"), forms.get("colour.txt")) else {
            continue;
        };
        let (plain, colour) = (facts(plain), facts(colour));
        if plain != colour {
            if !known.contains(truth.case.as_str()) {
                words.push(format!("{}:\n  {plain:?}\n  {colour:?}", truth.case));
            }
            missed.insert(truth.case);
        }
    }
    let mended: Vec<&&str> = known.iter().filter(|case| !missed.contains(**case)).collect();
    assert!(words.is_empty(), "colour changed:\n{}", words.join("\n"));
    assert!(mended.is_empty(), "take these from COLOUR_MISSES, they are right now: {mended:?}");
}

#[test]
fn every_capture_has_its_truth_and_is_small() {
    let mut known = BTreeSet::new();
    for truth in truths() {
        known.extend(forms(&truth.case).into_iter().map(|(_, path)| path));
    }
    let mut size = 0;
    for tool in fs::read_dir(dir()).expect("the captures") {
        let tool = tool.expect("an entry").path();
        if tool.is_file() {
            continue;
        }
        for capture in fs::read_dir(&tool).expect("a tool's captures") {
            let path = capture.expect("an entry").path();
            assert!(known.contains(&path), "{}: nothing is known of it", path.display());
            let length = fs::metadata(&path).expect("a capture").len();
            assert!(length < 64 << 10, "{}: {length} bytes", path.display());
            size += length;
        }
    }
    assert!(size < 3 << 20, "{size} bytes in all");
}

/// `make bench-tools`: how much of each tool's captures is told as it was.
#[test]
#[ignore = "writes examples/bench/TOOLS.md"]
fn table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let versions = fs::read_to_string(root.join("examples/captures/versions.tsv")).expect("it");
    let versions: BTreeMap<&str, &str> =
        versions.lines().filter_map(|line| line.split_once('\t')).collect();
    // Of a tool: cases, captures, those with nothing missed.
    let mut tools: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    // Of an aspect: captures that have it, those in which it is right.
    let mut aspects: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for truth in truths() {
        let tool = truth.case.split('/').next().unwrap_or_default().to_string();
        let row = tools.entry(tool).or_default();
        row[0] += 1;
        for (_, path) in forms(&truth.case) {
            let missed = misses(&truth, &events(&path));
            row[1] += 1;
            row[2] += u64::from(missed.is_empty());
            let placed = truth.errors.iter().any(|p| !p.optional);
            let has = [("outcome", true), ("tests", truth.tests.is_some()), ("places", placed)];
            for (aspect, _) in has.into_iter().filter(|(_, has)| *has) {
                let count = aspects.entry(aspect).or_default();
                count[0] += 1;
                count[1] += u64::from(!missed.contains_key(aspect));
            }
        }
    }
    let sum = |i: usize| tools.values().map(|row| row[i]).sum::<u64>();
    let mut out = format!(
        "# What real tools print, and how much of it is told as it was\n\n\
         By `make bench-tools`, of the captures that examples/captures made: {} tools, {} runs, {} captures \
         (plain, in colour, wrapped).\n\
         A capture is right if its outcome, its last test summary, and every place of an error or a \
         warning are those of the run, and no other place is told.\n\n\
         | | captures | right |\n|---|---|---|\n",
        tools.len(),
        sum(0),
        sum(1)
    );
    for (aspect, [n, right]) in &aspects {
        out += &format!("| {aspect} | {n} | {right} ({:.3}) |\n", *right as f64 / *n as f64);
    }
    let all = sum(2) as f64 / sum(1) as f64;
    out += &format!("| **all of it** | {} | {} ({all:.3}) |\n", sum(1), sum(2));
    out += "\n| tool | version | runs | captures | right |\n|---|---|---|---|---|\n";
    for (tool, [runs, captures, right]) in &tools {
        let version = versions.get(tool.as_str()).copied().unwrap_or_default();
        out += &format!("| {tool} | {version} | {runs} | {captures} | {right} |\n");
    }
    fs::write(root.join("examples/bench/TOOLS.md"), out).expect("TOOLS.md");
}

/// Cases in which something is not told as it was: the reason, and `case:aspect` of each.
const KNOWN_MISSES: &[(&str, &str)] = &[
    (
        "the place of a failed test, or of an exception, is not known",
        "\
         cargo-nextest/failing:places",
    ),
    (
        "the summary is not known",
        "\
         ava/failing:tests shunit2/failing:tests",
    ),
    (
        "right in plain, not as a terminal gets it: rows that are drawn over",
        "\
         cargo-nextest/crash:outcome cargo-nextest/crash:tests cargo-nextest/failing:outcome
         cargo-nextest/failing:tests cargo-nextest/flaky:tests cargo-nextest/passing:tests",
    ),
    (
        "wrong counts: disabled, expected and skipped tests, several binaries",
        "\
         ctest/failing:tests ctest/not-built:tests mocha/tap:tests",
    ),
    (
        "the code stands on a later row",
        "\
         mypy/columns:details",
    ),
    (
        "not in the capture: a column or a place that this version does not print",
        "\
         pyright/errors:places pyright/errors:details testthat/failing:details",
    ),
];

/// Cases whose colour still changes what is told.
const COLOUR_MISSES: &str = "\
    cargo-nextest/crash cargo-nextest/failing cargo-nextest/flaky cargo-nextest/passing";
