//! Panes that are not at an empty prompt: nothing is typed, the reason is shown, what stands there is untouched.

use std::path::Path;

use crate::support::world::{World, lines, until};

/// Puts a pane into a condition, and wants it refused with that reason and left as it was.
fn refused(shell: &str, prepare: impl Fn(&World), settled: impl Fn(&str) -> bool, reason: &str) {
    let w = World::new();
    w.session("one", shell, &w.path("home"));
    let mark = w.path("ran");
    w.enqueue(&["--provider", "shell", &format!("touch {}", mark.display())]);
    prepare(&w);
    until("the pane to settle", || {
        let s = w.screen("one");
        if settled(&s) { Ok(()) } else { Err(s) }
    });
    // several passes: what stands there does not become known by standing there
    for _ in 0..3 {
        let out = lines(&w.run("orch-assign", &["--explain"]).stdout);
        let filter = out[0]["filter"]
            .as_str()
            .unwrap_or_else(|| panic!("{shell}: not filtered: {out:?}\n{}", w.screen("one")));
        assert!(filter.contains(reason), "{shell}: {filter:?} lacks {reason:?}");
    }
    let screen = w.screen("one");
    assert!(settled(&screen), "{shell}: changed: {screen}");
    assert!(!screen.contains("orch-wrap"), "{shell}: typed into: {screen}");
    assert!(!mark.exists());
    assert_eq!(w.sql("select count(*) from attempts"), "0", "{shell}: claimed");
}

fn shells() -> Vec<&'static str> {
    let here = |s: &&str| std::process::Command::new(s).args(["-c", "true"]).output().is_ok();
    ["bash", "zsh", "fish"].into_iter().filter(here).collect()
}

#[test]
fn a_half_typed_draft_is_left_alone() {
    for shell in shells() {
        let typed = |w: &World| w.type_text("one", "touch draft-ran");
        refused(shell, typed, |s| s.contains("touch draft-ran"), "blocked");
    }
}

#[test]
fn a_draft_that_ends_like_a_prompt_is_left_alone() {
    for shell in shells() {
        refused(shell, |w| w.type_text("one", "echo $ "), |s| s.contains("echo $"), "blocked");
    }
}

#[test]
fn a_draft_that_wraps_and_ends_like_a_prompt_is_left_alone() {
    for shell in shells() {
        let typed =
            |w: &World| w.type_text("one", &format!("touch ran; echo {}a$", "x".repeat(145)));
        refused(shell, typed, |s| s.contains("a$"), "blocked");
    }
}

#[test]
fn a_draft_in_an_open_quote_that_ends_like_a_prompt_is_left_alone() {
    let starts = |w: &World| {
        w.type_text("one", "echo 'open");
        w.key("one", "Enter");
        w.type_text("one", "50%");
    };
    refused("bash", starts, |s| s.contains("> 50%"), "not known to be an empty prompt");
}

#[test]
fn a_draft_with_the_cursor_at_its_start_is_left_alone() {
    for shell in shells() {
        let typed = |w: &World| {
            w.type_text("one", "touch draft-ran");
            w.key("one", "C-a");
        };
        refused(shell, typed, |s| s.contains("touch draft-ran"), "blocked");
    }
}

#[test]
fn a_read_is_no_prompt() {
    for shell in ["bash", "zsh"] {
        if !shells().contains(&shell) {
            continue;
        }
        let reads = |w: &World| {
            w.type_text("one", "echo reading; read line");
            w.key("one", "Enter");
        };
        refused(shell, reads, |s| s.lines().any(|l| l == "reading"), "b");
    }
}

#[test]
fn an_unfinished_command_is_no_prompt() {
    for shell in ["bash", "zsh"] {
        if !shells().contains(&shell) {
            continue;
        }
        let starts = |w: &World| {
            w.type_text("one", "echo 'open");
            w.key("one", "Enter");
        };
        refused(
            shell,
            starts,
            |s| s.lines().nth(1).is_some_and(|l| l.trim_end().ends_with('>')),
            "blocked",
        );
    }
}

#[test]
fn a_draft_in_vi_command_mode_is_left_alone() {
    for (shell, vi) in [("bash", "set -o vi"), ("zsh", "bindkey -v")] {
        if !shells().contains(&shell) {
            continue;
        }
        let normal = |w: &World| {
            w.type_text("one", vi);
            w.key("one", "Enter");
            w.await_idle("one");
            w.type_text("one", "touch draft-ran");
            w.await_screen("one", "touch draft-ran");
            w.key("one", "Escape");
        };
        refused(shell, normal, |s| s.contains("touch draft-ran"), "blocked");
    }
}

/// An empty line in vi's command mode looks like any empty prompt. The leading blank finds it out: it moves nothing.
#[test]
fn an_empty_line_in_vi_command_mode_takes_no_command() {
    for (shell, vi) in
        [("bash", "set -o vi"), ("zsh", "bindkey -v"), ("fish", "fish_vi_key_bindings")]
    {
        if !shells().contains(&shell) {
            continue;
        }
        let w = World::new();
        w.session("one", shell, &w.path("home"));
        w.type_text("one", vi);
        w.key("one", "Enter");
        w.await_idle("one");
        w.key("one", "Escape");
        // the editor waits a moment for what might follow an Escape
        std::thread::sleep(std::time::Duration::from_millis(700));
        let mark = w.path("ran");
        w.enqueue(&["--provider", "shell", &format!("touch {}", mark.display())]);
        let before = w.screen("one");
        let did = w.assign();
        assert_eq!(did[0]["did"], "refused", "{shell}: {did:?} {}", w.screen("one"));
        assert!(
            did[0]["reason"].as_str().expect("a reason").contains("does not take text"),
            "{did:?}"
        );
        assert_eq!(w.screen("one"), before, "{shell}");
        assert!(!mark.exists());
        if shell != "fish" {
            // fish without its configuration has no way back to inserting
            w.type_text("one", "i");
            w.ok("orch-ctl", &["resume", "one"]);
            w.assign_until("1", "completed");
        }
    }
}

#[test]
fn a_command_or_a_builtin_that_runs_is_busy() {
    for shell in shells() {
        let runs = |w: &World| {
            w.type_text("one", "echo begun; sleep 300");
            w.key("one", "Enter");
            until("the command to run", || {
                let c = w.ctx("one");
                if c["why"] == "sleep runs there" { Ok(()) } else { Err(c.to_string()) }
            });
        };
        refused(shell, runs, |s| s.lines().any(|l| l == "begun"), "sleep runs there");
    }
    let spins = |w: &World| {
        w.type_text("one", "echo begun; while :; do :; done");
        w.key("one", "Enter");
    };
    refused("bash", spins, |s| s.lines().any(|l| l == "begun"), "blocked");
}

#[test]
fn copy_mode_input_off_and_synchronized_panes_are_not_typed_into() {
    let tmux = |args: &'static [&'static str]| move |w: &World| drop(w.tmux(args));
    let calm = |s: &str| s.contains('$');
    refused("bash", tmux(&["copy-mode", "-t", "=one:"]), calm, "copy mode");
    refused("bash", tmux(&["select-pane", "-d", "-t", "=one:"]), calm, "input is off");
    refused(
        "bash",
        tmux(&["set-option", "-w", "-t", "=one:", "synchronize-panes", "on"]),
        calm,
        "synchronized",
    );
}

#[test]
fn an_unusual_prompt_is_known_by_adoption_or_by_the_config() {
    let w = World::new();
    w.session("one", "PS1='odd prompt: ' exec bash --norc --noprofile", &w.path("home"));
    w.await_screen("one", "odd prompt:");
    w.ok("orch-ctx", &["forget", "one"]);
    w.ok("orch-ctx", &["adopt", "one"]);
    let id = w.enqueue(&["--provider", "shell", "true"]);
    w.assign_until(&id, "completed");
    w.pane("two", "PS1='strange: ' exec bash --norc --noprofile", &w.path("home"));
    w.config("sessions = ['two']\n");
    w.await_screen("two", "strange:");
    let bound = w.enqueue(&["--provider", "shell", "--session", "two", "true"]);
    w.assign();
    assert_eq!(w.state(&bound), "queued", "a pane adopted by pattern is looked at by nobody");
    w.config("sessions = ['two']\nprompts = ['strange:']\n");
    w.assign_until(&bound, "completed");
}

#[test]
fn a_draft_typed_at_two_prompts_is_not_taken_for_one() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    let ran = w.path("draft-ran");
    w.enqueue(&["--provider", "shell", "true"]);
    for round in 0..2 {
        w.type_text("one", &format!("touch {}", ran.display()));
        until("the draft", || {
            let n = w.screen("one").matches("draft-ran").count();
            if n > round { Ok(()) } else { Err(n.to_string()) }
        });
        w.assign();
        w.key("one", if round == 0 { "C-c" } else { "Left" });
    }
    w.assign();
    assert_eq!(w.sql("select count(*) from attempts"), "0");
    assert!(!ran.exists());
}

/// What fish starts in the background while it starts itself stays in its own process group, on its terminal.
#[test]
fn what_a_shell_has_started_in_the_background_is_not_in_front_of_it() {
    let w = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let rc = w.script(&format!("rc.{shell}"), "sleep 600 &\n");
        let start = match shell {
            "bash" => format!("PS1='$ ' exec bash --rcfile {} -i", rc.display()),
            "zsh" => {
                std::fs::copy(&rc, w.path("home").join(".zshrc")).expect("copied");
                "PS1='%# ' exec zsh -o nonotify".into()
            }
            _ => format!("exec fish --no-config --init-command 'source {}'", rc.display()),
        };
        let dir = w.path("home");
        let dir = dir.to_str().expect("UTF-8");
        w.tmux(&["-f", "/dev/null", "new-session", "-d", "-s", shell, "-c", dir, &start]);
        w.ok("orch-ctx", &["adopt", shell]);
        w.await_idle(shell);
        w.tmux(&["kill-session", "-t", shell]);
    }
}

#[test]
fn a_respawned_pane_keeps_its_slot() {
    let w = World::new();
    let pane = w.session("one", "bash", &w.path("home"));
    w.tmux(&["respawn-pane", "-k", "-t", &pane, "PS1='$ ' exec bash --norc --noprofile"]);
    w.enqueue(&["--provider", "shell", "true"]);
    assert_eq!(w.assign_until("1", "completed")["ran_in"], "one");
}

#[test]
fn a_pane_in_which_a_line_came_to_nothing_is_left_alone_for_a_while() {
    let w = World::new();
    let home = w.path("home");
    // a shell that may not run a program by its path
    w.session("sick", "PS1='$ ' exec bash --norc --noprofile -r", &home);
    w.await_screen("sick", "$");
    w.await_idle("sick");
    let dir = home.to_str().expect("UTF-8");
    let id = w.enqueue(&["--provider", "shell", "--dir", dir, "true"]);
    let did = w.assign();
    assert_eq!(did[0]["did"], "revoked", "{did:?}");
    let lines_typed = w.screen("sick").matches("orch-wrap").count();
    let out = lines(&w.run("orch-assign", &["--explain"]).stdout);
    assert!(out[0]["filter"].as_str().expect("a filter").starts_with("avoided until"), "{out:?}");
    assert_eq!(w.screen("sick").matches("orch-wrap").count(), lines_typed);
    w.session("well", "bash", Path::new("/"));
    assert_eq!(w.assign_until(&id, "completed")["ran_in"], "well");
    w.ok("orch-ctl", &["resume", "sick"]);
    assert_eq!(w.sql("select count(*) from sessions where avoid_until is not null"), "0");
}

#[test]
fn only_adopted_panes_are_typed_into_and_a_pattern_adopts() {
    let w = World::new();
    w.pane("dev_one", "bash", &w.path("home"));
    w.enqueue(&["--provider", "shell", "true"]);
    let ran = w.run("orch-assign", &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(ran.stderr.contains("orch-ctx adopt"), "{}", ran.stderr);
    w.config("sessions = ['dev_*']\n");
    w.assign_until("1", "completed");
    assert_eq!(w.task("1")["ran_in"], "dev_one");
}

#[test]
fn a_pane_of_a_new_server_does_not_take_a_slot_by_its_number() {
    let w = World::new();
    w.session("one", "bash", &w.path("home"));
    w.tmux(&["kill-server"]);
    until("the socket to be free", || {
        let out = w.command("tmux").arg("-S").arg(w.path("tmux")).arg("ls").output().expect("tmux");
        if out.status.success() { Err("still there".into()) } else { Ok(()) }
    });
    let pane = w.pane("other", "bash", &w.path("home"));
    assert_eq!(pane, "%0", "the same number again");
    w.enqueue(&["--provider", "shell", "true"]);
    w.assign();
    assert_eq!(w.json("orch-ls", &["sessions"])[0]["state"], "dead");
    assert_eq!(w.state("1"), "queued");
    w.ok("orch-ctx", &["adopt", "other", "--name", "one"]);
    w.assign_until("1", "completed");
}
