//! What stands on a screen whose size nobody told: rows as long as what was written, and a
//! cursor.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use unicode_width::UnicodeWidthChar;

/// Rows that a cursor can come back to, and cells of a row.
const HEIGHT: usize = 256;
const WIDTH: usize = 1 << 10;
/// No terminal is so wide: a cursor is sent no further than this, or as far as was written.
const WIDEST: usize = 1024;
/// Rows told on the alternate screen that are known again when they are drawn elsewhere.
const REMEMBERED: usize = 512;

/// Where the input stands: line and byte.
pub type At = (u64, u64);

/// A row that was written and left.
pub struct Done {
    pub text: String,
    pub at: At,
    /// Bytes beyond the widest row.
    pub dropped: u64,
}

#[derive(Default)]
struct Row {
    /// The second cell of a wide character holds a NUL.
    cells: Vec<char>,
    dropped: u64,
    /// Where the first byte stood that was written since the row was last told.
    dirty: Option<At>,
    /// The hash of what was last told of it; it outlives an erase, so that a redraw is no news.
    told: u64,
}

#[derive(Default)]
pub struct Screen {
    rows: VecDeque<Row>,
    row: usize,
    col: usize,
    saved: (usize, usize),
    /// First and last row that scroll, where the program set them.
    region: Option<(usize, usize)>,
    /// Where a shell's prompt ended.
    input: Option<(usize, usize)>,
    /// Where the shell folded its input: the column that a carriage return goes back to.
    fold: usize,
    after_space: bool,
    /// A carriage return came: lines are written as a terminal wants them.
    returned: bool,
    dirty: usize,
    /// The cursor was addressed: what stands on the screen is a picture, no log.
    pub painted: bool,
    /// Of the alternate screen only, whose rows wander.
    known: Option<VecDeque<u64>>,
    /// A frame is being drawn; its rows are read at its end.
    framed: bool,
    pub done: Vec<Done>,
}

impl Screen {
    pub fn alternate() -> Screen {
        Screen { known: Some(VecDeque::new()), painted: true, ..Screen::default() }
    }

    pub fn print(&mut self, text: &str, at: At) {
        self.after_space = text.ends_with(' ');
        let col = self.col;
        let row = self.touch(at);
        if col == row.cells.len() && text.is_ascii() {
            let kept = text.len().min(WIDTH - col);
            row.cells.extend(text.as_bytes()[..kept].iter().map(|c| char::from(*c)));
            row.dropped += (text.len() - kept) as u64;
            self.col += kept;
            return;
        }
        for c in text.chars() {
            self.put(c);
        }
    }

    fn put(&mut self, c: char) {
        let (col, width) = (self.col, c.width().unwrap_or(0));
        let row = &mut self.rows[self.row];
        if width == 0 {
            return;
        }
        if col + width > WIDTH {
            row.dropped += c.len_utf8() as u64;
            return;
        }
        if row.cells.len() < col + width {
            row.cells.resize(col + width, ' ');
        }
        row.cells[col] = c;
        if width == 2 {
            row.cells[col + 1] = '\0';
        }
        self.col += width;
    }

    pub fn control(&mut self, c: u8, at: At) {
        match c {
            b'\r' => {
                self.returned = true;
                // A shell folds a long input by a blank in the first cell of the next row, whose
                // place it knows and we do not.
                if self.after_space && self.input.is_some_and(|(row, _)| row == self.row) {
                    self.fold = self.col.saturating_sub(1);
                }
                self.col = self.fold;
            }
            0x08 => self.col = self.col.saturating_sub(1),
            b'\t' => {
                let blanks = 8 - self.col % 8;
                if self.rows.get(self.row).is_none_or(|row| row.cells.len() <= self.col) {
                    self.print(&"        "[..blanks], at);
                } else {
                    self.col = (self.col + blanks).min(WIDTH);
                }
            }
            b'\n' | 0x0b | 0x0c => {
                self.index();
                // Lines that no terminal made have no carriage returns: their stairs would go on.
                if self.col >= WIDEST || !(self.returned || self.painted) {
                    self.col = 0;
                }
            }
            _ => {}
        }
        self.after_space = false;
    }

    pub fn escape(&mut self, last: u8) {
        match last {
            b'7' => self.saved = (self.row, self.col),
            b'8' => self.go(self.saved.0, self.saved.1),
            b'D' => self.index(),
            b'E' => {
                self.index();
                self.col = 0;
            }
            b'M' if self.row == self.region.map_or(0, |r| r.0) => self.scroll_down(self.row, 1),
            b'M' => self.go(self.row.saturating_sub(1), self.col),
            b'c' => self.erase_rows(0, HEIGHT),
            _ => {}
        }
    }

    /// A sequence without private marks.
    pub fn csi(&mut self, params: &[u8], last: u8, at: At) {
        let mut numbers = params.split(|c| *c == b';').map(number);
        let first = numbers.next().flatten();
        let second = numbers.next().flatten();
        let n = first.unwrap_or(1).max(1);
        match last {
            b'A' => self.go(self.row.saturating_sub(n), self.col),
            b'B' | b'e' => self.go(self.row + n, self.col),
            b'C' | b'a' => self.col = self.column(self.col.saturating_add(n)),
            b'D' => self.col = self.col.saturating_sub(n),
            b'E' => self.go(self.row + n, 0),
            b'F' => self.go(self.row.saturating_sub(n), 0),
            b'G' | b'`' => self.col = self.column(n - 1),
            b'H' | b'f' => self.go(n - 1, second.unwrap_or(1).max(1) - 1),
            b'd' => self.go(n - 1, self.col),
            b'J' => self.erase_screen(first.unwrap_or(0), at),
            b'K' => self.erase_row(first.unwrap_or(0), at),
            b'X' => self.erase_cells(self.col, self.col.saturating_add(n), at),
            b'P' | b'@' => self.shift_cells(n, last == b'P', at),
            b'L' => self.scroll_down(self.row, n),
            b'M' => self.scroll_up(self.row, n),
            b'S' => self.scroll_up(self.region.map_or(0, |r| r.0), n),
            b'T' => self.scroll_down(self.region.map_or(0, |r| r.0), n),
            b'r' => {
                let bottom = second.filter(|b| *b > n).map(|b| (b - 1).min(HEIGHT - 1));
                self.region = bottom.map(|bottom| (n - 1, bottom));
                self.go(0, 0);
            }
            b's' => self.saved = (self.row, self.col),
            b'u' => self.go(self.saved.0, self.saved.1),
            _ => {}
        }
        self.painted |= matches!(last, b'A' | b'F' | b'H' | b'f' | b'd' | b'L' | b'M');
        self.after_space = false;
    }

    pub fn begin_frame(&mut self) {
        self.settle();
        self.framed = true;
    }

    /// Tells every row that was written and not told, those of a frame included.
    pub fn flush(&mut self) {
        self.framed = false;
        for i in 0..self.rows.len() {
            if self.dirty == 0 {
                return;
            }
            self.tell(i);
        }
    }

    /// The prompt of a shell ends at the cursor.
    pub fn begin_input(&mut self) {
        self.input = Some((self.row, self.col));
    }

    /// What was typed since.
    pub fn take_input(&mut self) -> Option<String> {
        let (from, col) = self.input.take()?;
        let rows = self.rows.iter().take(self.row + 1).skip(from);
        let text = rows.enumerate().map(|(i, row)| row.text(if i == 0 { col } else { 0 }));
        Some(text.collect::<Vec<_>>().join("\n").trim().to_string())
    }

    /// Nothing that comes now is a repeat of what was.
    pub fn forget(&mut self) {
        self.rows.iter_mut().for_each(|row| row.told = 0);
    }

    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.rows.iter().map(|row| row.text(0))
    }

    fn go(&mut self, row: usize, col: usize) {
        let row = row.min(HEIGHT - 1);
        if row != self.row {
            self.settle();
            self.fold = 0;
        }
        (self.row, self.col) = (row, self.column(col));
    }

    fn column(&self, col: usize) -> usize {
        col.min(self.col.max(WIDEST))
    }

    fn index(&mut self) {
        self.settle();
        if std::mem::take(&mut self.fold) == self.col {
            self.col = 0;
        }
        match self.region {
            Some((top, bottom)) if self.row == bottom => self.scroll_up(top, 1),
            _ if self.row + 1 < HEIGHT => self.row += 1,
            _ => {
                self.remove(0);
                self.saved.0 = self.saved.0.saturating_sub(1);
                self.input = self.input.map(|(row, col)| (row.saturating_sub(1), col));
            }
        }
    }

    /// Takes rows out at `top`; blank ones come in at the bottom of what scrolls.
    fn scroll_up(&mut self, top: usize, n: usize) {
        self.settle();
        let bottom = self.region.map_or(HEIGHT - 1, |r| r.1);
        for _ in 0..n.min(HEIGHT).min((bottom + 1).saturating_sub(top)) {
            self.remove(top);
            if self.rows.len() > bottom {
                self.rows.insert(bottom, Row::default());
            }
        }
    }

    /// Puts blank rows in at `top`; what goes beyond the bottom is gone.
    fn scroll_down(&mut self, top: usize, n: usize) {
        self.settle();
        let bottom = self.region.map_or(HEIGHT - 1, |r| r.1);
        for _ in 0..n.min(HEIGHT).min((bottom + 1).saturating_sub(top)) {
            if self.rows.len() > bottom {
                self.remove(bottom);
            }
            if top < self.rows.len() {
                self.rows.insert(top, Row::default());
            }
        }
    }

    fn remove(&mut self, i: usize) {
        self.tell(i);
        self.rows.remove(i);
    }

    fn erase_screen(&mut self, how: usize, at: At) {
        match how {
            0 => {
                self.erase_row(0, at);
                self.erase_rows(self.row + 1, HEIGHT);
            }
            1 => {
                self.erase_row(1, at);
                self.erase_rows(0, self.row);
            }
            2 | 3 => self.erase_rows(0, HEIGHT),
            _ => {}
        }
    }

    fn erase_rows(&mut self, from: usize, to: usize) {
        self.settle();
        for i in from..to.min(self.rows.len()) {
            // Written in this frame and gone before its end: nobody saw it.
            let row = &mut self.rows[i];
            row.cells.clear();
            self.dirty -= usize::from(row.dirty.take().is_some());
        }
    }

    fn erase_row(&mut self, how: usize, at: At) {
        match how {
            0 if self.rows.get(self.row).is_some_and(|row| row.cells.len() > self.col) => {
                let col = self.col;
                self.touch(at).cells.truncate(col);
            }
            1 => self.erase_cells(0, self.col + 1, at),
            2 => self.erase_cells(0, WIDTH, at),
            _ => {}
        }
    }

    fn erase_cells(&mut self, from: usize, to: usize, at: At) {
        let row = self.touch(at);
        let to = to.min(row.cells.len());
        if from < to {
            row.cells[from..to].fill(' ');
        }
    }

    fn shift_cells(&mut self, n: usize, delete: bool, at: At) {
        let col = self.col;
        let row = self.touch(at);
        if col >= row.cells.len() {
            return;
        }
        let n = n.min(WIDTH);
        if delete {
            row.cells.drain(col..(col + n).min(row.cells.len()));
        } else {
            row.cells.splice(col..col, std::iter::repeat_n(' ', n));
            row.cells.truncate(WIDTH);
        }
    }

    /// The row of the cursor, about to be written.
    fn touch(&mut self, at: At) -> &mut Row {
        if self.rows.len() <= self.row {
            self.rows.resize_with(self.row + 1, Row::default);
        }
        let row = &mut self.rows[self.row];
        if row.dirty.is_none() {
            row.dirty = Some(at);
            self.dirty += 1;
        }
        row
    }

    /// The cursor leaves its row: what stands there is read, unless a frame is being drawn.
    fn settle(&mut self) {
        if !self.framed {
            self.tell(self.row);
        }
    }

    fn tell(&mut self, i: usize) {
        let Some(row) = self.rows.get_mut(i) else { return };
        let Some(at) = row.dirty.take() else { return };
        self.dirty -= 1;
        let text = row.text(0);
        // What a person types is no output.
        if text.is_empty() || self.input.is_some_and(|(row, _)| row == i) {
            return;
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish().max(1);
        let dropped = std::mem::take(&mut row.dropped);
        let repeats = std::mem::replace(&mut row.told, hash) == hash;
        let wandered = self.known.as_mut().is_some_and(|known| {
            let seen = known.contains(&hash);
            if !seen {
                if known.len() == REMEMBERED {
                    known.pop_front();
                }
                known.push_back(hash);
            }
            seen
        });
        if !repeats && !wandered {
            self.done.push(Done { text, at, dropped });
        }
    }
}

impl Row {
    fn text(&self, from: usize) -> String {
        let cells = self.cells.get(from..).unwrap_or_default();
        let mut text = String::with_capacity(cells.len());
        text.extend(cells.iter().filter(|c| **c != '\0'));
        text.truncate(text.trim_end().len());
        text
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok().map(|n: usize| n.min(WIDTH))
}
