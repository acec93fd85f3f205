//! What CI systems and loggers write before a line.

/// How many prefixes may stand before each other.
const DEEPEST: usize = 4;
/// The names of a job and a step are no longer than this together.
const NAMES: usize = 200;

/// The row without them.
pub fn strip(row: &str) -> &str {
    row.get(length(row.as_bytes())..).unwrap_or(row)
}

/// The instant among them, if it names its zone.
pub fn instant(row: &str) -> Option<String> {
    let prefix = &row.as_bytes()[..length(row.as_bytes())];
    let from = prefix.windows(3).position(|w| w.starts_with(b"20") && w[2].is_ascii_digit())?;
    let stamp = row.get(from..from + stamp(&row.as_bytes()[from..]))?;
    stamp.parse::<jiff::Timestamp>().ok().map(|at| at.to_string())
}

/// Their length in bytes.
pub fn length(row: &[u8]) -> usize {
    let named = named(row);
    named + plain(&row[named..])
}

/// The same where no names of a job and a step stand before the others.
pub fn plain(row: &[u8]) -> usize {
    let mut at = 0;
    for _ in 0..DEEPEST {
        match one(&row[at..]) {
            0 => break,
            n => at += n,
        }
    }
    at
}

fn one(row: &[u8]) -> usize {
    let Some(first) = row.first() else { return 0 };
    match first {
        b'0'..=b'9' => match stamp(row).max(clock(row)) {
            0 => stream(row),
            n => spaced(row, n),
        },
        b' ' => level(row),
        b'[' if row.starts_with(b"[INFO] ") => 7,
        b'[' if row.get(1).is_some_and(|c| *c == b' ' || c.is_ascii_digit()) => {
            bracketed(row).max(elapsed(row))
        }
        b'[' => bracketed(row),
        b'#' => buildkit(row),
        0xef if row.starts_with("\u{feff}".as_bytes()) => 3,
        _ => 0,
    }
}

/// `gh run view --log`: job, step, stamp.
fn named(row: &[u8]) -> usize {
    let head = &row[..row.len().min(NAMES)];
    let Some(job) = memchr::memchr(b'\t', head).filter(|n| *n > 0) else { return 0 };
    let Some(step) = memchr::memchr(b'\t', &head[job + 1..]).filter(|n| *n > 0) else { return 0 };
    let at = job + step + 2;
    let bom = if row[at..].starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    if stamp(&row[at + bom..]) > 0 { at + bom } else { 0 }
}

/// A prefix and the blank after it; what follows a stamp without one is no text of its own.
fn spaced(row: &[u8], length: usize) -> usize {
    match row.get(length) {
        _ if length == 0 => 0,
        None => length,
        Some(b' ' | b'\t') => length + 1,
        Some(_) => 0,
    }
}

/// GitLab: the number of the stream, O or E, and a blank or a mark of continuation.
fn stream(row: &[u8]) -> usize {
    let fits = matches!(row, [b'0'..=b'9', b'0'..=b'9', b'O' | b'E', b' ' | b'+', ..]);
    if fits { 4 } else { 0 }
}

/// `    INFO - `, as mozharness has it after the clock.
fn level(row: &[u8]) -> usize {
    let blanks = run(row, |c| c == b' ');
    let word = run(&row[blanks..], |c| c.is_ascii_uppercase());
    if blanks > 0 && word > 3 && row[blanks + word..].starts_with(b" - ") {
        blanks + word + 3
    } else {
        0
    }
}

/// `2024-05-01T10:00:00.000Z`: the length of an instant, with its fraction and zone.
fn stamp(row: &[u8]) -> usize {
    // Its marks, and some of its digits.
    let fits = row.len() > 18
        && (row[4], row[7], row[13], row[16]) == (b'-', b'-', b':', b':')
        && matches!(row[10], b'T' | b' ')
        && [0, 9, 11, 18].iter().all(|i| row[*i].is_ascii_digit());
    if fits { zone(row, fraction(row, 19)) } else { 0 }
}

/// `[  213s] `, `[    1.204871] `: the seconds since a build or a kernel began.
fn elapsed(row: &[u8]) -> usize {
    let blanks = run(&row[1..], |c| c == b' ');
    let digits = run(&row[1 + blanks..], |c| c.is_ascii_digit());
    let at = 1 + blanks + digits;
    let end = match row.get(at) {
        Some(b's') => at + 1,
        Some(b'.') if fraction(row, at) == at + 7 => at + 7,
        _ => return 0,
    };
    if digits > 0 && row.get(end) == Some(&b']') { spaced(row, end + 1) } else { 0 }
}

/// `10:00:00.123`
fn clock(row: &[u8]) -> usize {
    if shape(row, b"00:00:00") { fraction(row, 8) } else { 0 }
}

fn fraction(row: &[u8], at: usize) -> usize {
    match row.get(at) {
        Some(b'.' | b',') => match run(&row[at + 1..], |c| c.is_ascii_digit()) {
            0 => at,
            n => at + 1 + n,
        },
        _ => at,
    }
}

fn zone(row: &[u8], at: usize) -> usize {
    match &row[at..] {
        [b'Z', ..] => at + 1,
        rest if shape(rest, b"+00:00") || shape(rest, b"-00:00") => at + 6,
        rest if shape(rest, b"+0000") || shape(rest, b"-0000") => at + 5,
        _ => at,
    }
}

/// `[2024-05-01T10:00:00.000Z] `, `[task 2024-05-01T10:00:00.000Z] `, `[10:00:00] `
fn bracketed(row: &[u8]) -> usize {
    let word = run(&row[1..], |c| c.is_ascii_lowercase());
    let from = match row.get(1 + word) {
        Some(b' ') if word > 0 => word + 2,
        _ => 1,
    };
    let inner = &row[from..];
    let end = from + stamp(inner).max(clock(inner));
    if end == from || row.get(end) != Some(&b']') {
        return 0;
    }
    end + 1 + usize::from(row.get(end + 1) == Some(&b' '))
}

/// `#12 0.345 `: a step of a container's build and its seconds.
fn buildkit(row: &[u8]) -> usize {
    let step = 1 + run(&row[1..], |c| c.is_ascii_digit());
    let rest = row.get(step + 1..).unwrap_or_default();
    let whole = run(rest, |c| c.is_ascii_digit());
    let end = step + 1 + fraction(rest, whole);
    let timed = whole > 0 && end > step + 1 + whole;
    if step > 1 && row.get(step) == Some(&b' ') && timed && row.get(end) == Some(&b' ') {
        end + 1
    } else {
        0
    }
}

fn run(row: &[u8], fits: impl Fn(u8) -> bool) -> usize {
    row.iter().take_while(|c| fits(**c)).count()
}

/// Whether the row begins like this; 0 stands for any digit.
fn shape(row: &[u8], shape: &[u8]) -> bool {
    row.len() >= shape.len()
        && shape.iter().zip(row).all(|(s, c)| if *s == b'0' { c.is_ascii_digit() } else { s == c })
}

#[cfg(test)]
mod tests {
    use super::{instant, strip};

    #[test]
    fn an_instant_is_told_where_it_names_its_zone() {
        for (row, at) in [
            ("2023-09-21T17:21:52.3063493Z x", Some("2023-09-21T17:21:52.3063493Z")),
            ("build\ttest\t\u{feff}2023-09-21T17:21:52Z x", Some("2023-09-21T17:21:52Z")),
            ("[task 2024-05-01T10:00:00.000+02:00] x", Some("2024-05-01T08:00:00Z")),
            ("2024-05-01 10:00:00,123 x", None),
            ("made at 2023-09-21T17:21:52Z", None),
        ] {
            assert_eq!(instant(row).as_deref(), at, "{row}");
        }
    }

    #[test]
    fn a_prefix_is_no_part_of_the_row() {
        for (row, text) in [
            ("2023-09-21T17:21:52.3063493Z ##[error]x", "##[error]x"),
            ("build\ttest\t2023-09-21T17:21:52.3Z ok", "ok"),
            ("build\ttest\t\u{feff}2023-09-21T17:21:52.3Z ok", "ok"),
            ("2023-09-21T17:21:52.3Z", ""),
            ("2024-05-01T10:00:00.123456Z 00O FAIL", "FAIL"),
            ("2024-05-01T10:00:00.123456Z 01E+FAIL", "FAIL"),
            ("[task 2024-05-01T10:00:00.000Z] 10:00:00     INFO -  x", " x"),
            ("[2024-05-01T10:00:00.000Z] x", "x"),
            ("2024-05-01 10:00:00,123 x", "x"),
            ("10:00:00  x", " x"),
            ("#12 0.345 E: x", "E: x"),
            ("[INFO] x", "x"),
            ("[  213s] a.c:3: error: x", "a.c:3: error: x"),
            ("[    1.204871] reboot: x", "reboot: x"),
            ("[1.5] x", "[1.5] x"),
            ("[ 42 ] x", "[ 42 ] x"),
            ("2023-09-21 was a day", "2023-09-21 was a day"),
            ("10:00:00.x", "10:00:00.x"),
            ("# 12 tests", "# 12 tests"),
            ("12 | let x = 1;", "12 | let x = 1;"),
            ("name | count", "name | count"),
        ] {
            assert_eq!(strip(row), text, "{row}");
        }
    }
}
