//! The hooks by which agents tell what they do: as settings to print, put into a person's file, taken out of it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};

use super::settings::Wanted;
use crate::proc;

/// An agent that has hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    Claude,
    Codex,
}

impl FromStr for Agent {
    type Err = String;
    fn from_str(s: &str) -> Result<Agent, String> {
        match s {
            "claude" => Ok(Agent::Claude),
            "codex" => Ok(Agent::Codex),
            _ => Err("claude or codex".into()),
        }
    }
}

impl Agent {
    fn name(self) -> &'static str {
        match self {
            Agent::Claude => "claude",
            Agent::Codex => "codex",
        }
    }

    /// Prompts, ends of turns, and what waits for a person, each with the seconds that the hook may take; not the tools,
    /// whose every call would cost a process.
    fn events(self) -> &'static [(&'static str, u32)] {
        match self {
            Agent::Claude => &[
                ("SessionStart", 10),
                ("UserPromptSubmit", 10),
                ("Stop", 10),
                ("StopFailure", 10),
                ("PermissionRequest", 10),
                ("Notification", 10),
                ("SessionEnd", 10),
            ],
            // Codex 0.169 warns at every start of a SessionEnd that may take more than 3
            Agent::Codex => &[
                ("SessionStart", 10),
                ("UserPromptSubmit", 10),
                ("Stop", 10),
                ("PermissionRequest", 10),
                ("SessionEnd", 3),
            ],
        }
    }

    /// The user's own file.
    fn file(self) -> anyhow::Result<PathBuf> {
        let set = |n: &str| std::env::var_os(n).filter(|v| !v.is_empty()).map(PathBuf::from);
        let (variable, dir, name) = match self {
            Agent::Claude => ("CLAUDE_CONFIG_DIR", ".claude", "settings.json"),
            Agent::Codex => ("CODEX_HOME", ".codex", "hooks.json"),
        };
        let dir = set(variable)
            .or_else(|| Some(set("HOME")?.join(dir)))
            .with_context(|| format!("no {name}: give --file FILE, or set {variable} or HOME"))?;
        Ok(dir.join(name))
    }
}

/// What to do with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Install,
    Uninstall,
}

fn program() -> anyhow::Result<String> {
    let path = proc::sibling("orch-feedback")?;
    path.into_os_string()
        .into_string()
        .map_err(|p| anyhow::anyhow!("{}: no UTF-8: JSON cannot name it", Path::new(&p).display()))
}

fn wanted(agent: Agent, program: &str) -> Wanted<'_> {
    Wanted { program, agent: agent.name(), events: agent.events() }
}

/// The settings to add, as JSON.
pub fn settings(agent: Agent) -> anyhow::Result<String> {
    wanted(agent, &program()?).settings()
}

/// Changes the user's file, or `file`; what was done, in one line.
pub fn change(agent: Agent, change: Change, file: Option<&Path>) -> anyhow::Result<String> {
    let path = file.map_or_else(|| agent.file(), |f| Ok(f.to_owned()))?;
    let name = path.display().to_string();
    match change {
        Change::Install => install(agent, &path, file.is_none()).context(name),
        Change::Uninstall => uninstall(agent, &path).context(name),
    }
}

fn install(agent: Agent, path: &Path, make_dir: bool) -> anyhow::Result<String> {
    let program = program()?;
    let old = Found::at(path)?;
    let wanted = wanted(agent, &program);
    let changed = wanted.install(old.as_ref().map_or("{}\n", |f| &f.text))?;
    let name = path.display();
    let mut said = format!("{name}: ");
    if changed.events.is_empty() && changed.updated == 0 {
        said.push_str("nothing to do: the hooks are there");
    } else {
        if make_dir && let Some(dir) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        if old.is_none() && !directory(&target(path)?).is_dir() {
            bail!("its directory is not there: make it first");
        }
        // a file with nothing but older hooks of ours is our own: no backup, by which it would pass for a person's
        let before = wanted.uninstall(old.as_ref().map_or("{}", |f| &f.text))?;
        let own = !before.events.is_empty() && before.text.trim() == "{}";
        let kept =
            old.as_ref().map(|f| if own { Ok(false) } else { f.back_up(path) }).transpose()?;
        replace(&target(path)?, &changed.text, old.as_ref().map(|f| &f.meta))?;
        let mut done = Vec::new();
        if !changed.events.is_empty() {
            done.push(format!("hooks put in: {}", changed.events.join(", ")));
        }
        if changed.updated > 0 {
            done.push(format!("path of orch-feedback put right: {}", changed.updated));
        }
        said.push_str(&done.join("; "));
        match kept {
            Some(true) => said.push_str(&format!("; as it was: {}", backup(path).display())),
            Some(false) => {}
            None => said.push_str("; the file is new"),
        }
    }
    if agent == Agent::Codex {
        said.push_str("; Codex runs none of them until you have trusted them there, once: it asks at its next start, or type /hooks");
    }
    Ok(said)
}

fn uninstall(agent: Agent, path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let none = format!("{name}: nothing to do: no hook of ours is there");
    let Some(old) = Found::at(path)? else { return Ok(none) };
    // programs that are gone have hooks to take out too
    let changed = wanted(agent, "orch-feedback").uninstall(&old.text)?;
    if changed.events.is_empty() {
        return Ok(none);
    }
    let done = format!("{name}: hooks taken out: {}", changed.events.join(", "));
    // a file that was there before us has left its backup
    if changed.text.trim() == "{}" && !backup(path).exists() {
        let target = target(path)?;
        fs::remove_file(&target)?;
        sync_dir(&target)?;
        return Ok(format!("{done}; the file, which held nothing else, is removed"));
    }
    replace(&target(path)?, &changed.text, Some(&old.meta))?;
    Ok(done)
}

/// A settings file as it is.
struct Found {
    text: String,
    meta: fs::Metadata,
}

impl Found {
    fn at(path: &Path) -> anyhow::Result<Option<Found>> {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        // reading a pipe would wait for ever
        if !meta.is_file() {
            bail!("no regular file: give --file FILE");
        }
        Ok(Some(Found { text: fs::read_to_string(path)?, meta }))
    }

    /// Keeps the file as it was before the first change ever; whether that was now.
    fn back_up(&self, path: &Path) -> anyhow::Result<bool> {
        let backup = backup(path);
        if fs::symlink_metadata(&backup).is_ok() {
            return Ok(false);
        }
        replace(&backup, &self.text, Some(&self.meta)).context("its backup")?;
        Ok(true)
    }
}

fn backup(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".orch-backup");
    name.into()
}

/// Where symbolic links lead, also to a file that is not there yet.
fn target(path: &Path) -> anyhow::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(to) => path = path.parent().unwrap_or(Path::new("")).join(to),
            Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(e) => return Err(e.into()),
        }
    }
    bail!("a circle of symbolic links")
}

/// Puts a file in the place of another in one step: at every moment one of them is there, whole.
fn replace(path: &Path, text: &str, like: Option<&fs::Metadata>) -> anyhow::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".orch-{}", std::process::id()));
    let new = PathBuf::from(name);
    let written = write(&new, text, like).and_then(|()| fs::rename(&new, path));
    if let Err(e) = written {
        if e.kind() != ErrorKind::AlreadyExists {
            // what is left of it is of no use to anybody
            let _ = fs::remove_file(&new);
        }
        return Err(e).with_context(|| format!("writing {}", new.display()));
    }
    sync_dir(path)
}

fn write(path: &Path, text: &str, like: Option<&fs::Metadata>) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if let Some(meta) = like {
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (meta.uid(), meta.gid()) {
            fchown(&file, Some(meta.uid()), Some(meta.gid()))?;
        }
        file.set_permissions(meta.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_dir(path: &Path) -> anyhow::Result<()> {
    let dir = directory(path);
    File::open(dir)?.sync_all().with_context(|| dir.display().to_string())
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
