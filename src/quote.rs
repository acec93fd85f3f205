//! Words of a shell's command line, and the few things that differ between shells.

use std::ops::Range;
use std::str::FromStr;

/// The shells that a line may be typed into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Zsh,
    Dash,
    Fish,
}

impl FromStr for Shell {
    type Err = String;
    fn from_str(s: &str) -> Result<Shell, String> {
        match s.trim_start_matches('-') {
            "bash" => Ok(Shell::Bash),
            "zsh" => Ok(Shell::Zsh),
            "dash" => Ok(Shell::Dash),
            "fish" => Ok(Shell::Fish),
            other => Err(format!("no shell that is known here: '{other}' (bash, zsh, dash, fish)")),
        }
    }
}

impl Shell {
    /// `cd` itself, whatever function or alias of that name there is.
    pub fn cd(self) -> &'static str {
        match self {
            Shell::Bash | Shell::Zsh | Shell::Fish => "builtin cd",
            Shell::Dash => "command cd",
        }
    }
}

/// One word for bash, zsh, dash and fish alike: single quotes, with `'` and `\` escaped by a backslash outside them.
pub fn word(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    let mut quoted = false;
    for c in s.chars() {
        let escape = c == '\'' || c == '\\';
        if escape == quoted {
            out.push('\'');
            quoted = !quoted;
        }
        if escape {
            out.push('\\');
        }
        out.push(c);
    }
    if quoted {
        out.push('\'');
    }
    if out.is_empty() { "''".into() } else { out }
}

/// An argument vector as a person would write it: words are quoted where they have to be.
pub fn line(argv: &[String]) -> String {
    let plain = |w: &str| {
        let safe = |c: char| c.is_ascii_alphanumeric() || "_./-+:,@".contains(c);
        !w.is_empty() && w.chars().all(safe)
    };
    let words: Vec<String> =
        argv.iter().map(|w| if plain(w) { w.clone() } else { word(w) }).collect();
    words.join(" ")
}

/// The words of a POSIX shell's command up to its first operator: where each stands, and what it says.
/// Expansions are left as they are written.
pub fn words(command: &str) -> Vec<(Range<usize>, String)> {
    let mut all: Vec<(Range<usize>, String)> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let mut quote: Option<char> = None;
    let mut chars = command.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        let ends = quote.is_none() && (c.is_ascii_whitespace() || "|&;<>()".contains(c));
        if ends {
            all.extend(open.take().map(|(start, text)| (start..i, text)));
            if c == '\n' || !c.is_ascii_whitespace() {
                return all;
            }
            continue;
        }
        let (_, text) = open.get_or_insert((i, String::new()));
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), _) if c == q => quote = None,
            (None | Some('"'), '\\') => text.extend(chars.next().map(|(_, c)| c)),
            _ => text.push(c),
        }
    }
    all.extend(open.map(|(start, text)| (start..command.len(), text)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn words_arrive_in_every_shell_that_is_here() {
        let names = [
            "a b",
            "it's",
            "back\\slash",
            "end\\",
            "\\'",
            "$(id)",
            "`id`",
            "a\"b",
            "*?[x]",
            "~",
            "-n",
            "a;b&c|d",
            "ü👍",
            "{a,b}",
            "!x",
            "%1",
            "^a",
            "a'b\\'c\\",
            "''",
        ];
        for shell in ["bash", "zsh", "dash", "fish"] {
            if Command::new(shell).arg("-c").arg("true").status().is_err() {
                continue;
            }
            for name in names {
                let line = format!("printf %s {}", word(name));
                let out = Command::new(shell).arg("-c").arg(&line).output().expect("runs");
                assert_eq!(String::from_utf8_lossy(&out.stdout), name, "{shell}: {line}");
            }
        }
    }

    #[test]
    fn a_command_is_read_as_the_shell_reads_it_up_to_its_first_operator() {
        let said = |c: &str| words(c).into_iter().map(|w| w.1).collect::<Vec<_>>();
        assert_eq!(said("a 'b c'\\''d' \"e f\" || true"), ["a", "b c'd", "e f"]);
        assert_eq!(said("  x|y"), ["x"]);
        assert_eq!(said(""), Vec::<String>::new());
        for name in ["a b", "it's", "end\\", "\\'", "a\"b", "ü👍"] {
            let line = format!("A=1 {} --hook", word(name));
            let (range, text) = words(&line).swap_remove(1);
            assert_eq!((text.as_str(), &line[range]), (name, word(name).as_str()));
        }
    }
}
