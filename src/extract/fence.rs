//! Code fences of Markdown, as `code_block` events.

use super::decoder::{Place, Sink};
use crate::event::Body;

/// Tildes in a row beyond these are a rule that a tool draws.
const LONGEST_TILDES: usize = 5;
/// A block longer than this is no block: a fence was left open.
const LONGEST: usize = 1 << 20;

#[derive(Default)]
pub struct Fences {
    open: Option<Open>,
}

struct Open {
    mark: char,
    length: usize,
    /// What stands before the fence and is taken off the body: blanks, a quote's `>`.
    indent: usize,
    quoted: bool,
    language: Option<String>,
    body: String,
    /// Fences that a Markdown block shows inside itself.
    inner: usize,
    place: Place,
}

impl Fences {
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// True where the row belongs to a block, fences included.
    pub fn row(&mut self, row: &str, sink: &mut Sink<'_>) -> bool {
        let Some(open) = &mut self.open else {
            self.open = opening(row, sink);
            return self.open.is_some();
        };
        let row = if open.quoted { unquote(row) } else { row };
        let text = row.trim_start();
        let run = text.chars().take_while(|c| *c == open.mark).count();
        if run >= open.length {
            let rest = text[run..].trim();
            if rest.is_empty() {
                if open.inner > 0 {
                    open.inner -= 1;
                } else {
                    self.close(sink);
                    return true;
                }
            } else if open.is_markdown() && is_info(rest) {
                open.inner += 1;
            }
        }
        let indent = (row.len() - text.len()).min(open.indent);
        // Blanks are one byte each, but the cut must not trust that.
        open.body.push_str(row.get(indent..).unwrap_or(text));
        open.body.push('\n');
        if open.body.len() > LONGEST {
            let dropped = open.body.len() as u64;
            sink.put_at(&open.place, Body::Truncated { dropped });
            self.open = None;
        }
        true
    }

    /// Ends an open block, as the end of a document does.
    pub fn close(&mut self, sink: &mut Sink<'_>) {
        if let Some(open) = self.open.take() {
            sink.put_at(&open.place, Body::CodeBlock { language: open.language, body: open.body });
        }
    }
}

impl Open {
    fn is_markdown(&self) -> bool {
        matches!(self.language.as_deref(), Some("markdown" | "md" | "mdx"))
    }
}

/// The blocks of a whole text.
pub fn blocks(text: &str, sink: &mut Sink<'_>) {
    if !text.contains("```") && !text.contains("~~~") {
        return;
    }
    let mut fences = Fences::default();
    for row in text.lines() {
        fences.row(row, sink);
    }
    fences.close(sink);
}

fn opening(row: &str, sink: &Sink<'_>) -> Option<Open> {
    let quoted = row.trim_start().starts_with('>');
    let row = if quoted { unquote(row) } else { row };
    let text = row.trim_start();
    let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = text.chars().take_while(|c| *c == mark).count();
    let info = text[length..].trim();
    // Compilers underline with tildes, and test runners draw rules of them.
    let alone = info.is_empty() && row.len() > text.len() + 3;
    let drawn = mark == '~' && (length > LONGEST_TILDES || info.contains('~') || alone);
    if length < 3 || drawn || !(info.is_empty() || is_info(info)) {
        return None;
    }
    let language = info.split([' ', ',', '{', ':']).next().filter(|l| !l.is_empty());
    Some(Open {
        mark,
        length,
        indent: row.len() - text.len(),
        quoted,
        language: language.map(str::to_lowercase),
        body: String::new(),
        inner: 0,
        place: sink.place(),
    })
}

/// An info string: it holds no backtick, and prose is not one.
fn is_info(rest: &str) -> bool {
    !rest.contains('`')
        && rest.len() <= 100
        && rest.starts_with(|c: char| c.is_alphanumeric() || "{._+#-".contains(c))
}

fn unquote(row: &str) -> &str {
    let text = row.trim_start();
    let text = text.strip_prefix('>').unwrap_or(text);
    text.strip_prefix(' ').unwrap_or(text)
}
