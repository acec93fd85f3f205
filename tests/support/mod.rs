//! What the tests stand on: the real clients, and a model API for them to talk to.

pub mod client;
pub mod house;
pub mod live;
pub mod stub;
pub mod world;
