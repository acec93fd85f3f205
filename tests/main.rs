//! The tests of every program, on real parts.

mod clients; // what the real Claude Code and Codex say and do, headless
mod delivery; // a task comes into the right pane, directory and branch, or not at all
/// orch-extract: what real clients and tools print, and the events that come of it.
mod extract;
mod layers; // the directions in which the sources depend on each other
mod pages; // manual pages and completions say what the programs say
mod promises; // what every program owes: help, bad flags, closed pipes, full disks, busy and foreign databases
mod support;
