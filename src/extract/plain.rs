//! A block of lines without its escapes, line for line.

use memchr::{memchr, memrchr};

/// Blanks that a move to the right stands for, at most.
const WIDEST: usize = 400;
/// The same of all moves of a line.
const BLANKS: usize = 16 << 10;
/// Stands between the rows that one line draws (a vertical tab).
pub const ROW: u8 = 0x0b;

/// Colours are left out; a move to another row becomes `ROW`, an erased row a carriage return.
/// A line with a shell's marks stays as it is; `odd` gets the position in `out` at which it begins.
/// False: there is no escape in the block and `out` is not used.
pub fn strip(block: &[u8], out: &mut Vec<u8>, odd: &mut Vec<usize>) -> bool {
    let Some(mut escape) = memchr(0x1b, block) else { return false };
    out.clear();
    let (mut at, mut blanks, mut seen) = (0, 0, 0);
    loop {
        out.extend_from_slice(&block[at..escape]);
        match sequence(&block[escape..]) {
            Sequence::Skip(length) => at = escape + length,
            Sequence::Put(n, c, length) => {
                if n > 1 && memchr(b'\n', out.get(seen..).unwrap_or(out)).is_some() {
                    blanks = 0;
                }
                // A move still parts words.
                let n = n.min(BLANKS.saturating_sub(blanks)).max(1);
                if n > 1 {
                    (blanks, seen) = (blanks + n, out.len());
                }
                out.resize(out.len() + n, c);
                at = escape + length;
            }
            Sequence::Odd => {
                let begin = memrchr(b'\n', &block[..escape]).map_or(0, |i| i + 1);
                let end = memchr(b'\n', &block[escape..]).map_or(block.len(), |i| escape + i);
                out.truncate(memrchr(b'\n', out).map_or(0, |i| i + 1));
                odd.push(out.len());
                out.extend_from_slice(&block[begin..end]);
                at = end;
            }
        }
        match memchr(0x1b, &block[at..]) {
            Some(next) => escape = at + next,
            None => break,
        }
    }
    out.extend_from_slice(&block[at..]);
    true
}

enum Sequence {
    /// So many bytes that draw nothing.
    Skip(usize),
    /// So many of a byte, and the bytes that they stand for.
    Put(usize, u8, usize),
    Odd,
}

/// The sequence that these bytes begin with; it goes no further than the line.
fn sequence(bytes: &[u8]) -> Sequence {
    match bytes.get(1) {
        Some(b'[') => {
            let length = bytes[2..].iter().position(|c| !matches!(c, 0x20..0x40));
            let length = length.unwrap_or(bytes.len() - 2);
            let (params, end) = (&bytes[2..2 + length], (3 + length).min(bytes.len()));
            match bytes.get(2 + length) {
                Some(b'C') => Sequence::Put(number(params).clamp(1, WIDEST), b' ', end),
                Some(b'K') if params == b"2" => Sequence::Put(1, b'\r', end),
                Some(b'G') if number(params) <= 1 => Sequence::Put(1, b'\r', end),
                Some(b'H' | b'f' | b'A' | b'B' | b'E' | b'F' | b'J' | b'd') => {
                    Sequence::Put(1, ROW, end)
                }
                Some(0x40..=0x7e) => Sequence::Skip(end),
                _ => Sequence::Skip(2 + length),
            }
        }
        Some(b']') if bytes[2..].starts_with(b"133;") => Sequence::Odd,
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let end = bytes[2..].iter().position(|c| matches!(c, 0x07 | 0x1b | b'\n'));
            let end = end.map_or(bytes.len(), |end| end + 2);
            match &bytes[end..] {
                [0x07, ..] => Sequence::Skip(end + 1),
                [0x1b, b'\\', ..] => Sequence::Skip(end + 2),
                _ => Sequence::Skip(end),
            }
        }
        Some(b'(' | b')' | b'*' | b'+' | b'#' | b'%' | b' ') => match bytes.get(2) {
            Some(b'\n') | None => Sequence::Skip(2),
            Some(_) => Sequence::Skip(3),
        },
        Some(b'\n') | None => Sequence::Skip(1),
        Some(0x30..=0x7e) => Sequence::Skip(2),
        Some(_) => Sequence::Skip(1),
    }
}

fn number(digits: &[u8]) -> usize {
    std::str::from_utf8(digits).ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::strip;

    fn stripped(block: &str) -> (String, Vec<usize>) {
        let (mut out, mut odd) = (Vec::new(), Vec::new());
        let all = strip(block.as_bytes(), &mut out, &mut odd);
        let text = if all { out } else { block.into() };
        (String::from_utf8(text).expect("UTF-8"), odd)
    }

    #[test]
    fn escapes_are_left_out_and_moves_leave_their_mark() {
        assert_eq!(stripped("plain\n"), ("plain\n".into(), vec![]));
        assert_eq!(stripped("\u{1b}[31ma\u{1b}[0m\u{1b}[2Cb\u{1b}[K\n"), ("a  b\n".into(), vec![]));
        assert_eq!(stripped("\u{1b}]8;;http://a\u{1b}\\x\u{1b}]0;t\u{7}y"), ("xy".into(), vec![]));
        let moved = "\u{1b}[1ma\nb\u{1b}[1mc\u{1b}[3;1Hd\u{1b}[2Ke\u{1b}[1m\u{1b}7";
        assert_eq!(stripped(moved), ("a\nbc\u{b}d\re".into(), vec![]));
        assert_eq!(stripped("a\u{1b}[31\nb\u{1b}]0;x\nc\u{1b}"), ("a\nb\nc".into(), vec![]));
        assert_eq!(stripped("\u{1b}]133;D;1\u{7}\nb").1, [0]);
    }
}
