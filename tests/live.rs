//! What tests of full-screen clients rest on: pastes arrive, dialogs come up, and the stub knows what went on.

use std::path::PathBuf;

use crate::support::client::{self, Kind};
use crate::support::live::{Live, Setup};
use crate::support::stub::{End, Pasted, Phase, Stub, pasted};
use crate::support::world::{World, until};

const BOTH: [Kind; 2] = [Kind::Claude, Kind::Codex];

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
            let dir = world.repository("proj", &[]);
            Bench { world, stub: Stub::start(), dir }
        })
    }

    fn ready(&self, kind: Kind) -> Live<'_> {
        Live::ready(&self.world, &self.stub, kind, kind.name(), &self.dir, &Setup::default())
    }

    fn phases(&self) -> Vec<Phase> {
        self.stub.timeline().into_iter().map(|(_, phase)| phase).collect()
    }
}

#[test]
fn the_panes_process_is_the_client_in_its_directory_and_its_own_home() {
    for (kind, command) in [(Kind::Claude, "claude"), (Kind::Codex, "node")] {
        let Some(bench) = Bench::new(kind) else { return };
        let setup = Setup { width: 60, height: 30, ..Setup::default() };
        let live = Live::ready(&bench.world, &bench.stub, kind, "a", &bench.dir, &setup);
        assert_eq!(live.field("pane_current_command"), command);
        assert_eq!(live.field("pane_current_path"), bench.dir.display().to_string());
        assert_eq!(
            (live.field("pane_width"), live.field("pane_height")),
            ("60".into(), "30".into())
        );
        let pid = live.field("pane_pid");
        let environ = std::fs::read(format!("/proc/{pid}/environ")).expect("the pane's process");
        let environ = String::from_utf8(environ).expect("UTF-8");
        for wanted in [format!("HOME={}", live.home.display()), format!("TMUX_PANE={}", live.pane)]
        {
            assert!(environ.split('\0').any(|v| v == wanted), "{wanted} in {environ}");
        }
    }
}

#[test]
fn claude_takes_the_flags_it_is_given() {
    const SESSION: &str = "5f0c2f6e-0a4b-4f0e-9d7a-6a1f3c1d2e4c";
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let setup = Setup { args: &["--session-id", SESSION], ..Setup::default() };
    let live = Live::ready(&bench.world, &bench.stub, Kind::Claude, "a", &bench.dir, &setup);
    live.submit("STUB:ok");
    live.await_words("It is finished.");
    let transcript = format!("{SESSION}.jsonl");
    // it is written a moment after it is shown
    until("the transcript", || {
        let found = walk(&live.home.join(".claude/projects"));
        if found.iter().any(|f| f.ends_with(&transcript)) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
}

fn walk(dir: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.flat_map(|e| if e.path().is_dir() { walk(&e.path()) } else { vec![e.path()] }).collect()
}

#[test]
fn pasted_prompts_reach_both_clients_byte_for_byte() {
    let short = ["STUB:ok first answer", "two lines: é 世界 👩‍🚀\nSTUB:ok second answer"];
    for kind in BOTH {
        let Some(bench) = Bench::new(kind) else { return };
        let live = bench.ready(kind);
        let mark = if kind == Kind::Claude { '●' } else { '•' };
        live.submit(short[0]);
        live.await_words(&format!("{mark} first answer"));
        live.await_prompt();
        live.submit(short[1]);
        live.await_words(&format!("{mark} second answer"));
        assert_eq!(bench.stub.deliveries(), short, "{kind:?}");
        assert_eq!(
            bench.phases(),
            [Phase::Began, Phase::Ended(End::Said), Phase::Began, Phase::Ended(End::Said)],
            "{kind:?}"
        );
    }
}

#[test]
fn codex_takes_a_long_paste_plain() {
    let Some(bench) = Bench::new(Kind::Codex) else { return };
    let live = bench.ready(Kind::Codex);
    let long = format!("{}STUB:ok read", "a line\twith a tab\n".repeat(200));
    live.submit(&long);
    live.await_words("• read");
    assert_eq!(bench.stub.deliveries(), [long.as_str()]);
    assert_eq!(pasted(&long), None);
}

#[test]
fn claude_wraps_a_paste_of_four_lines_and_leaves_the_text_inside_alone() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let live = bench.ready(Kind::Claude);
    let three = "one\ntwo\nSTUB:ok three";
    live.submit(three);
    live.await_words("● three");
    let four = "one\n\n  <b>three</b>\nSTUB:ok four";
    live.type_text("Do this: ");
    // the box: in the history a space follows the glyph
    live.await_words("❯\u{a0}Do this:");
    live.submit(four);
    live.await_words("● four");
    let all = bench.stub.deliveries();
    assert_eq!(all[0], three);
    assert_eq!(pasted(&all[0]), None);
    assert_eq!(
        pasted(&all[1]),
        Some(Pasted { before: "Do this: ", text: four, after: "" }),
        "{:?}",
        all[1]
    );
}

#[test]
fn claude_asks_before_it_runs_a_command_and_goes_on_when_told_to() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let live = bench.ready(Kind::Claude);
    live.submit("STUB:bash touch made; echo it ran");
    let screen = live.await_words("Do you want to proceed?");
    assert!(screen.contains("❯ 1. Yes") && !live.has_prompt(&screen), "{screen}");
    assert_eq!(bench.phases(), [Phase::Began, Phase::Ended(End::Called)]);
    assert!(!bench.dir.join("made").exists());
    live.answer("Do you want to proceed?", "1");
    live.await_words("The command gave: it ran");
    live.await_prompt();
    assert!(bench.dir.join("made").exists());
    assert_eq!(bench.stub.prompts().len(), 2);
    assert_eq!(bench.stub.deliveries().len(), 1);
}

#[test]
fn codex_asks_before_a_command_leaves_the_sandbox_and_goes_on_when_told_to() {
    let Some(bench) = Bench::new(Kind::Codex) else { return };
    let live = bench.ready(Kind::Codex);
    live.submit("STUB:esc touch made; echo it ran");
    let screen = live.await_words("Would you like to run the following command?");
    assert!(screen.contains("› 1. Yes, proceed (y)") && !live.has_prompt(&screen), "{screen}");
    assert_eq!(bench.phases(), [Phase::Began, Phase::Ended(End::Called)]);
    until("the title to tell", || {
        let title = live.title();
        if title.ends_with("Action Required | proj") { Ok(()) } else { Err(title) }
    });
    assert!(!bench.dir.join("made").exists());
    live.answer("Would you like to run", "y");
    live.await_words("The command gave: it ran");
    live.await_prompt();
    assert!(bench.dir.join("made").exists());
    assert_eq!(bench.stub.deliveries().len(), 1);
}

#[test]
fn claude_shows_a_question_with_its_options_and_codex_asks_in_words() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let live = bench.ready(Kind::Claude);
    live.submit("STUB:ask");
    let screen = live.await_words("Enter to select · ↑/↓ to navigate · Esc to cancel");
    assert!(screen.contains("❯ 1. Delete") && screen.contains("  2. Keep"), "{screen}");
    assert!(!live.has_prompt(&screen), "{screen}");
    live.answer("Enter to select", "2");
    live.await_words("The question gave: ");
    assert!(live.await_prompt().contains("Keep"));
    let Some(bench) = Bench::new(Kind::Codex) else { return };
    let live = bench.ready(Kind::Codex);
    live.submit("STUB:ask");
    live.await_words("Should I delete the old table, or keep it?");
    live.await_prompt();
}

#[test]
fn a_directory_that_is_not_trusted_brings_up_a_dialog_and_no_prompt() {
    for (kind, words, default) in [
        (Kind::Claude, "Accessing workspace:", "❯ No, exit"),
        (Kind::Codex, "Trust this folder?", "› 1. Trust and continue"),
    ] {
        let Some(bench) = Bench::new(kind) else { return };
        let setup = Setup { trusted: false, ..Setup::default() };
        let live = Live::start(&bench.world, &bench.stub, kind, "a", &bench.dir, &setup);
        let screen = live.await_text("the dialog", |s| s.contains(words) && s.contains(default));
        assert!(!live.has_prompt(&screen), "{screen}");
    }
}

#[test]
fn the_stub_knows_when_a_client_was_interrupted() {
    for kind in BOTH {
        let Some(bench) = Bench::new(kind) else { return };
        let live = bench.ready(kind);
        live.submit("STUB:slow 600");
        live.await_words("word word");
        assert_eq!(bench.phases(), [Phase::Began], "{kind:?}");
        live.key("Escape");
        bench.stub.await_end(End::Left, 1);
        live.await_text("the interruption", |s| s.to_lowercase().contains("interrupted"));
        assert_eq!(bench.phases(), [Phase::Began, Phase::Ended(End::Left)], "{kind:?}");
    }
}

#[test]
fn a_prompt_that_claude_took_back_and_that_is_sent_again_is_a_second_delivery() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let live = bench.ready(Kind::Claude);
    live.submit("STUB:hang 600");
    bench.stub.await_prompts(1);
    live.await_words("esc to interrupt");
    live.key("Escape");
    live.await_words("❯\u{a0}STUB:hang 600");
    bench.stub.await_end(End::Left, 1);
    live.key("Enter");
    bench.stub.await_prompts(2);
    assert_eq!(bench.stub.deliveries(), ["STUB:hang 600", "STUB:hang 600"]);
}

#[test]
fn what_follows_a_failed_prompt_is_a_delivery_of_its_own() {
    for (kind, words) in [(Kind::Claude, "API Error: 400"), (Kind::Codex, "■ {\"error\":")] {
        let Some(bench) = Bench::new(kind) else { return };
        let live = bench.ready(kind);
        for n in 1..=2 {
            live.submit("STUB:400");
            live.await_text("an error", |s| s.matches(words).count() == n);
        }
        live.submit("STUB:ok well");
        live.await_text("the answer", |s| s.contains("● well") || s.contains("• well"));
        assert_eq!(bench.stub.deliveries(), ["STUB:400", "STUB:400", "STUB:ok well"], "{kind:?}");
        assert!(bench.phases().contains(&Phase::Ended(End::Failed)));
    }
}

#[test]
fn the_model_thinks_talks_at_length_and_breaks_off_in_both_clients() {
    for (kind, error) in [
        (Kind::Claude, "API Error: 529 Overloaded"),
        (Kind::Codex, "■ Selected model is at capacity."),
    ] {
        let Some(bench) = Bench::new(kind) else { return };
        let live = bench.ready(kind);
        live.submit("STUB:think");
        live.await_words("I thought about it, and it is fine.");
        live.submit("STUB:sse-error");
        live.await_words(error);
        bench.stub.await_end(End::Failed, 1);
        live.submit("STUB:long 60");
        // an answer that looks like a dialog, at an empty prompt
        live.await_words("Do you want to proceed?");
        bench.stub.await_end(End::Said, 2);
        live.await_prompt();
    }
}

#[test]
fn claude_asks_before_it_writes_a_file_and_codex_writes_it() {
    for kind in BOTH {
        let Some(bench) = Bench::new(kind) else { return };
        let live = bench.ready(kind);
        live.submit(&format!("STUB:write {}/new.txt hello there", bench.dir.display()));
        if kind == Kind::Claude {
            live.await_words("Do you want to create new.txt?");
            live.answer("Do you want to create new.txt?", "1");
        }
        live.await_words("The file gave: ");
        let text = std::fs::read_to_string(bench.dir.join("new.txt")).expect("the file");
        assert_eq!(text.trim_end(), "hello there", "{kind:?}");
    }
}

#[test]
fn a_command_in_the_background_outlives_the_turn() {
    for (kind, words) in
        [(Kind::Claude, "1 shell still running"), (Kind::Codex, "1 background terminal running")]
    {
        let Some(bench) = Bench::new(kind) else { return };
        let live = bench.ready(kind);
        live.submit("STUB:background sleep 600");
        live.await_words("The command gave:");
        live.await_words(words);
        live.await_prompt();
        assert_eq!(bench.phases().last(), Some(&Phase::Ended(End::Said)), "{kind:?}");
        assert_eq!(bench.stub.deliveries().len(), 1, "{kind:?}");
    }
}

#[test]
fn claudes_sub_agent_has_a_prompt_of_its_own() {
    let Some(bench) = Bench::new(Kind::Claude) else { return };
    let live = bench.ready(Kind::Claude);
    live.submit("STUB:task STUB:hang 2");
    live.await_words("Agent \"Help the stub\" finished");
    assert_eq!(bench.stub.deliveries(), ["STUB:task STUB:hang 2", "STUB:hang 2"]);
}
