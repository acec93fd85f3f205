//! Where a JSON value that spans lines ends, byte by byte.

/// The state of a value that is being read.
#[derive(Default)]
pub struct Nesting {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

/// What a line did to the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It goes on.
    Open,
    /// It ended, and nothing but blanks followed it.
    Closed,
    /// This is no JSON.
    Broken,
}

impl Nesting {
    /// Reads a line without its newline. After `Closed` and `Broken` begin anew.
    pub fn line(&mut self, line: &[u8]) -> Step {
        for (i, byte) in line.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth == 0 => return Step::Broken,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        let rest = line[i + 1..].trim_ascii();
                        return if rest.is_empty() { Step::Closed } else { Step::Broken };
                    }
                }
                b',' | b':' | b'+' | b'-' | b'.' | b'0'..=b'9' | b' ' | b'\t' | b'\r' => {}
                // true, false, null, and exponents
                b'a' | b'e' | b'f' | b'l' | b'n' | b'r' | b's' | b't' | b'u' | b'E' => {}
                _ => return Step::Broken,
            }
            if self.depth == 0 && !byte.is_ascii_whitespace() {
                return Step::Broken;
            }
        }
        // A string does not go on in the next line.
        if self.in_string { Step::Broken } else { Step::Open }
    }
}

#[cfg(test)]
mod tests {
    use super::{Nesting, Step};

    fn steps(text: &str) -> Vec<Step> {
        let mut nesting = Nesting::default();
        text.lines().map(|line| nesting.line(line.as_bytes())).collect()
    }

    #[test]
    fn a_value_ends_where_its_brackets_do() {
        use Step::{Broken, Closed, Open};
        assert_eq!(steps("{\n \"a}\\\"\": [1e3,\n true]\n} "), [Open, Open, Open, Closed]);
        assert_eq!(steps("[{}]"), [Closed]);
        assert_eq!(steps("{} x"), [Broken]);
        assert_eq!(steps("{\n+ x"), [Open, Broken]);
        assert_eq!(steps("{\"a"), [Broken]);
        assert_eq!(steps("x"), [Broken]);
    }
}
