//! The tests of every program, on real parts.

mod clients; // what the real Claude Code and Codex say and do, headless
mod support;
