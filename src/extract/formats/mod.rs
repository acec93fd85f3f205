//! The decoders: each reads one format of input, or finds out which it is.

pub mod aider;
pub mod auto;
pub mod cast;
pub mod claude;
pub mod codex;
pub mod codex_old;
pub mod gemini;
pub mod gemini_chat;
pub mod hook;
pub mod markdown;
pub mod opencode;
pub mod opencode_export;
pub mod pi;
pub mod rollout;
pub mod script;
pub mod story;
pub mod sweagent;
pub mod text;
pub mod tty;
pub mod whole;
pub mod wrapped;
