//! A turn as a pane shows it, of a client that keeps no record: the prompt that was sent, and what stands below it.

use super::rules::{Live, same, starts};

impl Live {
    /// What stands between the last row in which this content was sent and the composer. `rows`: as they were shown, from
    /// the first that is kept to the last.
    pub fn answer_to(&self, rows: &[String], content: &str) -> Option<String> {
        let (lead, text) = self.deliverable(content);
        let whole = format!("{}{text}", lead.unwrap_or_default());
        let composer = rows.iter().rposition(|r| self.prompt.is_match(r))?;
        let below = (0..composer).rev().find_map(|at| self.echo(&rows[at..composer], &whole))?;
        let mut answer = &rows[composer - below..composer];
        if let (Some(x), Some((last, before))) = (&self.prompt_above, answer.split_last())
            && x.is_match(last)
        {
            answer = before;
        }
        let answer = answer.join("\n");
        Some(answer.trim().to_owned()).filter(|a| !a.is_empty())
    }

    /// How many of these rows stand below the prompt that they begin with; `None`: they begin with another one.
    fn echo(&self, rows: &[String], whole: &str) -> Option<usize> {
        let patterns = [Some(&self.prompt), self.turn.as_ref()];
        let sent = |x: &regex::Regex| Some(x.captures(&rows[0])?.get(1)?.as_str().to_owned());
        let mut text = patterns.into_iter().flatten().find_map(sent)?;
        let mut next = 1;
        while !same(&text, whole) {
            let row = rows.get(next)?;
            // rows that go on may have a mark of the client's own before them
            let (mark, rest) = row.split_once(' ').unwrap_or((row, ""));
            let marked = !mark.contains(char::is_alphanumeric);
            let longer = [Some(row.as_str()), Some(rest).filter(|_| marked)];
            text = longer
                .into_iter()
                .flatten()
                .map(|more| format!("{text}{more}"))
                .find(|t| starts(whole, t))?;
            next += 1;
        }
        Some(rows.len() - next)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn answer(screen: &str, content: &str) -> Option<String> {
        let live = Config::default().profile("ollama").expect("a profile").live.expect("live");
        let rows: Vec<String> = screen.lines().map(str::to_owned).collect();
        live.answer_to(&rows, content)
    }

    #[test]
    fn an_answer_stands_between_its_prompt_and_the_composer() {
        let end = "\n\n>>> Send a message (/? for help)";
        let of = |text: &str, content: &str| answer(&format!("{text}{end}"), content);
        assert_eq!(of(">>> hi\nHello,\nyou.", "hi").as_deref(), Some("Hello,\nyou."));
        assert_eq!(of(">>> hi\none\n\n>>> hi\ntwo", "hi").as_deref(), Some("two"));
        assert_eq!(of(">>> one\n...\n... two\nthree", "one\n\ntwo").as_deref(), Some("three"));
        assert_eq!(of(">>> Task: /x\ny\n>>> 1 + 1\n2", "/x").as_deref(), Some("y\n>>> 1 + 1\n2"));
        for none in [">>> other\nHello.", ">>> hi", "", ">>> hi there\nHello."] {
            assert_eq!(of(none, "hi"), None, "{none}");
        }
    }
}
