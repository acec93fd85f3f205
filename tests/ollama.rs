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
    printf '\n'
    if [ -n "$pasting" ]; then text+=$line$'\n' line=; printf '... '
    elif [ -n "$block" ] && [[ $line == *'"""' ]]; then line=${line%'"""'}; answer
    elif [ -n "$block" ]; then text+=$line$'\n' line=; printf '... '
    elif [[ $line == '"""'* ]]; then block=1 text+=${line#'"""'}$'\n' line=; printf '... '
    elif [ -z "$text" ] && [ "$line" = /bye ]; then exit
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
        let w = World::new();
        let (turns, dir) = (w.path("turns"), w.path("proj"));
        std::fs::create_dir_all(&dir).expect("a directory");
        let program = w.path("ollama");
        let bash = ["/bin/bash", "/usr/bin/bash"].into_iter().find(|b| PathBuf::from(b).is_file());
        std::fs::copy(bash.expect("bash"), &program).expect("copied");
        let code = w.script("repl.bash", STAND_IN);
        let argv = [&program, &code, &turns].map(|p| p.display().to_string());
        let [program, code, turns_file] = &argv;
        let dir = dir.display().to_string();
        let mut start =
            vec!["new-session", "-d", "-s", "model", "-x", "80", "-y", "24", "-c", &dir];
        start.extend(["--", program, code, turns_file]);
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
