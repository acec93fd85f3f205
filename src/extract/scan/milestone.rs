//! Rows that mark a step done for good: a commit.

use std::sync::LazyLock;

use crate::extract::rules::{Rule, Rules};

struct Commit;

const COMMIT: &[Rule<Commit>] = &[Rule {
    any: &["] "],
    pattern: r"^\[(?P<branch>[\w./-]+|detached HEAD)(?: \(root-commit\))? (?P<id>[0-9a-f]{7,40})\] (?P<subject>\S.*)$",
    make: Commit,
}];

static RULES: LazyLock<Rules<Commit>> = LazyLock::new(|| Rules::new(COMMIT));

pub fn of(row: &str) -> Option<String> {
    if !row.starts_with('[') {
        return None;
    }
    RULES.first(row, |Commit, c| {
        Some(format!("commit {} on {}: {}", &c["id"], &c["branch"], &c["subject"]))
    })
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_commit_is_a_milestone_and_a_log_prefix_is_not() {
        let told = of("[main 1234abc] parser: read empty input");
        assert_eq!(told.as_deref(), Some("commit 1234abc on main: parser: read empty input"));
        assert_eq!(of("[INFO 2024] started"), None);
    }
}
