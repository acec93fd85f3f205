//! orch-ctl - change the state of tasks and sessions

fn main() {}
