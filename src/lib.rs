//! orch: run AI coding sessions in tmux panes from one durable queue.

pub mod cli;
pub mod event;
pub mod extract;
