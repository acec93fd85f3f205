//! The real clients, and an environment in which they know nothing but the stub.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Claude,
    Codex,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Claude => "claude",
            Kind::Codex => "codex",
        }
    }
}

/// The directory that `.ci/clients` fills.
pub fn root() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let chosen = std::env::var_os("ORCH_TEST_CLIENTS").filter(|v| !v.is_empty());
    chosen.map_or_else(|| home().join(".cache/orch-clients"), PathBuf::from)
}

/// Whether a test can have this client. If not, the test says so and passes; with `ORCH_REQUIRE_CLIENTS=1` it fails.
pub fn present(kind: Kind) -> bool {
    let path = root().join("bin").join(kind.name());
    if path.exists() {
        return true;
    }
    let why = format!("{} is missing; .ci/clients installs it", path.display());
    assert!(std::env::var_os("ORCH_REQUIRE_CLIENTS").is_none_or(|v| v != "1"), "{why}");
    let thread = std::thread::current();
    // past the test harness, which hides what a passing test prints
    let line = format!("SKIPPED {}: {why}\n", thread.name().unwrap_or("a test"));
    drop(std::io::stderr().write_all(line.as_bytes()));
    false
}

const KEY: &str = "sk-ant-stub-0000000000000000000000000000000000000000";

/// The whole environment of a client that talks to the stub on `port`. It seeds `home`, anew at every call, so that no
/// first-run dialog comes up and every directory of `trusted` is trusted.
pub fn env(kind: Kind, port: u16, home: &Path, trusted: &[&Path]) -> Vec<(String, String)> {
    let trusted: Vec<String> = trusted
        .iter()
        .map(|d| d.canonicalize().expect("a trusted directory").display().to_string())
        .collect();
    let path = std::env::var("PATH").unwrap_or_default();
    let stub = format!("http://127.0.0.1:{port}");
    let nowhere = "http://127.0.0.1:9".to_owned();
    let mut vars = vec![
        ("PATH", format!("{}:{path}", root().join("bin").display())),
        ("HOME", home.display().to_string()),
        ("SHELL", "/bin/bash".into()),
        ("LANG", "C.UTF-8".into()),
        ("TERM", "xterm-256color".into()),
        ("USER", "orch".into()),
        ("HTTP_PROXY", nowhere.clone()),
        ("HTTPS_PROXY", nowhere),
        ("NO_PROXY", "127.0.0.1,localhost".into()),
    ];
    match kind {
        Kind::Claude => {
            seed_claude(home, &trusted);
            vars.extend([
                ("ANTHROPIC_BASE_URL", stub),
                ("ANTHROPIC_API_KEY", KEY.into()),
                ("CLAUDE_CODE_MAX_RETRIES", "1".into()),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
                ("DISABLE_TELEMETRY", "1".into()),
                ("DISABLE_ERROR_REPORTING", "1".into()),
                ("DISABLE_AUTOUPDATER", "1".into()),
            ]);
        }
        Kind::Codex => {
            let dir = home.join(".codex");
            seed_codex(&dir, &stub, &trusted);
            vars.extend([
                ("CODEX_HOME", dir.display().to_string()),
                ("STUB_API_KEY", "stub".into()),
            ]);
        }
    }
    vars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Claude as a subscriber, in place of an API key: only then does it read when a usage limit resets.
pub fn subscribe(command: &mut Command) {
    command
        .env_remove("ANTHROPIC_API_KEY")
        .env("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-stub-00000000000000000000000000000000");
}

/// The client itself, in `dir`, with the environment of [`env`].
pub fn command(kind: Kind, port: u16, home: &Path, dir: &Path) -> Command {
    let mut command = Command::new(root().join("bin").join(kind.name()));
    command.env_clear().envs(env(kind, port, home, &[dir])).current_dir(dir);
    command
}

fn seed_claude(home: &Path, trusted: &[String]) {
    let accepted = json!({"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true});
    let projects: Map<_, _> = trusted.iter().map(|dir| (dir.clone(), accepted.clone())).collect();
    let state = json!({
        "hasCompletedOnboarding": true,
        "lastOnboardingVersion": "99.0.0",
        "numStartups": 10,
        "theme": "dark",
        "customApiKeyResponses": {"approved": [&KEY[KEY.len() - 20..]], "rejected": []},
        "projects": projects,
    });
    std::fs::write(home.join(".claude.json"), state.to_string()).expect("seed .claude.json");
}

fn seed_codex(dir: &Path, stub: &str, trusted: &[String]) {
    let mut config = format!(
        r#"model = "gpt-6-sol"
model_reasoning_effort = "medium"
model_provider = "stub"
check_for_update_on_startup = false

[model_providers.stub]
name = "stub"
base_url = "{stub}/v1"
wire_api = "responses"
env_key = "STUB_API_KEY"
request_max_retries = 1
stream_max_retries = 1

[analytics]
enabled = false

[tui]
screen_reader_detection_done = true

[tui.model_availability_nux]
"gpt-6.1-sol" = 4
"#
    );
    for dir in trusted {
        write!(config, "\n[projects.{}]\ntrust_level = \"trusted\"\n", json!(dir)).expect("string");
    }
    std::fs::create_dir_all(dir).expect("create CODEX_HOME");
    std::fs::write(dir.join("config.toml"), config).expect("seed config.toml");
}
