//! The least that a process can be: what starting any program costs.

fn main() {}
