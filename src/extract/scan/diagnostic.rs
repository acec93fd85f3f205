//! Errors with their place: compilers, linters, tracebacks, failed tests.

mod table;

use std::collections::VecDeque;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::event::{Body, Severity};
use crate::extract::decoder::{Place, Sink};
use crate::extract::phrase::clip;
use crate::extract::rules::{Rules, regex};
use table::{DIAGNOSTICS, Kind};

static RULES: LazyLock<Rules<Kind>> = LazyLock::new(|| Rules::new(DIAGNOSTICS));
static OPTION: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^(?:-W|cert-|bugprone-|clang-|modernize-|readability-)"));

/// How many rows after its head a diagnostic may still name its place.
const REACH: u64 = 40;
/// A redrawn screen tells the same error again.
const REMEMBERED: usize = 64;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    severity: Option<Severity>,
    message: String,
    file: Option<String>,
    line: Option<u64>,
    column: Option<u64>,
    code: Option<String>,
    tool: &'static str,
}

#[derive(Default)]
pub struct Diagnostics {
    rows: u64,
    head: Option<(Found, u64)>,
    eslint: Option<String>,
    traceback: Option<Traceback>,
    pytest: Vec<Found>,
    pytest_message: Option<String>,
    panic: Option<(Found, Place)>,
    go_fail: bool,
    go_panic: Option<String>,
    stack: Option<(String, u64)>,
    ruby: Option<u64>,
    shellcheck: Option<(String, u64)>,
    told: VecDeque<Found>,
}

/// A Python traceback: frames, the innermost last.
#[derive(Default)]
struct Traceback {
    frames: Vec<(String, u64)>,
    margin: usize,
    rows: u64,
    place: Option<Place>,
}

impl Diagnostics {
    /// Answers with the `seq` of an event of severity error.
    pub fn row(&mut self, row: &str, sink: &mut Sink<'_>) -> Option<u64> {
        self.rows += 1;
        if let Some((mut found, place)) = self.panic.take() {
            found.message = row.trim().to_string();
            return self.put_at(&place, found, sink);
        }
        if row.len() > 4000 {
            return None;
        }
        let raised = self.traceback_row(row, sink);
        let step = RULES.first(row, |kind, c| self.accept(*kind, c).then(|| (*kind, Found::of(c))));
        let told = step.and_then(|(kind, found)| self.take(kind, found, row, sink));
        if row.trim().is_empty() {
            self.eslint = None;
        }
        told.or(raised)
    }

    pub fn flush(&mut self, sink: &mut Sink<'_>) {
        if let Some((found, place)) = self.panic.take() {
            self.put_at(&place, found, sink);
        }
    }

    /// Whether a row of this kind means anything now; if not, a later rule may have it.
    fn accept(&self, kind: Kind, c: &Captures<'_>) -> bool {
        match kind {
            Kind::EslintItem => self.eslint.is_some(),
            Kind::GoItem => self.go_fail,
            Kind::GoFrame => self.go_panic.is_some(),
            Kind::RubyFrame => self.ruby.is_some_and(|at| self.rows - at < REACH),
            Kind::StackFrame => self.stack.as_ref().is_some_and(|s| self.rows - s.1 < REACH),
            Kind::VitestFrame => self.stack.as_ref().is_some_and(|s| self.rows - s.1 < REACH),
            Kind::ShellcheckItem => {
                self.shellcheck.as_ref().is_some_and(|s| self.rows - s.1 < REACH)
            }
            Kind::Arrow => self.head.as_ref().is_some_and(|h| self.rows - h.1 < 4),
            Kind::Raised => false,
            // Without a place these are but words.
            Kind::Whole("github") => c.name("message").is_some_and(|m| !m.is_empty()),
            Kind::Whole("") => plausible(&c["file"]),
            _ => true,
        }
    }

    fn take(
        &mut self,
        kind: Kind,
        mut found: Found,
        row: &str,
        sink: &mut Sink<'_>,
    ) -> Option<u64> {
        match kind {
            Kind::Whole(tool) => {
                found.tool = if tool.is_empty() { guess(&found) } else { tool };
                self.put(found, sink)
            }
            Kind::Head => {
                self.head = Some((found, self.rows));
                None
            }
            Kind::Arrow => {
                let (head, _) = self.head.take()?;
                let tool = if found.file.as_deref().is_some_and(|f| f.ends_with(".py")) {
                    "ruff"
                } else {
                    "rustc"
                };
                self.put(
                    Found {
                        tool,
                        file: found.file,
                        line: found.line,
                        column: found.column,
                        ..head
                    },
                    sink,
                )
            }
            Kind::EslintFile => {
                self.eslint = found.file;
                None
            }
            Kind::EslintItem => {
                found.file.clone_from(&self.eslint);
                found.tool = "eslint";
                self.put(found, sink)
            }
            Kind::Traceback | Kind::Frame | Kind::Raised => None,
            Kind::PytestFrame => {
                if self.pytest.len() < 200 {
                    self.pytest.push(found);
                }
                None
            }
            Kind::PytestMessage => {
                self.pytest_message.get_or_insert(found.message);
                let frame = self.user_frame()?;
                let message = self.pytest_message.take().unwrap_or_default();
                self.put(Found { message, tool: "pytest", ..frame }, sink)
            }
            Kind::PytestEnd => {
                found.tool = "pytest";
                // The name of the exception stands here, its words on the `E` row.
                if let Some(message) = self.pytest_message.take() {
                    found.message = message;
                }
                if library(found.file.as_deref().unwrap_or_default())
                    && let Some(frame) = self.user_frame()
                {
                    found = Found { file: frame.file, line: frame.line, ..found };
                }
                self.pytest.clear();
                self.put(found, sink)
            }
            Kind::Panic => {
                found.tool = "rust";
                if found.message.is_empty() {
                    self.panic = Some((found, sink.place()));
                    return None;
                }
                self.put(found, sink)
            }
            Kind::GoFail => {
                self.go_fail = true;
                None
            }
            Kind::GoItem => {
                found.tool = "go test";
                self.put(found, sink)
            }
            Kind::GoPanic => {
                self.go_panic = Some(found.message);
                None
            }
            Kind::GoFrame => {
                let file = found.file.as_deref().unwrap_or_default();
                if file.contains("/src/runtime/") || file.contains("/src/testing/") {
                    return None;
                }
                let message = format!("panic: {}", self.go_panic.take()?);
                self.put(Found { message, tool: "go", ..found }, sink)
            }
            Kind::StackHead => {
                let words = if found.message.is_empty() { row.trim() } else { &found.message };
                self.stack = Some((words.to_string(), self.rows));
                None
            }
            Kind::StackFrame | Kind::VitestFrame => {
                let file = found.file.as_deref().unwrap_or_default();
                if file.contains("node_modules/") || file.starts_with("node:") {
                    return None;
                }
                let (message, _) = self.stack.take()?;
                let tool = if kind == Kind::VitestFrame { "vitest" } else { "node" };
                self.put(Found { message, tool, ..found }, sink)
            }
            Kind::ShellcheckFile => {
                self.shellcheck = Some((found.file?, self.rows));
                self.head = Some((Found { line: found.line, ..Found::default() }, self.rows));
                None
            }
            Kind::ShellcheckItem => {
                found.file = self.shellcheck.as_ref().map(|s| s.0.clone());
                found.line = self.head.as_ref().and_then(|h| h.0.line);
                found.tool = "shellcheck";
                self.put(found, sink)
            }
            Kind::RubyHead => {
                self.ruby = Some(self.rows);
                None
            }
            Kind::RubyFrame => {
                let file = found.file.as_deref().unwrap_or_default();
                if file.contains("/gems/") || file.contains("/lib/ruby/") {
                    return None;
                }
                self.ruby = None;
                found.tool = "ruby";
                found.message = row.trim().to_string();
                self.put(found, sink)
            }
            Kind::On => {
                let (head, _) = self.head.take()?;
                self.put(
                    Found { tool: "terraform", file: found.file, line: found.line, ..head },
                    sink,
                )
            }
        }
    }

    /// Python's own tracebacks span rows of any kind, so they are followed apart.
    fn traceback_row(&mut self, row: &str, sink: &mut Sink<'_>) -> Option<u64> {
        if row.contains("Traceback (most recent call last)") {
            let margin = row.len() - row.trim_start().len();
            self.traceback =
                Some(Traceback { margin, place: Some(sink.place()), ..Traceback::default() });
            return None;
        }
        if let Some((file, line)) = frame(row) {
            let traceback = self.traceback.get_or_insert_with(Traceback::default);
            if traceback.frames.is_empty() && traceback.place.is_none() {
                // A syntax error has a frame without the head line.
                traceback.margin = (row.len() - row.trim_start().len()).saturating_sub(2);
                traceback.place = Some(sink.place());
            }
            if traceback.frames.len() < 1000 {
                traceback.frames.push((file, line));
            }
            traceback.rows = 0;
            return None;
        }
        let traceback = self.traceback.as_mut()?;
        traceback.rows += 1;
        if traceback.rows > REACH {
            self.traceback = None;
            return None;
        }
        let text = row.trim_start();
        let margin = row.len() - text.len();
        if text.is_empty() || margin > traceback.margin || traceback.frames.is_empty() {
            return None;
        }
        let traceback = self.traceback.take()?;
        let name = text.split([':', ' ', '(']).next().unwrap_or_default();
        let named = name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
            && name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !named {
            return None;
        }
        let own = traceback.frames.iter().rev().find(|(file, _)| !library(file));
        let (file, line) = own.or(traceback.frames.last())?.clone();
        let found = Found {
            severity: None,
            message: text.to_string(),
            file: Some(file),
            line: Some(line),
            tool: "python",
            ..Found::default()
        };
        self.put(found, sink)
    }

    /// The innermost frame of a pytest trace that is not a library's.
    fn user_frame(&mut self) -> Option<Found> {
        let frames = std::mem::take(&mut self.pytest);
        let own = frames.iter().rposition(|f| !library(f.file.as_deref().unwrap_or_default()));
        own.or(frames.len().checked_sub(1)).map(|i| frames[i].clone())
    }

    fn put(&mut self, found: Found, sink: &mut Sink<'_>) -> Option<u64> {
        let place = sink.place();
        self.put_at(&place, found, sink)
    }

    fn put_at(&mut self, place: &Place, found: Found, sink: &mut Sink<'_>) -> Option<u64> {
        if self.told.contains(&found) {
            return None;
        }
        if self.told.len() == REMEMBERED {
            self.told.pop_front();
        }
        self.told.push_back(found.clone());
        let severity = found.severity.unwrap_or(Severity::Error);
        let seq = sink.put_at(
            place,
            Body::Error {
                severity,
                message: clip(found.message.trim(), 2000),
                file: found.file,
                line: found.line,
                column: found.column,
                code: found.code,
                tool: Some(found.tool.to_string()),
            },
        );
        (severity == Severity::Error).then_some(seq)
    }
}

impl Found {
    fn of(c: &Captures<'_>) -> Found {
        let text = |name| c.name(name).map(|m| m.as_str());
        let number = |name| text(name).and_then(|n| n.parse().ok());
        let severity = text("severity").map(|s| match s.to_ascii_lowercase().as_str() {
            "warning" | "w" | "c" | "r" | "style" => Severity::Warning,
            "note" | "notice" | "info" => Severity::Note,
            _ => Severity::Error,
        });
        Found {
            severity,
            message: text("message").unwrap_or_default().trim().to_string(),
            file: text("file").map(|f| f.trim().to_string()),
            line: number("line"),
            column: number("column"),
            code: text("code").or(text("head")).map(str::to_string),
            tool: "",
        }
    }
}

fn frame(row: &str) -> Option<(String, u64)> {
    let rest = row.trim_start_matches(|c: char| c.is_whitespace() || c == '|' || c == 'E');
    let rest = rest.strip_prefix("File \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    Some((file.to_string(), rest[..digits].parse().ok()?))
}

/// A file of the language or of a package, not of the user.
fn library(file: &str) -> bool {
    file.starts_with('<')
        || [
            "site-packages/",
            "dist-packages/",
            "/lib/python",
            "\\lib\\",
            "node_modules/",
            "importlib/",
        ]
        .iter()
        .any(|part| file.contains(part))
}

/// A path, not a phrase or an address.
fn plausible(file: &str) -> bool {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    file.len() < 400
        && !file.contains("://")
        && !file.contains(": ")
        && (name.contains('.') || !file.contains(' '))
        && (name.contains('.') || file.contains('/') || name == "Makefile" || name == "<stdin>")
}

/// The tool behind a line of the common form, by what it says and of which file.
fn guess(found: &Found) -> &'static str {
    let file = found.file.as_deref().unwrap_or_default();
    let code = found.code.as_deref().unwrap_or_default();
    let extension = file.rsplit('.').next().unwrap_or_default();
    match extension {
        _ if code.starts_with("TS") => "tsc",
        _ if code.starts_with("SC") && code.len() == 6 => "shellcheck",
        _ if code.starts_with("CS") => "csc",
        "py" | "pyi" => "mypy",
        "java" => "javac",
        "scala" => "scalac",
        "swift" => "swiftc",
        "hs" => "ghc",
        "zig" => "zig",
        "go" => "go",
        "c" | "h" | "cc" | "cpp" | "cxx" | "hpp" | "cu" | "m" | "mm" => {
            if OPTION.is_match(code) || code.is_empty() { "cc" } else { "clang-tidy" }
        }
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_pattern_compiles() {
        assert_eq!(super::RULES.compile(), super::DIAGNOSTICS.len());
    }
}
