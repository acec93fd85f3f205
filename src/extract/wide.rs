//! Text of two bytes a character, as the shells of Windows write it: made UTF-8 before it is read.

use std::borrow::Cow;

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// What the first two bytes of a stream say: its byte order mark.
#[derive(Default)]
pub enum Wide {
    /// Too few have come; the first one, if it may be half a mark.
    #[default]
    Unknown,
    Half(u8),
    No,
    Yes(Decoder),
}

pub struct Decoder {
    big: bool,
    /// Half a unit, and the first unit of a pair.
    byte: Option<u8>,
    high: Option<u16>,
}

impl Wide {
    /// The bytes as UTF-8; what is not whole waits for the next ones.
    pub fn read<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Wide::No => Cow::Borrowed(bytes),
            Wide::Yes(decoder) => Cow::Owned(decoder.read(bytes).into_bytes()),
            Wide::Unknown => match bytes {
                [] => Cow::Borrowed(bytes),
                [half @ (0xfe | 0xff)] => {
                    *self = Wide::Half(*half);
                    Cow::Borrowed(&[])
                }
                _ => self.begin(Cow::Borrowed(bytes)),
            },
            Wide::Half(half) if !bytes.is_empty() => {
                let all = [&[*half], bytes].concat();
                self.begin(Cow::Owned(all))
            }
            Wide::Half(_) => Cow::Borrowed(bytes),
        }
    }

    fn begin<'a>(&mut self, bytes: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        let big = match *bytes {
            [0xff, 0xfe, ..] => false,
            [0xfe, 0xff, ..] => true,
            _ => {
                *self = Wide::No;
                return bytes;
            }
        };
        let mut decoder = Decoder { big, byte: None, high: None };
        let text = decoder.read(&bytes[2..]);
        *self = Wide::Yes(decoder);
        Cow::Owned(text.into_bytes())
    }

    /// What waited when the stream ended.
    pub fn finish(&mut self) -> Vec<u8> {
        match std::mem::replace(self, Wide::No) {
            Wide::Half(half) => vec![half],
            Wide::Yes(Decoder { byte: None, high: None, .. }) | Wide::Unknown | Wide::No => {
                Vec::new()
            }
            Wide::Yes(_) => REPLACEMENT.to_string().into_bytes(),
        }
    }
}

impl Decoder {
    fn read(&mut self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len());
        for byte in bytes {
            let Some(first) = self.byte.take() else {
                self.byte = Some(*byte);
                continue;
            };
            let pair = [first, *byte];
            let unit = if self.big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) };
            self.unit(unit, &mut text);
        }
        text
    }

    fn unit(&mut self, unit: u16, text: &mut String) {
        let pair = self.high.take().map(|high| [high, unit]);
        if let Some(pair) = pair {
            let whole = char::decode_utf16(pair).next().and_then(Result::ok);
            text.push(whole.unwrap_or(REPLACEMENT));
            if whole.is_some() {
                return;
            }
        }
        match unit {
            0xd800..=0xdbff => self.high = Some(unit),
            _ => text.push(char::from_u32(u32::from(unit)).unwrap_or(REPLACEMENT)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Wide;

    /// The same however the stream is cut.
    fn read(bytes: &[u8]) -> String {
        let of = |size: usize| {
            let mut wide = Wide::default();
            let mut all = Vec::new();
            bytes.chunks(size).for_each(|piece| all.extend_from_slice(&wide.read(piece)));
            all.extend(wide.finish());
            all
        };
        assert_eq!(of(1), of(bytes.len().max(1)));
        String::from_utf8_lossy(&of(3)).into_owned()
    }

    #[test]
    fn a_mark_tells_how_text_is_written() {
        let little: Vec<u8> =
            "\u{feff}a ✓ 😀\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{feff}a ✓ 😀\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read(&little), "a ✓ 😀\n");
        assert_eq!(read(&big), "a ✓ 😀\n");
        assert_eq!(read("a ✓".as_bytes()), "a ✓");
        assert_eq!(read(b""), "");
        assert_eq!(read(b"\xff"), "\u{fffd}");
        assert_eq!(read(b"\xff\xfea\0\x3d\xd8b\0c"), "a\u{fffd}b\u{fffd}");
    }
}
