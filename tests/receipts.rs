//! Deliveries to the real clients and their receipts: what arrived, by the stub's log, beside what the attempt says.

use std::io::Write as _;
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

    /// Enqueues, and passes until the task was handed over, by whichever pass; its attempts, the last of them with a
    /// receipt or in doubt.
    fn deliver(&self, kind: Kind, more: &[&str], content: &str) -> (String, Vec<Value>) {
        let id = self.enqueue(kind, more, content);
        let attempts = until(&format!("task {id} to be handed over"), || {
            self.world.assign();
            let all = self.attempts(&id);
            match all.last() {
                Some(a) if a["state"] == "unknown" || !a["started_at"].is_null() => Ok(all),
                _ => Err(format!("{all:?} {}", self.world.ctx(kind.name()))),
            }
        });
        (id, attempts)
    }
}

/// From the claim to the receipt.
fn took(attempt: &Value) -> Option<Duration> {
    let at = |f: &str| attempt[f].as_str()?.parse::<jiff::Timestamp>().ok();
    at("started_at")?.duration_since(at("claimed_at")?).try_into().ok()
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
    // Claude composes accents and widens tabs
    let text = match kind {
        Kind::Claude => text.replace("e\u{301}", "é").replace('\t', "    "),
        Kind::Codex => text,
    };
    match kind {
        Kind::Claude if text.starts_with('/') => format!("Task: {text}"),
        Kind::Claude if text.starts_with('!') => format!(" {text}"),
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
        // a blank at the end, or the one that keeps Codex from a command, is taken off by most clients
        None => {
            [&wanted, &format!("{wanted} "), &format!(" {wanted}")].contains(&&arrived.to_owned())
        }
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
    let (id, attempts) = b.deliver(kind, more, content);
    tally.deliveries += attempts.len();
    tally.refused += attempts.len() - 1;
    let last = &attempts[attempts.len() - 1];
    let outcome = if last["state"] == "unknown" { "unknown" } else { "submitted" };
    match outcome {
        "submitted" => tally.submitted += 1,
        _ => tally.unknown += 1,
    }
    tally.took.extend(took(last));
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
    tally.exact += exact.min(1);
    tally.duplicates += exact.saturating_sub(1);
    tally.false_receipts += usize::from(outcome == "submitted" && exact == 0);
    if exact != 1 || outcome != "submitted" || arrived.len() != 1 {
        let short = |s: &String| s.chars().take(300).collect::<String>();
        let line = format!(
            "{kind:?} {outcome} {:?}\n  arrived {:?}\n  {:?}\n{}",
            short(&content.to_owned()),
            arrived.iter().map(short).collect::<Vec<_>>(),
            b.attempts(&id).pop(),
            b.world.screen(kind.name()),
        );
        drop(writeln!(std::io::stderr(), "{line}"));
    }
    outcome.to_owned()
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

/// Nothing of the task went in: the attempt is refused or was never made, and the stub has seen nothing.
fn kept_out(b: &Bench, kind: Kind, id: &str, why: &str) {
    for _ in 0..2 {
        let did = b.world.run("orch-assign", &["--explain"]).stdout;
        assert!(!did.contains("\"submitted\""), "{kind:?}, {why}: {did}");
        assert!(did.contains(why), "{kind:?}: not because of {why:?}: {did}");
    }
    assert_eq!(b.world.state(id), "queued", "{kind:?}, {why}: {}", b.world.task(id));
    assert_eq!(b.stub.deliveries(), Vec::<String>::new(), "{kind:?}, {why}");
}

#[test]
fn a_pane_that_takes_no_input_as_it_is_meant_gets_none() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let live = b.adopted(kind);
        let neighbour = b.world.tmux(&[
            "split-window",
            "-d",
            "-P",
            "-F",
            "#{pane_id}",
            "-t",
            &live.pane,
            "cat",
        ]);
        let neighbour = neighbour.trim();
        b.world.await_idle(kind.name());
        let id = b.enqueue(kind, &[], "hello there");
        let set = |args: &[&str]| drop(b.world.tmux(args));
        set(&["copy-mode", "-t", &live.pane]);
        kept_out(&b, kind, &id, "the pane is in copy mode");
        set(&["send-keys", "-X", "-t", &live.pane, "cancel"]);
        set(&["select-pane", "-d", "-t", &live.pane]);
        kept_out(&b, kind, &id, "the pane's input is off");
        set(&["select-pane", "-e", "-t", &live.pane]);
        set(&["set-option", "-w", "-t", &live.pane, "synchronize-panes", "on"]);
        kept_out(&b, kind, &id, "the pane is synchronized with its neighbours");
        set(&["set-option", "-w", "-t", &live.pane, "synchronize-panes", "off"]);
        assert!(!live.screen().contains("hello"), "{}", live.screen());
        b.world.assign_until(&id, "completed");
        assert_eq!(b.stub.deliveries(), ["hello there"]);
        let other = b.world.tmux(&["capture-pane", "-p", "-t", neighbour]);
        assert_eq!(other.trim(), "", "not a byte in another pane");
    }
}

#[test]
fn a_humans_draft_is_neither_moved_nor_sent() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let live = b.adopted(kind);
        live.type_text("half a dra");
        live.await_words("half a dra");
        let id = b.enqueue(kind, &[], "hello there");
        kept_out(&b, kind, &id, "a draft stands in its composer");
        let before = live.screen();
        assert!(before.contains("half a dra") && !before.contains("hello"), "{before}");
        live.type_text("ft");
        live.await_words("half a draft");
        // Codex takes an Enter right behind typed text for a part of a paste
        std::thread::sleep(Duration::from_millis(500));
        live.key("Enter");
        assert_eq!(b.stub.await_prompts(1), ["half a draft"]);
        b.world.assign_until(&id, "completed");
        assert_eq!(b.stub.deliveries().last().map(String::as_str), Some("hello there"));
    }
}

#[test]
fn a_client_at_work_at_a_permission_or_at_a_dialog_gets_nothing() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let live = b.adopted(kind);
        let outside = b.world.text("made");
        let id = b.enqueue(kind, &[], "hello there");
        let refused = |why: &str, seen: &[String]| {
            // the model may have a prompt before the client says so anywhere
            until(why, || {
                let did = b.world.run("orch-assign", &["--explain"]).stdout;
                assert!(!did.contains("submitted"), "{kind:?} {why}: {did}");
                if did.contains(why) { Ok(()) } else { Err(did) }
            });
            assert_eq!(b.stub.deliveries(), seen, "{kind:?}");
        };
        live.submit("STUB:hang 600");
        let mut seen = b.stub.await_prompts(1);
        refused("busy", &seen);
        interrupt(&b, kind, &live);
        live.key("C-u");
        b.world.await_idle(kind.name());
        let directive = if kind == Kind::Claude { "bash" } else { "esc" };
        let ask = format!("STUB:{directive} touch {outside}");
        live.submit(&ask);
        seen.push(ask);
        live.await_text("a permission", |s| {
            s.contains("Do you want to proceed?") || s.contains("Would you like to")
        });
        refused("waiting", &seen);
        refused("waiting", &seen);
        live.key("Escape");
        live.await_prompt();
        b.world.await_idle(kind.name());
        if kind == Kind::Claude {
            live.type_text("/help");
            live.await_words("/help");
            std::thread::sleep(Duration::from_millis(300));
            live.key("Enter");
            live.await_words("Esc to close");
            let did = b.world.run("orch-assign", &["--explain"]).stdout;
            assert!(!did.contains("submitted"), "{did}");
            assert_eq!(b.stub.deliveries(), seen);
            live.key("Escape");
        }
        assert!(!std::path::Path::new(&outside).exists());
        b.world.assign_until(&id, "completed");
        assert_eq!(b.stub.deliveries().last().map(String::as_str), Some("hello there"), "{kind:?}");
    }
}

#[test]
fn a_pane_that_somebody_has_before_him_is_left_alone_until_he_rests() {
    let kind = Kind::Codex;
    let Some(b) = Bench::new(kind) else { return };
    let live = b.adopted(kind);
    b.world.session("shell", "bash", &b.dir);
    b.world.config("hands_off = '2s'\n");
    // a second server's pane is the terminal of somebody attached to the first
    let far = b.world.text("far");
    let attach = |to: &str| {
        let line = format!("exec tmux -u -S {} attach -t ={to}", b.world.text("tmux"));
        let mut c = b.world.command("tmux");
        c.args(["-u", "-S", &far, "-f", "/dev/null", "new-session", "-d", "-s", to, &line]);
        assert!(c.env_remove("TMUX").status().expect("tmux").success());
    };
    let press = |to: &str| {
        let target = format!("={to}:");
        let mut c = b.world.command("tmux");
        let c = c.args(["-u", "-S", &far, "send-keys", "-t", &target, "x", "BSpace"]);
        assert!(c.status().expect("tmux").success());
    };
    for (to, provider, content) in
        [(kind.name(), kind.name(), "hello there"), ("shell", "shell", "true")]
    {
        attach(to);
        b.world.await_idle(to);
        let id = b.world.enqueue(&["--provider", provider, "--session", to, content]);
        press(to);
        std::thread::sleep(Duration::from_millis(300));
        let did = b.world.run("orch-assign", &["--explain"]).stdout;
        assert!(did.contains("somebody is at the pane") && did.contains("(hands_off)"), "{did}");
        assert_eq!(b.world.state(&id), "queued");
        let begun = Instant::now();
        b.world.assign_until(&id, "completed");
        assert!(begun.elapsed() > Duration::from_millis(500), "{:?}", begun.elapsed());
    }
    assert_eq!(b.stub.deliveries(), ["hello there"]);
    assert!(live.has_prompt(&live.screen()));
    drop(b.world.command("tmux").args(["-S", &far, "kill-server"]).output());
}

/// A pass that is killed at a step of a delivery.
fn killed_at(b: &Bench, step: &str) {
    use std::os::unix::process::ExitStatusExt;
    let program = crate::support::world::bin_dir().join("orch-assign");
    // a client that is still drawing is given nothing yet
    until(&format!("a pass to be killed at {step}"), || {
        let out = b.world.command(&program).env("ORCH_TEST_KILL", step).output().expect("runs");
        let told = || String::from_utf8_lossy(&out.stdout).into_owned();
        if out.status.signal() == Some(9) { Ok(()) } else { Err(told()) }
    });
}

#[test]
fn a_pass_killed_in_a_delivery_leaves_it_unknown_and_late_evidence_resolves_it() {
    for kind in BOTH {
        for step in ["pasting", "pasted", "entered"] {
            let Some(b) = Bench::new(kind) else { return };
            let live = b.adopted(kind);
            let content = "STUB:ok said late";
            let id = b.enqueue(kind, &[], content);
            killed_at(&b, step);
            for _ in 0..3 {
                b.world.run("orch-assign", &[]);
            }
            let sent = usize::from(step == "entered");
            if step == "entered" {
                let t = b.world.assign_until(&id, "completed");
                assert_eq!(t["evidence"], "protocol", "{kind:?} {step}: {t}");
            } else {
                assert_eq!(b.world.state(&id), "unknown", "{kind:?} {step}: {}", b.world.task(&id));
                assert_eq!(b.stub.deliveries().len(), sent, "{kind:?} {step}");
            }
            if step == "pasted" {
                // the person whose pane it is sends what stands there
                live.await_words(content);
                live.key("Enter");
                let t = b.world.assign_until(&id, "completed");
                assert_eq!(t["evidence"], "protocol", "{kind:?} {step}: {t}");
            }
            if step == "pasting" {
                // another prompt, which holds the task's words, is no evidence
                live.submit(&format!("{content}, and more"));
                b.stub.await_prompts(1);
                b.world.await_idle(kind.name());
                b.world.run("orch-assign", &[]);
                assert_eq!(b.world.state(&id), "unknown", "{kind:?}");
                b.world.ok("orch-ctl", &["complete", &id]);
                assert_eq!(b.world.state(&id), "completed");
                assert_eq!(b.stub.deliveries().len(), 1, "{kind:?} {step}");
            } else {
                assert_eq!(b.stub.deliveries(), [content], "{kind:?} {step}");
            }
            assert_eq!(b.attempts(&id).len(), 1, "{kind:?} {step}");
        }
    }
}

/// What is cancelled is not sent any more; what was sent already is interrupted.
#[test]
fn a_cancel_within_a_delivery_ends_it_whatever_was_typed() {
    for kind in BOTH {
        for step in ["claimed", "pasting", "pasted", "entered"] {
            let Some(b) = Bench::new(kind) else { return };
            let _live = b.adopted(kind);
            let id = b.enqueue(kind, &[], "STUB:slow 20");
            let cancel = || {
                let mut c = b.world.command(crate::support::world::bin_dir().join("orch-ctl"));
                c.args(["cancel", &id]).spawn().expect("runs")
            };
            let (did, mut cancel) = b.world.assign_stopped_at(step, || {
                let cancel = cancel();
                until("the cancel to be known", || {
                    let sql = "select count(*) from attempts where cancel_asked is not null";
                    match b.world.sql(sql).as_str() {
                        "1" => Ok(()),
                        other => Err(other.to_owned()),
                    }
                });
                cancel
            });
            assert!(cancel.wait().expect("ends").success(), "{kind:?} {step}: {did:?}");
            assert_eq!(b.world.state(&id), "cancelled", "{kind:?} {step}: {did:?}");
            b.world.await_idle(kind.name());
            let sent = if step == "entered" { 1 } else { 0 };
            assert_eq!(b.stub.deliveries().len(), sent, "{kind:?} {step}: {did:?}");
            // whatever was typed is gone
            let next = b.enqueue(kind, &[], "STUB:ok next");
            b.world.assign_until(&next, "completed");
            assert_eq!(b.stub.deliveries().len(), sent + 1, "{kind:?} {step}");
        }
    }
}

/// The prompt of one is no evidence for the other.
#[test]
fn of_two_tasks_with_the_same_words_only_the_one_that_was_sent_has_been_done() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let _live = b.adopted(kind);
        let first = b.enqueue(kind, &[], "STUB:slow 3");
        killed_at(&b, "pasting");
        b.world.assign_until(&first, "unknown");
        let second = b.enqueue(kind, &[], "STUB:slow 3");
        let other = b.world.enqueue(&["--provider", "shell", "printf other"]);
        b.world.session("shell", "bash", &b.world.path("home"));
        // passes go on with everything else
        b.world.assign_until(&other, "completed");
        b.world.assign_until(&second, "completed");
        for _ in 0..3 {
            b.world.assign();
        }
        assert_eq!((b.world.state(&first), b.stub.deliveries().len()), ("unknown".into(), 1));
    }
}

/// Hands a megabyte over, and does something while it is on its way.
fn while_pasted(b: &Bench, kind: Kind, act: impl FnOnce() + Send) -> String {
    let content = format!("{}the end", "a line of a megabyte that is on its way\n".repeat(26_000));
    let id = b.enqueue(kind, &[], &content);
    let begun = || {
        let sql = "select count(*) from attempts where receipt is not null";
        if b.world.sql(sql) == "1" { Ok(()) } else { Err(b.world.task(&id).to_string()) }
    };
    std::thread::scope(|s| {
        // a client that is still drawing is given nothing yet
        let pass = s.spawn(|| {
            until("a pass to hand it over", || {
                b.world.run("orch-assign", &[]);
                begun()
            });
        });
        until("the paste to begin", begun);
        act();
        pass.join().expect("a pass")
    });
    id
}

#[test]
fn a_client_or_a_server_that_dies_within_a_paste_leaves_no_receipt() {
    for kind in BOTH {
        for server in [false, true] {
            for delay in [0, 60] {
                let Some(b) = Bench::new(kind) else { return };
                let live = b.adopted(kind);
                let pid = live.field("pane_pid");
                let id = while_pasted(&b, kind, || {
                    std::thread::sleep(Duration::from_millis(delay));
                    if server {
                        b.world.tmux(&["kill-server"]);
                    } else {
                        drop(b.world.command("kill").args(["-KILL", &pid]).status());
                    }
                });
                for _ in 0..3 {
                    b.world.run("orch-assign", &[]);
                }
                let (t, all) = (b.world.task(&id)["reason"].clone(), b.attempts(&id));
                assert_eq!(b.stub.deliveries(), Vec::<String>::new(), "{kind:?}");
                let told: Vec<_> = all.iter().map(|a| (&a["state"], &a["reason"])).collect();
                assert!(
                    all.iter().all(|a| a["started_at"].is_null()),
                    "{kind:?}: no receipt: {told:?}"
                );
                // nothing was typed before the last one, and after a doubt there is none
                let (last, before) = all.split_last().expect("an attempt");
                assert!(before.iter().all(|a| a["state"] == "refused"), "{kind:?}: {told:?}");
                assert!(
                    ["unknown", "refused"].contains(&last["state"].as_str().expect("state")),
                    "{t}"
                );
                eprintln!("{kind:?} server {server} after {delay} ms: {told:?}");
            }
        }
    }
}

#[test]
fn a_megabyte_arrives() {
    for kind in BOTH {
        let Some(b) = Bench::new(kind) else { return };
        let _live = b.adopted(kind);
        let id = while_pasted(&b, kind, || {});
        // what was refused, nothing of it typed, stays queued
        b.world.assign_until(&id, "completed");
        let all = b.stub.deliveries();
        let bytes = pasted(&all[0]).map_or(all[0].len(), |p| p.text.len());
        assert_eq!((all.len(), bytes), (1, 26_000 * 40 + 7), "{kind:?}");
    }
}

#[test]
fn a_pane_of_the_same_number_with_another_process_gets_no_byte() {
    let w = World::new();
    let pane = w.pane("one", "cat", &w.path("home"));
    let field = |f: &str| {
        w.tmux(&["display-message", "-p", "-t", &pane, &format!("#{{{f}}}")])
            .trim()
            .parse::<i64>()
            .expect("a number")
    };
    let tmux = orch::tmux::Tmux::at(&w.text("tmux"));
    let right = orch::session::Incarnation {
        socket: w.text("tmux"),
        server_pid: field("pid"),
        pane_id: pane.clone(),
        pane_pid: field("pane_pid"),
        pane_start: 0,
        boot_id: String::new(),
    };
    let others = [
        orch::session::Incarnation { pane_pid: right.pane_pid + 1, ..right.clone() },
        orch::session::Incarnation { server_pid: right.server_pid + 1, ..right.clone() },
    ];
    for other in &others {
        assert!(!tmux.paste(other, "a paste").expect("tmux"));
        assert!(!tmux.type_text(other, "a text").expect("tmux"));
        assert!(!tmux.press(other, "x").expect("tmux"));
    }
    assert_eq!(w.screen("one").trim(), "");
    assert_eq!(w.tmux(&["list-buffers"]), "", "and none is left behind");
    assert!(tmux.type_text(&right, "it's; \"$HOME\" #{pid} ~ {};").expect("tmux"));
    w.await_screen("one", "it's; \"$HOME\" #{pid} ~ {};");
}

/// A client that was started this moment.
fn right_after_start(b: &Bench, kind: Kind, n: usize, tally: &mut Tally) {
    let name = format!("fresh{n}");
    let live = b.client(kind, &name);
    b.world.ok("orch-ctx", &["adopt", &name]);
    let content = format!("Say {n} as soon as you can.");
    deliver_once(b, kind, &["--session", &name], &content, tally);
    b.world.tmux(&["kill-session", "-t", &format!("={}", live.name)]);
}

/// Ends a turn as a person does.
fn interrupt(b: &Bench, kind: Kind, live: &Live) {
    until("it to work", || match b.world.ctx(kind.name())["state"].as_str() {
        Some("working") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    std::thread::sleep(Duration::from_millis(300));
    live.key("Escape");
    until("it to be interrupted", || match b.world.ctx(kind.name())["state"].as_str() {
        Some("working") => Err(live.screen()),
        _ => Ok(()),
    });
}

/// A client whose turn a person interrupted before there was an answer: Claude's composer holds the prompt again.
fn after_escape(b: &Bench, kind: Kind, live: &Live, n: usize, tally: &mut Tally) {
    b.world.await_idle(kind.name());
    live.submit(&format!("{n} STUB:hang 600"));
    interrupt(b, kind, live);
    let seen = b.stub.deliveries().len();
    b.world.assign();
    assert_eq!(b.stub.deliveries().len(), seen);
    for _ in 0..2 {
        live.key("C-u");
    }
    b.world.await_idle(kind.name());
    deliver_once(b, kind, &[], &format!("Say {n} after the interruption."), tally);
}

fn after_error(b: &Bench, kind: Kind, live: &Live, n: usize, tally: &mut Tally) {
    b.world.await_idle(kind.name());
    live.submit(&format!("{n} STUB:400"));
    until("an error", || match b.world.ctx(kind.name())["state"].as_str() {
        Some("error") => Ok(()),
        other => Err(format!("{other:?} {}", live.screen())),
    });
    deliver_once(b, kind, &[], &format!("Say {n} after the error."), tally);
}

/// So many deliveries of each kind of text, and of each moment.
fn measure(kind: Kind, of_texts: usize, of_moments: usize) -> Vec<(&'static str, Tally)> {
    let b = Bench::new(kind).expect("the client");
    let live = b.adopted(kind);
    let mut table: Vec<(&'static str, Tally)> =
        texts(0).into_iter().map(|(what, _)| (what, Tally::default())).collect();
    for n in 1..=of_texts {
        // a conversation of its own for every round
        let group = format!("g{n}");
        for ((_, content), (_, tally)) in texts(n).iter().zip(&mut table) {
            deliver_once(&b, kind, &["--session", kind.name(), "--group", &group], content, tally);
        }
    }
    let mut moments = [Tally::default(), Tally::default(), Tally::default()];
    for n in 1..=of_moments {
        right_after_start(&b, kind, n, &mut moments[0]);
        after_escape(&b, kind, &live, n, &mut moments[1]);
        after_error(&b, kind, &live, n, &mut moments[2]);
    }
    table.extend(["right after start", "after Esc", "after an API error"].into_iter().zip(moments));
    table
}

#[test]
#[ignore = "make bench-deliveries: 400 deliveries take minutes"]
fn bench() {
    use std::fmt::Write as _;
    let number =
        |name: &str, or: usize| std::env::var(name).map_or(or, |v| v.parse().expect("a number"));
    let (of_texts, of_moments) = (number("ORCH_ROUNDS", 10), number("ORCH_MOMENTS", 14));
    let running =
        BOTH.map(|kind| (kind, std::thread::spawn(move || measure(kind, of_texts, of_moments))));
    let mut page = String::from(
        "# Deliveries\n\nWritten by `make bench-deliveries`: orch-enqueue and orch-assign (debug build), the real clients in tmux, a stub for\n\
         the model, both clients at once. *exact*: the stub saw the text, byte for byte as filtered. *false receipt*: `submitted`,\n\
         and the stub never saw it. *ms*: the median from the claim to the receipt, `/clear` for a new conversation included.\n\n\
         | client | text | deliveries | submitted | refused | unknown | exact | duplicates | false receipts | ms |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut wrong = 0;
    for (kind, thread) in running {
        let table = thread.join().expect("the deliveries");
        let mut all = Tally::default();
        for (what, t) in &table {
            row(&mut page, kind, what, t);
            all.deliveries += t.deliveries;
            all.submitted += t.submitted;
            all.refused += t.refused;
            all.unknown += t.unknown;
            all.exact += t.exact;
            all.duplicates += t.duplicates;
            all.false_receipts += t.false_receipts;
            all.took.extend(&t.took);
        }
        row(&mut page, kind, "**all**", &all);
        wrong += all.duplicates + all.false_receipts + (all.submitted - all.exact);
    }
    writeln!(page).expect("string");
    std::fs::write(crate::support::house::root().join("examples/bench/DELIVERIES.md"), page)
        .expect("the page");
    assert_eq!(wrong, 0, "duplicates, false receipts, or other bytes than were filtered");
}

fn row(page: &mut String, kind: Kind, what: &str, t: &Tally) {
    use std::fmt::Write as _;
    let mut took = t.took.clone();
    took.sort();
    let median = took.get(took.len() / 2).map_or(0, Duration::as_millis);
    writeln!(
        page,
        "| {} | {what} | {} | {} | {} | {} | {} | {} | {} | {median} |",
        kind.name(),
        t.deliveries,
        t.submitted,
        t.refused,
        t.unknown,
        t.exact,
        t.duplicates,
        t.false_receipts,
    )
    .expect("string");
}
