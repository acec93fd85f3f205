//! Tables of rules: a pattern is tried, and compiled, only where one of its literals stands.

use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use regex::{Captures, Regex};

/// A pattern that the source itself holds.
pub fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of the source")
}

pub struct Rule<T: 'static> {
    /// The pattern can match only a row that holds one of these.
    pub any: &'static [&'static str],
    pub pattern: &'static str,
    pub make: T,
}

pub struct Rules<T: 'static> {
    table: &'static [Rule<T>],
    literals: AhoCorasick,
    owner: Vec<u8>,
    compiled: Vec<OnceLock<Regex>>,
}

impl<T> Rules<T> {
    pub fn new(table: &'static [Rule<T>]) -> Rules<T> {
        let literals: Vec<(&str, u8)> = table
            .iter()
            .enumerate()
            .flat_map(|(i, rule)| rule.any.iter().map(move |l| (*l, i as u8)))
            .collect();
        let searcher = AhoCorasick::new(literals.iter().map(|l| l.0)).expect("few literals");
        Rules {
            table,
            literals: searcher,
            owner: literals.iter().map(|l| l.1).collect(),
            compiled: table.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// The first rule of the table, in its order, that matches the row and that `take` accepts.
    pub fn first<R>(
        &self,
        row: &str,
        mut take: impl FnMut(&'static T, &Captures<'_>) -> Option<R>,
    ) -> Option<R> {
        let mut candidates = 0u128;
        for hit in self.literals.find_overlapping_iter(row) {
            candidates |= 1 << self.owner[hit.pattern().as_usize()];
        }
        while candidates != 0 {
            let i = candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            if let Some(c) = self.regex(i).captures(row)
                && let Some(found) = take(&self.table[i].make, &c)
            {
                return Some(found);
            }
        }
        None
    }

    /// Compiles every pattern, so that a test can tell a bad one.
    #[cfg(test)]
    pub fn compile(&self) -> usize {
        (0..self.table.len()).map(|i| self.regex(i).captures_len()).filter(|n| *n > 0).count()
    }

    fn regex(&self, i: usize) -> &Regex {
        self.compiled[i].get_or_init(|| regex(self.table[i].pattern))
    }
}
