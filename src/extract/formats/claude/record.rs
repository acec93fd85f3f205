//! The records of Claude Code, as far as they are read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::extract::decoder::lenient;

#[derive(Deserialize)]
pub struct Head<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    #[serde(default, deserialize_with = "lenient")]
    pub subtype: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub session_id: Option<String>,
    #[serde(default, rename = "sessionId", deserialize_with = "lenient")]
    pub transcript_id: Option<String>,
    #[serde(borrow)]
    pub uuid: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient")]
    pub timestamp: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub parent_tool_use_id: Option<String>,
    #[serde(default, rename = "isSidechain", deserialize_with = "lenient")]
    pub sidechain: Option<bool>,
    #[serde(default, rename = "isMeta", deserialize_with = "lenient")]
    pub meta: Option<bool>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    is_api_error_message: Option<&'a RawValue>,
    #[serde(borrow)]
    api_error_status: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_use_result: Option<&'a RawValue>,
    // So transcripts spell them; aliases would refuse a record that has both.
    #[serde(rename = "isApiErrorMessage", borrow)]
    is_api_error: Option<&'a RawValue>,
    #[serde(rename = "apiErrorStatus", borrow)]
    api_status: Option<&'a RawValue>,
    #[serde(rename = "toolUseResult", borrow)]
    use_result: Option<&'a RawValue>,
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

/// What a record of a person, a tool or the assistant says.
pub struct Spoken<'a> {
    pub blocks: Vec<Block<'a>>,
    pub stop_reason: Option<String>,
    pub is_api_error_message: Option<bool>,
    pub api_error_status: Option<u16>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient")]
    stop_reason: Option<String>,
}

pub enum Block<'a> {
    Text {
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        input: Value,
    },
    ToolResult {
        tool_use_id: String,
        is_error: Option<bool>,
        /// A string, or parts. Of most tools it is not read: it is what a file holds.
        content: Option<&'a RawValue>,
    },
    Other,
}

#[derive(Deserialize)]
struct RawBlock<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_use_id: Option<&'a RawValue>,
    #[serde(borrow)]
    is_error: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
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

impl<'a> Head<'a> {
    /// What the client adds to the result of a tool.
    pub fn detail(&self) -> Option<Detail> {
        read(self.tool_use_result.or(self.use_result))
    }

    pub fn spoken(&self) -> Option<Spoken<'a>> {
        let message: Message = serde_json::from_str(self.message?.get()).ok()?;
        Some(Spoken {
            blocks: blocks(message.content).unwrap_or_default(),
            stop_reason: message.stop_reason,
            is_api_error_message: read(self.is_api_error_message.or(self.is_api_error)),
            api_error_status: read(self.api_error_status.or(self.api_status)),
        })
    }
}

impl Spoken<'_> {
    pub fn text(&self) -> String {
        let parts = self.blocks.iter().filter_map(|b| match b {
            Block::Text { text } => Some(text.as_str()),
            _ => None,
        });
        parts.collect::<Vec<_>>().join("\n")
    }
}

fn read<T: serde::de::DeserializeOwned>(raw: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// None: one of them is not as blocks are, and none is read.
fn blocks(content: Option<&RawValue>) -> Option<Vec<Block<'_>>> {
    let content = content?.get();
    if content.starts_with('"') {
        return Some(vec![Block::Text { text: serde_json::from_str(content).ok()? }]);
    }
    let blocks: Vec<RawBlock> = serde_json::from_str(content).ok()?;
    blocks.into_iter().map(Block::of).collect()
}

impl<'a> Block<'a> {
    fn of(raw: RawBlock<'a>) -> Option<Block<'a>> {
        Some(match &*raw.kind {
            "text" if raw.text.is_none() => Block::Text { text: String::new() },
            "text" => Block::Text { text: read(raw.text)? },
            "tool_use" => Block::ToolUse {
                id: read(raw.id)?,
                name: read(raw.name)?,
                input: read(raw.input).unwrap_or_default(),
            },
            "tool_result" => Block::ToolResult {
                tool_use_id: read(raw.tool_use_id)?,
                is_error: read(raw.is_error),
                content: raw.content,
            },
            _ => Block::Other,
        })
    }
}

/// The text of a tool's result.
pub fn result_text(content: Option<&RawValue>) -> String {
    let Some(content) = content else { return String::new() };
    if content.get().starts_with('"') {
        return read(Some(content)).unwrap_or_default();
    }
    match read(Some(content)) {
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|p| p["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
