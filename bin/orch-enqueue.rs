//! orch-enqueue - put tasks on the queue

fn main() {}
