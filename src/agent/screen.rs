//! A captured screen, as rules look at it.

use super::Material;

/// The rows without their colours.
pub struct Screen {
    pub title: String,
    /// As they stand.
    pub rows: Vec<String>,
    /// The same without what is printed faint: placeholders and suggestions are nobody's text.
    pub typed: Vec<String>,
}

impl Screen {
    pub fn read(m: &Material) -> Screen {
        let (mut faint, mut grey) = (false, false);
        let mut rows = Vec::new();
        let mut typed = Vec::new();
        for row in &m.screen {
            let (whole, bright) = split(row, &mut faint, &mut grey);
            rows.push(whole.trim_end().to_owned());
            typed.push(bright.trim_end().to_owned());
        }
        Screen { title: m.title.clone(), rows, typed }
    }

    /// The last `n` rows that hold something.
    pub fn bottom(&self, n: usize) -> impl DoubleEndedIterator<Item = &str> {
        let full: Vec<&str> =
            self.rows.iter().map(String::as_str).filter(|r| !r.trim().is_empty()).collect();
        full.into_iter().rev().take(n).rev()
    }
}

/// A row without its sequences, and the same without what is faint (SGR 2) or grey.
fn split(row: &str, faint: &mut bool, grey: &mut bool) -> (String, String) {
    let (mut whole, mut bright) = (String::new(), String::new());
    let mut chars = row.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            // Claude draws its cursor over a no-break space
            let c = if c == '\u{a0}' { ' ' } else { c };
            whole.push(c);
            bright.push(if *faint || *grey { ' ' } else { c });
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
                    colour(&body, faint, grey);
                }
                break;
            }
            body.push(c);
        }
    }
    (whole, bright)
}

fn colour(body: &str, faint: &mut bool, grey: &mut bool) {
    let mut codes = body.split([';', ':']).map(|n| n.parse::<u16>().unwrap_or(0));
    while let Some(code) = codes.next() {
        match code {
            0 => (*faint, *grey) = (false, false),
            2 => *faint = true,
            22 => *faint = false,
            90 => *grey = true,
            30..=37 | 39 | 91..=97 => *grey = false,
            38 => match codes.next() {
                // the greys of the 256 colours that clients use for hints
                Some(5) => *grey = codes.next().is_some_and(|n| (240..=250).contains(&n)),
                Some(2) => {
                    let rgb: Vec<u16> = codes.by_ref().take(3).collect();
                    *grey = rgb.windows(2).all(|w| w[0].abs_diff(w[1]) < 12)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_faint_is_nobodys_text() {
        let (mut faint, mut grey) = (false, false);
        let mut read = |row: &str| split(row, &mut faint, &mut grey);
        let (whole, bright) = read("\u{1b}[1m›\u{1b}[0m \u{1b}[2mAsk Codex\u{1b}[0m x");
        assert_eq!((whole.as_str(), bright.as_str()), ("› Ask Codex x", "›           x"));
        let (whole, bright) =
            read("\u{1b}[39m❯\u{a0}a\u{1b}[7m \u{1b}[0m\u{1b}[38;5;246mhint\u{1b}[39m");
        assert_eq!((whole.trim_end(), bright.trim_end()), ("❯ a hint", "❯ a"));
    }
}
