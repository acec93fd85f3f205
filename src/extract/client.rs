//! What the screen of Claude Code or Codex says of the turn that is over.

use std::sync::LazyLock;

use regex::Regex;

use super::rules::regex;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    Finished(String),
    Failed(String),
    Interrupted,
}

/// `✻ Baked for 1m 3s`, `─ Worked for <1s ─`.
static FINISHED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^\s*[^\w\s]\s+[A-Z][\w-]*ed for (?:\d+h )?(?:\d+m )?\d+s\b|^\W*Worked for (?:\d+h )?(?:\d+m )?<?\d+s\b",
    )
});
static FAILED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^\s*(?:[⎿●⏺✗✕└]\s*)?(?:\[?API Error(?:: |\s\(|\s\d|$)|Invalid API key\b|Credit balance (?:is )?too low\b|OAuth token (?:has |is )?(?:expired|revoked)|Not logged in · )|^\s*■ [A-Za-z{\[]",
    )
});
static INTERRUPTED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^\s*[⎿■└]?\s*(?:Interrupted (?:by user|·)|Conversation interrupted\b|Request interrupted by user|\[Request interrupted by user)",
    )
});
static SPOKEN: LazyLock<Regex> = LazyLock::new(|| regex(r"^\s*[●⏺•]\s+\S"));
static TYPED: LazyLock<Regex> = LazyLock::new(|| regex(r"^\s*[>❯›](?:\s|$)"));

/// How the last turn ended, from the last row upwards.
pub fn rest<'a>(rows: impl Iterator<Item = &'a String>) -> Option<Rest> {
    let (mut finished, mut typed, mut spoken, mut others) = (None, 0, false, 0);
    for row in rows.take(24) {
        if !spoken && INTERRUPTED.is_match(row) {
            return Some(Rest::Interrupted);
        }
        if !spoken && FAILED.is_match(row) {
            return Some(Rest::Failed(row.trim().to_string()));
        }
        if FINISHED.is_match(row) {
            finished.get_or_insert_with(|| row.trim().to_string());
        } else if SPOKEN.is_match(row) {
            // What the agent went on after; Codex puts its mark before its last words.
            spoken = true;
        } else if TYPED.is_match(row) {
            // The first is where the next prompt is typed, the second began this turn.
            typed += 1;
            if typed > 1 {
                break;
            }
        } else {
            // Terminals may have lost the bullets: so much more was said, too.
            others += 1;
            spoken |= others > 12;
        }
    }
    finished.map(Rest::Finished)
}

#[cfg(test)]
mod tests {
    use super::{Rest, rest};

    fn of(screen: &str) -> Option<Rest> {
        let rows: Vec<String> =
            screen.lines().filter(|r| !r.trim().is_empty()).map(str::to_string).collect();
        rest(rows.iter().rev())
    }

    #[test]
    fn a_screen_at_rest_tells_how_the_turn_ended() {
        let foot = "──────────\n❯ \n──────────\n  ? for shortcuts\n";
        let claude = |last: &str| of(&format!("❯ do it\n\n{last}\n\n{foot}"));
        assert_eq!(
            claude("● All done.\n\n✻ Baked for 1m 3s"),
            Some(Rest::Finished("✻ Baked for 1m 3s".into()))
        );
        assert!(matches!(
            claude("  ⎿  API Error: 500 {\"type\":\"error\"}\n\n✻ Brewed for 2s"),
            Some(Rest::Failed(_))
        ));
        assert_eq!(
            claude("● Let me look.\n  ⎿  Interrupted · What should Claude do instead?"),
            Some(Rest::Interrupted)
        );
        assert_eq!(claude("● API Error was what I fixed.\n● It works."), None);
        assert_eq!(claude("● All done."), None);
        let codex =
            |last: &str| of(&format!("› do it\n\n{last}\n\n› Explain this\n\n  m · /tmp\n"));
        assert!(matches!(codex("─ Worked for <1s ─────\n\n• Ok."), Some(Rest::Finished(_))));
        assert!(matches!(codex("• Ok.\n\n─ Worked for <1s ─────"), Some(Rest::Finished(_))));
        assert!(matches!(codex("■ stream disconnected"), Some(Rest::Failed(_))));
        assert_eq!(
            codex("■ Conversation interrupted - tell the model what to do differently."),
            Some(Rest::Interrupted)
        );
    }
}
