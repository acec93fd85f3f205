//! orch: run AI coding sessions in tmux panes from one durable queue.

pub mod assign;
pub mod attempt;
pub mod clean;
pub mod cli;
pub mod config;
pub mod context;
pub mod ctl;
pub mod ctx;
pub mod doctor;
pub mod enqueue;
pub mod event;
pub mod explain;
pub mod extract;
pub mod feedback;
pub mod git;
pub mod policy;
pub mod proc;
pub mod provider;
pub mod quote;
pub mod route;
pub mod session;
pub mod store;
pub mod task;
pub mod tmux;
pub mod when;
pub mod wrap;
