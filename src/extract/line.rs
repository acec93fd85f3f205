//! Cuts a byte stream into lines of bounded length.

use memchr::{memchr, memrchr};

use super::decoder::{Cap, TEXT_CAP};

/// What is kept for the next long line.
const KEPT: usize = 64 << 10;

pub struct Line<'a> {
    /// Without its newline.
    pub bytes: &'a [u8],
    pub number: u64,
    pub offset: u64,
    /// Bytes beyond the cap, which were not kept.
    pub dropped: u64,
}

pub struct Lines {
    held: Vec<u8>,
    dropped: u64,
    number: u64,
    offset: u64,
    /// Where the last line began.
    last: u64,
    cap: Cap,
}

impl Lines {
    pub fn new(cap: Cap) -> Lines {
        Lines { held: Vec::new(), dropped: 0, number: 0, offset: 0, last: 0, cap }
    }

    /// Nothing of a line is held.
    pub fn is_between(&self) -> bool {
        self.held.is_empty() && self.dropped == 0
    }

    /// The line that lacks its newline, as far as it came.
    pub fn partial(&self) -> &[u8] {
        &self.held
    }

    /// The number and the offset of the line that begins now.
    pub fn next(&self) -> (u64, u64) {
        (self.number + 1, self.offset)
    }

    /// The same of the line that was read last.
    pub fn last(&self) -> (u64, u64) {
        (self.number, self.last)
    }

    /// These lines were read otherwise.
    pub fn skip(&mut self, lines: u64, block: &[u8]) {
        let text = block.strip_suffix(b"\n").unwrap_or(block);
        self.last = self.offset + memrchr(b'\n', text).map_or(0, |at| at as u64 + 1);
        self.number += lines;
        self.offset += block.len() as u64;
    }

    /// Calls `each` for the line that ends in these bytes; it answers with the cap of the next
    /// one. Answers with the bytes that were taken.
    pub fn push(&mut self, bytes: &[u8], each: impl FnOnce(Line<'_>) -> Cap) -> usize {
        let Some(end) = memchr(b'\n', bytes) else {
            self.hold(bytes);
            return bytes.len();
        };
        let head = &bytes[..end];
        self.number += 1;
        self.last = self.offset;
        if self.is_between() && head.len() <= self.cap.bytes(head) {
            let line = Line { bytes: head, number: self.number, offset: self.offset, dropped: 0 };
            self.cap = each(line);
            self.offset += head.len() as u64 + 1;
            return end + 1;
        }
        self.hold(head);
        let length = self.held.len() as u64 + self.dropped;
        self.cap = each(Line {
            bytes: &self.held,
            number: self.number,
            offset: self.offset,
            dropped: self.dropped,
        });
        self.held.clear();
        self.held.shrink_to(KEPT);
        self.dropped = 0;
        self.offset += length + 1;
        end + 1
    }

    /// The last line where it lacks its newline.
    pub fn rest(&mut self) -> Option<Line<'_>> {
        if self.held.is_empty() && self.dropped == 0 {
            return None;
        }
        self.number += 1;
        Some(Line {
            bytes: &self.held,
            number: self.number,
            offset: self.offset,
            dropped: self.dropped,
        })
    }

    fn hold(&mut self, bytes: &[u8]) {
        let rest = self.keep(bytes, TEXT_CAP);
        // By now it is known what the line begins like.
        let rest = if rest.is_empty() { rest } else { self.keep(rest, self.cap.bytes(&self.held)) };
        self.dropped += rest.len() as u64;
    }

    /// Answers with what is too much.
    fn keep<'a>(&mut self, bytes: &'a [u8], cap: usize) -> &'a [u8] {
        let length = self.held.len();
        let (kept, rest) = bytes.split_at(bytes.len().min(cap.saturating_sub(length)));
        // Grown by itself it would have up to twice the room.
        if length + kept.len() > self.held.capacity() {
            let room = (2 * length).min(cap).max(length + kept.len());
            self.held.reserve_exact(room - length);
        }
        self.held.extend_from_slice(kept);
        rest
    }
}
