//! Which rows of a block may matter to any rule: all that hold, begin or end with a literal of one.

use aho_corasick::{AhoCorasick, Span, packed};
use memchr::{memchr, memchr2};

use super::prefix;

/// Literals a searcher: more do not fit the buckets of slim Teddy, and slow it down.
const PACK: usize = 9;
/// A stamp behind the names of a job and a step, with and without a byte order mark.
const NAMED: [&[u8]; 2] = [b"\t20", b"\t\xef\xbb\xbf20"];
/// Stands in a literal for a word.
pub const WORD: u8 = 1;
/// A path at the beginning of a row is not longer.
const PLACE: usize = 300;
/// A mark before it, mojibaked or not, is not longer.
const MARK_LENGTH: usize = 13;

pub struct Filter {
    packs: Vec<Searcher>,
    starts: Keys,
    ends: Keys,
    /// Starts that mean something only behind what an earlier row said.
    later: Keys,
}

enum Searcher {
    Packed(packed::Searcher),
    /// Where the machine has no vectors.
    Plain(AhoCorasick),
}

impl Filter {
    /// A start's leading digits are written as one 0. None: a literal is too long or too many.
    pub fn new(
        holds: &[&[u8]],
        starts: &[Vec<u8>],
        ends: &[Vec<u8>],
        later: &[Vec<u8>],
    ) -> Option<Filter> {
        let mut shortest: Vec<&[u8]> = holds.to_vec();
        shortest.sort_by_key(|l| (l.len(), *l));
        shortest.dedup();
        let mut needed: Vec<&[u8]> = Vec::new();
        for literal in shortest {
            if !needed.iter().any(|n| memchr::memmem::find(literal, n).is_some()) {
                needed.push(literal);
            }
        }
        needed.extend(NAMED);
        let packs = needed.chunks(PACK).map(Searcher::new).collect::<Option<Vec<_>>>()?;
        let mut filter =
            Filter { packs, starts: Keys::new(), ends: Keys::new(), later: Keys::new() };
        starts.iter().for_each(|l| filter.starts.add(l, l.clone()));
        later.iter().for_each(|l| filter.later.add(l, l.clone()));
        for literal in ends {
            let before = |c: &&u8| **c != b'0';
            let key: Vec<u8> = literal.iter().rev().take_while(before).copied().collect();
            match key.is_empty() {
                true => (b'0'..=b'9').for_each(|c| filter.ends.add(&[c], literal.clone())),
                false => filter.ends.add(&key, literal.clone()),
            }
        }
        Some(filter)
    }

    /// Adds a position in each row of the block that holds a literal, in order.
    pub fn find(&self, block: &[u8], hits: &mut Vec<usize>) {
        for searcher in &self.packs {
            let mut at = 0;
            while let Some(found) = searcher.find(block, at) {
                hits.push(found);
                if is_named(block, found) {
                    at = found + 1;
                    continue;
                }
                // Once a row is enough.
                match memchr(b'\n', &block[found..]) {
                    Some(n) => at = found + n + 1,
                    None => break,
                }
            }
        }
        hits.sort_unstable();
    }

    /// Whether this row begins or ends with one, or begins with a place. `later`: whether starts
    /// count that only mean something behind an earlier row.
    #[inline]
    pub fn edges(&self, row: &[u8], later: bool) -> bool {
        let Some(last) = last(row) else { return false };
        let row = &row[..=last];
        self.ends_with(row, last) || self.begins(blanks(row), later)
    }

    #[inline]
    fn ends_with(&self, row: &[u8], last: usize) -> bool {
        let key = [row[last], back(row, last, 1), back(row, last, 2)];
        self.ends.has(key) && self.ends.of(key).any(|literal| ends_with(row, literal))
    }

    #[inline]
    fn begins(&self, row: &[u8], later: bool) -> bool {
        match row.first() {
            Some(first) if MARK[usize::from(*first)] => {
                self.begins_with(bare(&row[prefix::plain(row)..]), later)
            }
            Some(_) => self.starts_with(key(row), row, later) || has_place(row),
            None => false,
        }
    }

    /// The same for what stands behind the names of a job and a step.
    pub fn begins_named(&self, row: &[u8], later: bool) -> bool {
        self.begins_with(lead(row), later)
    }

    fn begins_with(&self, rest: &[u8], later: bool) -> bool {
        self.starts_with(folded(rest), rest, later) || has_place(rest) || {
            let behind = untag(rest);
            behind.len() < rest.len()
                && (self.starts_with(folded(behind), behind, later) || has_place(behind))
        }
    }

    #[inline]
    fn starts_with(&self, key: [u8; 3], row: &[u8], later: bool) -> bool {
        (self.starts.has(key) && confirm(&self.starts, key, row))
            || (later && self.later.has(key) && confirm(&self.later, key, row))
    }
}

/// Whether a hit of the filter only says that names of a job and a step may stand there.
pub fn is_named(text: &[u8], at: usize) -> bool {
    text[at] == b'\t' && NAMED.iter().any(|literal| text[at..].starts_with(literal))
}

#[inline(never)]
fn confirm(keys: &Keys, key: [u8; 3], row: &[u8]) -> bool {
    keys.of(key).any(|literal| starts_with(row, literal))
}

/// Whether the row begins with a place: its first word, or the one after a mark, is a path with a
/// number behind a colon or in brackets, or a severity follows it.
pub fn has_place(row: &[u8]) -> bool {
    let mut row = blanks(row);
    let Some(mut end) = path_end(row) else { return false };
    if row[end] == b' ' {
        if end <= MARK_LENGTH && !row[..end].is_ascii() {
            row = blanks(&row[end..]);
            match path_end(row) {
                Some(next) => end = next,
                None => return false,
            }
        } else if row.get(end + 1) != Some(&b':') {
            return false;
        }
    }
    is_place(row, end)
}

#[inline]
fn path_end(row: &[u8]) -> Option<usize> {
    memchr2(b':', b' ', &row[..row.len().min(PLACE)])
}

/// The colon, or the blank before it, at `end` stands behind a place.
fn is_place(row: &[u8], mut end: usize) -> bool {
    if end == 1 && matches!(row.get(2), Some(b'\\' | b'/')) {
        // A drive: the names of its folders may hold blanks.
        let Some(next) = memchr(b':', &row[3..row.len().min(PLACE)]) else { return false };
        end = 3 + next;
    }
    let (path, rest) = row.split_at(end);
    let number = match rest {
        [b':', b' ', b'l', b'i', b'n', b'e', b' ', c, ..]
        | [b':', b' ' | b'[', c, ..]
        | [b':', c, ..] => c.is_ascii_digit(),
        _ => false,
    };
    let behind = rest.strip_prefix(b" ").unwrap_or(rest);
    let severity = || {
        let words = [&b": error"[..], b": warning", b": fatal error ", b": Error", b": Warning"];
        (path.last() == Some(&b')') || rest.len() > behind.len())
            && words.iter().any(|word| behind.starts_with(word))
    };
    (number || severity())
        && !path.contains(&b'\t')
        && (path.iter().any(|c| matches!(c, b'.' | b'/')) || path.ends_with(b"file"))
}

/// The row from its first byte that means something: no prefix, no frame, no blanks.
pub fn lead(row: &[u8]) -> &[u8] {
    bare(&row[prefix::length(row)..])
}

fn bare(row: &[u8]) -> &[u8] {
    let row = blanks(row);
    for frame in ["│", "┃", "║", "|"] {
        if let Some(rest) = row.strip_prefix(frame.as_bytes()) {
            return blanks(rest);
        }
    }
    row
}

/// Without `[ERROR] ` and the like.
pub fn untag(row: &[u8]) -> &[u8] {
    let Some(rest) = row.strip_prefix(b"[") else { return row };
    let word = rest.iter().take_while(|c| c.is_ascii_alphabetic()).count();
    match rest.get(word..word + 2) {
        Some(b"] ") if word > 0 => blanks(&rest[word + 2..]),
        _ => row,
    }
}

/// Without the blanks and carriage returns at its end.
pub fn trim_end(row: &[u8]) -> &[u8] {
    last(row).map_or(&[], |last| &row[..=last])
}

fn last(row: &[u8]) -> Option<usize> {
    let mut at = row.len();
    while at > 0 {
        at -= 1;
        if !matches!(row[at], b' ' | b'\t' | b'\r') {
            return Some(at);
        }
    }
    None
}

fn blanks(row: &[u8]) -> &[u8] {
    let mut at = 0;
    while at < row.len() && matches!(row[at], b' ' | b'\t') {
        at += 1;
    }
    &row[at..]
}

fn back(row: &[u8], last: usize, n: usize) -> u8 {
    if last >= n { row[last - n] } else { b'\n' }
}

fn key(row: &[u8]) -> [u8; 3] {
    match row {
        [a, b, c, ..] => [*a, *b, *c],
        [a, b] => [*a, *b, b'\n'],
        [a] => [*a, b'\n', b'\n'],
        [] => [b'\n'; 3],
    }
}

/// The same with a run of digits at the start as one 0.
fn folded(row: &[u8]) -> [u8; 3] {
    let digits = row.iter().take_while(|c| c.is_ascii_digit()).count();
    let [b, c, _] = key(&row[digits..]);
    if digits > 0 { [b'0', b, c] } else { key(row) }
}

/// A row that begins like `literal`: a 0 at its beginning stands for digits, `WORD` for a word.
pub fn starts_with(mut row: &[u8], literal: &[u8]) -> bool {
    for (i, c) in literal.iter().enumerate() {
        let run = match c {
            b'0' if i == 0 => row.iter().take_while(|c| c.is_ascii_digit()).count(),
            // A line of the mark before it goes with the word.
            &WORD if i > 0 => {
                row.iter().take_while(|c| is_name(**c) || **c == literal[i - 1]).count()
            }
            _ => usize::from(row.first() == Some(c)),
        };
        if run == 0 {
            return false;
        }
        row = &row[run..];
    }
    true
}

/// A row that ends like `literal`: a 0 in it stands for digits.
pub fn ends_with(mut row: &[u8], literal: &[u8]) -> bool {
    for c in literal.iter().rev() {
        let run = match c {
            b'0' => row.iter().rev().take_while(|c| c.is_ascii_digit()).count(),
            _ => usize::from(row.last() == Some(c)),
        };
        if run == 0 {
            return false;
        }
        row = &row[..row.len() - run];
    }
    true
}

fn is_name(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'/' | b'-')
}

impl Searcher {
    fn new(literals: &[&[u8]]) -> Option<Searcher> {
        let packed = packed::Config::new().builder().extend(literals.iter().copied()).build();
        match packed {
            Some(searcher) => Some(Searcher::Packed(searcher)),
            None => AhoCorasick::new(literals).ok().map(Searcher::Plain),
        }
    }

    fn find(&self, block: &[u8], at: usize) -> Option<usize> {
        let span = Span { start: at, end: block.len() };
        match self {
            Searcher::Packed(searcher) => searcher.find_in(block, span).map(|m| m.start()),
            Searcher::Plain(searcher) => {
                let input = aho_corasick::Input::new(block).span(span);
                searcher.find(input).map(|m| m.start())
            }
        }
    }
}

/// The first bytes of literals: says yes too often, no never wrongly.
struct Keys {
    /// Of three bytes, hashed.
    triples: Box<[u64; Keys::TRIPLES]>,
    /// Of two bytes.
    pairs: Box<[u64; Keys::PAIRS]>,
    /// Of one, or one before a wildcard.
    any: [bool; 256],
    /// The literals themselves, by a hash of the first two bytes; those of one by that.
    literals: Vec<Vec<Vec<u8>>>,
    short: Vec<Vec<Vec<u8>>>,
}

impl Keys {
    const TRIPLES: usize = 1 << 8;
    const PAIRS: usize = 1 << 10;

    fn new() -> Keys {
        Keys {
            triples: Box::new([0; Keys::TRIPLES]),
            pairs: Box::new([0; Keys::PAIRS]),
            any: [false; 256],
            literals: vec![Vec::new(); 256],
            short: vec![Vec::new(); 256],
        }
    }

    fn add(&mut self, key: &[u8], literal: Vec<u8>) {
        match *key {
            [] => {}
            [a] | [a, WORD, ..] => {
                self.any[usize::from(a)] = true;
                self.short[usize::from(a)].push(literal);
            }
            [a, b] | [a, b, WORD, ..] => {
                let (word, bit) = Keys::pair(a, b);
                self.pairs[word] |= bit;
                self.literals[Keys::slot(a, b)].push(literal);
            }
            [a, b, c, ..] => {
                let (word, bit) = Keys::triple([a, b, c]);
                self.triples[word] |= bit;
                self.literals[Keys::slot(a, b)].push(literal);
            }
        }
    }

    fn of(&self, [a, b, _]: [u8; 3]) -> impl Iterator<Item = &Vec<u8>> {
        self.literals[Keys::slot(a, b)].iter().chain(&self.short[usize::from(a)])
    }

    fn slot(a: u8, b: u8) -> usize {
        usize::from(a.wrapping_mul(31) ^ b)
    }

    #[inline]
    fn has(&self, key: [u8; 3]) -> bool {
        let (triple, third) = Keys::triple(key);
        let (pair, second) = Keys::pair(key[0], key[1]);
        (self.triples[triple] & third != 0)
            | (self.pairs[pair] & second != 0)
            | self.any[usize::from(key[0])]
    }

    #[inline]
    fn triple([a, b, c]: [u8; 3]) -> (usize, u64) {
        let n = u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9e37_79b1) >> 18;
        ((n >> 6) as usize, 1 << (n & 63))
    }

    #[inline]
    fn pair(a: u8, b: u8) -> (usize, u64) {
        let n = u16::from_le_bytes([a, b]);
        (usize::from(n >> 6), 1 << (n & 63))
    }
}

/// Bytes with which a number, a prefix, a tag or a frame may begin.
const MARK: [bool; 256] = {
    let mut marks = [false; 256];
    let all = b"0123456789[|#\xe2\xef";
    let mut i = 0;
    while i < all.len() {
        marks[all[i] as usize] = true;
        i += 1;
    }
    marks
};

#[cfg(test)]
mod tests {
    use super::Filter;

    fn filter() -> Filter {
        let holds: [&[u8]; 3] = [b": error", b"): error", b"Traceback"];
        let edge = |all: &[&str]| -> Vec<Vec<u8>> { all.iter().map(|l| (*l).into()).collect() };
        let starts = edge(&["FAIL", "OK", "0 passed"]);
        Filter::new(&holds, &starts, &edge(&[".js", "Stop."]), &edge(&["at "])).expect("a filter")
    }

    #[test]
    fn a_row_is_found_by_what_it_holds() {
        let mut hits = Vec::new();
        let block = b"x\na.c:1: error: y: error\nfoo\nf(1): error\nTraceback";
        filter().find(block, &mut hits);
        assert_eq!(hits, [7, 33, 41]);
    }

    #[test]
    fn a_row_is_found_by_its_edges() {
        let filter = filter();
        for row in [
            "FAIL",
            "  FAIL x",
            "OK",
            "OK\r",
            "12 passed",
            "x.js",
            "x.js \r",
            "│ FAIL │",
            "2024-05-01T10:00:00.0Z 12 passed",
            "[ERROR] FAIL",
            "make: x.  Stop.",
            "a.c:3",
            "[ERROR] src/a.scala:3: x",
            "C:\\a.c:3",
            "./a.sh: line 3: x",
            "Makefile:3: x",
        ] {
            assert!(filter.edges(row.as_bytes(), false), "{row}");
        }
        for row in [
            "",
            "  ",
            "x FAIL",
            "passed",
            "js",
            "12 failed",
            "2024-05-01T10:00:00.0Z x",
            "at 10:00",
            "a.c: x",
            "error:3",
        ] {
            assert!(!filter.edges(row.as_bytes(), false), "{row}");
        }
        assert!(filter.edges(b"  at x", true) && !filter.edges(b"  at x", false));
        let row = b"job\tstep\t2024-05-01T10:00:00.0Z FAIL";
        assert!(filter.begins_named(row, false) && !filter.edges(row, false));
    }
}
