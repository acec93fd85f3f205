//! The tests of every program, on real parts.

mod clients; // what the real Claude Code and Codex say and do, headless
mod delivery; // a task comes into the right pane, directory and branch, or not at all
mod support;
/// orch-extract: what real clients and tools print, and the events that come of it.
mod extract;
