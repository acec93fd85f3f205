//! The one filter for text that goes to a terminal or into a pane, and the one for secrets.

/// Removes what a terminal would act on: C0 except LF and TAB, DEL, C1, escape sequences, invisible and
/// bidirectional marks. Runs until nothing changes, so that a nested sequence does not survive its wrapper.
pub fn text(s: &str) -> String {
    let mut now = once(s);
    loop {
        let next = once(&now);
        if next == now {
            return now;
        }
        now = next;
    }
}

/// `text` on one line: what a message or a table cell may hold.
pub fn line(s: &str) -> String {
    let s: String = s.chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).collect();
    text(&s)
}

fn once(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut chars = s.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\u{9d}' | '\u{90}' => skip_string(&mut chars),
            '\n' | '\t' => out.push(c),
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => {}
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_escape(chars: &mut Chars) {
    match chars.next_if(|c| ('\u{20}'..='\u{7e}').contains(c)) {
        Some('[') => skip_csi(chars),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(chars),
        Some('\u{20}'..='\u{2f}') => {
            chars.next_if(|c| ('\u{30}'..='\u{7e}').contains(c));
        }
        _ => {}
    }
}

fn skip_csi(chars: &mut Chars) {
    while chars.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {}
    chars.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
}

/// OSC, DCS and their like run to BEL or ST; a line end also ends them, so that one stray ESC ] eats one line at most.
fn skip_string(chars: &mut Chars) {
    while let Some(c) = chars.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// Refuses control characters in what becomes a path, a branch, a name, or an environment value.
pub fn has_control(s: &str) -> bool {
    s.chars().any(|c| c.is_control())
}

/// Values that must not be written down, with what stands for them.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// Values shorter than four bytes are too common to be told from ordinary text.
    pub fn add(&mut self, name: &str, value: &str) {
        let mark = format!("[{name}]");
        let escaped = |v: &str| {
            let text = serde_json::Value::from(v).to_string();
            text[1..text.len() - 1].to_owned()
        };
        // a key of several lines is printed, and cut up, line by line
        let parts = std::iter::once(value).chain(value.lines());
        for v in parts.flat_map(|v| [v.to_owned(), escaped(v)]) {
            if v.len() >= 4 && !self.0.iter().any(|(k, _)| *k == v) {
                self.0.push((v, mark.clone()));
            }
        }
        self.0.sort_by_key(|(v, _)| std::cmp::Reverse(v.len()));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn redact(&self, s: &str) -> String {
        self.0.iter().fold(
            s.to_owned(),
            |s, (value, mark)| if s.contains(value) { s.replace(value, mark) } else { s },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_hidden_in_another_does_not_survive() {
        // what is left of it is plain text
        assert_eq!(text("a\u{1b}\u{1b}[201~[201~b"), "a[201~b");
        assert_eq!(text("x\u{1}\u{3}\u{15}y\u{7f}\u{9b}31mz"), "xyz");
        assert_eq!(text("t\u{1b}]0;evil\u{7}u\u{1b}P1;2|x\u{1b}\\v"), "tuv");
        assert_eq!(text("keep\n\ttabs ünïcode 👍"), "keep\n\ttabs ünïcode 👍");
    }

    #[test]
    fn a_secret_is_replaced_in_text_and_in_json() {
        let mut s = Secrets::default();
        s.add("TOKEN", "pa\"ss\\word");
        assert_eq!(s.redact("is pa\"ss\\word."), "is [TOKEN].");
        assert_eq!(s.redact(&serde_json::json!("pa\"ss\\word").to_string()), "\"[TOKEN]\"");
    }
}
