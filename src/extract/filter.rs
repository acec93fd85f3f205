//! Which rows of a block may matter to any rule: all that hold, begin or end with a literal of one.

use aho_corasick::{AhoCorasick, Span, packed};
use memchr::memchr;

use super::prefix;

/// Literals a searcher: more do not fit the buckets of slim Teddy, and slow it down.
const PACK: usize = 8;
/// Stands in a literal for a word.
pub const WORD: u8 = 1;
/// A path at the beginning of a row is not longer.
const PLACE: usize = 300;

pub struct Filter {
    packs: Vec<Searcher>,
    starts: Keys,
    ends: Keys,
}

enum Searcher {
    Packed(packed::Searcher),
    /// Where the machine has no vectors.
    Plain(AhoCorasick),
}

impl Filter {
    /// A start's leading digits are written as one 0. None: a literal is too long or too many.
    pub fn new(holds: &[&[u8]], starts: &[Vec<u8>], ends: &[Vec<u8>]) -> Option<Filter> {
        let mut shortest: Vec<&[u8]> = holds.to_vec();
        shortest.sort_by_key(|l| (l.len(), *l));
        shortest.dedup();
        let mut needed: Vec<&[u8]> = Vec::new();
        for literal in shortest {
            if !needed.iter().any(|n| memchr::memmem::find(literal, n).is_some()) {
                needed.push(literal);
            }
        }
        let packs = needed.chunks(PACK).map(Searcher::new).collect::<Option<Vec<_>>>()?;
        let mut filter = Filter { packs, starts: Keys::new(), ends: Keys::new() };
        starts.iter().for_each(|l| filter.starts.add(l, l.clone()));
        for literal in ends {
            let before = |c: &&u8| **c != b'0';
            let key: Vec<u8> = literal.iter().rev().take_while(before).copied().collect();
            filter.ends.add(&key, literal.clone());
        }
        Some(filter)
    }

    /// Adds a position in each row of the block that holds a literal, in order.
    pub fn find(&self, block: &[u8], hits: &mut Vec<usize>) {
        for searcher in &self.packs {
            let mut at = 0;
            while let Some(found) = searcher.find(block, at) {
                hits.push(found);
                // Once a row is enough.
                match memchr(b'\n', &block[found..]) {
                    Some(n) => at = found + n + 1,
                    None => break,
                }
            }
        }
        hits.sort_unstable();
    }

    /// Whether this row begins or ends with one, or begins with a place.
    pub fn edges(&self, row: &[u8]) -> bool {
        let Some(last) = last(row) else { return false };
        let row = &row[..=last];
        self.ends_with(row) || self.begins(blanks(row))
    }

    fn ends_with(&self, row: &[u8]) -> bool {
        let last = row.len() - 1;
        let key = [row[last], back(row, last, 1), back(row, last, 2)];
        self.ends.has(key) && self.ends.of(row[last]).any(|literal| ends_with(row, literal))
    }

    fn begins(&self, row: &[u8]) -> bool {
        match row.first() {
            Some(first) if MARK[usize::from(*first)] => {
                self.begins_with(bare(&row[prefix::plain(row)..]))
            }
            Some(_) => self.starts_with(key(row), row) || has_place(row),
            None => false,
        }
    }

    /// The same for what stands behind a prefix, a tag or a frame.
    pub fn begins_behind(&self, row: &[u8]) -> bool {
        self.begins_with(lead(row))
    }

    fn begins_with(&self, rest: &[u8]) -> bool {
        self.starts_with(folded(rest), rest) || has_place(rest) || {
            let behind = untag(rest);
            behind.len() < rest.len() && self.starts_with(folded(behind), behind)
        }
    }

    #[inline]
    fn starts_with(&self, key: [u8; 3], row: &[u8]) -> bool {
        self.starts.has(key) && self.starts.of(key[0]).any(|literal| starts_with(row, literal))
    }
}

/// Whether the row begins with a place: its first colon, or the second behind the letter of a
/// drive, has a path before it and a number behind it, or the number before it and a severity
/// behind it.
pub fn has_place(row: &[u8]) -> bool {
    let head = &row[..row.len().min(PLACE)];
    let Some(mut colon) = memchr(b':', head) else { return false };
    if head.get(colon + 1) == Some(&b'\\') {
        let Some(next) = memchr(b':', &head[colon + 1..]) else { return false };
        colon += 1 + next;
    }
    let number = match &row[colon + 1..] {
        [b' ', b'l', b'i', b'n', b'e', b' ', c, ..] | [b' ' | b'[', c, ..] | [c, ..] => {
            c.is_ascii_digit()
        }
        [] => false,
    };
    if !number {
        // `a.cs(3,5): error`, `a.csproj : error`
        let severity = [&b" error "[..], b" warning ", b" fatal error "];
        return severity.iter().any(|s| row[colon + 1..].starts_with(s))
            && matches!(row[..colon], [.., b'0'..=b'9', b')'] | [.., b' ']);
    }
    let word = |c: &&u8| !matches!(c, b' ' | b'\t' | b'(' | b'[');
    let length = head[..colon].iter().rev().take_while(word).count();
    let path = &head[colon - length..colon];
    path.iter().any(|c| matches!(c, b'.' | b'/')) || path.ends_with(b"file")
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
            &WORD => row.iter().take_while(|c| is_name(**c)).count(),
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
    /// The literals themselves, by that first byte.
    literals: Vec<Vec<Vec<u8>>>,
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
        }
    }

    fn add(&mut self, key: &[u8], literal: Vec<u8>) {
        let Some(first) = key.first() else { return };
        self.literals[usize::from(*first)].push(literal);
        match *key {
            [] => {}
            [a] | [a, WORD, ..] => self.any[usize::from(a)] = true,
            [a, b] | [a, b, WORD, ..] => {
                let (word, bit) = Keys::pair(a, b);
                self.pairs[word] |= bit;
            }
            [a, b, c, ..] => {
                let (word, bit) = Keys::triple([a, b, c]);
                self.triples[word] |= bit;
            }
        }
    }

    fn of(&self, first: u8) -> impl Iterator<Item = &Vec<u8>> {
        self.literals[usize::from(first)].iter()
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
        Filter::new(&holds, &starts, &edge(&[".js", "Stop."])).expect("a filter")
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
            assert!(filter.edges(row.as_bytes()), "{row}");
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
            assert!(!filter.edges(row.as_bytes()), "{row}");
        }
        let row = b"job\tstep\t2024-05-01T10:00:00.0Z FAIL";
        assert!(filter.begins_behind(row) && !filter.edges(row));
    }
}
