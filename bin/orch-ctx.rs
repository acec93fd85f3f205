//! orch-ctx - the context of tmux panes

fn main() {}
