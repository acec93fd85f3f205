//! orch-extract - what a session said, as events

fn main() {}
