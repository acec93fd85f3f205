//! The menu under a question: its options, and which of them is selected.

use sha2::{Digest, Sha256};

use super::screen::Screen;
use crate::context::hex;

/// One option of a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// As it is numbered on the screen; unnumbered ones count from 1.
    pub number: usize,
    pub text: String,
    pub selected: bool,
}

/// What is asked, and what can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// The rows above the options, back to the last rule across the screen, twenty at most.
    pub question: String,
    pub choices: Vec<Choice>,
}

/// Of a question, so many characters are kept.
const QUESTION: usize = 300;

const POINTERS: &[char] = &['❯', '›'];

/// The menu that is open: the last row with a pointer in it, and its neighbours.
pub fn read(s: &Screen) -> Option<Menu> {
    let rows = &s.rows;
    let at = rows.iter().rposition(|r| pointed(r).is_some())?;
    let selected = pointed(&rows[at])?;
    let numbered = number(selected).is_some();
    let mut choices: Vec<(usize, Choice)> = Vec::new();
    if numbered {
        for (i, row) in rows.iter().enumerate() {
            let text = pointed(row).unwrap_or_else(|| row.trim_start());
            if let Some((n, text)) = number(text) {
                // the last run that counts from 1
                if n == 1 {
                    choices.clear();
                }
                if n == choices.len() + 1 {
                    choices
                        .push((i, Choice { number: n, text: text.to_owned(), selected: i == at }));
                }
            }
        }
    } else {
        let indent = column(&rows[at]);
        let is_option = |r: &String| !r.trim().is_empty() && column(r) == indent;
        let first = (0..at).rev().take_while(|i| is_option(&rows[*i])).last().unwrap_or(at);
        let rest = rows[first..].iter().take_while(|r| is_option(r));
        for (n, row) in rest.enumerate() {
            let text = pointed(row).unwrap_or_else(|| row.trim_start()).to_owned();
            choices.push((first + n, Choice { number: n + 1, text, selected: first + n == at }));
        }
    }
    if choices.len() < 2 || !choices.iter().any(|(_, c)| c.selected) {
        return None;
    }
    let top = choices.first().map_or(at, |(i, _)| *i);
    let above = rows[..top].iter().rev().take_while(|r| !is_rule(r, "─━▔═-")).take(20);
    let worded = |r: &&str| !r.is_empty() && !is_rule(r, "╌");
    let mut question: Vec<&str> = above.map(|r| r.trim()).filter(worded).collect();
    question.reverse();
    Some(Menu {
        question: question.join("\n"),
        choices: choices.into_iter().map(|(_, c)| c).collect(),
    })
}

fn pointed(row: &str) -> Option<&str> {
    let rest = row.trim_start().strip_prefix(POINTERS)?;
    Some(rest.trim_start()).filter(|r| !r.is_empty())
}

/// Where a row's words begin, a pointer aside.
fn column(row: &str) -> usize {
    let words = row.trim_start_matches(|c: char| c.is_whitespace() || POINTERS.contains(&c));
    row.chars().count() - words.chars().count()
}

fn number(text: &str) -> Option<(usize, &str)> {
    let (n, text) = text.split_once(". ")?;
    Some((n.parse().ok()?, text.trim()))
}

/// A line across the screen: dashed ones stand within a question.
fn is_rule(row: &str, drawn: &str) -> bool {
    let row = row.trim();
    row.chars().count() >= 10 && row.chars().all(|c| drawn.contains(c))
}

impl Menu {
    /// Six hexadecimal digits by which a question with its options is known again.
    pub fn id(&self) -> String {
        let mut text = self.question.clone();
        self.choices.iter().for_each(|c| text.push_str(&format!("\0{}", c.text)));
        hex(&Sha256::digest(text)[..3])
    }

    /// The question's last words, in one line.
    pub fn line(&self) -> String {
        let line = crate::clean::line(&self.question.replace('\n', " / "));
        let skip = line.chars().count().saturating_sub(QUESTION);
        let end: String = line.chars().skip(skip).collect();
        if skip > 0 { format!("…{end}") } else { end }
    }

    pub fn selected(&self) -> Option<&Choice> {
        self.choices.iter().find(|c| c.selected)
    }

    /// The first option that begins with a word.
    pub fn beginning(&self, word: &str) -> Option<&Choice> {
        self.choices.iter().find(|c| c.text.starts_with(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(text: &str) -> Screen {
        let rows: Vec<String> = text.lines().map(str::to_owned).collect();
        Screen { typed: rows.clone(), lit: rows.clone(), rows, ..Screen::default() }
    }

    #[test]
    fn numbered_options_are_the_last_run_from_one() {
        let m = read(&screen(
            "❯ 1. an old prompt\n────────────\n Bash command\n╌╌╌╌╌╌╌╌╌╌╌╌\n   touch q\n╌╌╌╌╌╌╌╌╌╌╌╌\n Do you want to proceed?\n ❯ 1. Yes\n   2. Yes, and don't ask again\n   3. No\n\n Esc to cancel",
        ))
        .expect("a menu");
        assert_eq!(m.question, "Bash command\ntouch q\nDo you want to proceed?");
        let texts: Vec<_> = m.choices.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(texts, ["Yes", "Yes, and don't ask again", "No"]);
        assert_eq!(m.selected().map(|c| c.number), Some(1));
    }

    #[test]
    fn options_without_numbers_stand_in_one_column() {
        let m = read(&screen(
            "   Security guide\n\n   ❯ No, stay put\n     Yes, move here\n\n   Enter to confirm",
        ))
        .expect("a menu");
        assert_eq!(m.beginning("Yes").map(|c| c.number), Some(2));
        assert_eq!(m.selected().map(|c| c.text.as_str()), Some("No, stay put"));
    }

    #[test]
    fn a_composer_is_no_menu() {
        for no in ["────\n❯ \n────", "❯ STUB:ok\n● ok\n❯ half a draft\n  below", "› 1. a draft"]
        {
            assert!(read(&screen(no)).is_none_or(|m| m.choices.len() > 1), "{no}");
        }
    }
}
