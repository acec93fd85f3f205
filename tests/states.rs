//! What a live client is said to be doing, against what is known: replayed materials, rules of the user's own, and
//! lives of the real clients sampled against the stub's ground truth.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use orch::agent::{self, Material};
use orch::config::Config;
use orch::ctx::inspect;

use orch::tmux::Tmux;
use orch::when;
use serde_json::{Value, json};

use crate::support::client::{self, Kind};
use crate::support::house;
use crate::support::live::{Live, Setup};
use crate::support::stub::{End, Phase, Stub};
use crate::support::world::{World, lines, until};

const FIXTURES: &str = "tests/fixtures/agent";

/// `state`, with what is waited for.
fn word(state: &str, why: Option<&str>) -> String {
    match (state, why) {
        ("waiting", Some(why)) => {
            format!("waiting({})", why.split(':').next().unwrap_or_default())
        }
        _ => state.to_owned(),
    }
}

fn explain(w: &World, file: &str) -> Value {
    lines(&w.ok("orch-ctx", &["explain", "--json", "--replay", file])).remove(0)
}

#[test]
fn every_kept_material_gives_the_state_and_the_composer_that_it_has() {
    let w = World::new();
    let mut wrong = String::new();
    let expected = house::read(&format!("{FIXTURES}/expected.tsv"));
    let mut n = 0;
    for line in expected.lines() {
        let [name, state, background, composer] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let path = house::root().join(FIXTURES).join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).expect(name);
        let mut material: Value = serde_json::from_str(&text).expect(name);
        let with_record = !material["record"].is_null();
        // the screen alone has to do for clients that keep no record; of the last turn's end it says nothing
        for alone in [false, true] {
            if alone && (!with_record || state == "error" || state == "rate_limited") {
                continue;
            }
            if alone {
                material["record"] = Value::Null;
            }
            let file = w.text("material.json");
            std::fs::write(&file, material.to_string()).expect("material");
            let v = explain(&w, &file);
            let found = (
                word(v["state"].as_str().unwrap_or_default(), v["why"].as_str()),
                v["background"] == true,
                v["composer"].clone(),
            );
            let composer: Value = serde_json::from_str(composer).expect(name);
            let wanted = (state.to_owned(), background == "background", composer);
            if found != wanted {
                writeln!(wrong, "{name} alone={alone}: {found:?}, not {wanted:?}").expect("text");
            }
            n += 1;
        }
    }
    assert!(wrong.is_empty() && n > 80, "{n} decided\n{wrong}");
}

#[test]
fn a_users_rule_replaces_the_built_in_one_of_its_name_and_another_one_is_added() {
    let w = World::new();
    let strange = json!({"v": 1, "at": 1_000_000, "provider": "claude", "version": "9.0.1", "started": 0,
        "record": null, "tools": [], "title": "x", "screen": ["A brand new screen", "Press any key"]});
    let file = w.text("strange.json");
    std::fs::write(&file, strange.to_string()).expect("material");
    let v = explain(&w, &file);
    assert_eq!((&v["state"], &v["drift"]), (&json!("unknown"), &json!(true)), "{v}");
    let rule = |versions: &str| {
        w.config(&format!(
            "[[provider.claude.live.screen]]\nname = 'mine'\nstate = 'dialog'\nregion = 'bottom:2'\ncontains = ['any key']\nregex = ['^A brand', 'key$']\nversions = ['{versions}']\n\
             [[provider.claude.live.screen]]\nname = 'composer'\nstate = 'unknown'\npriority = 10\ncomposer = true\n"
        ));
    };
    rule("8.");
    assert_eq!(explain(&w, &file)["state"], "unknown");
    rule("9.");
    let v = explain(&w, &file);
    assert_eq!(word(v["state"].as_str().expect("state"), v["why"].as_str()), "waiting(dialog)");
    assert_eq!((&v["drift"], &v["by"]), (&json!(false), &json!("screen")), "{v}");
    assert!(v.to_string().contains("rule mine: \\\"A brand new screen\\\""), "{v}");
    let idle = house::root().join(FIXTURES).join("claude-idle-120.json");
    let v = explain(&w, idle.to_str().expect("UTF-8"));
    assert_eq!((&v["state"], &v["drift"]), (&json!("unknown"), &json!(false)), "{v}");
}

/// A program under a client's name that draws what it is told to.
fn masquerade(w: &World, name: &str, text: &str) -> String {
    let bin = w.path("fake");
    std::fs::create_dir_all(&bin).expect("directory");
    std::fs::copy("/bin/sleep", bin.join(name)).expect("a copy of sleep");
    let run = format!("printf '{text}'; exec {} 600", bin.join(name).display());
    let dir = w.text("home");
    w.tmux(&["-f", "/dev/null", "new-session", "-d", "-s", "fake", "-c", &dir, "sh", "-c", &run]);
    let id = w.tmux(&["list-panes", "-t", "=fake:", "-F", "#{pane_id}"]).trim().to_owned();
    until("the masquerade", || {
        let shown = w.tmux(&["list-panes", "-t", "=fake:", "-F", "#{pane_current_command}"]);
        if shown.trim() == name { Ok(()) } else { Err(shown) }
    });
    id
}

#[test]
fn a_screen_that_no_rule_knows_is_noted_once_and_the_doctor_counts_it() {
    let w = World::new();
    w.config(
        "[provider.odd]\ncommand = ['odd-agent']\ncontent = 'stdin'\nformat = 'text'\n\
              [provider.odd.live]\nprocesses = ['odd-agent']\nprompt = '^@ (.*)$'\n\
              [[provider.odd.live.screen]]\nname = 'composer'\nstate = 'idle'\ncomposer = true\n",
    );
    masquerade(&w, "odd-agent", "something \\033[1mnobody\\033[0m knows\\n");
    w.ok("orch-ctx", &["adopt", "fake"]);
    let state = || w.ctx("fake")["state"].clone();
    assert_eq!(state(), "starting", "a client that has just begun may show anything");
    // its youth over: the client's age is the pane's
    until_older(&w);
    let drifts = || {
        w.ok("orch-ctx", &["sync"]);
        let count = w.sql("select count(*) from events where type = 'drift'");
        count.trim().to_owned()
    };
    assert_eq!(drifts(), "1");
    assert_eq!(drifts(), "1", "not at every look");
    assert_eq!(w.sql("select condition from sessions").trim(), "unknown");
    let body = w.sql("select body from events where type = 'drift'");
    assert!(
        body.contains("something nobody knows") && body.contains("\"provider\":\"odd\""),
        "{body}"
    );
    let checks = lines(&w.run("orch-ctl", &["doctor"]).stdout);
    let screens = checks.iter().find(|c| c["check"] == "screens").expect("a check of screens");
    assert_eq!(
        (&screens["ok"], &screens["found"]),
        (&json!(false), &json!("known by no rule in the last 24 h: odd: 1"))
    );
}

/// Waits until the fake client is no new one any more.
fn until_older(w: &World) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(40) {
        let v = lines(&w.ok("orch-ctx", &["explain", "--json", "fake"])).remove(0);
        if v["state"] != "starting" {
            return;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("still starting after 40 s");
}

const EVERY: Duration = Duration::from_millis(200);
/// A client and its model are not of one moment: so long after a change either word is right.
const GRACE: Duration = Duration::from_millis(300);

struct Sample {
    at: Instant,
    seen: Instant,
    state: String,
    background: bool,
    material: Option<Material>,
    words: String,
}

struct Sampler {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Sample>>>,
}

impl Sampler {
    fn start(world: &World, pane: &str) -> Sampler {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, tmux, pane) = (stop.clone(), Tmux::at(&world.text("tmux")), pane.to_owned());
        let thread = std::thread::spawn(move || {
            let config = Config::default();
            let profiles = config.profiles().expect("profiles");
            let mut all = Vec::new();
            let mut next = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let at = Instant::now();
                let material = inspect::material_of(&config, &tmux, &pane, when::now());
                let verdict = material.as_ref().ok().map(|m| {
                    let live = profiles[&m.provider].live.as_ref().expect("live");
                    agent::decide(m, live)
                });
                all.push(Sample {
                    at,
                    seen: Instant::now(),
                    state: verdict
                        .as_ref()
                        .map_or("none".into(), |v| word(v.condition.as_str(), v.condition.why())),
                    background: verdict.as_ref().is_some_and(|v| v.background),
                    words: verdict.as_ref().map_or(String::new(), |v| format!("{:?}", v.words)),
                    material: material.ok(),
                });
                next += EVERY;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            all
        });
        Sampler { stop, thread: Some(thread) }
    }

    fn end(mut self) -> Vec<Sample> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("once").join().expect("samples")
    }
}

/// What the script itself did.
#[derive(Clone, Debug)]
enum Act {
    /// A prompt, what a tool call of its turn leads to, and what its last failure does.
    Submit {
        call: &'static str,
        failure: &'static str,
    },
    /// A dialog is on the screen.
    Asked,
    Answer,
    /// The dialog is answered and gone.
    Gone,
    Escape,
    Respawn,
    Ready,
}

struct Life<'w> {
    live: Live<'w>,
    stub: &'w Stub,
    acts: Vec<(Instant, Act)>,
}

impl Life<'_> {
    fn act(&mut self, act: Act) {
        self.acts.push((Instant::now(), act));
    }

    fn ended(&self, end: End) -> usize {
        self.stub.timeline().iter().filter(|(_, p)| *p == Phase::Ended(end)).count()
    }

    fn submit(&mut self, prompt: &str, call: &'static str, failure: &'static str) {
        self.live.paste(prompt);
        self.act(Act::Submit { call, failure });
        self.live.key("Enter");
    }

    fn rest(&self) {
        self.live.await_prompt();
        std::thread::sleep(Duration::from_secs(1));
    }

    /// A turn to its good end.
    fn turn(&mut self, prompt: &str) {
        let n = self.ended(End::Said);
        self.submit(prompt, "working", "error");
        self.stub.await_end(End::Said, n + 1);
        self.rest();
    }

    fn failing(&mut self, prompt: &str, words: &str, failure: &'static str) {
        self.submit(prompt, "working", failure);
        self.live.await_words(words);
        self.rest();
    }

    /// A question of the client's, left open for a while.
    fn asked(&mut self, prompt: &str, kind: &'static str, dialog: &str) {
        self.submit(prompt, kind, "error");
        self.live.await_words(dialog);
        self.act(Act::Asked);
        std::thread::sleep(Duration::from_millis(1500));
    }

    fn answered(&mut self, dialog: &str, key: &str) {
        let n = self.ended(End::Said);
        self.act(Act::Answer);
        self.live.answer(dialog, key);
        self.act(Act::Gone);
        self.stub.await_end(End::Said, n + 1);
        self.rest();
    }

    fn escape(&mut self, after: f64) {
        std::thread::sleep(Duration::from_secs_f64(after));
        self.act(Act::Escape);
        self.live.key("Escape");
        std::thread::sleep(Duration::from_secs(1));
        self.live.await_prompt();
        self.live.key("C-u");
        self.rest();
    }

    fn short(&mut self) {
        let claude = self.live.kind == Kind::Claude;
        std::thread::sleep(Duration::from_secs(1));
        self.turn("STUB:slow 2");
        let (prompt, dialog, yes) = if claude {
            ("STUB:bash timeout 2 tail -f /dev/null; echo out", "❯ 1. Yes", "1")
        } else {
            ("STUB:esc sleep 2; echo out", "Would you like to run", "y")
        };
        self.asked(prompt, "waiting(permission)", dialog);
        self.answered(dialog, yes);
        let bad = if claude { "API Error: 400" } else { "■ {\"error\":" };
        self.failing("STUB:400", bad, "error");
    }

    fn long(&mut self) {
        let claude = self.live.kind == Kind::Claude;
        self.short();
        self.turn("STUB:ok all is well");
        self.turn("STUB:hang 4");
        self.turn("STUB:think");
        self.turn("STUB:long 60");
        if claude {
            self.asked("STUB:ask", "waiting(question)", "Enter to select");
            self.answered("Enter to select", "2");
            self.asked("STUB:bash touch x", "waiting(permission)", "❯ 1. Yes");
        } else {
            self.turn("STUB:ask");
            self.asked("STUB:esc touch x", "waiting(permission)", "Would you like to run");
        }
        self.escape(0.0);
        self.turn("STUB:flaky 2");
        self.turn("STUB:background sleep 5");
        std::thread::sleep(Duration::from_secs(6));
        self.rest();
        // a draft in the box while it works
        let n = self.ended(End::Said);
        self.submit("STUB:slow 4", "working", "error");
        std::thread::sleep(Duration::from_secs(1));
        self.live.type_text("a draft");
        self.stub.await_end(End::Said, n + 1);
        self.rest();
        self.live.key("C-u");
        self.submit("STUB:slow 30", "working", "error");
        self.escape(2.0);
        self.submit("STUB:hang 30", "working", "error");
        self.escape(2.0);
        // a tool is ended by Esc
        let (prompt, dialog, yes) = if claude {
            ("STUB:bash timeout 30 tail -f /dev/null; echo on", "❯ 1. Yes", "1")
        } else {
            ("STUB:esc sleep 30; echo on", "Would you like to run", "y")
        };
        self.asked(prompt, "waiting(permission)", dialog);
        self.act(Act::Answer);
        self.live.answer(dialog, yes);
        self.act(Act::Gone);
        self.escape(2.0);
        let limit = if claude { "429" } else { "usage limit" };
        self.failing("STUB:limit 4102444800", limit, "rate_limited");
        self.act(Act::Respawn);
        self.live.respawn();
        self.live.await_prompt();
        self.act(Act::Ready);
        self.turn("STUB:slow 2");
    }
}

/// What was true from when on. Between a prompt's Enter and the model's first sight of it, and between a model's call of
/// a tool and the dialog about it, the client works; between an answer's key and the end of the dialog it still asks.
struct Truth {
    from: Instant,
    state: &'static str,
    /// Which is right too.
    also: Option<&'static str>,
}

fn truths(begun: Instant, acts: &[(Instant, Act)], timeline: &[(Instant, Phase)]) -> Vec<Truth> {
    enum What<'a> {
        Act(&'a Act),
        Phase(Phase),
    }
    let mut all: Vec<(Instant, What)> = acts.iter().map(|(t, a)| (*t, What::Act(a))).collect();
    all.extend(timeline.iter().map(|(t, p)| (*t, What::Phase(*p))));
    all.sort_by_key(|(t, _)| *t);
    let mut truths = vec![Truth { from: begun, state: "idle", also: None }];
    let (mut called, mut failed) = ("working", "error");
    for (i, (at, what)) in all.iter().enumerate() {
        let tried_again = || matches!(all.get(i + 1), Some((_, What::Phase(Phase::Began))));
        let last = truths.last().map_or("idle", |t| t.state);
        let (state, also) = match what {
            What::Act(Act::Submit { call, failure }) => {
                (called, failed) = (call, failure);
                (last, Some("working"))
            }
            What::Act(Act::Asked) => (called, None),
            What::Act(Act::Answer) => ("working", Some(called)),
            What::Act(Act::Gone) => (last, None),
            What::Act(Act::Escape | Act::Ready) => ("idle", None),
            What::Act(Act::Respawn) => ("starting", None),
            What::Phase(Phase::Began) => ("working", None),
            What::Phase(Phase::Ended(End::Said | End::Left)) => ("idle", None),
            What::Phase(Phase::Ended(End::Called)) => (called, Some("working")),
            What::Phase(Phase::Ended(End::Failed)) if tried_again() => ("working", None),
            What::Phase(Phase::Ended(End::Failed)) => (failed, None),
        };
        truths.push(Truth { from: *at, state, also });
    }
    truths
}

#[derive(Default)]
struct Figures {
    samples: usize,
    /// Of which agree, a moment of grace given, and at the very instant.
    agree: usize,
    strict: usize,
    idle_while_working: Duration,
    /// From the dialog on the screen, and from the model's tool call.
    until_waiting: Duration,
    since_call: Duration,
    waited: usize,
    background: usize,
    report: String,
}

fn is_rest(state: &str) -> bool {
    matches!(state, "idle" | "error" | "rate_limited")
}

fn compare(samples: &[Sample], truths: &[Truth], keep: &str) -> Figures {
    let mut f = Figures::default();
    let begun = truths[0].from;
    let index = |t: Instant| truths.iter().rposition(|x| x.from <= t).unwrap_or(0);
    let matches = |truth: &Truth, state: &str| {
        truth.state == state || truth.also == Some(state)
            // its process is being replaced
            || (truth.state == "starting" && state == "none")
    };
    let mut wrong_since: Option<Instant> = None;
    for (i, s) in samples.iter().enumerate() {
        let now = index(s.at);
        // what a look takes in, it takes in between its two ends
        let moments = || truths[now..=index(s.seen)].iter();
        let strict = moments().any(|t| matches(t, &s.state));
        let graced = (index(s.at - GRACE)..=index(s.seen)).any(|k| matches(&truths[k], &s.state));
        f.samples += 1;
        f.strict += usize::from(strict);
        f.agree += usize::from(graced);
        f.background += usize::from(s.background);
        if !graced {
            let at = (s.at - begun).as_secs_f64();
            writeln!(
                f.report,
                "{keep} {at:.1}s: {} for {}: {}",
                s.state, truths[now].state, s.words
            )
            .expect("text");
            if let (Some(dir), Some(m)) = (std::env::var_os("ORCH_KEEP_MATERIAL"), &s.material) {
                let name = format!("{keep}-{at:.1}-{}-for-{}.json", s.state, truths[now].state);
                let text = serde_json::to_string(m).expect("JSON");
                std::fs::write(PathBuf::from(dir).join(name), text).expect("kept");
            }
        }
        // from the last sample that was right, or the change, to the next that is
        let wrong = moments().all(|t| t.state == "working") && is_rest(&s.state);
        if wrong && graced {
            let at = (s.at - begun).as_secs_f64();
            let since = (s.at - truths[now].from).as_secs_f64();
            writeln!(
                f.report,
                "{keep} {at:.1}s: {} for {since:.2}s into working: {}",
                s.state, s.words
            )
            .expect("text");
        }
        if let Some(since) = wrong_since {
            f.idle_while_working = f.idle_while_working.max(s.at.saturating_duration_since(since));
        }
        let start = truths[..=now].iter().rev().take_while(|t| t.state == "working").last();
        let earliest =
            start.map_or(s.at, |t| t.from).max(if i > 0 { samples[i - 1].at } else { s.at });
        wrong_since = if wrong { wrong_since.or(Some(earliest)) } else { None };
    }
    for (k, t) in truths.iter().enumerate().filter(|(_, t)| t.state.starts_with("waiting")) {
        if k > 0 && truths[k - 1].state == t.state {
            continue;
        }
        let seen = samples.iter().find(|s| s.at >= t.from && s.state == t.state);
        f.waited += 1;
        let asked = truths[k..].iter().find(|x| x.also.is_none()).map_or(t.from, |x| x.from);
        let after = |from: Instant| {
            seen.map_or(Duration::from_secs(999), |s| s.seen.saturating_duration_since(from))
        };
        f.until_waiting = f.until_waiting.max(after(asked));
        f.since_call = f.since_call.max(after(t.from));
    }
    f
}

fn measure(kind: Kind, width: u16, live: fn(&mut Life)) -> Option<Figures> {
    if !client::present(kind) {
        return None;
    }
    let mut world = World::new();
    // tries again for long enough to be looked at
    world.env.push(("CLAUDE_CODE_MAX_RETRIES".into(), "4".into()));
    let dir = world.repository("proj", &[]);
    let stub = Stub::start();
    let args: &[&str] = match kind {
        Kind::Claude => &[],
        Kind::Codex => &["-c", "model_providers.stub.request_max_retries=4"],
    };
    let setup = Setup { width, height: 40, args, ..Setup::default() };
    let pane = Live::ready(&world, &stub, kind, "a", &dir, &setup);
    let begun = Instant::now();
    let sampler = Sampler::start(&world, &pane.pane);
    let mut life = Life { live: pane, stub: &stub, acts: Vec::new() };
    live(&mut life);
    let samples = sampler.end();
    let truths = truths(begun, &life.acts, &stub.timeline());
    Some(compare(&samples, &truths, &format!("{}-{width}", kind.name())))
}

/// The figures that are promised.
fn hold(f: &Figures, name: &str) {
    let share = f.agree as f64 / f.samples as f64;
    assert!(1.0 - share <= 0.02, "{name}: {share:.3} agree\n{}", f.report);
    let (idle, waiting) = (f.idle_while_working, f.until_waiting);
    let (half, one) = (Duration::from_millis(500), Duration::from_secs(1));
    assert!(idle <= half, "{name}: idle while working for {idle:?}\n{}", f.report);
    assert!(waiting <= one, "{name}: waiting seen after {waiting:?}\n{}", f.report);
}

#[test]
fn a_short_life_of_each_client_is_seen_as_it_is() {
    for kind in [Kind::Claude, Kind::Codex] {
        let Some(f) = measure(kind, 120, |life| life.short()) else { return };
        // how soon and how exactly is measured by make bench-states: other tests run beside this one
        assert!(f.samples > 5 && f.waited == 1, "{} samples\n{}", f.samples, f.report);
        assert!(4 * f.agree > 3 * f.samples, "{} of {}\n{}", f.agree, f.samples, f.report);
        assert!(f.until_waiting < Duration::from_secs(60), "{}", f.report);
    }
}

/// What stands above the table; the clients' versions follow.
const HEAD: &str = "\
# What a live client is doing

Written by `make bench-states`. The real clients live a scripted life in a tmux pane, with a stub for a model: silence,
streaming, thinking, an answer full of other programs' chrome, a permission given and one refused by Esc, a question
(Claude), a tool that runs, an API error, retries, a shell in the background, a draft in the box while it works, Esc while
it streams, is silent or runs a tool, a usage limit, a respawned pane. Every 0.2 s the state is decided as `orch-ctx
explain` decides it, and compared with what the stub and the script know: `idle`, `working`, `waiting(permission)`,
`waiting(question)`, `error`, `rate_limited`, `starting`.

A sample agrees if it is what was true while it was taken or within 0.3 s before; the next column gives no such grace: there
Claude stays below 98 %, as its own record is up to that late. Between a prompt's Enter and the model's first sight of it,
and between a tool call and the dialog about it, `working` is right too; while an answer's key is on its way, the dialog is. *Idle while working* runs from the last sample that was right to the next
that is; *waiting seen* from the moment at which the dialog is on the screen, to which Codex takes most of a second.

";

#[test]
#[ignore = "minutes: make bench-states"]
fn long_lives_at_three_widths_are_seen_as_they_are() {
    let script = house::read(".ci/clients");
    let version = |kind: Kind| {
        let of = format!("{}=", kind.name());
        script.lines().find_map(|l| l.strip_prefix(&of)).unwrap_or_default().to_owned()
    };
    let mut table = format!(
        "{HEAD}Claude Code {}, Codex {}.\n\n\
         | client | columns | samples | agree | without grace | longest idle while working | longest until waiting was seen | the same from the tool call | dialogs |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        version(Kind::Claude),
        version(Kind::Codex),
    );
    let mut all = Vec::new();
    for kind in [Kind::Claude, Kind::Codex] {
        let width = |w| std::thread::spawn(move || (w, measure(kind, w, |life| life.long())));
        for thread in [60, 120, 200].map(width) {
            let (w, f) = thread.join().expect("a life");
            let f = f.expect("the client");
            writeln!(
                table,
                "| {} | {w} | {} | {:.1} % | {:.1} % | {:.2} s | {:.2} s | {:.2} s | {} |",
                kind.name(),
                f.samples,
                100.0 * f.agree as f64 / f.samples as f64,
                100.0 * f.strict as f64 / f.samples as f64,
                f.idle_while_working.as_secs_f64(),
                f.until_waiting.as_secs_f64(),
                f.since_call.as_secs_f64(),
                f.waited,
            )
            .expect("text");
            all.push((format!("{} {w}", kind.name()), f));
        }
    }
    if let Some(path) = std::env::var_os("ORCH_STATES_TABLE") {
        std::fs::write(path, &table).expect("the table");
    }
    for (_, f) in &all {
        eprintln!("{}", f.report);
    }
    eprintln!("{table}");
    for (name, f) in &all {
        hold(f, name);
        assert!(f.background > 5, "{name}: a shell in the background is seen");
    }
}

/// What `orch-ctx record` keeps of the pane, and what it gives again.
fn recorded(w: &World, pane: &str, name: &str) -> Value {
    let text = w.ok("orch-ctx", &["record", pane]);
    let file = w.text("recorded.json");
    std::fs::write(&file, &text).expect("the record");
    if let Some(dir) = std::env::var_os("ORCH_KEEP_MATERIAL") {
        std::fs::write(PathBuf::from(dir).join(format!("{name}.json")), &text).expect("kept");
    }
    explain(w, &file)
}

#[test]
fn the_composer_holds_what_a_person_typed_and_nothing_else() {
    let words = "a long draft that needs more than one row of its own at this width ".repeat(3);
    for kind in [Kind::Claude, Kind::Codex] {
        if !client::present(kind) {
            return;
        }
        let w = World::new();
        let dir = w.repository("proj", &[]);
        let stub = Stub::start();
        let setup = Setup { width: 100, ..Setup::default() };
        let live = Live::ready(&w, &stub, kind, "a", &dir, &setup);
        let composer = |wanted: &str, name: &str| {
            let name = format!("{}-{name}-100", kind.name());
            until(&format!("the composer of {name}"), || {
                let v = recorded(&w, &live.pane, &name);
                let text = v["composer"].as_str().unwrap_or("none").to_owned();
                let bare = |t: &str| t.split_whitespace().collect::<String>();
                let same = if wanted.contains("that needs") {
                    bare(&text) == bare(wanted)
                } else {
                    text == wanted
                };
                if same && v["state"] == "idle" { Ok(()) } else { Err(v.to_string()) }
            });
            until("an empty composer", || {
                let v = recorded(&w, &live.pane, "cleared");
                if v["composer"] == "" {
                    return Ok(());
                }
                // it empties a row, then joins it to the one before
                live.key("C-u");
                live.key("BSpace");
                std::thread::sleep(Duration::from_millis(100));
                Err(v.to_string())
            });
        };
        composer("", "empty");
        live.paste("first\n\n  third");
        composer("first\n\n  third", "rows");
        live.type_text(&words);
        composer(words.trim(), "wrapped");
        let mark = match kind {
            Kind::Claude => {
                live.paste(&"a line\n".repeat(41));
                "[Pasted text #1 +41 lines]"
            }
            Kind::Codex => {
                live.paste(&"a line\n".repeat(300));
                "[Pasted Content 2100 chars]"
            }
        };
        composer(mark, "pasted");
        // a turn that is ended before its answer: Claude gives the prompt back
        live.submit("STUB:hang 60");
        stub.await_prompts(1);
        std::thread::sleep(Duration::from_secs(1));
        live.key("Escape");
        stub.await_end(End::Left, 1);
        composer(if kind == Kind::Claude { "STUB:hang 60" } else { "" }, "restored");
    }
}

#[test]
fn a_client_whose_sub_agent_works_has_something_in_the_background() {
    if !client::present(Kind::Claude) {
        return;
    }
    let w = World::new();
    let dir = w.repository("proj", &[]);
    let stub = Stub::start();
    let live = Live::ready(&w, &stub, Kind::Claude, "a", &dir, &Setup::default());
    live.submit("STUB:task STUB:hang 4");
    stub.await_prompts(1);
    let sampler = Sampler::start(&w, &live.pane);
    live.await_words("Agent \"Help the stub\" finished");
    let samples = sampler.end();
    let all: Vec<_> = samples.iter().map(|s| (s.state.as_str(), s.background)).collect();
    // Claude's record calls it busy, its screen has it at rest
    assert!(all.iter().filter(|s| s.1).count() > 8, "{all:?}");
    // a moment between the end of one and the turn that it brings about
    let over = all.iter().filter(|s| **s == ("idle", false)).count();
    assert!(over <= 2, "{all:?}");
}
