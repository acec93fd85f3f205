//! One line of terminal output as the rows that a reader sees: escapes carried out, not cut.

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

pub fn is_plain(line: &str) -> bool {
    !line.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f || b == 0xc2)
}

pub fn render(line: &str) -> Rendered {
    let mut out = Rendered::default();
    let mut row = String::new();
    let mut returned = false;
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
                    control(last, &params, &mut row, &mut returned, &mut out);
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
    out: &mut Rendered,
) {
    let first = params.split(';').next().and_then(|p| p.parse::<usize>().ok());
    match last {
        Some('C') => {
            for _ in 0..first.unwrap_or(1).clamp(1, WIDEST) {
                print(row, returned, ' ');
            }
        }
        Some('H' | 'f' | 'A' | 'B' | 'E' | 'F' | 'J' | 'd') if !row.trim().is_empty() => {
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

/// What CI systems write before a line.
pub fn strip_prefix(row: &str) -> &str {
    let mut row = row.strip_prefix('\u{feff}').unwrap_or(row);
    // gh run view --log: job, step, then the line.
    if let Some((job, rest)) = row.split_once('\t')
        && let Some((step, rest)) = rest.split_once('\t')
        && !job.is_empty()
        && !step.is_empty()
        && stamp(rest).is_some()
    {
        row = rest;
    }
    if let Some(rest) = row.strip_prefix('[') {
        // [2024-05-01T10:00:00.000Z] and [task 2024-05-01T10:00:00.000Z]
        let inner = rest.strip_prefix("task ").unwrap_or(rest);
        if let Some(rest) = stamp_body(inner).and_then(|r| r.strip_prefix(']')) {
            row = rest.strip_prefix(' ').unwrap_or(rest);
        }
    } else if let Some(rest) = stamp(row) {
        row = rest;
    }
    row.strip_prefix("[INFO] ").unwrap_or(row)
}

fn stamp(row: &str) -> Option<&str> {
    let rest = stamp_body(row)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(' ') }
}

fn stamp_body(row: &str) -> Option<&str> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let bytes = row.as_bytes();
    let fits = bytes.len() > SHAPE.len()
        && SHAPE.iter().zip(bytes).all(
            |(s, b)| {
                if *s == b'0' { b.is_ascii_digit() } else { s == b }
            },
        );
    if !fits {
        return None;
    }
    let rest = &row[SHAPE.len()..];
    let rest = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    rest.strip_prefix('Z')
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
    use super::{Mark, render, strip_prefix};

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

    #[test]
    fn a_ci_prefix_is_no_part_of_the_row() {
        assert_eq!(strip_prefix("2023-09-21T17:21:52.3063493Z ##[error]x"), "##[error]x");
        assert_eq!(strip_prefix("build\ttest\t2023-09-21T17:21:52.3Z ok"), "ok");
        assert_eq!(strip_prefix("2023-09-21 was a day"), "2023-09-21 was a day");
    }
}
