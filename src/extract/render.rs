//! One line of terminal output as the rows that a reader sees: escapes carried out, not cut.

use std::borrow::Cow;

use memchr::{memchr, memrchr};

use super::decoder::lossy;
use super::plain::ROW;

/// A shell's own mark in the stream (OSC 133).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The prompt ends here; what follows on the row is the command.
    Input(usize),
    Start,
    End(Option<i64>),
}

#[derive(Default)]
pub struct Rendered {
    pub rows: Vec<String>,
    /// Each with the row it stands on.
    pub marks: Vec<(usize, Mark)>,
}

/// The widest move to the right that is drawn as blanks.
const WIDEST: usize = 400;
/// The same of all moves of a line, and the rows that a line may draw.
const BLANKS: usize = 16 << 10;
const ROWS: usize = 16 << 10;

/// A line of bytes, as it is seen.
pub enum Look<'a> {
    Row(Cow<'a, str>),
    Rows(Rendered),
}

pub fn look(line: &[u8]) -> Look<'_> {
    let returns = line.iter().rev().take_while(|c| **c == b'\r').count();
    let line = &line[..line.len() - returns];
    if is_plain(line) {
        return Look::Row(lossy(line));
    }
    if memchr(0x1b, line).is_some() {
        return Look::Rows(render(&lossy(line)));
    }
    let mut rows: Vec<String> = line.splitn(ROWS, |c| *c == ROW).map(seen).collect();
    match rows.len() {
        1 => Look::Row(Cow::Owned(rows.remove(0))),
        _ => Look::Rows(Rendered { rows, marks: Vec::new() }),
    }
}

/// A row without escapes: what stands after its last carriage return, but for those at its end.
fn seen(row: &[u8]) -> String {
    let returns = row.iter().rev().take_while(|c| **c == b'\r').count();
    let row = &row[..row.len() - returns];
    let row = &row[memrchr(b'\r', row).map_or(0, |at| at + 1)..];
    let row = lossy(row);
    if is_plain(row.as_bytes()) { row.into_owned() } else { render(&row).rows.concat() }
}

/// No control but a tab: nothing that is carried out.
fn is_plain(line: &[u8]) -> bool {
    // Without a branch, so that it is done on vectors.
    let odd = |c: u8| (c < 0x20 && c != b'\t') | (c == 0x7f) | (c == 0xc2);
    !line.iter().fold(false, |any, c| any | odd(*c))
}

pub fn render(line: &str) -> Rendered {
    let mut out = Rendered::default();
    let mut row = String::new();
    let (mut returned, mut blanks) = (false, 0);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                Some('[') => {
                    let mut params = String::new();
                    let mut last = None;
                    for c in chars.by_ref() {
                        if ('@'..='~').contains(&c) {
                            last = Some(c);
                            break;
                        }
                        if params.len() < 64 {
                            params.push(c);
                        }
                    }
                    control(last, &params, &mut row, &mut returned, &mut blanks, &mut out);
                }
                Some(']') => {
                    let text = string(&mut chars);
                    if let Some(mark) = mark(&text, row.len()) {
                        out.marks.push((out.rows.len(), mark));
                    }
                }
                Some('P' | 'X' | '^' | '_') => {
                    string(&mut chars);
                }
                // These take one more byte: character sets.
                Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => {
                    chars.next();
                }
                _ => {}
            },
            '\r' => returned = true,
            '\u{8}' => {
                row.pop();
            }
            '\t' => print(&mut row, &mut returned, '\t'),
            '\0' => print(&mut row, &mut returned, '\u{fffd}'),
            c if c.is_control() => {}
            c => print(&mut row, &mut returned, c),
        }
    }
    out.rows.push(row);
    out
}

/// A carriage return alone keeps the row; the first thing printed after it replaces it.
fn print(row: &mut String, returned: &mut bool, c: char) {
    if std::mem::take(returned) {
        row.clear();
    }
    row.push(c);
}

fn control(
    last: Option<char>,
    params: &str,
    row: &mut String,
    returned: &mut bool,
    blanks: &mut usize,
    out: &mut Rendered,
) {
    let first = params.split(';').next().and_then(|p| p.parse::<usize>().ok());
    match last {
        Some('C') => {
            let left = BLANKS.saturating_sub(*blanks).clamp(1, WIDEST);
            let n = first.unwrap_or(1).clamp(1, left);
            *blanks += n;
            for _ in 0..n {
                print(row, returned, ' ');
            }
        }
        Some('H' | 'f' | 'A' | 'B' | 'E' | 'F' | 'J' | 'd')
            if !row.trim().is_empty() && out.rows.len() < ROWS =>
        {
            *returned = false;
            out.rows.push(std::mem::take(row));
        }
        Some('G') if first.unwrap_or(1) <= 1 => *returned = true,
        Some('K') if first == Some(2) => row.clear(),
        _ => {}
    }
}

/// The text of a control string, up to its terminator.
fn string(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\u{7}' | '\u{9c}' => break,
            '\u{1b}' => {
                if chars.peek() == Some(&'\\') {
                    chars.next();
                }
                break;
            }
            c if text.len() < 256 => text.push(c),
            _ => {}
        }
    }
    text
}

fn mark(text: &str, column: usize) -> Option<Mark> {
    let mut parts = text.strip_prefix("133;")?.split(';');
    match parts.next()? {
        "B" => Some(Mark::Input(column)),
        "C" => Some(Mark::Start),
        "D" => Some(Mark::End(parts.next().and_then(|code| code.parse().ok()))),
        _ => None,
    }
}

/// A row without the frame that a full-screen program draws around it.
pub fn unframe(row: &str) -> &str {
    let text = row.trim();
    match text.strip_prefix(['│', '┃', '║', '|']).and_then(|t| t.strip_suffix(['│', '┃', '║', '|']))
    {
        Some(inner) => inner.strip_prefix(' ').unwrap_or(inner).trim_end(),
        None => row,
    }
}

#[cfg(test)]
mod tests {
    use super::{Mark, render};

    #[test]
    fn moves_become_blanks_and_rows() {
        assert_eq!(render("a\u{1b}[3Cb\u{1b}[2;1Hc").rows, ["a   b", "c"]);
        assert_eq!(render("10%\r50%\r\u{1b}[0K\u{1b}[31mdone\u{1b}[0m\r").rows, ["done"]);
        assert_eq!(render("\u{1b}]0;title\u{7}x\u{1b}]8;;http://a\u{1b}\\y").rows, ["xy"]);
    }

    #[test]
    fn shell_marks_carry_the_exit_code() {
        let marks = render("\u{1b}]133;D;42\u{7}\u{1b}]133;A\u{7}$ \u{1b}]133;B\u{7}ls").marks;
        assert_eq!(marks, [(0, Mark::End(Some(42))), (0, Mark::Input(2))]);
    }
}
