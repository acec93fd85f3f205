//! The records of Claude Code, as far as they are read.

use serde::Deserialize;
use serde_json::Value;

use crate::extract::decoder::lenient;

#[derive(Deserialize)]
pub struct Head {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, deserialize_with = "lenient")]
    pub subtype: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub session_id: Option<String>,
    #[serde(default, rename = "sessionId", deserialize_with = "lenient")]
    pub transcript_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub timestamp: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub parent_tool_use_id: Option<String>,
    #[serde(default, rename = "isSidechain", deserialize_with = "lenient")]
    pub sidechain: Option<bool>,
    #[serde(default, rename = "isMeta", deserialize_with = "lenient")]
    pub meta: Option<bool>,
}

#[derive(Deserialize)]
pub struct System {
    #[serde(default, deserialize_with = "lenient")]
    pub cwd: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub model: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub content: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub summary: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub tool_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub error: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub error_status: Option<u16>,
    #[serde(default, deserialize_with = "lenient")]
    pub attempt: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    pub max_retries: Option<u64>,
}

#[derive(Deserialize)]
pub struct Spoken {
    pub message: Message,
    #[serde(default, alias = "isApiErrorMessage", deserialize_with = "lenient")]
    pub is_api_error_message: Option<bool>,
    #[serde(default, alias = "apiErrorStatus", deserialize_with = "lenient")]
    pub api_error_status: Option<u16>,
    #[serde(default, alias = "toolUseResult", deserialize_with = "lenient")]
    pub tool_use_result: Option<Detail>,
}

#[derive(Deserialize)]
pub struct Message {
    #[serde(default)]
    pub content: Content,
    #[serde(default, deserialize_with = "lenient")]
    pub stop_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum Content {
    Text(String),
    Blocks(Vec<Block>),
    Other(serde::de::IgnoredAny),
}

impl Default for Content {
    fn default() -> Content {
        Content::Blocks(Vec::new())
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    ToolResult {
        tool_use_id: String,
        #[serde(default, deserialize_with = "lenient")]
        is_error: Option<bool>,
        #[serde(default)]
        content: Value,
    },
    #[serde(other)]
    Other,
}

/// What the client adds to a tool's result.
#[derive(Deserialize)]
pub struct Detail {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub kind: Option<String>,
    #[serde(default, rename = "durationMs", deserialize_with = "lenient")]
    pub duration_ms: Option<u64>,
}

#[derive(Deserialize)]
pub struct Limits {
    pub rate_limit_info: LimitInfo,
}

#[derive(Deserialize)]
pub struct LimitInfo {
    #[serde(default)]
    pub status: String,
    #[serde(default, rename = "resetsAt", deserialize_with = "lenient")]
    pub resets_at: Option<i64>,
    #[serde(default, rename = "rateLimitType", deserialize_with = "lenient")]
    pub kind: Option<String>,
}

#[derive(Deserialize)]
pub struct Last {
    #[serde(default, deserialize_with = "lenient")]
    pub is_error: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub terminal_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub api_error_status: Option<u16>,
    #[serde(default, deserialize_with = "lenient")]
    pub result: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub errors: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    pub permission_denials: Option<Vec<Denial>>,
    #[serde(default, deserialize_with = "lenient")]
    pub usage: Option<Tokens>,
    #[serde(default, deserialize_with = "lenient")]
    pub total_cost_usd: Option<f64>,
    #[serde(default, deserialize_with = "lenient")]
    pub duration_ms: Option<f64>,
    #[serde(default, deserialize_with = "lenient")]
    pub num_turns: Option<f64>,
}

#[derive(Deserialize)]
pub struct Denial {
    #[serde(default)]
    pub tool_name: String,
    #[serde(default)]
    pub tool_use_id: String,
}

#[derive(Deserialize, Default)]
pub struct Tokens {
    #[serde(default, deserialize_with = "lenient")]
    pub input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    pub cache_creation_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    pub cache_read_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    pub output_tokens: Option<u64>,
}

impl Content {
    pub fn blocks(self) -> Vec<Block> {
        match self {
            Content::Text(text) => vec![Block::Text { text }],
            Content::Blocks(blocks) => blocks,
            Content::Other(_) => Vec::new(),
        }
    }

    pub fn text(self) -> String {
        let parts = self.blocks().into_iter().filter_map(|b| match b {
            Block::Text { text } => Some(text),
            _ => None,
        });
        parts.collect::<Vec<_>>().join("\n")
    }
}

pub fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|p| p["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
