//! Goes through a block of text and shows the lines that may matter.

use memchr::{memchr, memchr_iter, memchr2_iter, memchr3};

use super::filter::{Filter, is_named};
use super::plain::{self, ROW};

#[derive(Default)]
pub struct Walk {
    text: Vec<u8>,
    stripped: bool,
    hits: Vec<usize>,
}

/// Which lines are to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Those that say something by themselves.
    News,
    /// Also those that go on with what an earlier one said.
    Later,
    All,
}

pub struct Line<'a> {
    /// Without its newline; what merely coloured it is left out.
    pub bytes: &'a [u8],
    /// Lines of the block before it.
    pub number: u64,
    /// Where it begins in the block.
    pub offset: usize,
}

impl Walk {
    /// Shows every line that the filter finds, of those that are wanted by the last answer.
    /// Answers with the number of lines.
    pub fn block(
        &mut self,
        filter: &Filter,
        block: &[u8],
        mut want: Want,
        mut show: impl FnMut(&Line<'_>) -> Want,
    ) -> u64 {
        self.hits.clear();
        let drawn = memchr3(0x1b, b'\r', ROW, block).is_some();
        self.stripped = drawn && plain::strip(block, &mut self.text, &mut self.hits);
        let text = if self.stripped { &self.text } else { block };
        if drawn {
            overwritten(filter, text, &mut self.hits);
        }
        filter.find(text, &mut self.hits);
        let mut hits = &self.hits[..];
        let mut raw = Cursor { block, line: 0, offset: 0 };
        let (mut start, mut number) = (0, 0);
        let mut ends = memchr_iter(b'\n', text);
        while start < text.len() {
            let end = ends.next().unwrap_or(text.len());
            let bytes = &text[start..end];
            let later = want != Want::News;
            let mut shown = want == Want::All;
            while let [at, rest @ ..] = hits
                && *at < end
            {
                shown |= !is_named(text, *at) || filter.begins_named(bytes, later);
                hits = rest;
            }
            if shown || filter.edges(text, start..end, later) {
                let offset = if self.stripped { raw.seek(number) } else { start };
                want = show(&Line { bytes, number, offset });
            }
            start = end + 1;
            number += 1;
        }
        // A line of escapes alone, without its newline, leaves nothing to go through.
        if number == 0 {
            if want == Want::All {
                show(&Line { bytes: b"", number, offset: 0 });
            }
            number = 1;
        }
        number
    }

    /// That block as it was gone through.
    pub fn text<'a>(&'a self, block: &'a [u8]) -> &'a [u8] {
        if self.stripped { &self.text } else { block }
    }
}

/// Finds what begins in the middle of a line: behind a carriage return, on a row of its own.
fn overwritten(filter: &Filter, text: &[u8], hits: &mut Vec<usize>) {
    let mut ends = memchr2_iter(b'\r', ROW, text).peekable();
    while let Some(at) = ends.next() {
        let rest = &text[at + 1..];
        if rest.first() == Some(&b'\n') {
            continue;
        }
        let next = ends.peek().map_or(rest.len(), |next| next - at - 1);
        let length = memchr(b'\n', &rest[..next]).unwrap_or(next);
        let row = at + 1..at + 1 + length;
        // What the next carriage return goes over is not seen.
        let over = length == next && rest.get(next) == Some(&b'\r');
        if (!over || rest.get(next + 1).is_none_or(|c| *c == b'\n'))
            && filter.edges(text, row, true)
        {
            hits.push(at);
        }
    }
}

/// Where lines begin in what was not stripped.
struct Cursor<'a> {
    block: &'a [u8],
    line: u64,
    offset: usize,
}

impl Cursor<'_> {
    fn seek(&mut self, line: u64) -> usize {
        if let Some(ahead) = line.checked_sub(self.line + 1) {
            let end = memchr_iter(b'\n', &self.block[self.offset..]).nth(ahead as usize);
            self.offset += end.map_or(0, |end| end + 1);
            self.line = line;
        }
        self.offset
    }
}
