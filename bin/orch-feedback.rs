//! orch-feedback - what events mean for a task

fn main() {}
