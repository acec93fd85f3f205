//! The user's config.toml: every key is optional, an unknown one is an error.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use regex::Regex;
use serde::{Deserialize, Deserializer};

use crate::provider::{self, Profile};
use crate::when::{self, Ms};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The provider of tasks that name none; never `shell`.
    pub default_provider: Option<String>,
    /// Patterns (`*`, `?`) of tmux session names that are adopted by themselves.
    pub sessions: Vec<String>,
    /// Shells without a line editor that may be typed into all the same: `["dash"]`.
    pub canonical_shells: Vec<String>,
    /// Patterns of whole rows (up to the cursor) that are an empty prompt, for prompts that end in no common sign.
    #[serde(deserialize_with = "patterns")]
    pub prompts: Vec<Regex>,
    /// A pane before which somebody sits is left alone for so long after his last key.
    #[serde(deserialize_with = "duration")]
    pub hands_off: Ms,
    /// Runs prerequisites, shell tasks, and `--verify`.
    pub shell: Shell,
    pub policy: Policy,
    pub weights: Weights,
    pub plan: Plan,
    pub retry: Retry,
    pub context: ContextRules,
    pub provider: BTreeMap<String, toml::Table>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            default_provider: None,
            sessions: Vec::new(),
            canonical_shells: Vec::new(),
            prompts: Vec::new(),
            hands_off: 10_000,
            shell: Shell::default(),
            policy: Policy::default(),
            weights: Weights::default(),
            plan: Plan::default(),
            retry: Retry::default(),
            context: ContextRules::default(),
            provider: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Shell(pub String);

impl Default for Shell {
    fn default() -> Shell {
        Shell("bash".into())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Weighs waiting, set-up, eviction and urgency over all tasks and sessions.
    #[default]
    Plan,
    /// Each task in its turn takes the idle session with the highest score.
    Score,
}

/// What a session earns for a task: the terms of the score.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    pub directory: f64,
    pub branch: f64,
    /// The session was active in the last ten minutes.
    pub active: f64,
    pub idle: f64,
    pub provider: f64,
    /// The session's last task was of the same group.
    pub affinity: f64,
    /// Times the share of this session's attempts in the tree that ended well, less one half.
    pub expertise: f64,
    /// Taken off for each attempt that the session began in the last hour.
    pub load: f64,
}

impl Default for Weights {
    fn default() -> Weights {
        Weights {
            directory: 20.0,
            branch: 10.0,
            active: 5.0,
            idle: 3.0,
            provider: 2.0,
            affinity: 1.0,
            expertise: 1.0,
            load: 0.01,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// One avoided switch is worth this many times its seconds: 5 minimises flow time, 40 maximises matches.
    pub kappa: f64,
    /// A task that has waited this long is overdue.
    #[serde(deserialize_with = "duration")]
    pub overdue: Ms,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { kappa: 15.0, overdue: 60 * 60_000 }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    #[serde(deserialize_with = "duration")]
    pub base: Ms,
    #[serde(deserialize_with = "duration")]
    pub max: Ms,
    #[serde(deserialize_with = "duration")]
    pub jitter: Ms,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { base: 10_000, max: 240_000, jitter: 60_000 }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContextRules {
    /// Names of the environment that are refused otherwise.
    pub allow_env: Vec<String>,
    /// Let a repository's own `filter.*` commands run on a switch.
    pub allow_filters: bool,
    /// Let a repository's hooks and fsmonitor run on a switch.
    pub allow_hooks: bool,
}

fn patterns<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Regex>, D::Error> {
    let whole = |p: &String| Regex::new(&format!("^(?:{p})$"));
    Vec::<String>::deserialize(d)?
        .iter()
        .map(whole)
        .collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

fn duration<'de, D: Deserializer<'de>>(d: D) -> Result<Ms, D::Error> {
    when::duration(&String::deserialize(d)?).map_err(serde::de::Error::custom)
}

impl Config {
    /// `$XDG_CONFIG_HOME/orch/config.toml`; a missing file is an empty one.
    pub fn load() -> anyhow::Result<Config> {
        let Some(path) = path() else { return Ok(Config::default()) };
        match std::fs::read_to_string(&path) {
            Ok(text) => Config::parse(&text).with_context(|| path.display().to_string()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
            Err(e) => Err(e).with_context(|| path.display().to_string()),
        }
    }

    pub fn parse(text: &str) -> anyhow::Result<Config> {
        let config: Config = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(0, |s| text[..s.start].matches('\n').count() + 1);
            anyhow::anyhow!("line {line}: {}", e.message().replace('\n', " "))
        })?;
        if config.default_provider.as_deref() == Some("shell") {
            bail!("default_provider: 'shell' is never a default: a prompt would run as code");
        }
        config.profiles()?;
        Ok(config)
    }

    pub fn profiles(&self) -> anyhow::Result<BTreeMap<String, Profile>> {
        provider::profiles(&self.provider)
    }

    pub fn profile(&self, name: &str) -> anyhow::Result<Profile> {
        let mut all = self.profiles()?;
        match all.remove(name) {
            Some(p) => Ok(p),
            None => bail!(
                "no provider '{name}': one of {}, or add [provider.{name}] to config.toml",
                all.into_keys().collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

/// Where the config file is looked for.
pub fn path() -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let home = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(home.join("orch/config.toml"))
}

/// Whether a tmux session name matches a pattern of `sessions`.
pub fn matches(pattern: &str, name: &str) -> bool {
    fn go(p: &[char], n: &[char]) -> bool {
        match p.split_first() {
            None => n.is_empty(),
            Some(('*', rest)) => (0..=n.len()).any(|i| go(rest, &n[i..])),
            Some((c, rest)) => {
                n.split_first().is_some_and(|(d, tail)| (*c == '?' || c == d) && go(rest, tail))
            }
        }
    }
    go(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_named_with_their_line() {
        let e = Config::parse("default_provider = 'claude'\nkapa = 3")
            .expect_err("refused")
            .to_string();
        assert!(e.contains("line 2") && e.contains("kapa"), "{e}");
        let e = Config::parse("[retry]\nbase = 'soon'").expect_err("refused").to_string();
        assert!(e.contains("soon"), "{e}");
    }

    #[test]
    fn shell_is_never_a_default() {
        assert!(Config::parse("default_provider = 'shell'").is_err());
    }

    #[test]
    fn patterns_match_whole_names() {
        assert!(matches("dev_*", "dev_worker1") && matches("*", "") && matches("a?c", "abc"));
        assert!(!matches("dev_*", "my_dev_1") && !matches("a", "ab"));
    }
}
