//! Terminal bytes as text, controls and sequences, whatever the pieces they come in.

use std::borrow::Cow;

/// A sequence longer than this is skipped: pictures, clipboards.
const LONGEST: usize = 4096;

#[derive(Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// What is no UTF-8 is replaced.
    Text(Cow<'a, str>),
    Control(u8),
    Escape(u8),
    Csi {
        /// Private marks and intermediates included.
        params: &'a [u8],
        last: u8,
    },
    Osc(&'a [u8]),
    /// A sequence that draws nothing.
    Other,
}

#[derive(Default)]
pub struct Escapes {
    /// The beginning of a token whose end has not come yet.
    held: Vec<u8>,
    /// Inside a string that is too long.
    skipping: bool,
}

impl Escapes {
    /// Calls `each` for every token that is whole, with its length in bytes.
    pub fn push(&mut self, bytes: &[u8], each: impl FnMut(Token<'_>, usize)) {
        if self.held.is_empty() {
            let used = self.cut(bytes, each);
            self.held.extend_from_slice(&bytes[used..]);
        } else {
            let mut whole = std::mem::take(&mut self.held);
            whole.extend_from_slice(bytes);
            let used = self.cut(&whole, each);
            whole.drain(..used);
            self.held = whole;
        }
    }

    fn cut(&mut self, bytes: &[u8], mut each: impl FnMut(Token<'_>, usize)) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let (token, length) = if self.skipping {
                match string_end(rest) {
                    Some((_, next)) => {
                        self.skipping = false;
                        (Token::Other, next)
                    }
                    // An ESC at the very end may be half of the terminator.
                    None => match rest.len() - usize::from(rest.last() == Some(&0x1b)) {
                        0 => return at,
                        n => (Token::Other, n),
                    },
                }
            } else {
                match next(rest) {
                    Some(found) => found,
                    None if rest.len() < LONGEST => return at,
                    None => {
                        self.skipping = matches!(rest[1], b']' | b'P' | b'X' | b'^' | b'_');
                        (Token::Other, 2)
                    }
                }
            };
            each(token, length);
            at += length;
        }
        at
    }
}

/// The first token, if all of it is there.
fn next(bytes: &[u8]) -> Option<(Token<'_>, usize)> {
    match bytes[0] {
        0x1b => sequence(bytes),
        c if is_control(c) => Some((Token::Control(c), 1)),
        _ => text(bytes),
    }
}

fn is_control(c: u8) -> bool {
    c < 0x20 || c == 0x7f
}

fn text(bytes: &[u8]) -> Option<(Token<'_>, usize)> {
    let end = bytes.iter().position(|c| is_control(*c)).unwrap_or(bytes.len());
    let begun = if end == bytes.len() { begun(bytes) } else { 0 };
    let text = &bytes[..end - begun];
    (!text.is_empty()).then(|| (Token::Text(String::from_utf8_lossy(text)), text.len()))
}

/// The length of a character at the end whose other bytes have not come yet.
fn begun(bytes: &[u8]) -> usize {
    let is_begun = |n: &usize| {
        let tail = bytes.len().checked_sub(*n).map(|at| &bytes[at..]);
        let bad = tail.and_then(|tail| std::str::from_utf8(tail).err());
        bad.is_some_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
    };
    (1..4).find(is_begun).unwrap_or(0)
}

fn sequence(bytes: &[u8]) -> Option<(Token<'_>, usize)> {
    // No further than this, so that it does not matter how much has already come.
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    match *bytes.get(1)? {
        b'[' => {
            let end = 2 + bytes[2..].iter().position(|c| !(0x20..0x40).contains(c))?;
            match bytes[end] {
                last @ 0x40..=0x7e => Some((Token::Csi { params: &bytes[2..end], last }, end + 1)),
                _ => Some((Token::Other, end)),
            }
        }
        b']' => {
            let (length, after) = string_end(&bytes[2..])?;
            Some((Token::Osc(&bytes[2..2 + length]), 2 + after))
        }
        b'P' | b'X' | b'^' | b'_' => Some((Token::Other, 2 + string_end(&bytes[2..])?.1)),
        0x20..0x30 => {
            let end = 2 + bytes[2..].iter().position(|c| !(0x20..0x30).contains(c))?;
            let length = if is_control(bytes[end]) { end } else { end + 1 };
            Some((Token::Other, length))
        }
        c @ 0x30..0x7f => Some((Token::Escape(c), 2)),
        _ => Some((Token::Other, 1)),
    }
}

/// Where a control string ends and where its terminator does. An ESC that is no terminator ends
/// it as well, and begins what follows.
fn string_end(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.iter().position(|c| matches!(c, 0x07 | 0x18 | 0x1a | 0x1b))?;
    match (bytes[end], bytes.get(end + 1)) {
        (0x1b, Some(b'\\')) => Some((end, end + 2)),
        (0x1b, Some(_)) => Some((end, end)),
        (0x1b, None) => None,
        _ => Some((end, end + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::Escapes;

    fn tokens(pieces: &[&[u8]]) -> Vec<String> {
        let (mut escapes, mut out) = (Escapes::default(), Vec::new());
        for piece in pieces {
            escapes.push(piece, |token, _| out.push(format!("{token:?}")));
        }
        out
    }

    #[test]
    fn a_token_comes_whole_whatever_its_pieces() {
        let input = "é\u{1b}[1;2Hx\u{1b}]7501;state=idle\u{1b}\\\u{1b}(B\u{1b}7\r".as_bytes();
        let whole = tokens(&[input]);
        assert_eq!(whole.len(), 7, "{whole:?}");
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(tokens(&bytes), whole);
    }

    #[test]
    fn a_string_without_end_is_not_kept() {
        let mut input = b"\x1b]52;".to_vec();
        input.resize(100_000, b'x');
        let mut escapes = Escapes::default();
        for piece in input.chunks(777) {
            escapes.push(piece, |_, _| ());
            assert!(escapes.held.len() <= super::LONGEST);
        }
        let mut seen = Vec::new();
        escapes.push(b"\x1b", |_, _| ());
        escapes.push(b"\\hi", |token, _| seen.push(format!("{token:?}")));
        assert_eq!(seen.last().map(String::as_str), Some("Text(\"hi\")"));
    }
}
