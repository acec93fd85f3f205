//! orch-ls - list tasks, sessions, attempts, and events

fn main() {}
