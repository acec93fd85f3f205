//! Words of a shell's command line, and the few things that differ between shells.

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
}
