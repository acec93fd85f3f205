//! Which rows of a block may matter to any rule: all that hold, begin or end with a literal of one.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Span, packed};
use memchr::{memchr, memchr2, memrchr};

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
    /// Literals of rules: those that a row holds, begins with, begins with behind what an earlier
    /// row said, and ends with. Digits at an edge are written as one 0. None: they are too many.
    pub fn new(
        holds: &[&[u8]],
        [starts, later, ends]: [&[(Vec<u8>, Option<u16>)]; 3],
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
        let word = |l: &[u8]| l.iter().position(|c| *c == WORD).unwrap_or(l.len());
        starts.iter().for_each(|(l, rule)| filter.starts.add(l, word(l), l, *rule));
        later.iter().for_each(|(l, rule)| filter.later.add(l, word(l), l, *rule));
        for (literal, rule) in ends {
            let back: Vec<u8> = literal.iter().rev().copied().collect();
            let digits = back.iter().skip(1).position(|c| *c == b'0');
            filter.ends.add(&back, digits.map_or(back.len(), |n| n + 1), literal, *rule);
        }
        Some(filter)
    }

    /// Whether a row holds one.
    pub fn holds(&self, row: &[u8]) -> bool {
        self.packs.iter().any(|searcher| searcher.find(row, 0).is_some())
    }

    /// Adds the rules of the literals at the edges of a row: `whole` is what is left of it without
    /// prefix, `behind` the same without a tag.
    pub fn rules(&self, row: &[u8], [whole, behind]: [&[u8]; 2], found: &mut Vec<u16>) {
        let mut add = |keys: &Keys, first: u64, rest: &dyn Fn(&[u8]) -> bool| {
            found.extend(keys.of(first, rest).filter_map(|literal| literal.rule));
        };
        for row in [whole, behind] {
            add(&self.starts, folded(row), &|literal| starts_with(row, literal));
            add(&self.later, folded(row), &|literal| starts_with(row, literal));
            if behind.len() == whole.len() {
                break;
            }
        }
        add(&self.ends, folded_back(row), &|literal| ends_with(row, literal));
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

    /// Whether this row of the text begins or ends with one, or begins with a place. `later`: whether
    /// starts count that only mean something behind an earlier row.
    #[inline]
    pub fn edges(&self, text: &[u8], row: Range<usize>, later: bool) -> bool {
        let Some(last) = last(&text[row.clone()]) else { return false };
        let end = row.start + last + 1;
        self.ends_with(&text[row.start..end], &text[..end])
            || self.begins(&text[row.start..end], &text[row.start..], later)
    }

    /// What stands before the row in the text is compared, too, and is no literal's.
    #[inline]
    fn ends_with(&self, row: &[u8], text: &[u8]) -> bool {
        self.ends.has(folded_back(text), |literal| ends_with(row, literal))
    }

    /// The same of what stands behind it.
    #[inline]
    fn begins(&self, row: &[u8], text: &[u8], later: bool) -> bool {
        let blank = row.len() - blanks(row).len();
        let row = &row[blank..];
        match row.first() {
            Some(first) if MARK[usize::from(*first)] => {
                self.begins_with(bare(&row[prefix::plain(row)..]), later)
            }
            Some(_) => self.starts_with(word(&text[blank..]), row, later) || has_place(row),
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
    fn starts_with(&self, first: u64, row: &[u8], later: bool) -> bool {
        let whole = |literal: &[u8]| starts_with(row, literal);
        self.starts.has(first, whole) || (later && self.later.has(first, whole))
    }
}

/// Whether a hit of the filter only says that names of a job and a step may stand there.
pub fn is_named(text: &[u8], at: usize) -> bool {
    text[at] == b'\t' && NAMED.iter().any(|literal| text[at..].starts_with(literal))
}

/// Whether the row begins with a place: its first word, or the one after a mark, is a path with a
/// number behind a colon or in brackets, or a severity follows it.
pub fn has_place(row: &[u8]) -> bool {
    let mut row = blanks(row);
    let Some(mut end) = path_end(row) else { return false };
    if row[end] == b' ' {
        if row.get(end + 1) == Some(&b':') {
            return is_place(row, end);
        }
        if is_bracketed(&row[..end]) {
            return true;
        }
        if end > MARK_LENGTH || row[..end].is_ascii() {
            return false;
        }
        row = blanks(&row[end..]);
        match path_end(row) {
            Some(next) => end = next,
            None => return false,
        }
    }
    is_place(row, end)
}

/// A word like `a.pas(4,8)`, or `a.nim(2,` of one that goes on behind a blank.
fn is_bracketed(word: &[u8]) -> bool {
    matches!(word.last(), Some(b')' | b','))
        && memrchr(b'(', word)
            .is_some_and(|at| word[at + 1].is_ascii_digit() && word[..at].contains(&b'.'))
}

/// The first colon or blank.
#[inline]
fn path_end(row: &[u8]) -> Option<usize> {
    // Most first words are short.
    let first = word(row);
    let is = |c: u8| zeros(first ^ (EACH * u64::from(c)));
    let ends = is(b' ') | is(b':');
    if ends != 0 {
        return Some(ends.trailing_zeros() as usize / 8);
    }
    let rest = row.get(8..row.len().min(PLACE))?;
    memchr2(b':', b' ', rest).map(|at| at + 8)
}

const EACH: u64 = 0x0101_0101_0101_0101;

/// The high bit of the first byte that is 0, and of no earlier one.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(EACH) & !word & (EACH << 7)
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

/// A row that begins like `literal`: a 0 at its beginning stands for digits, `WORD` for a word.
fn starts_with(mut row: &[u8], literal: &[u8]) -> bool {
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
fn ends_with(mut row: &[u8], literal: &[u8]) -> bool {
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

/// Literals by their first bytes.
struct Keys {
    /// The first three bytes of one, hashed; of those of two bytes, these; of one, this. They say
    /// yes too often, no never wrongly.
    triples: Box<[u64; Keys::TRIPLES]>,
    pairs: Box<[u64; Keys::PAIRS]>,
    any: [bool; 256],
    /// By a hash of the first two bytes; those of one by that.
    literals: Vec<Vec<Literal>>,
    short: Vec<Vec<Literal>>,
}

/// Eight bytes of it are compared at once.
struct Literal {
    first: u64,
    /// The bytes of `first` that count.
    mask: u64,
    /// Of one with more bytes, or a wildcard.
    whole: Option<Box<[u8]>>,
    rule: Option<u16>,
}

impl Keys {
    const TRIPLES: usize = 1 << 8;
    const PAIRS: usize = 1 << 10;

    fn new() -> Keys {
        Keys {
            triples: Box::new([0; Keys::TRIPLES]),
            pairs: Box::new([0; Keys::PAIRS]),
            any: [false; 256],
            literals: (0..256).map(|_| Vec::new()).collect(),
            short: (0..256).map(|_| Vec::new()).collect(),
        }
    }

    /// Of `literal`, which may be turned round, so many bytes stand for themselves.
    fn add(&mut self, literal: &[u8], fixed: usize, whole: &[u8], rule: Option<u16>) {
        let key = &literal[..fixed.min(8)];
        let entry = Literal {
            first: word(key),
            mask: u64::MAX >> (64 - 8 * key.len()),
            whole: (key.len() < literal.len()).then(|| whole.into()),
            rule,
        };
        match *key {
            [] => {}
            [a] => {
                self.any[usize::from(a)] = true;
                self.short[usize::from(a)].push(entry);
            }
            [a, b] => {
                let (word, bit) = Keys::pair(a, b);
                self.pairs[word] |= bit;
                self.literals[Keys::slot(a, b)].push(entry);
            }
            [a, b, c, ..] => {
                let (word, bit) = Keys::triple([a, b, c]);
                self.triples[word] |= bit;
                self.literals[Keys::slot(a, b)].push(entry);
            }
        }
    }

    /// Whether one begins with these bytes, and `whole` finds the rest of it.
    #[inline]
    fn has(&self, first: u64, whole: impl Fn(&[u8]) -> bool) -> bool {
        let [a, b, c, ..] = first.to_le_bytes();
        let (triple, third) = Keys::triple([a, b, c]);
        let (pair, second) = Keys::pair(a, b);
        let may = (self.triples[triple] & third != 0)
            | (self.pairs[pair] & second != 0)
            | self.any[usize::from(a)];
        may && self.find(first, whole)
    }

    #[inline(never)]
    fn find(&self, first: u64, whole: impl Fn(&[u8]) -> bool) -> bool {
        self.of(first, whole).next().is_some()
    }

    /// Those that begin with these bytes, if `whole` finds the rest of them.
    fn of(&self, first: u64, whole: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = &Literal> {
        let [a, b, ..] = first.to_le_bytes();
        let literals = self.literals[Keys::slot(a, b)].iter().chain(&self.short[usize::from(a)]);
        literals
            .filter(move |l| (l.first ^ first) & l.mask == 0)
            .filter(move |l| l.whole.as_ref().is_none_or(|literal| whole(literal)))
    }

    fn slot(a: u8, b: u8) -> usize {
        usize::from(a.wrapping_mul(31) ^ b)
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

/// The first eight bytes; behind the last one stand line ends, which no literal has.
#[inline]
fn word(row: &[u8]) -> u64 {
    match row.first_chunk() {
        Some(first) => u64::from_le_bytes(*first),
        None => {
            let mut first = [b'\n'; 8];
            first[..row.len()].copy_from_slice(row);
            u64::from_le_bytes(first)
        }
    }
}

/// The same with a run of digits at the start as one 0.
fn folded(row: &[u8]) -> u64 {
    match row.iter().take_while(|c| c.is_ascii_digit()).count() {
        0 => word(row),
        digits => word(&row[digits..]) << 8 | u64::from(b'0'),
    }
}

/// The last eight bytes, the last one first, a run of digits there as one 0.
fn folded_back(row: &[u8]) -> u64 {
    match row.iter().rev().take_while(|c| c.is_ascii_digit()).count() {
        0 => word_back(row),
        digits => word_back(&row[..row.len() - digits]) << 8 | u64::from(b'0'),
    }
}

fn word_back(row: &[u8]) -> u64 {
    match row.last_chunk() {
        Some(last) => u64::from_be_bytes(*last),
        None => {
            let mut last = [b'\n'; 8];
            last[8 - row.len()..].copy_from_slice(row);
            u64::from_be_bytes(last)
        }
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
        let edge = |all: &[&str]| -> Vec<(Vec<u8>, Option<u16>)> {
            all.iter().map(|l| ((*l).into(), Some(0))).collect()
        };
        let (starts, ends) = (edge(&["FAIL", "OK", "0 passed"]), edge(&[".js", "Stop.", " in 0"]));
        Filter::new(&holds, [&starts, &edge(&["at "]), &ends]).expect("a filter")
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
        // in a text, at its end, and alone
        let edges = |row: &str, later| {
            let (long, last) = (format!("12 passed\n{row}\nx.js"), format!("x\n{row}"));
            let all = [(&long, 10), (&last, 2), (&row.to_string(), 0)]
                .map(|(text, at)| filter.edges(text.as_bytes(), at..at + row.len(), later));
            assert!(all == [all[0]; 3], "{row}");
            all[0]
        };
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
            "done in 123",
            "a.c:3",
            "[ERROR] src/a.scala:3: x",
            "C:\\a.c:3",
            "./a.sh: line 3: x",
            "Makefile:3: x",
            "a.pas(4,8) Error: x",
            "a.nim(2, 3) Error: x",
        ] {
            assert!(edges(row, false), "{row}");
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
            "done in x",
            "error:3",
            "f(2) x",
            "a.b( x",
        ] {
            assert!(!edges(row, false), "{row}");
        }
        assert!(edges("  at x", true) && !edges("  at x", false));
        let row = "job\tstep\t2024-05-01T10:00:00.0Z FAIL";
        assert!(filter.begins_named(row.as_bytes(), false) && !edges(row, false));
    }
}
