//! The last rows of a text, which say how it ended where nothing else does.

use std::collections::VecDeque;

use memchr::memrchr;

use super::phrase::clip;
use super::prefix::strip;
use super::render::{Look, look, unframe};

/// Rows that are kept, and how much of each.
const ROWS: usize = 40;
const WIDTH: usize = 400;

#[derive(Default)]
pub struct Tail {
    /// Each with its number.
    rows: VecDeque<(u64, String)>,
    /// Rows that say nothing here: the verdict itself, what stands in a fence.
    mute: VecDeque<u64>,
    verdict: Option<u64>,
    /// The last lines of what was read last, and the number of the first.
    pending: Vec<u8>,
    first: u64,
}

/// A row without prefix, frame, and blanks at its end.
pub fn trim(row: &str) -> &str {
    unframe(strip(row.trim_end()))
}

impl Tail {
    /// A row, unless it is blank.
    pub fn keep(&mut self, number: u64, row: &str) {
        let row = trim(row);
        if row.trim().is_empty() {
            return;
        }
        if self.rows.len() == ROWS {
            self.rows.pop_front();
        }
        let mute = self.mute.contains(&number);
        self.rows.push_back((number, if mute { String::new() } else { clip(row, WIDTH) }));
    }

    /// The last lines of a text, of which so many stand before `end`. They are read when somebody asks.
    pub fn keep_last(&mut self, text: &[u8], end: u64) {
        let (mut rest, mut lines, mut rows) = (text.len(), 0, 0);
        while rest > 0 && rows < ROWS {
            let stop = rest - usize::from(text[rest - 1] == b'\n');
            let start = memrchr(b'\n', &text[..stop]).map_or(0, |at| at + 1);
            let line = &text[start..stop];
            rows += usize::from(!line.trim_ascii().is_empty());
            lines += 1;
            rest = start;
        }
        if rows < ROWS {
            self.settle();
        } else {
            self.rows.clear();
        }
        self.pending.clear();
        self.pending.extend_from_slice(&text[rest..]);
        self.first = end - lines;
    }

    /// Reads the lines that wait.
    pub fn settle(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for (number, line) in (self.first..).zip(pending.split(|c| *c == b'\n')) {
            match look(line) {
                Look::Row(row) => self.keep(number, &row),
                Look::Rows(shown) => shown.rows.iter().for_each(|row| self.keep(number, row)),
            }
        }
    }

    pub fn mute(&mut self, number: u64) {
        if self.mute.back() != Some(&number) {
            if self.mute.len() == ROWS {
                self.mute.pop_front();
            }
            self.mute.push_back(number);
        }
    }

    pub fn set_verdict(&mut self, number: u64) {
        self.verdict = Some(number);
        self.mute(number);
    }

    pub fn clear(&mut self) {
        self.rows.clear();
    }

    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &String> + ExactSizeIterator {
        self.rows.iter().map(|(_, row)| row)
    }

    /// The rows after the last verdict, the last one first.
    pub fn since_verdict(&self) -> impl Iterator<Item = &String> {
        let later = |number: u64| self.verdict.is_none_or(|verdict| number > verdict);
        self.rows.iter().rev().take_while(move |(number, _)| later(*number)).map(|(_, row)| row)
    }
}
