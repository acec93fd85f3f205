//! Cuts a byte stream into lines of bounded length.

use memchr::memchr;

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
    cap: usize,
}

impl Lines {
    pub fn new(cap: usize) -> Lines {
        Lines { held: Vec::new(), dropped: 0, number: 0, offset: 0, cap }
    }

    /// Calls `each` for every complete line; it answers with the cap of the next one.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>) -> usize) {
        while let Some(end) = memchr(b'\n', bytes) {
            let (head, tail) = (&bytes[..end], &bytes[end + 1..]);
            self.number += 1;
            let length;
            if self.held.is_empty() && self.dropped == 0 {
                let kept = head.len().min(self.cap);
                let dropped = (head.len() - kept) as u64;
                length = head.len() as u64;
                self.cap = each(Line {
                    bytes: &head[..kept],
                    number: self.number,
                    offset: self.offset,
                    dropped,
                });
            } else {
                self.hold(head);
                length = self.held.len() as u64 + self.dropped;
                self.cap = each(Line {
                    bytes: &self.held,
                    number: self.number,
                    offset: self.offset,
                    dropped: self.dropped,
                });
                self.held.clear();
                self.dropped = 0;
            }
            self.offset += length + 1;
            bytes = tail;
        }
        self.hold(bytes);
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
        let kept = bytes.len().min(self.cap - self.held.len());
        self.held.extend_from_slice(&bytes[..kept]);
        self.dropped += (bytes.len() - kept) as u64;
    }
}
