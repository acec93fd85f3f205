//! What the words of a final message claim. Claims only: they never move a state by themselves.

use std::sync::LazyLock;

use regex::Regex;

use super::rules::regex;

static COULD_NOT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?im)\b(?:I|we) (?:could not|couldn['’]t|cannot|can['’]t|(?:was|were|am|are) (?:not able|unable) to|wasn['’]t able|weren['’]t able|did not (?:succeed|finish|manage)|failed to|gave up|give up)\b|^\W*(?:could not|couldn['’]t|cannot|unable to|failed to)\b|\b(?:task|work|change|fix) (?:is|was|remains) (?:not (?:complete|done|finished)|incomplete|unfinished)\b",
    )
});
static APPROVAL: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:needs?|requires?|requiring|awaiting|waiting (?:for|on)|pending|without) (?:your |the |user |an? )?(?:approval|permissions?|confirmation|authori[sz]ation)|\bplease (?:approve|allow|grant|confirm|run)|\b(?:approve|grant|allow) (?:me|these|this|the|it|access|permission)|\b(?:haven['’]t|have not) granted|\b(?:once|if|when) you(?:['’]ve)? (?:approve|grant|allow)|\bpermission to (?:run|use|write|edit|execute)",
    )
});
/// Asks for what the work cannot begin without.
static REQUEST: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\W*(?:so |then |but )?please (?:provide|share|add|paste|attach|upload|send|specify|clarify|choose|tell me|describe)\b",
    )
});
static OFFER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:would you like|do you want|want|shall I|should I)(?: me)? (?:to )?(?:also|next|further|go (?:on|ahead) (?:and|with)? ?(?:also)?)|\b(?:would you like|want) me to|\banything else\b|\blet me know\b",
    )
});

/// The sentence that says something could not be done.
pub fn could_not(text: &str) -> Option<String> {
    let hit = COULD_NOT.find(text)?;
    Some(clip(sentence(text, hit.start()), 300))
}

pub fn asks_approval(text: &str) -> bool {
    APPROVAL.is_match(text)
}

/// The question, or the request, that a text ends with.
pub fn question(text: &str) -> Option<String> {
    let text = text.trim_end().trim_end_matches(['*', '_', '`', ')']);
    let (at, last) = text.char_indices().next_back()?;
    let words = sentence(text, at);
    (last == '?' || REQUEST.is_match(words)).then(|| clip(words, 300))
}

/// A question that only offers more work.
pub fn is_offer(question: &str) -> bool {
    OFFER.is_match(question)
}

/// The sentence of `text` around a byte position.
fn sentence(text: &str, at: usize) -> &str {
    let ends = |head: &str| {
        let line = head.rfind('\n').map(|i| i + 1);
        let stop = [". ", "! ", "? "].iter().filter_map(|s| head.rfind(s).map(|i| i + 2)).max();
        line.max(stop).unwrap_or(0)
    };
    let start = ends(&text[..at]);
    let tail = &text[at..];
    let stop = [". ", "! ", "? ", "\n"].iter().filter_map(|s| tail.find(s)).min();
    let stop = stop.map_or(text.len(), |i| at + i + usize::from(!tail[i..].starts_with('\n')));
    text[start..stop].trim()
}

/// The first `max` bytes or so, cut at a character, with a mark where something is missing.
pub fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_string();
    }
    let end = (0..=max).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// The first line that says something.
pub fn first_line(text: &str) -> String {
    clip(text.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or(""), 300)
}

#[cfg(test)]
mod tests {
    use super::{could_not, is_offer, question};

    #[test]
    fn a_note_is_the_sentence_that_says_it() {
        let text = "I looked at it. I was not able to do this: no network. Sorry.";
        assert_eq!(could_not(text).as_deref(), Some("I was not able to do this: no network."));
        assert_eq!(could_not("All 12 tests pass."), None);
    }

    #[test]
    fn a_closing_question_is_told_from_an_offer() {
        let asked = question("Found two tables.\nShould I delete the old one, or keep it?");
        assert_eq!(asked.as_deref(), Some("Should I delete the old one, or keep it?"));
        assert!(!is_offer(&asked.expect("a question")));
        assert!(is_offer(&question("Done. Would you like me to add tests?").expect("a question")));
        assert_eq!(question("Is it? Yes."), None);
        assert!(question("I see no file. Please provide the contents of `a.py`.").is_some());
        assert_eq!(question("If you want more, please provide it."), None);
    }
}
