//! Git: where a directory lies, read from its files, and the one careful switch of a branch.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::config::ContextRules;

/// A work tree: its canonical top level and its branch (`None`: detached).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkTree {
    pub top: PathBuf,
    pub branch: Option<String>,
}

/// The work tree that a directory lies in. Nothing is run, except where the refs are not files (reftable).
pub fn work_tree(dir: &Path) -> Option<WorkTree> {
    let dir = dir.canonicalize().ok()?;
    let top = dir.ancestors().find(|d| d.join(".git").symlink_metadata().is_ok())?;
    let head = read_small(&git_dir(top)?.join("HEAD"))?;
    let branch = match head.trim_end().strip_prefix("ref: refs/heads/") {
        Some(".invalid") => ask(top, &["symbolic-ref", "--quiet", "--short", "HEAD"]),
        Some(name) => Some(name.to_owned()),
        None => None,
    };
    Some(WorkTree { top: top.to_owned(), branch })
}

/// `.git`, or where a `.git` file (a linked work tree, a submodule) says that it is.
fn git_dir(top: &Path) -> Option<PathBuf> {
    let dot = top.join(".git");
    if dot.is_dir() {
        return Some(dot);
    }
    let text = read_small(&dot)?;
    Some(top.join(text.trim_end().strip_prefix("gitdir: ")?))
}

/// A short regular file: whoever owns a directory above may have put a pipe there, which never ends.
fn read_small(path: &Path) -> Option<String> {
    use std::io::Read;
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(4096).read_to_string(&mut text).ok()?;
    Some(text)
}

/// What an attempt holds while it runs: the top level of the repository, or the directory itself.
pub fn tree(dir: &Path) -> PathBuf {
    match work_tree(dir) {
        Some(w) => w.top,
        None => dir.canonicalize().unwrap_or_else(|_| dir.to_owned()),
    }
}

/// Whether the branch could be switched to: it exists, the tree is clean, and no filter of the repository's own
/// would run. Changes nothing.
pub fn check_switch(dir: &Path, branch: &str, rules: &ContextRules) -> anyhow::Result<()> {
    crate::context::check_branch(branch)?;
    // before anything else: git status itself would run them on files that look changed
    if !rules.allow_filters {
        refuse_filters(dir, rules)?;
    }
    let reference = format!("refs/heads/{branch}");
    if !run(dir, rules, &["show-ref", "--verify", "--quiet", "--", &reference])?.status.success() {
        bail!("no branch '{branch}' in {}", dir.display());
    }
    let status = run(
        dir,
        rules,
        &[
            "--no-optional-locks",
            "status",
            "--porcelain",
            "-z",
            "--untracked-files=no",
            "--ignore-submodules=dirty",
        ],
    )?;
    if !status.status.success() {
        bail!("git status in {}: {}", dir.display(), first_line(&status.stderr));
    }
    if !status.stdout.is_empty() {
        let text = String::from_utf8_lossy(&status.stdout);
        let first = text.split('\0').next().unwrap_or_default();
        bail!("work tree {} is dirty ({}): commit or stash first", dir.display(), first.trim());
    }
    Ok(())
}

/// `git switch`, after `check_switch`: never carries edits over, makes no branch, overwrites no ignored file.
pub fn switch(dir: &Path, branch: &str, rules: &ContextRules) -> anyhow::Result<()> {
    check_switch(dir, branch, rules)?;
    let out = run(
        dir,
        rules,
        &["switch", "--quiet", "--no-guess", "--no-overwrite-ignore", "--end-of-options", branch],
    )?;
    if !out.status.success() {
        bail!("git switch {branch} in {}: {}", dir.display(), first_line(&out.stderr));
    }
    Ok(())
}

/// A repository's own config may name commands that run on every checkout; large-file storage is a known one.
fn refuse_filters(dir: &Path, rules: &ContextRules) -> anyhow::Result<()> {
    for scope in ["--local", "--worktree"] {
        let out =
            run(dir, rules, &["config", scope, "--includes", "-z", "--get-regexp", "^filter\\."])?;
        let text = String::from_utf8_lossy(&out.stdout);
        let settings = text
            .split('\0')
            .filter(|s| !s.is_empty())
            .map(|s| s.split_once('\n').unwrap_or((s, "")));
        // the name of large-file storage alone vouches for nothing
        let known = |name: &str, value: &str| {
            name.starts_with("filter.lfs.")
                && (value.starts_with("git-lfs ") || name.ends_with(".required"))
        };
        if let Some((name, _)) = settings.into_iter().find(|(n, v)| !known(n, v)) {
            bail!(
                "{}: the repository's own {name} would run a command: allow it in config.toml: [context] allow_filters = true",
                dir.display()
            );
        }
    }
    Ok(())
}

fn run(dir: &Path, rules: &ContextRules, args: &[&str]) -> anyhow::Result<std::process::Output> {
    let mut command = git(dir);
    if !rules.allow_hooks {
        command.args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]);
    }
    // a blob that is not there is not fetched by a command of the repository's choice
    command
        .args(["-c", "submodule.recurse=false", "-c", "protocol.allow=never"])
        .args(args)
        .output()
        .context("git")
}

fn ask(dir: &Path, args: &[&str]) -> Option<String> {
    let out = git(dir).args(args).output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8(out.stdout).ok()?.trim_end().to_owned())
}

/// Variables that point git to another repository, work tree or configuration than the directory's own.
pub fn redirects(name: &str) -> bool {
    const EXACT: &[&str] = &[
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_COMMON_DIR",
        "GIT_OBJECT_DIRECTORY",
        "GIT_NAMESPACE",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CEILING_DIRECTORIES",
        "GIT_PREFIX",
    ];
    EXACT.contains(&name) || name.starts_with("GIT_CONFIG")
}

/// git in a directory, deaf to variables that would point it elsewhere.
fn git(dir: &Path) -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    command
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .stdin(std::process::Stdio::null());
    command.arg("-C").arg(dir);
    command
}

fn first_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    crate::clean::line(text.lines().find(|l| !l.trim().is_empty()).unwrap_or("no message"))
}
