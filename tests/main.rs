//! The tests of every program, on real parts.

mod agents; // the real Claude Code and Codex as providers
mod clients; // what the real Claude Code and Codex say and do, headless
mod delivery; // a task comes into the right pane, directory and branch, or not at all
mod examples; // the demo, the examples, and the command lines that the documents show
mod extract; // what real clients and tools print, and the events that come of it
mod presence; // panes that are not at an empty prompt
mod races; // many passes at once, and processes killed at every step
mod support;
