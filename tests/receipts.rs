//! Deliveries to the real clients and their receipts: what arrived, by the stub's log, beside what the attempt says.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::client::{self, Kind};
use crate::support::live::{Live, Setup};
use crate::support::stub::{Stub, pasted};
use crate::support::world::{World, until};

const BOTH: [Kind; 2] = [Kind::Claude, Kind::Codex];

/// What is typed before a text that Claude would file as somebody else's.
const LEAD: &str = "Carry out the task in the pasted text: ";

/// A world with a repository, and a stub.
struct Bench {
    world: World,
    stub: Stub,
    dir: PathBuf,
}

impl Bench {
    fn new(kind: Kind) -> Option<Bench> {
        client::present(kind).then(|| {
            let world = World::new();
            let dir = world.repository("proj", &["side"]);
            Bench { world, stub: Stub::start(), dir }
        })
    }

    fn adopted(&self, kind: Kind) -> Live<'_> {
        let live = self.client(kind, kind.name());
        live.await_prompt();
        self.world.ok("orch-ctx", &["adopt", kind.name()]);
        self.world.await_idle(kind.name());
        live
    }

    fn client(&self, kind: Kind, name: &str) -> Live<'_> {
        Live::start(&self.world, &self.stub, kind, name, &self.dir, &Setup::default())
    }

    fn enqueue(&self, kind: Kind, more: &[&str], content: &str) -> String {
        let mut args = vec!["--provider", kind.name(), "--max-attempts", "1"];
        args.extend(more);
        let ran = self.world.run_with_input("orch-enqueue", &args, content.as_bytes());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        ran.stdout.trim().to_owned()
    }

    fn attempts(&self, id: &str) -> Vec<Value> {
        self.world.attempts(id)
    }

    /// Enqueues, and passes until the task was handed over; how that ended, and how long the last pass took.
    fn deliver(&self, kind: Kind, more: &[&str], content: &str) -> (String, String, Duration) {
        let id = self.enqueue(kind, more, content);
        let (outcome, took) = until(&format!("task {id} to be handed over"), || {
            let begun = Instant::now();
            let did = self.world.assign();
            let took = begun.elapsed();
            let of = |d: &&Value| d["task"].to_string() == id && d["did"] != "reaped";
            match did.iter().find(of) {
                Some(d) => Ok((outcome(d), took)),
                None => Err(format!("{did:?} {}", self.world.ctx(kind.name()))),
            }
        });
        (id, outcome, took)
    }
}

fn outcome(record: &Value) -> String {
    match record["did"].as_str() {
        Some("refused") => "refused".into(),
        _ => record["outcome"].as_str().unwrap_or("none").into(),
    }
}

/// One text of each kind; `n` makes it another one each time.
fn texts(n: usize) -> Vec<(&'static str, String)> {
    let line = |i: usize| {
        format!("line {i} of {n}: the reader says \"it's {i}\"; see src/a_{i}.rs, $HOME and 100 %")
    };
    let lines = |count: usize| (0..count).map(line).collect::<Vec<_>>().join("\n");
    let sized = |bytes: usize| {
        let mut all = lines(bytes / 60);
        all.truncate(bytes);
        all
    };
    vec![
        ("one line", format!("Say the number {n} and nothing else.")),
        ("40 lines", lines(40)),
        (
            "40 lines, 600 characters",
            (0..40).map(|i| format!("part {n}.{i} ok;")).collect::<Vec<_>>().join("\n"),
        ),
        ("20 KB", sized(20_000)),
        ("200 KB", sized(200_000)),
        ("leading /", format!("/help me with the number {n}")),
        ("leading !", format!("!echo {n} is the number")),
        ("leading #", format!("# The number {n}\n\nSay it.")),
        ("leading @", format!("@file says {n}")),
        ("leading -", format!("-n {n} --help")),
        ("trailing @file", format!("Say {n} and look at @file")),
        ("trailing $NAME", format!("Say {n} and look at $HOME")),
        ("unicode", format!("{n}: é 世界 👩\u{200d}🚀 e\u{301} ąćę ﷽ Ω {}", "漢字".repeat(30))),
        (
            "control characters",
            format!(
                "a\u{1}b\u{3}c\u{1b}[201~d\u{1b}[31me\u{7f}f\u{9b}5mg\r\nh\u{1b}]0;x\u{7}i {n}"
            ),
        ),
        (
            "the mark of a paste",
            format!("{n}: [Pasted text #1 +39 lines] [Pasted Content 1234 chars]"),
        ),
        ("a part of the last", format!("the number {n}")),
    ]
}

/// The content as it is to arrive: filtered, and with what the pages say that is added.
fn expected(kind: Kind, content: &str) -> String {
    let text = orch::clean::text(&content.replace("\r\n", "\n")).trim_end().to_owned();
    match kind {
        Kind::Claude if text.starts_with('/') => format!("Task: {text}"),
        Kind::Claude if text.starts_with('!') => format!(" {text}"),
        Kind::Codex if text.starts_with('/') => format!(" {text}"),
        _ => text,
    }
}

/// Whether this is what arrived: the text itself, behind our own lead-in where the client marks it as a paste.
fn is(kind: Kind, arrived: &str, content: &str) -> bool {
    let wanted = expected(kind, content);
    match pasted(arrived) {
        Some(p) => {
            kind == Kind::Claude
                && p.before == LEAD
                && p.text == wanted
                && p.after.trim().is_empty()
        }
        None => arrived == wanted || arrived == format!("{wanted} "),
    }
}

/// What came of the deliveries of one kind of text.
#[derive(Default)]
struct Tally {
    deliveries: usize,
    submitted: usize,
    refused: usize,
    unknown: usize,
    exact: usize,
    duplicates: usize,
    /// `submitted`, and the stub never saw it.
    false_receipts: usize,
    took: Vec<Duration>,
}

/// One delivery, looked at from both ends.
fn deliver_once(b: &Bench, kind: Kind, more: &[&str], content: &str, tally: &mut Tally) -> String {
    let before = b.stub.deliveries().len();
    let (id, outcome, took) = b.deliver(kind, more, content);
    tally.deliveries += 1;
    match outcome.as_str() {
        "submitted" => tally.submitted += 1,
        "refused" => tally.refused += 1,
        _ => tally.unknown += 1,
    }
    if outcome == "submitted" {
        until("the task to be over", || {
            let state = b.world.state(&id);
            if ["completed", "failed", "waiting"].contains(&state.as_str()) {
                return Ok(());
            }
            b.world.assign();
            Err(b.world.task(&id).to_string())
        });
    }
    let arrived = b.stub.deliveries()[before..].to_vec();
    let exact = arrived.iter().filter(|a| is(kind, a, content)).count();
    tally.took.push(took);
    tally.exact += exact.min(1);
    tally.duplicates += exact.saturating_sub(1);
    tally.false_receipts += usize::from(outcome == "submitted" && exact == 0);
    if exact != 1 || outcome != "submitted" || arrived.len() != 1 {
        let short = |s: &String| s.chars().take(300).collect::<String>();
        eprintln!(
            "{kind:?} {outcome} {:?}\n  arrived {:?}\n  {:?}\n{}",
            short(&content.to_owned()),
            arrived.iter().map(short).collect::<Vec<_>>(),
            b.attempts(&id).pop(),
            b.world.screen(kind.name()),
        );
    }
    outcome
}

#[test]
fn every_kind_of_text_arrives_once_and_exactly_or_is_refused() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let _live = b.adopted(kind);
        for (what, content) in texts(7) {
            let mut tally = Tally::default();
            let outcome = deliver_once(&b, kind, &["--group", "g"], &content, &mut tally);
            eprintln!("{kind:?} {what}: {outcome} {:?}", tally.took);
            assert_eq!((outcome.as_str(), tally.exact), ("submitted", 1), "{kind:?}: {what}");
            assert_eq!((tally.duplicates, tally.false_receipts), (0, 0), "{kind:?}: {what}");
        }
    }
}

#[test]
#[ignore = "probe"]
fn probe() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let live = b.adopted(kind);
        for (i, t) in [
            "\u{2060}/help one",
            "./help",
            " !echo two",
            " /help three",
            "\u{a0}/help four",
            "\n/help five",
            "\u{feff}/help six",
            "# seven",
            " #seven",
            "look at @file ",
            "look at @fi ",
            "look $HOME ",
            "/etc/hosts is",
            "@file first",
            "/line\n2\n3\n4\n5",
        ]
        .iter()
        .enumerate()
        {
            let before = b.stub.deliveries().len();
            live.paste(t);
            std::thread::sleep(Duration::from_millis(500));
            live.key("Enter");
            std::thread::sleep(Duration::from_millis(1500));
            eprintln!("{kind:?} {i} {t:?} -> {:?}", &b.stub.deliveries()[before..]);
            if b.stub.deliveries().len() == before {
                eprintln!("{}", live.screen());
            }
            live.key("Escape");
            live.key("C-u");
            live.key("C-u");
            std::thread::sleep(Duration::from_millis(1000));
        }
    }
}
