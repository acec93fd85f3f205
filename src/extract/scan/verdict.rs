//! Rows in which a build or a CI job says how it ended.

use std::sync::LazyLock;

use crate::extract::phrase::clip;
use crate::extract::rules::{Rule, Rules};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The job as a whole, said by what runs it.
    Job,
    /// A build tool or a command within it.
    Build,
    /// Words that often stand for the end.
    Phrase,
}

pub struct Verdict {
    pub good: bool,
    pub weight: Weight,
    pub confidence: f64,
    pub reason: String,
    /// Summaries that add up end here.
    pub ends_run: bool,
}

#[derive(Clone, Copy)]
enum Says {
    Good,
    Bad,
    /// The group `code`: 0 is good.
    Code,
    /// The group `bad`, if it took part.
    Named,
}

struct Form(Weight, Says);

macro_rules! table {
    ($([$($any:literal),+] $pattern:literal => $weight:ident $says:ident;)+) => {
        &[$(Rule { any: &[$($any),+], pattern: $pattern, make: Form(Weight::$weight, Says::$says) }),+]
    };
}

const VERDICTS: &[Rule<Form>] = table! {
    ["Process completed with exit code"] r"^(?:##\[error\]|Error: )?Process completed with exit code (?P<code>\d+)\.?" => Job Code;
    ["Your build exited with"] r"Done\. Your build exited with (?P<code>\d+)\." => Job Code;
    ["Finished: "] r"^Finished: (?:SUCCESS|(?P<bad>FAILURE|UNSTABLE|ABORTED|NOT_BUILT))\s*$" => Job Named;
    ["Job succeeded"] r"^Job succeeded\s*$" => Job Good;
    ["ERROR: Job failed"] r"^ERROR: Job failed" => Job Bad;
    ["task run with exit code"] r"(?:Uns|S)uccessful task run with exit code: (?P<code>-?\d+)" => Job Code;
    ["Task aborted", "max run time exceeded", "maximum execution time", "exceeded the maximum", "operation was canceled", "No output has been received"] r"(?:Task aborted|max run time exceeded|exceeded the maximum (?:execution )?time|The operation was canceled|No output has been received in the last)" => Job Bad;
    ["build error: "] r"^Copr build error: " => Job Bad;
    ["BUILD SUCCE", "BUILD FAIL"] r"^(?:\[?\w*\]? *)?(?:\*\* )?BUILD (?:SUCCESS(?:FUL)?|SUCCEEDED|(?P<bad>FAIL\w*))\b" => Build Named;
    ["** TEST ", "** ARCHIVE "] r"^\*\* \w+ (?:SUCCEEDED|(?P<bad>FAILED|INTERRUPTED)) \*\*" => Build Named;
    ["FAILURE: Build failed"] r"^FAILURE: Build failed" => Build Bad;
    ["The command \""] r#"^The command ".*" (?:exited with (?P<code>\d+)|failed and exited with (?P<code2>\d+))"# => Build Code;
    ["make: ***", "]: ***"] r"^\s*g?make(?:\[\d+\])?: \*\*\* .*(?:Error \d+|Stop\.)" => Build Bad;
    ["ninja: build stopped"] r"^ninja: build stopped" => Build Bad;
    ["CMake build failed", "Configuring incomplete"] r"^(?:\*\*\* CMake build failed|-- Configuring incomplete)" => Build Bad;
    ["configure: error"] r"^configure: error: " => Build Bad;
    ["error: could not compile", "error: test failed", "error: aborting due to", "error: build failed", "target failed:", "targets failed:"] r"^\s*error: (?:could not compile|test failed|aborting due to|build failed|\d+ targets? failed)" => Build Bad;
    ["npm ERR!", "npm error"] r"^npm (?:ERR!|error) (?:code \w+|Test failed|Lifecycle script)" => Build Bad;
    ["ommand failed with exit code"] r"(?i)command failed with exit code (?P<code>\d+)" => Build Code;
    ["ELIFECYCLE"] r"ELIFECYCLE" => Build Bad;
    ["xit status ", "xit code", "xited with", "inished with", "eturned a non-zero code"] r"(?i)^(?:exit status (?P<code>\d+)$|exit code:? (?P<code2>\d+)|(?:[\w./-]+ )?(?:command |process |script )?(?:finished|exited|completed|terminated)(?: with)? (?:exit )?(?:code|status):? (?P<code3>\d+)\b)" => Build Code;
    ["problem", "error"] r"^\W*\d+ problems? \((?:(?P<bad>[1-9]\d*) errors?|0 errors)," => Build Named;
    ["Found ", "Success: no issues"] r"^(?:Success: no issues found|(?P<bad>Found [1-9]\d* errors?\b.*))" => Build Named;
    ["All checks passed!"] r"^All checks passed!$" => Build Good;
    ["failed to reformat", "fail to reformat", "would be reformatted"] r"(?:[1-9]\d* files? (?:failed|would fail) to reformat|[1-9]\d* files? would be reformatted)" => Build Bad;
    ["Build succeeded", "Build FAILED", "Build failed"] r"^\s*Build (?:succeeded\.?|(?P<bad>FAILED\.?|failed\.?))(?: .*)?$" => Build Named;
    ["Child return code was"] r"^Child return code was: (?P<code>\d+)" => Build Code;
    ["Result: "] r"^Result: (?:PASS|(?P<bad>FAIL))$" => Build Named;
    ["FAIL"] r"^FAIL$" => Build Bad;
    ["General linter failure"] r"\bGeneral linter failure" => Build Bad;
    ["> Task :"] r"^> Task :\S+ FAILED$" => Build Bad;
    ["##[error]", "::error"] r"^(?:##\[error\]|::error\b)" => Build Bad;
    ["Cleaning up orphan processes"] r"^Cleaning up orphan processes" => Phrase Good;
    ["Segmentation fault", "core dumped", "Out of memory", "Aborted ("] r"(?:^|: )(?:Segmentation fault|Aborted)\b|\(core dumped\)|Out of memory: Killed" => Phrase Bad;
    ["Finished `"] r"^\s+Finished `\w+` profile" => Phrase Good;
};

static RULES: LazyLock<Rules<Form>> = LazyLock::new(|| Rules::new(VERDICTS));

pub fn of(row: &str) -> Option<Verdict> {
    if row.len() > 4000 {
        return None;
    }
    RULES.first(row, |Form(weight, says), c| {
        let good = match says {
            Says::Good => true,
            Says::Bad => false,
            Says::Code => {
                let code = ["code", "code2", "code3"]
                    .iter()
                    .find_map(|name| c.name(name).map(|m| m.as_str()));
                code.is_some_and(|code| code.trim_start_matches('0').is_empty())
            }
            Says::Named => c.name("bad").is_none(),
        };
        Some(Verdict {
            good,
            weight: *weight,
            confidence: match weight {
                Weight::Job => 0.8,
                Weight::Build => 0.6,
                Weight::Phrase => 0.4,
            },
            reason: clip(row.trim(), 200),
            ends_run: *weight != Weight::Phrase && !row.starts_with("FAIL"),
        })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_pattern_compiles() {
        assert_eq!(super::RULES.compile(), super::VERDICTS.len());
    }
}
