//! orch-wrap - run a command as an attempt of a task

fn main() {}
