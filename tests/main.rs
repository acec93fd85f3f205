//! The tests of every program, on real parts.

/// orch-extract: what real clients and tools print, and the events that come of it.
mod extract;
