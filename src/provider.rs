//! A provider: how one kind of agent is launched, fed, and read. Data in TOML, not code.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::agent::rules::Live;
use crate::extract::Format;

/// The profiles that come with the toolkit.
const BUILT_IN: &[(&str, &str)] = &[
    ("claude", include_str!("provider/claude.toml")),
    ("codex", include_str!("provider/codex.toml")),
    ("gemini", include_str!("provider/gemini.toml")),
    ("ollama", include_str!("provider/ollama.toml")),
    ("opencode", include_str!("provider/opencode.toml")),
    ("shell", include_str!("provider/shell.toml")),
];

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Argument vector; `{session_id}` and `{model}` are replaced. Empty where the content is the command.
    #[serde(default)]
    pub command: Vec<String>,
    pub content: Content,
    #[serde(deserialize_with = "format")]
    pub format: Format,
    /// What the final message is, where the format does not carry one.
    #[serde(default)]
    pub answer: Answer,
    /// Prompts that begin with one of these get a blank before them: the agent would take them for its own commands.
    #[serde(default)]
    pub guard: Vec<String>,
    /// Who is limited when a limit is hit: every provider of the same account waits with it.
    pub account: Option<String>,
    pub model: Option<String>,
    /// How its full-screen client is found, launched, fed and read in a pane; none: it has no such client.
    pub live: Option<Live>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The content is code for the shell.
    Shell,
    /// The content is a prompt, handed over on standard input.
    Stdin,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The format's own final message.
    #[default]
    Message,
    /// The end of what was printed.
    Output,
}

fn format<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Format, D::Error> {
    let name = String::deserialize(d)?;
    name.parse().map_err(serde::de::Error::custom)
}

impl Profile {
    /// The prompt as it is handed over.
    pub fn prompt(&self, content: &str) -> String {
        let guarded = self.guard.iter().any(|g| content.starts_with(g.as_str()));
        format!("{}{content}", if guarded { " " } else { "" })
    }

    /// Whether the agent is told which session id to use.
    pub fn names_session(&self) -> bool {
        self.command.iter().any(|a| a.contains("{session_id}"))
    }

    /// An argument vector, the command's or the live client's, for one session of the agent.
    pub fn fill(&self, argv: &[String], session_id: &str) -> Vec<String> {
        let model = self.model.as_deref().unwrap_or_default();
        argv.iter()
            .map(|a| a.replace("{session_id}", session_id).replace("{model}", model))
            .collect()
    }
}

/// Every profile by name: the built-in ones, with the user's tables laid over them key by key.
pub fn profiles(user: &BTreeMap<String, toml::Table>) -> anyhow::Result<BTreeMap<String, Profile>> {
    let mut tables: BTreeMap<String, toml::Table> = BTreeMap::new();
    for (name, text) in BUILT_IN {
        tables
            .insert((*name).to_owned(), text.parse().with_context(|| format!("provider {name}"))?);
    }
    for (name, table) in user {
        lay_over(tables.entry(name.clone()).or_default(), table.clone());
    }
    let mut all = BTreeMap::new();
    for (name, table) in tables {
        let read = |t: toml::Table| t.try_into::<Profile>();
        let profile =
            read(table).map_err(|e| anyhow::anyhow!("[provider.{name}]: {}", e.message()))?;
        if profile.content == Content::Stdin && profile.command.is_empty() {
            bail!("[provider.{name}]: command: missing");
        }
        all.insert(name, profile);
    }
    Ok(all)
}

/// Key by key, `live` too; its screen rules by name.
fn lay_over(table: &mut toml::Table, user: toml::Table) {
    for (key, value) in user {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => lay_over(old, new),
            (Some(toml::Value::Array(old)), toml::Value::Array(new)) if key == "screen" => {
                let is_new = |r: &toml::Value| new.iter().any(|n| n.get("name") == r.get("name"));
                old.retain(|r| !is_new(r));
                old.extend(new);
            }
            (_, value) => drop(table.insert(key, value)),
        }
    }
}

/// Whether a name is one of the profiles that need no config file.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(n, _)| *n == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_table_overrides_key_by_key_and_adds_profiles() {
        let user: toml::Table = "[claude]\ncommand = ['my-claude', '{session_id}']\n[aider]\ncommand = ['aider']\ncontent = 'stdin'\nformat = 'text'"
            .parse()
            .expect("toml");
        let user =
            user.into_iter().map(|(k, v)| (k, v.as_table().cloned().unwrap_or_default())).collect();
        let all = profiles(&user).expect("profiles");
        assert_eq!(all["claude"].fill(&all["claude"].command, "u-1"), ["my-claude", "u-1"]);
        assert_eq!(all["claude"].format, Format::Claude);
        assert!(all.contains_key("aider") && all.contains_key("ollama"));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let table: toml::Table = "comand = ['x']".parse().expect("toml");
        let e = profiles(&[("claude".to_owned(), table)].into()).expect_err("refused").to_string();
        assert!(e.contains("comand") && e.contains("provider.claude"), "{e}");
    }
}
