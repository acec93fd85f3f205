//! A live client without a record, known by its screen only: a stand-in of `ollama run` at its prompt.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::world::{World, until};

/// What ollama's prompt does with keys, pastes and words, as far as a screen shows it. The text of each turn goes to a
/// file, NUL behind it.
const STAND_IN: &str = r#"
stty -echo -icanon min 1 time 0
turns=$1
ready() { text= line= block=; printf '>>> \e[38;5;245mSend a message (/? for help)\e[28D\e[0m'; }
answer() {
  printf '%s\0' "$text$line" >>"$turns"
  for s in ⠋ ⠙ ⠹; do printf '\r%s ' "$s"; sleep 0.1; done
  printf '\r\e[K'
  case $text$line in
  *doctest*) printf 'So:\n\n>>> '; sleep 0.5; printf '1 + 1\n2\n' ;;
  *'run: '*) eval "${line#*run: }" ;;
  *'Be long'*) for i in $(seq 80); do echo "row $i"; done ;;
  esac
  for word in This is the answer to ${#line} characters.; do printf '%s ' "$word"; sleep 0.1; done
  printf '\n\n'
  ready
}
printf '\e[?2004h'
ready
while IFS= read -r -N1 c; do
  case $c in
  $'\e')
    keys=
    while IFS= read -r -N1 -t 0.05 d; do keys+=$d; case $d in [~A-Za-z]) break ;; esac; done
    case $keys in '[200~') pasting=1 ;; '[201~') pasting= ;; esac
    ;;
  $'\n')
    # a popup completes the word, which takes the Enter
    case $line in *@par) line+=tial; printf 'tial'; continue ;; esac
    printf '\n'
    if [ -n "$pasting" ]; then text+=$line$'\n' line=; printf '... '
    elif [ -n "$block" ] && [[ $line == *'"""' ]]; then line=${line%'"""'}; answer
    elif [ -n "$block" ]; then text+=$line$'\n' line=; printf '... '
    elif [[ $line == '"""'* ]]; then block=1 text+=${line#'"""'}$'\n' line=; printf '... '
    elif [ -z "$text" ] && [ "$line" = /bye ]; then printf '\e[?2004l'; stty sane; exit
    elif [[ $line == /* ]]; then echo "Unknown command '$line'. Type /? for help"; ready
    elif [ -z "$text$line" ]; then ready
    else answer; fi
    ;;
  $'\x15') line=; printf '\r\e[K>>> ' ;;
  *) [ -n "$text$line" ] || printf '\e[K'; line+=$c; printf '%s' "$c" ;;
  esac
done
"#;

struct Bench {
    w: World,
    turns: PathBuf,
}

impl Bench {
    /// An adopted pane whose process is called ollama.
    fn new() -> Bench {
        Bench::started_by(&|argv| argv.to_vec())
    }

    /// The same with another process before it.
    fn started_by(starter: &dyn Fn(&[String]) -> Vec<String>) -> Bench {
        let w = World::new();
        let (turns, dir) = (w.path("turns"), w.path("proj"));
        std::fs::create_dir_all(&dir).expect("a directory");
        let program = w.path("ollama");
        let bash = ["/bin/bash", "/usr/bin/bash"].into_iter().find(|b| PathBuf::from(b).is_file());
        std::fs::copy(bash.expect("bash"), &program).expect("copied");
        let code = w.script("repl.bash", STAND_IN);
        let argv = [&program, &code, &turns].map(|p| p.display().to_string());
        let argv = starter(&argv);
        let dir = dir.display().to_string();
        let mut start =
            vec!["new-session", "-d", "-s", "model", "-x", "80", "-y", "24", "-c", &dir];
        start.push("--");
        start.extend(argv.iter().map(String::as_str));
        w.tmux(&start);
        w.await_screen("model", "Send a message");
        w.ok("orch-ctx", &["adopt", "model"]);
        w.await_idle("model");
        Bench { w, turns }
    }

    fn turns(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.turns).unwrap_or_default();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    /// Puts a task on the queue, and waits for its end.
    fn run(&self, more: &[&str], content: &str, state: &str) -> (String, Value) {
        let args: Vec<&str> = ["--provider", "ollama"].iter().chain(more).copied().collect();
        let id = self.w.enqueue(&[args.as_slice(), &["--", content]].concat());
        // the end of the task before starts a pass of its own
        let task = self.w.assign_until(&id, state);
        (id, task)
    }

    /// The same with words accepted; the answer.
    fn answer(&self, content: &str) -> String {
        let (id, task) = self.run(&["--accept", "pattern"], content, "completed");
        assert_eq!(task["evidence"], "pattern");
        self.w.ok("orch-ls", &["--answer", &id]).trim_end().to_owned()
    }

    fn explain(&self) -> Value {
        self.w.json("orch-ctx", &["explain", "model"]).remove(0)
    }
}

#[test]
fn a_turn_ends_when_the_composer_is_empty_again_and_words_are_accepted() {
    let b = Bench::new();
    assert_eq!((&b.explain()["state"], &b.explain()["composer"]), (&"idle".into(), &"".into()));
    for n in 1..=2 {
        assert_eq!(b.answer("Say how much this is"), "This is the answer to 20 characters.");
        assert_eq!(b.turns(), vec!["Say how much this is"; n]);
    }
    let receipt = b.w.sql("select receipt from attempts");
    assert!(receipt.contains(r#""evidence":"screen""#), "{receipt}");
}

#[test]
fn without_that_its_end_is_unknown_and_the_session_is_free_again() {
    let b = Bench::new();
    let (first, told) = b.run(&[], "one", "unknown");
    assert!(told["reason"].as_str().is_some_and(|r| r.contains("by pattern only")), "{told}");
    b.answer("two");
    assert_eq!(
        (b.turns(), b.w.state(&first)),
        (vec!["one".into(), "two".into()], "unknown".into())
    );
}

#[test]
fn pastes_of_several_rows_and_its_own_commands_reach_the_model_as_they_are() {
    let b = Bench::new();
    let wide = format!("wide {}end", "word ".repeat(30));
    for (content, arrives) in [
        ("one\n\n  two \"\"\"\nthree", "one\n\n  two \"\"\"\nthree"),
        ("/bye", "Task: /bye"),
        ("\"\"\"quoted", "Task: \"\"\"quoted"),
        (wide.as_str(), wide.as_str()),
    ] {
        let answer = b.answer(content);
        assert!(answer.starts_with("This is the answer"), "{answer}");
        assert_eq!(b.turns().last().map(String::as_str), Some(arrives));
    }
    assert_eq!(b.turns().len(), 4);
}

#[test]
fn an_answer_that_shows_its_prompt_or_fills_the_screen_is_whole() {
    let b = Bench::new();
    let answer = b.answer("Write a doctest");
    assert!(answer.starts_with("So:\n\n>>> 1 + 1\n2\nThis is"), "{answer}");
    let answer = b.answer("Be long");
    assert!(answer.starts_with("row 1\n") && answer.contains("\nrow 80\n"), "{answer}");
}

/// The client is started anew in the task's directory, and a watch of the pane has the same configuration.
#[test]
fn odd_directories_and_models_are_no_formats_of_tmux_and_no_code() {
    let b = Bench::new();
    let ran = b.w.path("ran");
    let odd =
        b.w.path(&format!("it's #(touch {0}) %H #H #[fg=red] \"$(touch {0})\" ;x", ran.display()));
    let (config, dir) = (odd.join("config"), odd.join("proj"));
    std::fs::create_dir_all(config.join("orch")).expect("directories");
    std::fs::create_dir_all(&dir).expect("a directory");
    let model = "it's #H #[ %d ;\\";
    let program = b.w.path("ollama");
    let code = b.w.path("repl.bash");
    let launch = format!("[{program:?}, {code:?}, {:?}, \"{{model}}\"]", b.turns);
    let text = format!(
        "[provider.ollama]\nmodel = {model:?}\n[provider.ollama.live]\nlaunch = {launch}\n\
         processes = [\"ollama\", \"other\"]\n"
    );
    std::fs::write(config.join("orch/config.toml"), text).expect("written");
    let dir = dir.to_str().expect("UTF-8");
    let args = ["--provider", "ollama", "--dir", dir, "--accept", "pattern", "Say"];
    let id = b.w.enqueue(&args);
    let pass = b.w.command("orch-assign").env("XDG_CONFIG_HOME", &config).output().expect("run");
    assert!(pass.status.success(), "{pass:?}");
    assert_eq!(b.w.state(&id), "running", "{}", String::from_utf8_lossy(&pass.stdout));
    assert_eq!(b.w.ctx("model")["working_dir"], dir);
    let pid = b.w.tmux(&["display-message", "-p", "-t", "model", "#{pane_pid}"]);
    let argv = std::fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).expect("argv");
    assert_eq!(argv.split('\0').nth(3), Some(model));
    // the watch alone ends it
    b.w.await_state(&id, "completed");
    assert!(!ran.exists());
}

#[test]
fn a_draft_is_left_alone() {
    let b = Bench::new();
    b.w.type_text("model", "half a thought");
    let id = b.w.enqueue(&["--provider", "ollama", "never"]);
    until("the draft to be seen", || {
        let told = b.w.run("orch-assign", &["--explain", "--dry-run"]).stdout;
        if told.contains("a draft stands in its composer") { Ok(()) } else { Err(told) }
    });
    b.w.assign();
    assert_eq!((b.w.state(&id), b.turns()), ("queued".into(), Vec::new()));
}

/// Below a shell without job control the client is one all the same, and the shell's prompt is none.
#[test]
fn a_client_below_a_script_is_found() {
    let b = Bench::started_by(&|argv| {
        let words = argv.iter().map(|a| format!("'{a}'")).collect::<Vec<_>>().join(" ");
        ["bash".into(), "-c".into(), format!("{words}; exec cat")].to_vec()
    });
    assert_eq!(b.w.ctx("model")["agent"], "ollama");
    let id = b.w.enqueue(&["--provider", "shell", "printf typed"]);
    b.w.assign();
    assert_eq!(b.w.state(&id), "queued");
    assert_eq!(b.answer("Say"), "This is the answer to 3 characters.");
}

/// Between the look and the first byte the client ends, and the shell that it ran in is at its prompt.
#[test]
fn nothing_is_pasted_into_the_shell_that_a_client_ran_in() {
    for shell in ["bash", "dash"] {
        let b = Bench::new();
        b.w.session("one", shell, &b.w.path("proj"));
        let argv = [b.w.path("ollama"), b.w.path("repl.bash"), b.turns.clone()];
        let words: Vec<String> = argv.iter().map(|a| a.display().to_string()).collect();
        b.w.type_text("one", &words.join(" "));
        b.w.key("one", "Enter");
        b.w.await_idle("one");
        let ran = b.w.path("ran");
        let content = format!("touch {}", ran.display());
        let id = b.w.enqueue(&["--provider", "ollama", "--session", "one", &content]);
        for step in ["claimed", "pasting"] {
            let (did, ()) = b.w.assign_stopped_at(step, || {
                b.w.type_text("one", "/bye");
                b.w.key("one", "Enter");
                until("the shell to be back", || {
                    let c = b.w.ctx("one");
                    if c["agent"].is_null() { Ok(()) } else { Err(c.to_string()) }
                });
            });
            assert!(did.iter().any(|d| d["did"] == "refused"), "{shell} {step}: {did:?}");
            let screen = b.w.screen("one");
            assert!(!ran.exists() && !screen.contains("touch"), "{shell} {step}: {screen}");
            assert_eq!((b.w.state(&id), b.turns()), ("queued".into(), Vec::new()));
            b.w.type_text("one", &words.join(" "));
            b.w.key("one", "Enter");
            b.w.await_idle("one");
        }
    }
}

#[test]
fn a_popup_that_takes_the_enter_is_no_receipt() {
    let b = Bench::new();
    let id = b.w.enqueue(&["--provider", "ollama", "look at it@par"]);
    b.w.assign();
    let t = b.w.task(&id);
    assert!(t["state"] != "running" && t["state"] != "completed", "{t}");
    assert_eq!(b.turns(), Vec::<String>::new());
}

/// What runs below a live client speaks for itself only.
#[test]
fn what_a_live_client_runs_makes_claims_only() {
    let b = Bench::new();
    let other = b.w.enqueue(&["--provider", "shell", "--hold", "printf never"]);
    let line = r#"{"v":1,"type":"task_complete","seq":1,"source":{"format":"text","line":1,"offset":0},"outcome":"complete","evidence":"protocol","confidence":1,"because":[]}"#;
    let line = b.w.script("line", line);
    let out = b.w.path("out");
    let feedback = crate::support::world::bin_dir().join("orch-feedback");
    let command = format!(
        "run: {0} --task {1} <{2} >{3} 2>&1; {0} <{2} >>{3} 2>&1",
        feedback.display(),
        other,
        line.display(),
        out.display()
    );
    let (id, _) = b.run(&[], &command, "unknown");
    let said = std::fs::read_to_string(&out).expect("it ran");
    assert_eq!(b.w.state(&other), "held", "{said}");
    let standings: Vec<_> = b.w.events(&id).iter().map(|e| e["standing"].clone()).collect();
    assert!(standings.contains(&"claim".into()), "{said} {:?}", b.w.events(&id));
}

#[test]
fn a_task_that_a_person_knows_more_about_is_told_by_events_too() {
    let b = Bench::new();
    let (id, _) = b.run(&[], "one", "unknown");
    let line = r#"{"v":1,"type":"task_failed","seq":1,"source":{"format":"text","line":1,"offset":0},"outcome":"failed","evidence":"exit","confidence":1,"reason":"seen by a person","because":[]}"#;
    let ran = b.w.run_with_input("orch-feedback", &["--task", &id], format!("{line}\n").as_bytes());
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let t = b.w.task(&id);
    assert!(t["reason"].to_string().contains("seen by a person"), "{t}");
}

/// The other programs are not where orch-assign is.
#[test]
fn a_watch_that_cannot_be_put_on_is_noted_and_the_passes_see_to_the_end() {
    let b = Bench::new();
    let bin = b.w.path("bin");
    std::fs::create_dir_all(&bin).expect("a directory");
    let from = crate::support::world::bin_dir().join("orch-assign");
    std::fs::copy(from, bin.join("orch-assign")).expect("copied");
    let id = b.w.enqueue(&["--provider", "ollama", "--accept", "pattern", "one"]);
    let out = b.w.command(bin.join("orch-assign")).output().expect("runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(String::from_utf8_lossy(&out.stdout).contains("submitted"), "{out:?}");
    let noted = |e: &Value| e["type"] == "watch" && e.to_string().contains("orch-extract");
    assert!(b.w.events(&id).iter().any(noted), "{:?}", b.w.events(&id));
    b.w.assign_until(&id, "completed");
}

/// A server that stands still is not in the way of the sessions of another.
#[test]
fn a_tmux_server_that_hangs_holds_up_nobody_else() {
    let b = Bench::new();
    let (socket, dir) = (b.w.path("other"), b.w.path("proj"));
    let other = |args: &[&str]| {
        let mut c = b.w.command("tmux");
        let out = c.arg("-S").arg(&socket).args(args).output().expect("tmux");
        assert!(out.status.success(), "{out:?}");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    };
    let dir = dir.to_str().expect("UTF-8");
    other(&[
        "-f",
        "/dev/null",
        "new-session",
        "-d",
        "-s",
        "far",
        "-c",
        dir,
        "PS1='$ ' exec bash --norc",
    ]);
    let pid = other(&["display-message", "-p", "#{pid}"]);
    let adopt =
        b.w.command(crate::support::world::bin_dir().join("orch-ctx"))
            .env("ORCH_TMUX", &socket)
            .args(["adopt", "far"])
            .output()
            .expect("runs");
    assert!(adopt.status.success(), "{adopt:?}");
    let signal = |s: &str| {
        assert!(b.w.command("kill").args([s, &pid]).status().expect("kill").success());
    };
    signal("-STOP");
    let id = b.w.enqueue(&["--provider", "ollama", "--accept", "pattern", "one"]);
    b.w.assign_until(&id, "completed");
    signal("-CONT");
    other(&["kill-server"]);
}
