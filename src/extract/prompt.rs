//! A question that waits for its answer: nothing but its own menu stands after it.

use std::sync::LazyLock;

use regex::Regex;

use super::rules::regex;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// To let something be done.
    Permission(String),
    Question(String),
}

impl Prompt {
    pub fn text(&self) -> &str {
        match self {
            Prompt::Permission(text) | Prompt::Question(text) => text,
        }
    }
}

static MENU: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\W*(?:$|[>❯›]?\s*\d+[.)]\s|\(?(?:y|n|t|yes|no)[/)]|(?:yes|no)\b.{0,60}$|(?:esc|enter|tab|ctrl|shift|↑|↓|←|→|confirm|press|use arrow|arrow)\b.*)",
    )
});
static ASK: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(?:\b(?:do you want|would you like|are you sure|do you trust|allow (?:this|the)|approve|proceed|continue|overwrite|may i|permission)\b.*\?|\ballow (?:this action|execution|once)\b)",
    )
});
static CHOICE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)[\[(](?:y(?:es)?/n(?:o)?(?:/\S+)?)[\])]:?\s*[>?]?\s*$|\(y\)es/\(n\)o\b.{0,80}:?\s*$",
    )
});
/// The foot of a dialog; its options may have rows of description.
static FOOTER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\benter to (?:select|confirm|submit)\b.*\besc to (?:cancel|exit|go back)\b|^\W*press enter to continue\W*$|^\W*esc to (?:cancel|exit|reject)\b|\S \(esc(?: or n)?\)$",
    )
});
/// A foot that no other program has: it is a dialog's also where nothing of that is known.
static OWN_FOOT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\bwaiting for (?:the )?(?:user|your) (?:confirmation|approval|response|input)\b|\ballow once\b.*\breject\b|^\W*\[?y\]? yes\b.*\[n\] no\b|\bpress enter\b",
    )
});
/// The last row asks for a line of input.
static INPUT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\W{0,3}(?:\[sudo\] )?(?:enter |new |retype |\S+@\S+'s )?(?:pass ?word|pass ?phrase)\b[^:]{0,80}:$|^username for '.*':$|^\s*enter a value:$|^\W*(?:press any key|press (?:enter|return)|hit (?:enter|return))\b.{0,40}$|\? \((?:y|yes)\)$",
    )
});
/// A list to pick from, as the prompts of Node and Python draw it until it was answered.
static PICK: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^\? .*(?:[›»]|\(Use arrow keys|Use arrow-keys)|^◆ {1,3}\S"));
static PICKED: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:\s{2,}\S|\W+\s+\S|\W*$)"));
static OPTION: LazyLock<Regex> = LazyLock::new(|| regex(r"^\W*([1-9])[.)]\s+\S"));
/// How far a dialog reaches up, in rows that are not blank.
const TALLEST: usize = 24;

/// The question that stands open at the end of these rows.
pub fn live(rows: &[&String]) -> Option<Prompt> {
    by_footer(rows).or_else(|| by_menu(rows)).or_else(|| by_input(rows))
}

/// A line that is to be typed, or a list with nothing but itself below.
fn by_input(rows: &[&String]) -> Option<Prompt> {
    let last = rows.iter().rev().find(|row| !is_rule(row))?;
    if INPUT.is_match(last.trim_end()) {
        return Some(Prompt::Question(last.trim().to_string()));
    }
    let at = rows.iter().rposition(|row| PICK.is_match(row.trim_start()))?;
    let below = &rows[at + 1..];
    let open = below.len() < TALLEST && below.iter().all(|row| PICKED.is_match(row));
    open.then(|| kind(rows[at].trim().to_string(), false))
}

fn by_footer(rows: &[&String]) -> Option<Prompt> {
    let (at, foot) = footer(rows)?;
    if !rows[foot..].iter().all(|row| is_rule(row)) {
        return None;
    }
    let above = &rows[at.saturating_sub(TALLEST)..at];
    let options = above.iter().filter(|row| OPTION.is_match(row)).count();
    let asked = above.iter().rev().find(|row| asks(row) && !OPTION.is_match(row));
    let text = asked.map_or(rows[at].trim(), |row| row.trim());
    // The foot alone may be any program's; with its options it is a dialog's.
    if options < 2 && asked.is_none() && !OWN_FOOT.is_match(rows[at]) {
        return None;
    }
    let whole = rows[at..foot].iter().map(|r| r.as_str()).collect::<Vec<_>>().join(" ");
    let picks = whole.to_lowercase().contains("enter to select");
    Some(kind(text.to_string(), picks))
}

/// The row of a dialog's foot, which a narrow screen folds, and the first row behind it.
fn footer(rows: &[&String]) -> Option<(usize, usize)> {
    (0..rows.len()).rev().take(6).find_map(|at| {
        let row = rows[at].trim_end();
        if FOOTER.is_match(row) {
            return Some((at, at + 1));
        }
        if let Some(next) = rows.get(at + 1)
            && FOOTER.is_match(&format!("{row} {}", next.trim()))
        {
            return Some((at, at + 2));
        }
        OWN_FOOT.is_match(row).then_some((at, at + 1))
    })
}

fn by_menu(rows: &[&String]) -> Option<Prompt> {
    let mut options = 0;
    let mut below = None;
    let mut picked = false;
    for (i, row) in rows.iter().enumerate().rev().take(TALLEST) {
        if is_shell(row) || is_composer(row) {
            return None;
        }
        let choice = CHOICE.is_match(row.trim_end());
        if choice || (asks(row) && options > 1 && picked && !OPTION.is_match(row)) {
            if !choice && row.trim_start().starts_with('>') {
                return None;
            }
            let above = i > 0 && !ASK.is_match(row) && !is_rule(rows[i - 1]);
            let from = i - usize::from(above);
            let text = rows[from..=i].iter().map(|r| r.trim()).collect::<Vec<_>>().join("\n");
            return Some(kind(text, false));
        }
        if let Some(n) = number(row) {
            options += 1;
            picked |= is_picked(row);
            below = Some(n);
        } else if !MENU.is_match(row) && !is_rule(row) && !is_folded(&rows[..=i], below) {
            return None;
        }
    }
    None
}

/// The last of these rows goes on with an option that was too long for the screen; `below` is the
/// number of the option under it.
fn is_folded(rows: &[&String], below: Option<u32>) -> bool {
    let Some((row, above)) = rows.split_last() else { return false };
    let text = row.trim_start();
    let goes_on = text.starts_with(|c: char| c.is_lowercase() || "(/`'\"".contains(c))
        || row.len() - text.len() > 4;
    let number = match above {
        [.., option] if number(option).is_some() => number(option),
        // folded twice
        [.., option, row] if !MENU.is_match(row) => number(option),
        _ => None,
    };
    match (number, below) {
        (Some(above), Some(below)) => above + 1 == below,
        (Some(above), None) => above > 1 && goes_on,
        _ => false,
    }
}

fn number(row: &str) -> Option<u32> {
    OPTION.captures(row)?[1].parse().ok()
}

fn asks(row: &str) -> bool {
    ASK.is_match(row) || row.trim_end().ends_with('?')
}

fn kind(text: String, picks: bool) -> Prompt {
    if picks || !(ASK.is_match(&text) || CHOICE.is_match(&text)) {
        Prompt::Question(text)
    } else {
        Prompt::Permission(text)
    }
}

/// Lines, boxes and empty prompts that a full-screen program draws.
fn is_rule(row: &str) -> bool {
    !row.chars().any(char::is_alphanumeric) && !is_shell(row)
}

/// An option with the mark of the one that is picked: a list in prose has none.
fn is_picked(row: &str) -> bool {
    row.trim_start().starts_with(|c: char| !c.is_alphanumeric())
}

/// Where the next prompt is typed: no dialog is open.
fn is_composer(row: &str) -> bool {
    matches!(row.trim(), "❯" | "›")
}

/// The prompt of a shell: the program that asked is gone.
fn is_shell(row: &str) -> bool {
    matches!(row.trim(), "$" | "%" | "#")
}

#[cfg(test)]
mod tests {
    use super::{Prompt, live};

    fn ask(screen: &str) -> Option<Prompt> {
        let rows: Vec<String> =
            screen.lines().filter(|r| !r.trim().is_empty()).map(str::to_string).collect();
        live(&rows.iter().collect::<Vec<_>>())
    }

    fn permission(text: &str) -> Option<Prompt> {
        Some(Prompt::Permission(text.into()))
    }

    #[test]
    fn an_option_may_be_folded() {
        let claude = " Bash command\n\n   rm -r old\n\n Do you want to proceed?\n ❯ 1. Yes\n   2. Yes, and don't ask again for rm commands in\n      /home/me/a/long/path\n   3. No, and tell Claude what to do\n      differently (esc)\n\n";
        assert!(matches!(ask(claude), Some(Prompt::Permission(_))));
        let foot = format!("{claude} Esc to cancel · Tab to amend\n");
        assert_eq!(ask(&foot), permission("Do you want to proceed?"));
        let codex = "  Would you like to run the following command?\n\n  $ git push\n\n› 1. Yes, proceed (y)\n  2. Yes, and don't ask again for commands that\n     start with `git push` (p)\n  3. No, and tell Codex what to do differently\n     (esc)\n\n  Press enter to confirm or esc to\n  cancel\n";
        assert_eq!(ask(codex), permission("Would you like to run the following command?"));
    }

    #[test]
    fn a_question_is_told_from_a_permission() {
        let screen = "☐ Database\nWhich database?\n❯ 1. SQLite\n     A file.\n  2. PostgreSQL\n     A server.\nEnter to select · ↑/↓ to navigate · Esc to cancel\n";
        assert_eq!(ask(screen), Some(Prompt::Question("Which database?".into())));
        assert_eq!(ask("Overwrite a? [y/N] "), permission("Overwrite a? [y/N]"));
        for field in ["[sudo] password for me:", "  Enter a value: ", "Username for 'https://x': "]
        {
            assert_eq!(ask(field), Some(Prompt::Question(field.trim().into())));
        }
        assert_eq!(ask("Password: hunter2\n"), None);
    }

    #[test]
    fn what_was_answered_or_quoted_is_no_prompt() {
        let menu = "Do you want to proceed?\n❯ 1. Yes\n  2. No\n";
        assert_eq!(ask(&menu.replace("❯", " ")), None);
        let quoted = "> Do you want to proceed?\n> 1. Yes\n> 2. No\n";
        assert_eq!(ask(quoted), None);
        for after in [
            "───\n❯ \n───\n",
            "● Done.\n",
            "Esc to cancel\nDone with it.\n",
            "$ \n",
            "> go on\n  then more\n",
        ] {
            assert_eq!(ask(&format!("{menu}{after}")), None, "{after}");
        }
        assert_eq!(ask("Overwrite a? [y/N] y\n"), None);
        assert_eq!(ask("1. Yes\n2. No\n"), None);
        assert_eq!(ask("What now?\nnothing\n"), None);
    }

    #[test]
    fn what_other_programs_ask_is_seen() {
        for screen in [
            "Apply this change?\n● 1. Yes, allow once\n  2. No (esc)\n⠏ Waiting for user confirmation...\n",
            "Run this command?\nNot in allowlist: rm\n → Run (once) (y) (enter)\n   Skip (esc or n)\n",
            "△ Permission required\n $ rm a\n Allow once   Allow always   Reject     enter confirm\n",
            "◆  Goose would like to call the above tool, do you allow?\n  ● Allow\n  ○ Deny\n└\n",
            "Run this?\n [y] Yes  [a] Allow All for This Session  [n] No\n",
            "[sudo] password for me: ",
            "me@host's password: ",
            "Username for 'https://example.org': ",
            "Do you want to perform these actions?\n  Only 'yes' will be accepted.\n  Enter a value: ",
            "Ok to proceed? (y) ",
            "? Select a framework: › - Use arrow-keys. Return to submit.\n❯   Vanilla\n    Vue\n",
        ] {
            assert!(ask(screen).is_some(), "{screen}");
        }
        for screen in [
            "[sudo] password for me: \nok\n",
            "the password: secret\n",
            "◇  Allow?\n  Yes\n└  Done\n",
            "✔ Select a framework: › Vue\n",
            "? Select a framework: › Vue\nScaffolding project\n",
            "Waiting for the server\n",
        ] {
            assert_eq!(ask(screen), None, "{screen}");
        }
    }
}
