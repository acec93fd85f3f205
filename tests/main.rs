//! The tests of every program, on real parts.

mod agents; // the real Claude Code and Codex as providers
mod clients; // what the real Claude Code and Codex say and do, headless
mod delivery; // a task comes into the right pane, directory and branch, or not at all
mod examples; // the demo, the examples, and the command lines that the documents show
mod extract; // what real clients and tools print, and the events that come of it
mod formats; // recordings, transcripts and screens of all kinds, and that no input is too odd
mod hooks; // the hooks of agents: put in, called by the real clients, read
mod hostile; // forged events, names that are code, secrets
mod layers; // the directions in which the sources depend on each other
mod live; // the real Claude Code and Codex full-screen in a pane, and what the stub says of them
mod ollama; // a live client that keeps no record, known by its screen: a stand-in of ollama
mod pages; // manual pages and completions say what the programs say
mod presence; // panes that are not at an empty prompt
mod promises; // what every program owes: help, bad flags, closed pipes, full disks, busy and foreign databases
mod queue; // orch-enqueue, orch-ls, orch-ctl, orch-ctx: the queue as people and scripts use it
mod races; // many passes at once, and processes killed at every step
mod receipts; // what went into live clients, and what the attempts say of it
mod routing; // routing and policy: the pure rules, each term and key
mod states; // what a live client is said to be doing, against what is known
mod support;
mod tools; // what real tools print, plain, in colour and wrapped, against what is known of each run
mod tty; // what terminals get from real clients and shells, and the events that come of it
mod turns;
mod wrap; // orch-wrap: a command as an attempt, by hand
