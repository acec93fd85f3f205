//! Text of two bytes a character, as the shells of Windows write it: made UTF-8 before it is read.

use std::borrow::Cow;

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// What the first two bytes of a stream say: its byte order mark.
#[derive(Default)]
pub enum Utf16 {
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

impl Utf16 {
    /// The bytes as UTF-8; what is not whole waits for the next ones.
    pub fn read<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Utf16::No => Cow::Borrowed(bytes),
            Utf16::Yes(decoder) => Cow::Owned(decoder.read(bytes).into_bytes()),
            Utf16::Unknown => match bytes {
                [] => Cow::Borrowed(bytes),
                [half @ (0xfe | 0xff)] => {
                    *self = Utf16::Half(*half);
                    Cow::Borrowed(&[])
                }
                _ => self.begin(Cow::Borrowed(bytes)),
            },
            Utf16::Half(half) if !bytes.is_empty() => {
                let all = [&[*half], bytes].concat();
                self.begin(Cow::Owned(all))
            }
            Utf16::Half(_) => Cow::Borrowed(bytes),
        }
    }

    fn begin<'a>(&mut self, bytes: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        let big = match *bytes {
            [0xff, 0xfe, ..] => false,
            [0xfe, 0xff, ..] => true,
            _ => {
                *self = Utf16::No;
                return bytes;
            }
        };
        let mut decoder = Decoder { big, byte: None, high: None };
        let text = decoder.read(&bytes[2..]);
        *self = Utf16::Yes(decoder);
        Cow::Owned(text.into_bytes())
    }

    /// What waited when the stream ended.
    pub fn finish(&mut self) -> Vec<u8> {
        match std::mem::replace(self, Utf16::No) {
            Utf16::Half(half) => vec![half],
            Utf16::Yes(Decoder { byte: None, high: None, .. }) | Utf16::Unknown | Utf16::No => {
                Vec::new()
            }
            Utf16::Yes(_) => REPLACEMENT.to_string().into_bytes(),
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
    use super::Utf16;

    /// The same however the stream is cut.
    fn read(bytes: &[u8]) -> String {
        let of = |size: usize| {
            let mut utf16 = Utf16::default();
            let mut all = Vec::new();
            bytes.chunks(size).for_each(|piece| all.extend_from_slice(&utf16.read(piece)));
            all.extend(utf16.finish());
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
