use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use orch::event::{Body, End, Event, Evidence, Exit, Outcome};
use orch::extract::{Extractor, Format};
use proptest::prelude::*;

fn events(pieces: &[&[u8]], format: Format) -> Vec<Event> {
    let (mut extractor, mut out) = (Extractor::new(format), Vec::new());
    for piece in pieces {
        extractor.push(piece, &mut out);
    }
    extractor.finish(None, &mut out);
    out
}

fn tty(input: &[u8]) -> Vec<Event> {
    events(&[input], Format::Tty)
}

fn end(events: &[Event]) -> &End {
    assert_eq!(events.iter().filter(|e| e.body.task_end().is_some()).count(), 1);
    events.last().and_then(|e| e.body.task_end()).expect("a task_* event at the end")
}

fn turns(events: &[Event]) -> Vec<&End> {
    let turns = events.iter().filter_map(|e| match &e.body {
        Body::TurnEnd(end) => Some(end),
        _ => None,
    });
    turns.collect()
}

/// What `tmux pipe-pane -O` gave.
fn recording(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/tty/{name}.raw", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Name, outcome of every turn, evidence of the end, words of its reason.
const RECORDINGS: &[(&str, &[Outcome], Outcome, Evidence, &str)] = {
    use Evidence::{Exit, Pattern, Status};
    use Outcome::{Complete, Failed, RateLimited, Unknown, Waiting};
    const SHELL: &[Outcome] = &[
        Complete, Failed, Failed, Complete, Complete, Complete, Failed, Complete, Failed, Complete,
    ];
    &[
        ("bash-marks", SHELL, Complete, Exit, "exit code 0"),
        ("zsh-marks", SHELL, Complete, Exit, "exit code 0"),
        ("codex-ok", &[Complete], Complete, Status, ""),
        ("codex-tool", &[Complete], Complete, Status, ""),
        ("codex-blocked", &[Waiting, Complete], Complete, Status, ""),
        ("codex-error", &[Failed], Failed, Status, "stub: bad"),
        ("codex-limit", &[RateLimited], RateLimited, Status, "429 Too Many Requests"),
        ("codex-interrupted", &[Unknown], Unknown, Status, "interrupted"),
        ("claude-ok", &[], Complete, Pattern, "Worked for 1s"),
        ("claude-permission", &[], Waiting, Pattern, "Do you want to proceed?"),
    ]
};

#[test]
fn every_recording_ends_as_it_did() {
    for (name, outcomes, outcome, evidence, words) in RECORDINGS {
        let all = tty(&recording(name));
        let ended: Vec<Outcome> = turns(&all).iter().map(|t| t.outcome).collect();
        assert_eq!(ended, *outcomes, "{name}");
        let end = end(&all);
        assert_eq!((end.outcome, end.evidence), (*outcome, *evidence), "{name}: {end:?}");
        assert!(end.reason.as_deref().unwrap_or("").contains(words), "{name}: {end:?}");
        assert!(all.iter().all(|e| e.source.format == "tty"), "{name}");
    }
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tty");
    assert_eq!(std::fs::read_dir(dir).expect("the fixtures").count(), RECORDINGS.len());
}

#[test]
fn every_command_of_a_shell_has_its_words_and_its_code() {
    for shell in ["bash-marks", "zsh-marks"] {
        let all = tty(&recording(shell));
        let commands: Vec<(&str, i64)> = all
            .iter()
            .filter_map(|e| match &e.body {
                Body::Command { command, exit_code: Some(code), .. } => Some((&command[..], *code)),
                _ => None,
            })
            .collect();
        // An empty line is no command; backspaces are no part of one, nor is where it was folded.
        let want = [
            ("echo hi", 0),
            ("false", 1),
            (
                "printf '%s\\n' 'a.c:3:5: error: no such thing' '=== 1 failed, 2 passed in 0.12s ==='; (exit 42)",
                42,
            ),
            ("echo wrong", 0),
            (
                "echo a very long command line, longer than the width of the pane, so that the shell itself has to fold it over",
                0,
            ),
            ("cd /tmp/proj", 0),
            ("no-such-cmd", 127),
            (r#"printf "10%%\r50%%\r100%%\n"; printf "a\nb\n\033[1A\033[2Kc\n""#, 0),
            ("sleep 30", 130),
            ("sleep 0.2; true", 0),
        ];
        assert_eq!(commands, want, "{shell}");
        // What was printed, not what was typed.
        let errors: Vec<_> = all
            .iter()
            .filter_map(|e| match &e.body {
                Body::Error { file, line, message, .. } => {
                    Some((file.as_deref(), *line, &message[..]))
                }
                _ => None,
            })
            .collect();
        assert_eq!(errors, [(Some("a.c"), Some(3), "no such thing")], "{shell}");
    }
}

#[test]
fn what_a_tool_printed_is_read_from_the_picture() {
    let all = tty(&recording("codex-tool"));
    assert!(all.iter().any(|e| matches!(&e.body,
        Body::Error { file: Some(file), line: Some(3), message, .. }
            if file == "src/a.c" && message == "no such thing")));
    let counts = all.iter().filter_map(|e| match e.body {
        Body::TestSummary { passed, failed, .. } => Some((passed, failed)),
        _ => None,
    });
    assert_eq!(counts.collect::<Vec<_>>(), [(2, 1)], "once, though drawn in many frames");
}

#[test]
fn a_question_of_the_agent_is_told_at_once() {
    let all = tty(&recording("codex-blocked"));
    let at = all.iter().position(|e| {
        matches!(&e.body,
        Body::PermissionRequest { text, .. } if text == "codex asks: permission")
    });
    let at = at.expect("a request");
    let Body::TurnEnd(end) = &all[at + 1].body else { panic!("{:?}", all[at + 1]) };
    assert_eq!((end.outcome, end.because.as_slice()), (Outcome::Waiting, &[all[at].seq][..]));
}

fn state(state: &str) -> String {
    format!("\u{1b}]7501;state={state}:app=codex\u{1b}\\")
}

fn states(all: &[&str]) -> Vec<Event> {
    tty(all.iter().map(|s| state(s)).collect::<String>().as_bytes())
}

#[test]
fn states_end_turns_only_where_one_was_open() {
    let outcomes = |all: &[&str]| turns(&states(all)).iter().map(|t| t.outcome).collect::<Vec<_>>();
    assert_eq!(outcomes(&["idle", "working", "done"]), [Outcome::Complete]);
    assert_eq!(outcomes(&["working", "error"]), [Outcome::Failed]);
    assert_eq!(outcomes(&["working", "idle"]), [Outcome::Unknown]);
    // Codex does that while it starts.
    assert_eq!(outcomes(&["working", "idle", "working", "done"]), [Outcome::Complete]);
    assert_eq!(outcomes(&["done", "idle", "done", "nonsense"]), []);
    assert_eq!(outcomes(&["working", "done", "done", "idle"]), [Outcome::Complete]);
    assert_eq!(end(&states(&["working", "done", "working"])).evidence, Evidence::None);
    assert_eq!(end(&states(&["idle"])).evidence, Evidence::None);
    // BEL ends the sequence as well, and another program's state is not the agent's.
    let other = "\u{1b}]7501;state=working:app=codex\u{7}\u{1b}]7501;state=done:app=other\u{7}";
    assert_eq!(end(&tty(other.as_bytes())).outcome, Outcome::Unknown);
}

#[test]
fn the_exit_of_a_client_that_was_left_is_no_success() {
    let ended = |last: &str, exit| {
        let (mut extractor, mut out) = (Extractor::new(Format::Tty), Vec::new());
        extractor.push(format!("{}{}", state("working"), state(last)).as_bytes(), &mut out);
        extractor.finish(Some(exit), &mut out);
        (end(&out).outcome, end(&out).evidence)
    };
    assert_eq!(ended("error", Exit::Code(0)), (Outcome::Failed, Evidence::Status));
    assert_eq!(ended("done", Exit::Signal(9)), (Outcome::Failed, Evidence::Exit));
}

#[test]
fn a_screen_is_drawn_not_stripped() {
    let found = |input: &str| {
        let all = tty(input.as_bytes());
        let found: Vec<(u64, u64)> = all
            .iter()
            .filter_map(|e| match e.body {
                Body::TestSummary { passed, failed, .. } => Some((passed, failed)),
                _ => None,
            })
            .collect();
        found
    };
    let one: &[(u64, u64)] = &[(2, 1)];
    let alternate = "\u{1b}[?1049h\u{1b}[2J";
    for input in [
        // Blanks by moves, cells that did not change left out, in a frame of several visits.
        "\u{1b}[3;1H===\u{1b}[C1\u{1b}[Cfailed, 2 passed\u{1b}[3;24Hin 0.12s ===\u{1b}[9;1H",
        "\u{1b}[?2026h\u{1b}[3;1H=== 1 fa\u{1b}[5;1Hx\u{1b}[3;9Hiled, 2 passed in 0.12s ===\u{1b}[?2026l",
        // Drawn again, one row higher and in the same place.
        "\u{1b}[3;1H=== 1 failed, 2 passed in 0.12s ===\u{1b}[2;1H=== 1 failed, 2 passed in 0.12s ===\u{1b}[3;1H\u{1b}[K\u{1b}[2;1H=== 1 failed, 2 passed in 0.12s ===\u{1b}[1;1H",
    ] {
        assert_eq!(found(&format!("{alternate}{input}")), one, "{input:?}");
    }
    // A redraw by erasing upwards, and a progress line.
    let line = "=== 1 failed, 2 passed in 0.12s ===\r\n";
    let redrawn = format!("{line}{}", format!("\u{1b}[1A\u{1b}[2K{line}").repeat(50));
    assert_eq!(found(&redrawn), one);
    assert_eq!(found(&format!("  1%\r 50%\r100%\r\u{1b}[K{line}")), one);
    // Two runs print the same line twice.
    assert_eq!(found(&line.repeat(2)).len(), 2);
}

#[test]
fn auto_knows_a_screen_by_its_first_bytes() {
    for name in ["bash-marks", "claude-ok", "codex-ok", "zsh-marks"] {
        let format = events(&[&recording(name)], Format::Auto)[0].source.format.clone();
        let screen = !name.ends_with("marks");
        assert_eq!(format == "tty", screen, "{name}");
    }
    for text in ["\u{1b}[?", "\u{1b}[?25", "\u{1b}[31mred", "\u{1b}", "", "\u{1b}[?c"] {
        let all = events(&[text.as_bytes()], Format::Auto);
        assert_eq!(all[0].source.format, "text", "{text:?}");
    }
}

#[test]
fn a_state_is_an_event_before_the_next_byte() {
    let mut child = Command::new(cargo_bin!("orch-extract"))
        .args(["--format", "tty", "--only", "turn_end"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("stdin");
    let mut out = BufReader::new(child.stdout.take().expect("stdout"));
    stdin.write_all(state("working").as_bytes()).expect("a write");
    let done = state("done");
    let (last, most) = done.as_bytes().split_last().expect("bytes");
    stdin.write_all(most).expect("a write");
    std::thread::sleep(Duration::from_millis(20));
    let sent = Instant::now();
    stdin.write_all(&[*last]).expect("a write");
    let mut line = String::new();
    out.read_line(&mut line).expect("an event, with the input still open");
    // The promise is 50 ms; a busy machine is no fault of the program's.
    assert!(sent.elapsed() < Duration::from_secs(2));
    assert!(line.contains(r#""outcome":"complete","evidence":"status""#), "{line}");
    drop(stdin);
    assert!(child.wait().expect("its end").success());
}

/// Pieces of recordings, and sequences that move, erase, scroll and break off.
fn material() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        2 => (proptest::sample::select(RECORDINGS), any::<[prop::sample::Index; 2]>()).prop_map(
            |(r, cut)| {
                let bytes = recording(r.0);
                let at = cut.map(|c| c.index(bytes.len() + 1));
                bytes[at[0].min(at[1])..at[0].max(at[1])].to_vec()
            }
        ),
        4 => "\u{1b}\\[[0-9;?]{0,6}[@-~]".prop_map(String::into_bytes),
        2 => "[ -~é漢\u{301}\r\n\t\u{8}]{0,30}".prop_map(String::into_bytes),
        1 => "\u{1b}[78DEMc=>(\\]P]".prop_map(String::into_bytes),
        1 => "\u{1b}\\](133;[ABCD]|7501;state=(idle|working|blocked|done|error):app=[ab])(\u{7}|\u{1b}\\\\)?"
            .prop_map(String::into_bytes),
        1 => "\u{1b}\\[\\?(2026|1049)[hl]".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => (4000usize..9000).prop_map(|n| [b"\x1b]52;".to_vec(), vec![b'a'; n]].concat()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_a_terminals_bytes_gives_the_same_events(
        input in material(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..60),
        format in proptest::sample::select(&[Format::Tty, Format::Auto][..]),
    ) {
        let whole = events(&[&input], format);
        end(&whole);
        let mut at: Vec<usize> = cuts.iter().map(|c| c.index(input.len() + 1)).collect();
        at.extend([0, input.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|w| &input[w[0]..w[1]]).collect();
        prop_assert_eq!(events(&pieces, format), whole);
    }
}

#[test]
fn a_recording_byte_by_byte_gives_the_same_events() {
    for (name, ..) in RECORDINGS {
        let input = recording(name);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(events(&bytes, Format::Tty), tty(&input), "{name}");
    }
}
