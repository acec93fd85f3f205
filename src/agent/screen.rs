//! A captured screen, as rules look at it.

use super::Material;

/// The rows without their colours, three times, column by column the same.
#[derive(Default)]
pub struct Screen {
    pub title: String,
    /// As they stand.
    pub rows: Vec<String>,
    /// Without what is faint or reversed: a turn of the history and a menu's choice are no composer.
    pub lit: Vec<String>,
    /// Without what is faint or grey: placeholders and suggestions are nobody's text.
    pub typed: Vec<String>,
}

impl Screen {
    pub fn read(m: &Material) -> Screen {
        let mut pen = Pen::default();
        let mut s = Screen::default();
        for row in &m.screen {
            let views = split(row, &mut pen);
            s.rows.push(end(&views.whole));
            s.lit.push(end(&views.lit));
            s.typed.push(end(&views.typed));
        }
        s.title.clone_from(&m.title);
        s
    }

    /// The last `n` rows that hold something, of the first `end`.
    pub fn last(&self, n: usize, end: usize) -> Vec<&str> {
        let full = self.rows[..end].iter().map(String::as_str).filter(|r| !r.trim().is_empty());
        let mut rows: Vec<&str> = full.rev().take(n).collect();
        rows.reverse();
        rows
    }
}

/// A row to its end; a no-break space belongs to it, as the mark of Claude's composer.
fn end(row: &str) -> String {
    row.trim_end_matches([' ', '\t']).to_owned()
}

/// How the next character is drawn.
#[derive(Clone, Copy, Default)]
struct Pen {
    faint: bool,
    grey: bool,
    reversed: bool,
}

#[derive(Default)]
struct Views {
    whole: String,
    lit: String,
    typed: String,
}

/// A row without its sequences.
fn split(row: &str, pen: &mut Pen) -> Views {
    let mut v = Views::default();
    // where the cursor's cell begins, if it was the last one
    let mut cursor: Option<usize> = None;
    let mut chars = row.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            let hidden = pen.faint || pen.grey;
            // the cursor stands on the first letter of the placeholder, which is as faint as the rest
            if let Some(at) = cursor.take().filter(|_| pen.faint && !pen.reversed) {
                v.typed.replace_range(at.., " ");
            }
            cursor = pen.reversed.then_some(v.typed.len());
            v.whole.push(c);
            v.lit.push(if pen.faint || pen.reversed { ' ' } else { c });
            v.typed.push(if hidden { ' ' } else { c });
            continue;
        }
        if chars.next_if_eq(&'[').is_none() {
            // OSC 8 links and character sets: to their end
            if chars.next_if_eq(&']').is_some() {
                while let Some(c) = chars.next() {
                    if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                        break;
                    }
                }
            } else {
                chars.next();
            }
            continue;
        }
        let mut body = String::new();
        for c in chars.by_ref() {
            if ('@'..='~').contains(&c) {
                if c == 'm' {
                    pen.set(&body);
                }
                break;
            }
            body.push(c);
        }
    }
    v
}

impl Pen {
    fn set(&mut self, body: &str) {
        let mut codes = body.split([';', ':']).map(|n| n.parse::<u16>().unwrap_or(0));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Pen::default(),
                2 => self.faint = true,
                22 => self.faint = false,
                7 => self.reversed = true,
                27 => self.reversed = false,
                90 => self.grey = true,
                30..=37 | 39 | 91..=97 => self.grey = false,
                38 => match codes.next() {
                    // the greys of the 256 colours that clients use for hints
                    Some(5) => self.grey = codes.next().is_some_and(|n| (240..=250).contains(&n)),
                    Some(2) => {
                        let rgb: Vec<u16> = codes.by_ref().take(3).collect();
                        self.grey = rgb.windows(2).all(|w| w[0].abs_diff(w[1]) < 12)
                            && rgb.first().is_some_and(|n| (80..=180).contains(n));
                    }
                    _ => {}
                },
                48 => match codes.next() {
                    Some(5) => drop(codes.next()),
                    Some(2) => codes.by_ref().take(3).for_each(drop),
                    _ => {}
                },
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_faint_is_nobodys_text() {
        let typed = |row: &str| end(&split(row, &mut Pen::default()).typed);
        let lit = |row: &str| end(&split(row, &mut Pen::default()).lit);
        assert_eq!(typed("\u{1b}[1m›\u{1b}[0m \u{1b}[2mAsk Codex\u{1b}[0m x"), "›           x");
        let draft = "\u{1b}[39m❯\u{a0}a\u{1b}[7m \u{1b}[0m\u{1b}[38;5;246mhint\u{1b}[39m";
        assert_eq!((typed(draft), lit(draft)), ("❯\u{a0}a".into(), "❯\u{a0}a hint".into()));
        let placeholder = "\u{1b}[38;5;246m❯\u{a0}\u{1b}[7m\u{1b}[39mP\u{1b}[0;2mress up";
        assert_eq!((typed(placeholder), lit(placeholder)), (String::new(), "❯\u{a0}".into()));
        let within = "❯\u{a0}ab\u{1b}[7mc\u{1b}[0mde";
        assert_eq!(typed(within), "❯\u{a0}abcde");
        assert_eq!(lit("\u{1b}[1;2m› \u{1b}[0mold turn").trim(), "old turn");
        assert_eq!(lit("\u{1b}[1;7m› 1. Yes"), "");
    }
}
