//! Why a live client is said to be in its state: the raw material, kept, shown, and decided upon again.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::live;
use crate::agent::{self, Material};
use crate::config::Config;
use crate::tmux::{Pane, Tmux};
use crate::when::{self, Ms};

/// The material of one pane, named by `%N`, its address, or its session's name.
pub fn material(config: &Config, target: &str, now: Ms) -> anyhow::Result<Material> {
    let tmux = Tmux::from_env();
    let listing = tmux
        .panes()?
        .context("no tmux server answers: start tmux, or set ORCH_TMUX to its -L name or socket")?;
    let mut panes = listing
        .panes
        .iter()
        .filter(|p| p.id == target || p.address == target || p.session == target);
    let Some(pane) = panes.next() else { bail!("no pane '{target}' on {}", listing.socket) };
    if panes.next().is_some() {
        bail!("'{target}': more than one pane: name one by its %N");
    }
    of_pane(config, &tmux, pane, now)
}

/// The same of a pane of a known server.
pub fn material_of(config: &Config, tmux: &Tmux, id: &str, now: Ms) -> anyhow::Result<Material> {
    let listing = tmux.panes()?.context("its tmux server is gone")?;
    let pane = listing.panes.iter().find(|p| p.id == id).context("its pane is gone")?;
    of_pane(config, tmux, pane, now)
}

fn of_pane(config: &Config, tmux: &Tmux, pane: &Pane, now: Ms) -> anyhow::Result<Material> {
    let profiles = config.profiles()?;
    let client = live::client_of(pane.pid, profiles.iter());
    let Some(client) = client.filter(|_| !pane.dead) else {
        bail!("pane {}: no client of a known profile runs there", pane.id);
    };
    let shown = tmux.screens(&[&pane.id])?.pop().flatten().context("its screen cannot be read")?;
    Ok(live::material(&client, pane, shown, now))
}

/// A material that `orch-ctx record` printed.
pub fn replay(file: &Path) -> anyhow::Result<Material> {
    let name = || file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(name)?;
    serde_json::from_str(&text).with_context(|| format!("{}: not from orch-ctx record", name()))
}

/// The decision upon a material, source by source.
pub fn explain(config: &Config, m: &Material) -> anyhow::Result<Value> {
    let profiles = config.profiles()?;
    let live = profiles.get(&m.provider).and_then(|p| p.live.as_ref());
    let live = live
        .with_context(|| format!("provider '{}': no [provider.{}.live]", m.provider, m.provider))?;
    let v = agent::decide(m, live);
    Ok(json!({
        "provider": m.provider, "version": m.version, "at": when::rfc3339(m.at),
        "state": v.condition.as_str(), "why": v.condition.why(), "by": v.by,
        "since": v.since.map(when::rfc3339), "composer": v.composer, "background": v.background, "drift": v.drift, "words": v.words,
        "session_id": m.record.as_ref().and_then(|r| r.session_id.clone()),
    }))
}
