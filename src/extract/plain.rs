//! A block of lines without the escapes that only colour it, line for line.

use memchr::{memchr, memrchr};

/// Blanks that a move to the right stands for, at most.
const WIDEST: usize = 400;

/// Lines that cannot be had by leaving something out (moves, erased rows, a shell's marks) stay
/// as they are, escapes included; `odd` gets the positions in `out` at which they begin.
/// False: there is nothing to leave out and `out` is not used.
pub fn strip(block: &[u8], out: &mut Vec<u8>, odd: &mut Vec<usize>) -> bool {
    let Some(mut escape) = memchr(0x1b, block) else { return false };
    out.clear();
    let mut at = 0;
    loop {
        out.extend_from_slice(&block[at..escape]);
        match sequence(&block[escape..]) {
            Sequence::Skip(length) => at = escape + length,
            Sequence::Right(n, length) => {
                out.resize(out.len() + n, b' ');
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
    /// Blanks, and the bytes that they stand for.
    Right(usize, usize),
    Odd,
}

/// The sequence that these bytes begin with.
fn sequence(bytes: &[u8]) -> Sequence {
    match bytes.get(1) {
        Some(b'[') => {
            let length = bytes[2..].iter().position(|c| !matches!(c, 0x20..0x40));
            let Some(length) = length else { return Sequence::Odd };
            let (params, end) = (&bytes[2..2 + length], 3 + length);
            match bytes[2 + length] {
                b'm' | b'h' | b'l' => Sequence::Skip(end),
                b'K' if params.is_empty() || params == b"0" => Sequence::Skip(end),
                b'C' => match std::str::from_utf8(params).map(str::parse::<usize>) {
                    Ok(Ok(n)) => Sequence::Right(n.clamp(1, WIDEST), end),
                    _ if params.is_empty() => Sequence::Right(1, end),
                    _ => Sequence::Odd,
                },
                _ => Sequence::Odd,
            }
        }
        Some(b']') if !bytes[2..].starts_with(b"133;") => {
            let end = bytes[2..].iter().position(|c| matches!(c, 0x07 | 0x1b | b'\n'));
            match end.map(|end| (2 + end, &bytes[2 + end..])) {
                Some((end, [0x07, ..])) => Sequence::Skip(end + 1),
                Some((end, [0x1b, b'\\', ..])) => Sequence::Skip(end + 2),
                _ => Sequence::Odd,
            }
        }
        Some(b'(' | b')') if bytes.len() > 2 && bytes[2] != b'\n' => Sequence::Skip(3),
        Some(b'=' | b'>') => Sequence::Skip(2),
        _ => Sequence::Odd,
    }
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
    fn colours_are_left_out_and_moves_are_left_in() {
        assert_eq!(stripped("plain\n"), ("plain\n".into(), vec![]));
        assert_eq!(stripped("\u{1b}[31ma\u{1b}[0m\u{1b}[2Cb\u{1b}[K\n"), ("a  b\n".into(), vec![]));
        assert_eq!(stripped("\u{1b}]8;;http://a\u{1b}\\x\u{1b}]0;t\u{7}y"), ("xy".into(), vec![]));
        let moved = "\u{1b}[1ma\nb\u{1b}[1mc\u{1b}[3;1Hd\ne\u{1b}[1m";
        assert_eq!(stripped(moved), ("a\nb\u{1b}[1mc\u{1b}[3;1Hd\ne".into(), vec![2]));
        assert_eq!(stripped("a\u{1b}[31").1, [0]);
        assert_eq!(stripped("\u{1b}]133;D;1\u{7}\nb").1, [0]);
    }
}
