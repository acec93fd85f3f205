//! orch: run AI coding sessions in tmux panes from one durable queue.

pub mod event;
