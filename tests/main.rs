//! The tests of every program, on real parts.
