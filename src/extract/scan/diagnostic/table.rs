//! The rows by which tools name an error and its place.

use crate::extract::rules::Rule;

/// What a rule's row is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole diagnostic, by the groups file, line, column, severity, code, message.
    Whole(&'static str),
    /// The head of one whose place follows on a row of its own (`--> file:1:2`).
    Head,
    Arrow,
    EslintFile,
    EslintItem,
    Traceback,
    Frame,
    Raised,
    PytestFrame,
    PytestEnd,
    PytestMessage,
    Panic,
    GoFail,
    GoItem,
    GoPanic,
    GoFrame,
    StackHead,
    StackFrame,
    VitestFrame,
    ShellcheckFile,
    ShellcheckItem,
    RubyFrame,
    RubyHead,
    On,
}

macro_rules! table {
    ($([$($any:literal),+] $pattern:literal => $make:expr;)+) => {
        &[$(Rule { any: &[$($any),+], pattern: $pattern, make: $make }),+]
    };
}

/// The first rule that fits decides, so the narrower stand first.
pub const DIAGNOSTICS: &[Rule<Kind>] = table! {
    ["Traceback (most recent call last)"] r"^(?P<margin>\s*(?:[|E+] *)*)Traceback \(most recent call last\):?\s*$" => Kind::Traceback;
    ["File \""] r#"^(?P<margin>[\s|E]*)File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in .*)?\s*$"# => Kind::Frame;
    ["cannot format "] r"^error: cannot format (?P<file>.+?): Cannot parse[^:]*: (?P<line>\d+):(?P<column>\d+): (?P<message>.*)$" => Kind::Whole("black");
    ["error[", "error: ", "warning: ", "warning["] r"^\s*(?P<severity>error|warning)(?:\[(?P<code>[\w-]+)\])?: (?P<message>.+)$" => Kind::Head;
    ["--> "] r"^\s*-->\s+(?P<file>[^\s:][^:]*):(?P<line>\d+):(?P<column>\d+)$" => Kind::Arrow;
    ["panicked at "] r"^thread '.*'(?: \(\d+\))? panicked at (?:'(?P<message>.*)', )?(?P<file>[^\s':]+):(?P<line>\d+):(?P<column>\d+):?$" => Kind::Panic;
    ["##[", "::error", "::warning", "::notice"] r"^(?:::|##\[)(?P<severity>error|warning|notice)(?: (?:file=(?P<file>[^,:]+)|[a-zA-Z]+=[^,:]*)(?:,line=(?P<line>\d+))?(?:,(?:col|column)=(?P<column>\d+))?[^\]:]*)?(?:::|\])(?P<message>.*)$" => Kind::Whole("github");
    ["): error ", "): warning ", "): fatal error ", ") : error ", ") : warning ", ") : fatal error ", "): error TS"] r"^\s*(?:\d+>)?(?P<file>[^\s(][^(]*)\((?P<line>\d+)(?:,(?P<column>\d+))?(?:,\d+,\d+)?\) ?: (?P<severity>fatal error|error|warning)\s+(?P<code>[A-Z]{1,6}\d+)\s*: (?P<message>.*?)(?: \[[^\]]*proj\])?$" => Kind::Whole("");
    [" - error TS", " - warning TS"] r"^(?P<file>[^\s:][^:]*):(?P<line>\d+):(?P<column>\d+) - (?P<severity>error|warning) (?P<code>TS\d+): (?P<message>.*)$" => Kind::Whole("tsc");
    [":["] r"^\[(?P<severity>ERROR|WARNING)\] +(?P<file>\S+):\[(?P<line>\d+)(?:,(?P<column>\d+))?\] (?P<message>.*)$" => Kind::Whole("javac");
    ["CMake Error", "CMake Warning"] r"^CMake (?P<severity>Error|Warning)(?: \(dev\))? at (?P<file>[^:]+):(?P<line>\d+) \((?P<message>.*)\)" => Kind::Whole("cmake");
    ["e: ", "w: "] r"^(?P<severity>[ew]): (?:file://)?(?P<file>[^\s:]+):(?:\s*\()?(?P<line>\d+)(?:, |:)(?P<column>\d+)\)?:? (?P<message>.*)$" => Kind::Whole("kotlinc");
    [" on line "] r"^(?:PHP )?(?P<severity>Fatal error|Parse error|Warning): +(?P<message>.*) in (?P<file>\S+) on line (?P<line>\d+)$" => Kind::Whole("php");
    [": line "] r"^(?P<file>[^\s:]+): line (?P<line>\d+): (?P<message>.*(?:command not found|No such file or directory|syntax error.*|unbound variable|Permission denied|not a valid identifier|unexpected EOF.*))$" => Kind::Whole("bash");
    ["In "] r"^In (?P<file>\S+) line (?P<line>\d+):$" => Kind::ShellcheckFile;
    ["SC1", "SC2", "SC3"] r"\b(?P<code>SC\d{4})(?: \((?P<severity>error|warning|info|style)\))?: (?P<message>.*)$" => Kind::ShellcheckItem;
    [" error ", " warning "] r"^\s+(?P<line>\d+):(?P<column>\d+)\s+(?:[✖⚠×] )?(?P<severity>error|warning)\s+(?P<message>.+?)(?:\s{2,}(?P<code>[\w@/.-]+))?\s*$" => Kind::EslintItem;
    [": error", ": warning", ": fatal error", ": note", ": runtime error", ": ERROR", ": style", ": info"] r"^(?:\[\w+\] +)?(?P<file>(?:[A-Za-z]:[\\/])?[^\s:(\[][^:]*?):(?P<line>\d+):(?:(?P<column>\d+):)? ?(?P<severity>fatal error|runtime error|error|ERROR|warning|note|style|info):? ?(?:\[(?P<head>[\w/-]+)\]:? )?(?P<message>.*?)(?:\s+\[(?P<code>[\w+=,.-]+)\])?$" => Kind::Whole("");
    ["Error", "Exception", "Failed", "Exit", "Interrupt"] r"^(?P<file>[^\s:]+\.py):(?P<line>\d+): (?P<message>(?:[\w.]*(?:Error|Exception|Failed|Exit|Interrupt))\b.*)$" => Kind::PytestEnd;
    [".py:"] r"^(?P<file>[^\s:]+\.py):(?P<line>\d+): (?:in \S.*)?$" => Kind::PytestFrame;
    ["E  "] r"^E {2,}(?P<message>\S.*)$" => Kind::PytestMessage;
    [".py:"] r"^(?P<file>[^\s:]+\.py):(?P<line>\d+):(?P<column>\d+): (?P<code>[A-Z]{1,4}\d{2,5}):? (?:\[\*\] )?(?P<message>.*)$" => Kind::Whole("ruff");
    [".rb:"] r"^(?P<file>[^\s:]+\.rb):(?P<line>\d+):(?P<column>\d+): (?P<severity>[CWEFR]): (?:\[\w+\] )?(?P<code>[\w/]+): (?P<message>.*)$" => Kind::Whole("rubocop");
    [".go:"] r"^\s+(?P<file>[\w./-]+\.go):(?P<line>\d+): (?P<message>.*)$" => Kind::GoItem;
    [".go:"] r"^(?:vet: )?(?P<file>(?:[\w.@~-]*/)*[\w.-]+\.go):(?P<line>\d+):(?P<column>\d+): (?P<message>.*)$" => Kind::Whole("go");
    ["--- FAIL"] r"^\s*--- FAIL" => Kind::GoFail;
    ["panic: "] r"^panic: (?P<message>.*)$" => Kind::GoPanic;
    [".go:"] r"^\t(?P<file>/\S+\.go):(?P<line>\d+) \+0x" => Kind::GoFrame;
    [".ts:", ".js:", ".tsx:", ".jsx:", ".mjs:", ".mts:", ".vue:"] r"^\s*[^\x00-\x7F\s]{1,12} (?P<file>[^\s:]+\.\w+):(?P<line>\d+):(?P<column>\d+)\s*$" => Kind::VitestFrame;
    ["    at ", "\tat "] r"^\s+at (?:.*\()?(?:file://)?(?P<file>(?:[A-Za-z]:)?[^\s():]+\.[cm]?[jt]sx?):(?P<line>\d+):(?P<column>\d+)\)?$" => Kind::StackFrame;
    ["Error", "● "] r"^\s*(?:● \S.*|(?:Uncaught )?(?P<message>(?:[A-Z]\w*)?Error(?: \[\w+\])?: .*))$" => Kind::StackHead;
    [".rb:"] r"^\s+(?:# )?(?P<file>[^\s:]+\.rb):(?P<line>\d+):in " => Kind::RubyFrame;
    [") Error", ") Failure", "Error:", "Failure:"] r"^\s*(?:\d+\) )?(?P<message>Error|Failure):?\s*$" => Kind::RubyHead;
    [" on "] r"^[\s│|]*on (?P<file>\S+\.tf) line (?P<line>\d+)" => Kind::On;
    [".swift:", ".m:", ".mm:"] r"^\W*(?:\w{1,4}\W+)?\s(?P<file>/\S+\.(?:swift|mm?|h)):(?P<line>\d+):(?P<column>\d+): (?P<message>.*)$" => Kind::Whole("xcodebuild");
    ["/", "\\"] r"^(?P<file>(?:/|[A-Za-z]:\\|\./)?[\w@.+ -]+(?:[/\\][\w@.+ \[\]-]+)+\.(?:[cm]?[jt]sx?|vue|svelte|css|scss|html|json|md|astro))$" => Kind::EslintFile;
    ["Error: ", "Exception: ", "Error", "Exception", "Interrupt", "Exit", "Warning: "] r"^(?P<message>[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|Failure|NotFound|Timeout|Group|Expired)\b.*)$" => Kind::Raised;
};
