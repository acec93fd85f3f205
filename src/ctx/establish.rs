//! Establishes a task's context, or says why it cannot be; and verifies it in the shell that will run the task.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::clean::Secrets;
use crate::config::Config;
use crate::context::{Context, Value};
use crate::quote::word;
use crate::{git, proc};

/// The task's environment, resolved, and what of it must not be written down.
#[derive(Debug, Default)]
pub struct Environment {
    pub pairs: Vec<(String, String)>,
    pub secrets: Secrets,
}

/// Directory and branch. `Err`: the context is not established, and nothing of the tree was changed.
pub fn place(context: &Context, config: &Config) -> Result<(), String> {
    let Some(dir) = &context.working_dir else { return Ok(()) };
    let dir = Path::new(dir);
    match std::fs::metadata(dir) {
        Ok(m) if m.is_dir() => {}
        Ok(_) => return Err(format!("{}: not a directory", dir.display())),
        Err(e) => return Err(format!("directory {}: {e}", dir.display())),
    }
    let Some(branch) = &context.git_branch else { return Ok(()) };
    let Some(tree) = git::work_tree(dir) else {
        return Err(format!("{}: not in a git work tree", dir.display()));
    };
    if tree.branch.as_deref() == Some(branch) {
        return Ok(());
    }
    git::switch(dir, branch, &config.context).map_err(|e| format!("{e:#}"))
}

/// What `place` would meet, without changing anything.
pub fn check_place(context: &Context, config: &Config) -> Result<(), String> {
    let unswitched = Context { git_branch: None, ..context.clone() };
    place(&unswitched, config)?;
    let (Some(dir), Some(branch)) = (&context.working_dir, &context.git_branch) else {
        return Ok(());
    };
    let Some(tree) = git::work_tree(dir.as_ref()) else {
        return Err(format!("{dir}: not in a git work tree"));
    };
    if tree.branch.as_ref() == Some(branch) {
        return Ok(());
    }
    git::check_switch(dir.as_ref(), branch, &config.context).map_err(|e| format!("{e:#}"))
}

/// Resolves the references of the environment, here and now.
pub fn environment(context: &Context, config: &Config) -> Result<Environment, String> {
    context.check(&config.context.allow_env).map_err(|e| e.to_string())?;
    let mut all = Environment::default();
    for (name, value) in &context.env {
        let value = match value {
            Value::Literal(v) => v.clone(),
            Value::Reference { from } => {
                let v = resolve(from).map_err(|e| format!("env {name}: {from}: {e}"))?;
                all.secrets.add(name, &v);
                v
            }
        };
        all.pairs.push((name.clone(), value));
    }
    Ok(all)
}

fn resolve(from: &str) -> Result<String, String> {
    match from.split_once(':') {
        Some(("env", name)) => {
            std::env::var(name).map_err(|_| "not set in the pane's shell".to_owned())
        }
        Some(("file", path)) => {
            let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
            Ok(text.trim_end_matches(['\n', '\r']).to_owned())
        }
        _ => Err("no reference".to_owned()),
    }
}

/// Whether that process stands where the task is to run, now: directory by device and inode, top level, branch.
pub fn verify(context: &Context, pid: i64) -> Result<(), String> {
    let Some(wanted) = &context.working_dir else { return Ok(()) };
    let Some(dir) = proc::working_dir(pid) else {
        return Err("its shell's directory is gone".into());
    };
    if !proc::same_place(&dir, wanted.as_ref()) {
        return Err(format!(
            "its shell is in {}, not in {wanted}: a prerequisite moved it",
            dir.display()
        ));
    }
    let Some(branch) = &context.git_branch else { return Ok(()) };
    let (here, there) = (git::work_tree(&dir), git::work_tree(wanted.as_ref()));
    if here.as_ref().map(|t| &t.top) != there.as_ref().map(|t| &t.top) {
        return Err(format!("{} is in another work tree than {wanted}", dir.display()));
    }
    match here.and_then(|t| t.branch) {
        Some(b) if b == *branch => Ok(()),
        Some(b) => Err(format!("{wanted} is on branch '{b}', not '{branch}'")),
        None => Err(format!("{wanted} is on no branch, not '{branch}'")),
    }
}

/// Runs a command in a context that was established before: its directory, environment, prerequisites, and `marks`
/// besides. What it prints goes to stderr: standard output may be a record. `stop` is asked now and then; what it
/// says ends the command.
pub fn run_in(
    context: &Context,
    config: &Config,
    command: &str,
    marks: &[(String, String)],
    mut stop: impl FnMut() -> Option<String>,
) -> Result<(), String> {
    let environment = environment(context, config)?;
    let mut script = String::new();
    for p in &context.prerequisites {
        script.push_str(&format!("eval {} </dev/null || exit\n", word(p)));
    }
    script.push_str(&format!("eval {}\n", word(command)));
    let mut shell = Command::new(&config.shell.0);
    shell.arg("-c").arg(script).envs(environment.pairs).envs(marks.iter().cloned());
    shell.stdin(Stdio::null()).stdout(std::io::stderr()).process_group(0);
    without_redirects(&mut shell, context);
    if let Some(dir) = &context.working_dir {
        shell.current_dir(dir);
    }
    let failed = |e: std::io::Error| format!("{}: {e}", config.shell.0);
    let mut child = shell.spawn().map_err(failed)?;
    let mut stopped: Option<(String, Instant)> = None;
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return match stopped {
                Some((why, _)) => Err(format!("{why}: {command}")),
                None if status.success() => Ok(()),
                None => Err(format!("{status}: {command}")),
            };
        }
        match &stopped {
            None => {
                if let Some(why) = stop() {
                    proc::signal_group(i64::from(child.id()), Signal::TERM);
                    stopped = Some((why, Instant::now()));
                }
            }
            Some((_, since)) if since.elapsed() > Duration::from_secs(2) => {
                proc::signal_group(i64::from(child.id()), Signal::KILL);
            }
            Some(_) => {}
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The pane's own variables must not point git away from the directory that was verified, unless the context says so.
pub fn without_redirects(command: &mut Command, context: &Context) {
    for (name, _) in std::env::vars_os() {
        if let Some(n) =
            name.to_str().filter(|n| git::redirects(n) && !context.env.contains_key(*n))
        {
            command.env_remove(n);
        }
    }
}
