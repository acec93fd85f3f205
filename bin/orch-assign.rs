//! orch-assign - give queued tasks to idle sessions

fn main() {}
