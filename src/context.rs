//! The context of a task: directory, branch, environment, prerequisites.

use std::collections::BTreeMap;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clean::has_control;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    // fields in alphabetical order: the canonical JSON is what serde writes
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_branch: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prerequisites: Vec<String>,
    /// Canonical and absolute once stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
}

/// A value of the environment: itself, or a reference that is resolved when the task starts and never stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Literal(String),
    Reference {
        /// `env:NAME` or `file:PATH`
        from: String,
    },
}

/// Names whose value makes programs run code, or that are this toolkit's own.
const REFUSED: &[&str] = &[
    "PATH",
    "IFS",
    "ENV",
    "BASH_ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "NODE_OPTIONS",
    "PERL5OPT",
    "PERL5LIB",
    "PYTHONSTARTUP",
    "PYTHONPATH",
    "PYTHONHOME",
    "RUBYOPT",
    "RUBYLIB",
    "JAVA_TOOL_OPTIONS",
    "TMUX",
    "TMUX_PANE",
    "EDITOR",
    "VISUAL",
    "PAGER",
];
const REFUSED_PREFIXES: &[&str] = &["LD_", "DYLD_", "GIT_", "BASH_FUNC_", "ORCH_"];

impl Context {
    pub fn is_empty(&self) -> bool {
        *self == Context::default()
    }

    pub fn canonical(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.canonical().as_bytes()))
    }

    /// What no session could establish, or what would run code by being established.
    /// `allowed`: names of the environment that the owner's config permits.
    pub fn check(&self, allowed: &[String]) -> anyhow::Result<()> {
        if let Some(dir) = &self.working_dir {
            if has_control(dir) {
                bail!("working_dir {dir:?}: control characters are refused");
            }
            if !dir.starts_with('/') {
                bail!("working_dir '{dir}': not absolute");
            }
        }
        if let Some(branch) = &self.git_branch {
            check_branch(branch)?;
            if self.working_dir.is_none() {
                bail!("git_branch '{branch}': a branch needs a directory (--dir or --here)");
            }
        }
        for (name, value) in &self.env {
            check_name(name, allowed)?;
            match value {
                Value::Literal(v) if v.contains('\0') => bail!("env {name}: NUL is refused"),
                Value::Reference { from } => check_reference(name, from)?,
                Value::Literal(_) => {}
            }
        }
        if let Some(p) = self.prerequisites.iter().find(|p| p.contains('\0')) {
            bail!("prerequisite {p:?}: NUL is refused");
        }
        Ok(())
    }
}

/// The rules of git-check-ref-format(1) for a branch, and no leading dash.
pub fn check_branch(b: &str) -> anyhow::Result<()> {
    let bad_part = |p: &str| p.is_empty() || p.starts_with('.') || p.ends_with(".lock");
    let bad_char = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let bad = b.is_empty()
        || b.starts_with('-')
        || b == "@"
        || b == "HEAD"
        || b.ends_with('.')
        || b.contains("..")
        || b.contains("@{")
        || b.chars().any(bad_char)
        || b.split('/').any(bad_part);
    if bad {
        bail!("git_branch {b:?}: not a valid branch name");
    }
    Ok(())
}

fn check_name(name: &str, allowed: &[String]) -> anyhow::Result<()> {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !first || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        bail!("env {name:?}: not a name (letters, digits, _)");
    }
    let refused = REFUSED.contains(&name) || REFUSED_PREFIXES.iter().any(|p| name.starts_with(p));
    if refused && !allowed.iter().any(|a| a == name) {
        bail!(
            "env {name}: refused, its value can make programs run code; allow it in config.toml: [context] allow_env = [\"{name}\"]"
        );
    }
    Ok(())
}

fn check_reference(name: &str, from: &str) -> anyhow::Result<()> {
    let ok = match from.split_once(':') {
        Some(("env", n)) => check_name(n, &[n.to_owned()]).is_ok(),
        Some(("file", p)) => p.starts_with('/') && !has_control(p),
        _ => false,
    };
    if !ok {
        bail!("env {name}: '{from}' is no reference: env:NAME or file:/PATH");
    }
    Ok(())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Context {
        Context {
            env: [(name.to_owned(), Value::Literal("x".into()))].into(),
            ..Default::default()
        }
    }

    #[test]
    fn canonical_json_does_not_depend_on_the_order_given() {
        let read = |s: &str| serde_json::from_str::<Context>(s).expect("json");
        let a =
            read(r#"{"working_dir":"/w","git_branch":"b","env":{"B":"2","A":{"from":"env:T"}}}"#);
        let b = read(
            r#"{"env":{"A":{"from":"env:T"},"B":"2"},"git_branch":"b","working_dir":"/w","prerequisites":[]}"#,
        );
        assert_eq!(a.hash(), b.hash());
        assert_eq!(
            a.canonical(),
            r#"{"env":{"A":{"from":"env:T"},"B":"2"},"git_branch":"b","working_dir":"/w"}"#
        );
        assert!(serde_json::from_str::<Context>(r#"{"dir":"/w"}"#).is_err());
    }

    #[test]
    fn names_that_run_code_are_refused_unless_the_owner_allows_them() {
        for bad in [
            "LD_PRELOAD",
            "BASH_ENV",
            "PATH",
            "GIT_SSH_COMMAND",
            "NODE_OPTIONS",
            "ORCH_TASK",
            "A-B",
            "",
            "1A",
            "A=B",
        ] {
            assert!(named(bad).check(&[]).is_err(), "{bad}");
        }
        assert!(named("TEST_ENV").check(&[]).is_ok());
        assert!(named("PATH").check(&["PATH".into()]).is_ok());
    }

    #[test]
    fn branches_follow_gits_rules() {
        for ok in ["main", "feature/a-b", "ok/x;$(id)", "ünï"] {
            assert!(check_branch(ok).is_ok(), "{ok}");
        }
        for bad in [
            "-b", "a..b", "a b", "a~1", "", "x.lock", "a/.b", "a\u{1b}b", "@", "a@{1}", "HEAD",
            "a//b",
        ] {
            assert!(check_branch(bad).is_err(), "{bad}");
        }
    }
}
