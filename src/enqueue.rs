//! From what a person or a script wrote to a task that can be stored.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::context::{self, Context};
use crate::event::Evidence;
use crate::git;
use crate::provider;
use crate::task::{Dependency, NewTask, TaskId};
use crate::when::{self, Ms};

/// Reads tasks under the option names of orch-enqueue(1). Knows the config only when it has to.
#[derive(Debug, Default)]
pub struct Reader {
    config: Option<Config>,
}

impl Reader {
    fn config(&mut self) -> anyhow::Result<&Config> {
        if self.config.is_none() {
            self.config = Some(Config::load()?);
        }
        self.config.as_ref().context("config")
    }

    /// One object of options. An error names the field.
    pub fn read(&mut self, object: &Map<String, Value>, now: Ms) -> anyhow::Result<NewTask> {
        let mut t = NewTask { max_attempts: 3, accept: Evidence::Status, ..Default::default() };
        // metadata first, then here: the options beside them win
        if let Some(m) = object.get("metadata").filter(|m| !m.is_null()) {
            t.context = metadata(m).context("metadata")?;
        }
        if object.get("here") == Some(&Value::Bool(true)) {
            here(&mut t.context).context("here")?;
        }
        for (name, value) in object.iter().filter(|(_, v)| !v.is_null()) {
            let option = name.replace('_', "-");
            set(&mut t, &option, value, now).with_context(|| name.clone())?;
        }
        if t.content.trim().is_empty() {
            bail!("content: empty");
        }
        refuse_nul("content", &t.content)?;
        if let Some(dir) = &t.context.working_dir {
            t.context.working_dir = Some(canonical(Path::new(dir))?);
        }
        if t.context.check(&[]).is_err() {
            let allowed = self.config()?.context.allow_env.clone();
            t.context.check(&allowed)?;
        }
        self.fix_provider(&mut t)?;
        Ok(t)
    }

    fn fix_provider(&mut self, t: &mut NewTask) -> anyhow::Result<()> {
        if t.provider.is_empty() {
            t.provider =
                self.config()?.default_provider.clone().context(
                    "no provider: give --provider, or set default_provider in config.toml",
                )?;
        }
        if !provider::is_built_in(&t.provider) {
            self.config()?.profile(&t.provider)?;
        }
        Ok(())
    }
}

/// The tree that a task will hold.
pub fn tree(t: &NewTask) -> Option<String> {
    let dir = t.context.working_dir.as_ref()?;
    Some(git::tree(dir.as_ref()).to_string_lossy().into_owned())
}

fn set(t: &mut NewTask, option: &str, v: &Value, now: Ms) -> anyhow::Result<()> {
    match option {
        "content" => t.content = text(v)?,
        "priority" => {
            t.priority = v.as_i64().with_context(|| format!("{v}: not a whole number"))?
        }
        "provider" => t.provider = text(v)?,
        "session" => t.session = Some(name(v)?),
        "dir" => t.context.working_dir = Some(text(v)?),
        "branch" => t.context.git_branch = Some(text(v)?),
        "here" if v.is_boolean() => {}
        "hold" if v.is_boolean() => t.hold = *v == Value::Bool(true),
        "env" => {
            for (k, v) in pairs(v)? {
                t.context.env.insert(k, context::Value::Literal(v));
            }
        }
        "env-from" => {
            for (k, from) in pairs(v)? {
                let from = if from.starts_with("file:") || from.starts_with("env:") {
                    from
                } else {
                    format!("env:{from}")
                };
                t.context.env.insert(k, context::Value::Reference { from });
            }
        }
        "prereq" => t.context.prerequisites = texts(v)?,
        "metadata" => {}
        "key" => t.key = Some(name(v)?),
        "after" => t.after.extend(ids(v)?.into_iter().map(|on| Dependency { on, any: false })),
        "after-any" => t.after.extend(ids(v)?.into_iter().map(|on| Dependency { on, any: true })),
        "at" => t.not_before = Some(when::instant(&text(v)?, now)?),
        "in" => t.not_before = Some(now + when::duration(&text(v)?)?),
        "max-attempts" => {
            t.max_attempts = v
                .as_i64()
                .filter(|n| *n > 0)
                .with_context(|| format!("{v}: not a number from 1"))?;
        }
        "timeout" => t.timeout = Some(when::duration(&text(v)?)?).filter(|d| *d > 0),
        "verify" => t.verify = Some(text(v)?),
        "accept" => {
            let level = text(v)?;
            t.accept = Evidence::parse(&level).with_context(|| {
                let all: Vec<_> = Evidence::ALL.iter().map(|e| e.as_str()).collect();
                format!("'{level}': one of {}", all.join(", "))
            })?;
        }
        "group" => t.group = Some(name(v)?),
        "conversation" => {
            let policy = text(v)?;
            let parsed = policy.parse().ok();
            t.conversation =
                Some(parsed.with_context(|| format!("'{policy}': fresh or continue"))?);
        }
        _ => bail!("no such field"),
    }
    Ok(())
}

fn metadata(v: &Value) -> anyhow::Result<Context> {
    let object = match v {
        Value::String(s) => serde_json::from_str(s).context("not JSON")?,
        other => other.clone(),
    };
    serde_json::from_value(object).map_err(|e| anyhow::anyhow!("{e}"))
}

fn here(c: &mut Context) -> anyhow::Result<()> {
    let dir = std::env::current_dir().context("this directory")?;
    c.working_dir = Some(dir.to_str().context("this directory's name is not UTF-8")?.to_owned());
    c.git_branch = git::work_tree(&dir).and_then(|w| w.branch);
    Ok(())
}

fn canonical(dir: &Path) -> anyhow::Result<String> {
    let shown = || format!("working_dir {:?}", dir.to_string_lossy());
    let path: PathBuf = dir.canonicalize().with_context(shown)?;
    anyhow::ensure!(path.is_dir(), "{}: not a directory", shown());
    Ok(path.to_str().with_context(|| format!("{}: not UTF-8", shown()))?.to_owned())
}

fn text(v: &Value) -> anyhow::Result<String> {
    let s = v.as_str().with_context(|| format!("{v}: not a string"))?;
    refuse_nul("it", s)?;
    Ok(s.to_owned())
}

/// A string that is shown and compared: no control characters.
fn name(v: &Value) -> anyhow::Result<String> {
    let s = text(v)?;
    if s.is_empty() || crate::clean::has_control(&s) {
        bail!("{s:?}: empty, or holds control characters");
    }
    Ok(s)
}

fn texts(v: &Value) -> anyhow::Result<Vec<String>> {
    match v {
        Value::Array(a) => a.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

fn ids(v: &Value) -> anyhow::Result<Vec<TaskId>> {
    let one = |v: &Value| match v.as_i64() {
        Some(n) if n > 0 => Ok(TaskId(n)),
        _ => bail!("{v}: not a task id"),
    };
    match v {
        Value::Array(a) => a.iter().map(one).collect(),
        v => Ok(vec![one(v)?]),
    }
}

/// `{"K": "V"}`, or `K=V` strings.
fn pairs(v: &Value) -> anyhow::Result<Vec<(String, String)>> {
    if let Value::Object(o) = v {
        return o.iter().map(|(k, v)| Ok((k.clone(), text(v)?))).collect();
    }
    let split = |s: String| match s.split_once('=') {
        Some((k, v)) => Ok((k.to_owned(), v.to_owned())),
        // the value may be a secret that was put in the wrong place
        None => bail!("not of the form NAME=VALUE"),
    };
    texts(v)?.into_iter().map(split).collect()
}

fn refuse_nul(what: &str, s: &str) -> anyhow::Result<()> {
    if s.contains('\0') {
        bail!("{what} holds a NUL byte");
    }
    Ok(())
}
