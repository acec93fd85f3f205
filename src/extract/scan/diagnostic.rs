//! Errors with their place: compilers, linters, traces, failed tests.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use regex::Regex;

use crate::event::{Body, Severity};
use crate::extract::capture::Captures;
use crate::extract::decoder::{Place, Sink};
use crate::extract::phrase::clip;
use crate::extract::rules::{Kind, Rule, Rules, regex};
use crate::extract::walk::Want;

static OPTION: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^(?:-W|cert-|bugprone-|clang-|modernize-|readability-)"));

/// A redrawn screen, and the summary at the end, tell the same error again.
const REMEMBERED: usize = 8192;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Found {
    severity: Option<Severity>,
    message: String,
    file: Option<String>,
    line: Option<u64>,
    column: Option<u64>,
    code: Option<String>,
    tool: String,
}

/// What earlier rows said for a later one.
struct Context {
    found: Found,
    /// Where its file was named.
    place: Place,
    /// How far the head of a trace is indented.
    margin: Option<usize>,
    /// The last row that spoke of it, and for how many more it holds.
    row: u64,
    reach: u64,
    /// It is told even if nothing more comes.
    waits: bool,
}

pub struct Diagnostics {
    contexts: Vec<Option<Context>>,
    /// Contexts in which any row may be meant.
    hungry: Vec<usize>,
    /// The last row that any context reaches.
    until: u64,
    told: Told,
}

/// Hashes of the errors that were told last.
#[derive(Default)]
struct Told {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Told {
    /// False: it was told already.
    fn add(&mut self, found: &Found) -> bool {
        let mut hasher = DefaultHasher::new();
        found.hash(&mut hasher);
        let hash = hasher.finish();
        if !self.known.insert(hash) {
            return false;
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(hash);
        true
    }
}

impl Diagnostics {
    pub fn new(rules: &Rules) -> Diagnostics {
        let contexts = rules.contexts.iter().map(|_| None).collect();
        Diagnostics { contexts, hungry: rules.hungry(), until: 0, told: Told::default() }
    }

    /// Which rows are to be shown from the one of this number on.
    pub fn want(&self, row: u64) -> Want {
        if row > self.until {
            return Want::News;
        }
        let holds = |i: &usize| self.contexts[*i].as_ref().is_some_and(|c| c.holds(row));
        if self.hungry.iter().any(holds) { Want::All } else { Want::Later }
    }

    /// Whether a rule is to be tried at all.
    pub fn awaits(&self, rule: &Rule, row: u64) -> bool {
        rule.when.is_none_or(|i| self.contexts[i].as_ref().is_some_and(|c| c.holds(row)))
    }

    /// None: the row is none of this rule's. Else the `seq` of an event of severity error, if it
    /// made one.
    pub fn take(
        &mut self,
        rule: &Rule,
        c: &Captures<'_>,
        (number, row): (u64, &str),
        sink: &mut Sink<'_>,
    ) -> Option<Option<u64>> {
        let mut found = Found::of(rule, c);
        let margin = c.name("margin").map(<[u8]>::len);
        let context = rule.when.and_then(|i| self.contexts[i].as_ref());
        let mut place = sink.place();
        let frame = c.text("frame");
        let foreign = rule.user
            && (found.file.as_deref().is_some_and(library) || frame.is_some_and(|f| package(&f)));
        if foreign && rule.when.is_none() && rule.opens.is_none() {
            return None;
        }
        if foreign && rule.kind == Kind::Error && rule.opens.is_some() {
            // It waits for a better place, and does without one.
            (found.file, found.line, found.column) = (None, None, None);
        }
        if let Some(context) = context {
            if let (Some(row), Some(head)) = (margin, context.margin)
                && row > head
            {
                return None;
            }
            if found.file.is_none() || (foreign && context.found.file.is_some()) {
                let own = (found.line, found.column);
                (found.file, found.line, found.column) = context.found.place();
                if own.0.is_some() && !foreign {
                    (found.line, found.column) = own;
                }
                place = Place { rule: place.rule, ..context.place.clone() };
            } else if foreign && rule.opens.is_none() {
                // The frame of a library: a later one will do.
                return Some(None);
            }
            found.add(&context.found);
        }
        if rule.kind == Kind::Error && rule.opens.is_none() {
            if rule.when.is_some() && found.file.is_none() {
                return None;
            }
            // Nothing but frames of the language or of packages: no place to go to.
            if rule.when.is_some() && found.file.as_deref().is_some_and(library) {
                (found.file, found.line, found.column) = (None, None, None);
            }
            if found.message.is_empty() {
                found.message = match &rule.message {
                    Some(template) => c.fill(template),
                    None if rule.when.is_none() && c.name("message").is_some() => return None,
                    None => row.trim().to_string(),
                };
            }
            if found.tool.is_empty() {
                if !found.file.as_deref().is_some_and(plausible) {
                    return None;
                }
                found.tool = guess(&found).to_string();
            }
        }
        if let Some(i) = rule.when {
            match &mut self.contexts[i] {
                Some(context) if rule.keep => {
                    context.row = number;
                    self.until = self.until.max(number + context.reach);
                }
                context => *context = None,
            }
        }
        let Some(i) = rule.opens else {
            return Some(match rule.kind {
                Kind::Error => self.put(&place, found, sink),
                _ => None,
            });
        };
        let waits = rule.kind == Kind::Error;
        let mut next = Context { found, place, margin, row: number, reach: rule.reach, waits };
        let mut last = None;
        match self.contexts[i].take() {
            Some(earlier) if rule.adds => next.follow(earlier, foreign),
            Some(earlier) if earlier.waits => last = self.put(&earlier.place, earlier.found, sink),
            _ => {}
        }
        self.until = self.until.max(number + next.reach);
        self.contexts[i] = Some(next);
        Some(last)
    }

    /// What still waits for its words is told without them; answers as `take` does.
    pub fn flush(&mut self, sink: &mut Sink<'_>) -> Option<u64> {
        let mut last = None;
        for i in 0..self.contexts.len() {
            if let Some(context) = self.contexts[i].take().filter(|c| c.waits) {
                last = self.put(&context.place, context.found, sink).or(last);
            }
        }
        last
    }

    fn put(&mut self, place: &Place, found: Found, sink: &mut Sink<'_>) -> Option<u64> {
        if !self.told.add(&found) {
            return None;
        }
        let severity = found.severity.unwrap_or(Severity::Error);
        let placed = found.file.is_some();
        let seq = sink.put_at(
            place,
            Body::Error {
                severity,
                message: clip(found.message.trim(), 2000),
                file: found.file,
                line: found.line,
                column: found.column,
                code: found.code,
                tool: Some(found.tool),
            },
        );
        (severity == Severity::Error && placed).then_some(seq)
    }
}

impl Context {
    fn holds(&self, row: u64) -> bool {
        row.saturating_sub(self.row) <= self.reach
    }

    /// Takes over what an earlier row said: the first words, and its place if this has none.
    fn follow(&mut self, earlier: Context, foreign: bool) {
        if self.found.file.is_none() || (foreign && earlier.found.file.is_some()) {
            (self.found.file, self.found.line, self.found.column) = earlier.found.place();
            self.place = earlier.place;
        }
        if !earlier.found.message.is_empty() {
            self.found.message.clone_from(&earlier.found.message);
        }
        self.found.add(&earlier.found);
        self.margin = earlier.margin.or(self.margin);
        self.waits |= earlier.waits;
    }
}

impl Found {
    fn of(rule: &Rule, c: &Captures<'_>) -> Found {
        let text = |name| {
            let text = c.text(name)?;
            let text = if rule.unescape { unescape(&text) } else { text.into_owned() };
            Some(text.trim().to_string()).filter(|t| !t.is_empty())
        };
        let number = |name| text(name).and_then(|n: String| n.parse().ok());
        let severity = text("severity").map(|s| severity(&s));
        Found {
            severity: severity.or((rule.severity != Severity::Error).then_some(rule.severity)),
            message: text("message").unwrap_or_default(),
            file: text("file"),
            line: number("line"),
            column: number("column"),
            code: text("code").or(text("head")),
            tool: text("tool").unwrap_or_else(|| rule.tool.clone()),
        }
    }

    fn place(&self) -> (Option<String>, Option<u64>, Option<u64>) {
        (self.file.clone(), self.line, self.column)
    }

    /// What is missing here, but for the place of another file.
    fn add(&mut self, other: &Found) {
        if self.message.is_empty() {
            self.message.clone_from(&other.message);
        }
        if self.tool.is_empty() {
            self.tool.clone_from(&other.tool);
        }
        self.severity = self.severity.or(other.severity);
        if self.code.is_none() {
            self.code.clone_from(&other.code);
        }
    }
}

/// As GitHub's runner does: the percent sign last, so that what it gives is not read again.
fn unescape(text: &str) -> String {
    const SIGNS: [(&str, &str); 5] =
        [("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")];
    SIGNS.iter().fold(text.to_string(), |text, (sign, c)| text.replace(sign, c))
}

fn severity(word: &str) -> Severity {
    match word.to_ascii_lowercase().as_str() {
        "warning" | "warn" | "w" | "c" | "r" | "style" | "convention" | "refactor"
        | "suggestion" => Severity::Warning,
        "note" | "notice" | "info" | "information" | "i" | "n" | "help" | "hint" | "remark" => {
            Severity::Note
        }
        _ => Severity::Error,
    }
}

/// A file of the language or of a package, not of the user.
fn library(file: &str) -> bool {
    const PARTS: [&str; 22] = [
        "site-packages/",
        "dist-packages/",
        "/lib/python",
        "node_modules/",
        "importlib/",
        "/gems/",
        "/lib/ruby/",
        "/vendor/",
        "/rustc/",
        "/.cargo/registry/",
        "/pkg/mod/",
        "/share/perl",
        "/lib/perl",
        "/libexec/",
        "/share/lua/",
        "webpack-internal:",
        "/deps/",
        "/internal/modules/",
        "/usr/share/",
        "/usr/lib/",
        "/lib/std/",
        "/.cache/bazel/",
    ];
    matches!(file, "sh" | "bash" | "dash" | "zsh" | "_testmain.go" | "testing.go")
        || file.starts_with('<')
        || file.starts_with("node:")
        || file.starts_with("internal/")
        || file.starts_with("/_/")
        || go(file)
        || python_on_windows(file)
        || script(file)
        || PARTS.iter().any(|part| file.contains(part))
}

/// `…/go/src/runtime/…`: Go's own. In a workspace the same path goes on with the user's packages.
fn go(file: &str) -> bool {
    const PACKAGES: [&str; 42] = [
        "archive",
        "bufio",
        "bytes",
        "cmd",
        "compress",
        "container",
        "context",
        "crypto",
        "database",
        "embed",
        "encoding",
        "errors",
        "flag",
        "fmt",
        "go",
        "hash",
        "html",
        "image",
        "internal",
        "io",
        "iter",
        "log",
        "maps",
        "math",
        "mime",
        "net",
        "os",
        "path",
        "reflect",
        "regexp",
        "runtime",
        "slices",
        "sort",
        "strconv",
        "strings",
        "sync",
        "syscall",
        "testing",
        "text",
        "time",
        "unicode",
        "vendor",
    ];
    let Some((home, rest)) = file.split_once("/src/") else { return false };
    let own = |part: &str| part == "go" || part.starts_with("go1.") || part.starts_with("go-1.");
    let package = rest.split('/').next().unwrap_or_default();
    home.split('/').any(own) && rest.ends_with(".go") && PACKAGES.contains(&package)
}

/// `C:\Python312\Lib\…`
fn python_on_windows(file: &str) -> bool {
    let file = file.to_ascii_lowercase();
    let home = file.split_once("\\lib\\").map(|(home, _)| home);
    home.is_some_and(|home| home.contains("python") || home.contains("conda"))
}

/// `…/bin/pytest`: what an installer put there has no extension.
fn script(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    file.contains("/bin/") && !name.contains('.')
}

/// A method of the language or of a package, where the file is but a name.
fn package(method: &str) -> bool {
    const NAMES: [&str; 37] = [
        "java.",
        "javax.",
        "jdk.",
        "sun.",
        "com.sun.",
        "kotlin.",
        "scala.",
        "clojure.",
        "groovy.",
        "org.junit.",
        "junit.",
        "org.testng.",
        "org.assertj.",
        "org.hamcrest.",
        "org.mockito.",
        "org.opentest4j.",
        "org.scalatest.",
        "org.apache.",
        "org.gradle.",
        "org.springframework.",
        "org.codehaus.",
        "worker.org.gradle.",
        "com.intellij.",
        "com.android.build",
        "com.android.ide",
        "com.fasterxml.",
        "com.google.",
        "io.netty.",
        "org.hibernate.",
        "org.jetbrains.",
        "elixir ",
        "ex_unit ",
        "mix ",
        "stdlib ",
        "kernel ",
        "ecto",
        "phoenix",
    ];
    NAMES.iter().any(|name| method.starts_with(name))
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

/// `C4267`
fn is_msvc(code: &str) -> bool {
    code.len() == 5 && code.strip_prefix('C').is_some_and(|n| n.bytes().all(|c| c.is_ascii_digit()))
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
        _ if is_msvc(code) => "cl",
        "c" | "h" | "cc" | "cpp" | "cxx" | "hpp" | "cu" | "m" | "mm" => {
            if OPTION.is_match(code) || code.is_empty() { "cc" } else { "clang-tidy" }
        }
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::library;

    #[test]
    fn the_users_own_directories_are_no_library() {
        for file in [
            "/home/u/proj/bin/deploy.py",
            "/w/src/testing/util.py",
            "/w/src/runtime/vm.py",
            "/w/src/runtime/vm.go",
            "C:\\proj\\lib\\foo.py",
            "/home/u/go/src/github.com/me/app/main.go",
            "/home/u/go/src/app/main.go",
            "bin/x",
        ] {
            assert!(!library(file), "{file}");
        }
        for file in [
            "/usr/local/go/src/runtime/panic.go",
            "/usr/lib/go-1.19/src/testing/testing.go",
            "/opt/hostedtoolcache/go/1.22.3/x64/src/testing/testing.go",
            "/root/sdk/go1.22.3/src/net/http/server.go",
            "C:\\Users\\u\\Python312\\Lib\\unittest\\case.py",
            "/home/u/.venv/bin/pytest",
            "/_/src/libraries/System.Linq/src/First.cs",
        ] {
            assert!(library(file), "{file}");
        }
    }
}
