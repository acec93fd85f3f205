//! The last rows of a text, which say how it ended where nothing else does.

use std::collections::VecDeque;

use super::phrase::clip;
use super::render::{Look, look};

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
}

impl Tail {
    /// A row that is not blank.
    pub fn keep(&mut self, number: u64, row: &str) {
        if self.rows.len() == ROWS {
            self.rows.pop_front();
        }
        let mute = self.mute.contains(&number);
        self.rows.push_back((number, if mute { String::new() } else { clip(row, WIDTH) }));
    }

    /// The lines of a block, the last one first.
    pub fn keep_last<'a>(
        &mut self,
        lines: impl Iterator<Item = (u64, &'a [u8])>,
        mut trim: impl FnMut(&str) -> &str,
    ) {
        let mut found: Vec<(u64, String)> = Vec::new();
        for (number, line) in lines {
            match look(line) {
                Look::Row(row) => found.push((number, clip(trim(&row), WIDTH))),
                Look::Rows(shown) => {
                    let rows = shown.rows.iter().rev().take(ROWS);
                    found.extend(rows.map(|row| (number, clip(trim(row), WIDTH))));
                }
            }
            found.pop_if(|(_, row)| row.trim().is_empty());
            if found.len() >= ROWS {
                break;
            }
        }
        for (number, row) in found.iter().rev() {
            if !row.trim().is_empty() {
                self.keep(*number, row);
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
