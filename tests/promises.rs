//! What every program owes, whatever it does.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::fs::{FlockOperation, flock};

use crate::support::house::programs;
use crate::support::world::{Ran, World, bin_dir, feed, until};

/// A call of a program that prints, and what it has done by then. Task 1 is queued, task 2 has an answer.
struct Call {
    program: &'static str,
    args: &'static [&'static str],
    input: &'static str,
    /// A query that answers 1 once the work is done.
    done: &'static str,
    /// Its exit code when what it prints finds no room.
    full: i32,
}

const NOTE: &str = concat!(
    r#"{"v":1,"type":"note","text":"x","seq":1,"source":{"format":"text","line":1,"offset":0}}"#,
    "\n"
);
const NOTHING: &str = "select 1";

const CALLS: &[Call] = &[
    Call {
        program: "orch-enqueue",
        args: &["--lines", "--provider", "shell"],
        input: "one\ntwo\nthree\n",
        done: "select count(*) = 3 from tasks where content in ('one', 'two', 'three')",
        full: 2,
    },
    Call {
        program: "orch-assign",
        args: &["--dry-run", "--explain"],
        input: "",
        done: NOTHING,
        full: 2,
    },
    Call { program: "orch-ctx", args: &["show"], input: "", done: NOTHING, full: 2 },
    Call {
        program: "orch-ctx",
        args: &["adopt", "s2"],
        input: "",
        done: "select count(*) from sessions where name = 's2'",
        full: 2,
    },
    Call { program: "orch-extract", args: &[], input: "hello\n", done: NOTHING, full: 2 },
    // the command's own output is the command's affair
    Call {
        program: "orch-wrap",
        args: &["--", "echo", "hello"],
        input: "",
        done: "select count(*) from tasks where content = 'echo hello' and state = 'completed'",
        full: 0,
    },
    Call { program: "orch-ls", args: &["tasks"], input: "", done: NOTHING, full: 2 },
    Call { program: "orch-ls", args: &["--schema"], input: "", done: NOTHING, full: 2 },
    Call { program: "orch-ls", args: &["--why", "1"], input: "", done: NOTHING, full: 2 },
    Call {
        program: "orch-ctl",
        args: &["hold", "1"],
        input: "",
        done: "select count(*) from tasks where id = 1 and state = 'held'",
        full: 2,
    },
    Call { program: "orch-ctl", args: &["doctor"], input: "", done: NOTHING, full: 2 },
];

/// Programs with the least arguments that make them open the database.
const OPENERS: &[(&str, &[&str])] = &[
    ("orch-enqueue", &["--provider", "shell", "true"]),
    ("orch-assign", &[]),
    ("orch-ctx", &["sync"]),
    ("orch-feedback", &["--task", "1"]),
    ("orch-wrap", &["--", "true"]),
    ("orch-ls", &[]),
    ("orch-ctl", &["hold", "1"]),
];

/// A world with two panes, the first adopted, a queued task, and one that has an answer.
fn furnished() -> World {
    let w = World::new();
    w.session("s1", "bash", &w.path("home"));
    w.pane("s2", "bash", &w.path("home"));
    let dir = w.text("home");
    w.enqueue(&["--provider", "shell", "--dir", &dir, "true"]);
    w.enqueue(&["--provider", "shell", "echo the answer"]);
    assert_eq!(w.run("orch-wrap", &["--task", "2", "--", "echo", "the answer"]).code, 0);
    w
}

/// Runs a program whose standard output is that file.
fn into(w: &World, program: &str, args: &[&str], input: &str, output: impl Into<Stdio>) -> Ran {
    let mut c = w.command(bin_dir().join(program));
    let mut child = c
        .args(args)
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    use std::io::Write;
    // a program that does not read is allowed to
    let _ = child.stdin.take().expect("stdin").write_all(input.as_bytes());
    Ran::of(child.wait_with_output().expect("ends"))
}

fn closed_pipe() -> Stdio {
    let (_, writer) = std::io::pipe().expect("pipe");
    writer.into()
}

fn full_disk() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").expect("/dev/full").into()
}

/// One line on stderr that begins with the program's name.
fn says_one_line(program: &str, ran: &Ran) {
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(
        lines.len() == 1 && lines[0].starts_with(&format!("{program}: ")),
        "{program}: {:?}",
        ran.stderr
    );
}

#[test]
fn every_program_is_in_the_tables() {
    for (name, _) in programs() {
        assert!(name == "orch-feedback" || CALLS.iter().any(|c| c.program == name), "{name}");
        assert!(name == "orch-extract" || OPENERS.iter().any(|o| o.0 == name), "{name}");
    }
}

#[test]
fn help_goes_to_stdout_and_exits_0() {
    let w = World::new();
    for (name, _) in programs() {
        for flag in ["--help", "-h"] {
            let ran = w.run(&name, &[flag]);
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{name} {flag}");
            assert!(
                ran.stdout.contains(&format!("\nUsage: {name} ")),
                "{name} {flag}: {}",
                ran.stdout
            );
        }
    }
    assert!(!w.db().exists(), "asking for help made a database");
}

#[test]
fn version_names_the_package_and_sqlite() {
    let w = World::new();
    let sqlite = rusqlite::version();
    for (name, _) in programs() {
        let ran = w.run(&name, &["--version"]);
        let wanted = format!("{name} {} (SQLite {sqlite})\n", env!("CARGO_PKG_VERSION"));
        assert_eq!((ran.code, ran.stdout, ran.stderr), (0, wanted, String::new()), "{name}");
    }
}

#[test]
fn a_bad_flag_is_exit_2_with_nothing_on_stdout() {
    let w = World::new();
    for (name, _) in programs() {
        let ran = w.run(&name, &["--no-such-option"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{name}");
        assert!(ran.stderr.contains("--no-such-option"), "{name}: {}", ran.stderr);
    }
    assert!(!w.db().exists(), "a bad flag made a database");
}

#[test]
fn a_reader_that_went_away_is_no_error_and_the_work_is_done() {
    for call in CALLS {
        let w = furnished();
        let ran = into(&w, call.program, call.args, call.input, closed_pipe());
        let name = format!("{} {:?}", call.program, call.args);
        // doctor would answer no, had somebody listened
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{name}");
        assert_eq!(w.sql(call.done), "1", "{name}");
    }
}

#[test]
fn a_full_disk_is_told_in_one_line_and_nothing_is_lost() {
    for call in CALLS {
        let w = furnished();
        let ran = into(&w, call.program, call.args, call.input, full_disk());
        let name = format!("{} {:?}", call.program, call.args);
        assert_eq!(ran.code, call.full, "{name}: {}", ran.stderr);
        match call.full {
            0 => assert_eq!(ran.stderr, "", "{name}"),
            _ => says_one_line(call.program, &ran),
        }
        assert_eq!(w.sql(call.done), "1", "{name}");
    }
}

#[test]
fn a_closed_stderr_is_no_panic() {
    let w = World::new();
    for (name, _) in programs() {
        let mut c = w.command(bin_dir().join(&name));
        let status = c.arg("--no-such-option").stderr(closed_pipe()).status().expect("runs");
        assert_eq!(status.code(), Some(2), "{name}");
    }
}

#[test]
fn a_busy_database_is_exit_75_after_its_deadline_and_nothing_is_stored() {
    let w = World::new();
    w.enqueue(&["--provider", "shell", "first"]);
    let lock = File::options().write(true).open(w.path("orch.db.lock")).expect("the lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("locks");
    let begun = Instant::now();
    let ran = w.run("orch-enqueue", &["--provider", "shell", "second"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (75, ""), "{}", ran.stderr);
    says_one_line("orch-enqueue", &ran);
    assert!((10..13).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(w.json("orch-ls", &[]).len(), 1, "who reads is not kept waiting");
    drop(lock);
    w.enqueue(&["--provider", "shell", "third"]);
    assert_eq!(w.sql("select group_concat(content) from tasks"), "first,third");
}

#[test]
fn a_writer_that_finds_the_lock_taken_goes_on_when_it_is_free() {
    let w = World::new();
    w.enqueue(&["--provider", "shell", "first"]);
    let lock = File::options().write(true).open(w.path("orch.db.lock")).expect("the lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("locks");
    let mut c = w.command(bin_dir().join("orch-enqueue"));
    let child = c.args(["--provider", "shell", "second"]).stdout(Stdio::piped()).spawn();
    let child = child.expect("starts");
    let fds = format!("/proc/{}/fd", child.id());
    let is_lock =
        |e: std::fs::DirEntry| e.path().read_link().is_ok_and(|p| p.ends_with("orch.db.lock"));
    until("it to stand at the lock", || {
        let mut open = std::fs::read_dir(&fds).map_err(|e| e.to_string())?.flatten();
        if open.any(is_lock) { Ok(()) } else { Err("not yet".into()) }
    });
    drop(lock);
    assert_eq!(Ran::of(child.wait_with_output().expect("ends")).stdout, "2\n");
}

/// Every program that opens a database refuses this file, names it, and leaves it as it is.
fn is_refused(w: &World, file: &Path, because: &str) {
    let before = std::fs::read(file).expect("reads");
    let path = file.to_str().expect("UTF-8");
    for (program, args) in OPENERS {
        let mut with = vec!["--db", path];
        with.extend(*args);
        let ran = w.run(program, &with);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{program}: {}", ran.stderr);
        says_one_line(program, &ran);
        assert!(ran.stderr.contains(path) && ran.stderr.contains(because), "{}", ran.stderr);
        assert!(std::fs::read(file).expect("reads") == before, "{program} changed {path}");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_by_name() {
    let w = World::new();
    let file = w.path("letter.txt");
    std::fs::write(&file, "Dear Ann,\n".repeat(500)).expect("writes");
    is_refused(&w, &file, "not a database");
}

#[test]
fn another_programs_database_is_refused_and_left_as_it_was() {
    let w = World::new();
    let file = w.path("music.db");
    let c = rusqlite::Connection::open(&file).expect("opens");
    c.execute_batch("create table songs (title text); insert into songs values ('x')")
        .expect("sql");
    drop(c);
    is_refused(&w, &file, "not an orch database");
}

#[test]
fn a_newer_schema_is_refused() {
    let w = World::new();
    w.enqueue(&["--provider", "shell", "first"]);
    let c = rusqlite::Connection::open(w.db()).expect("opens");
    c.pragma_update(None, "user_version", 99).expect("pragma");
    c.pragma_update(None, "journal_mode", "delete").expect("pragma");
    drop(c);
    is_refused(&w, &w.db(), "newer orch (schema 99)");
}

#[test]
fn others_cannot_read_what_is_stored() {
    let w = World::new();
    let dir = w.path("new/deep");
    let db = dir.join("orch.db");
    let code = "umask 0; exec orch-enqueue --db \"$1\" --provider shell true";
    let mut c = w.command("sh");
    assert_eq!(feed(c.args(["-c", code, "sh"]).arg(&db), b"").code, 0);
    // a reader that stays keeps the two helpers of the database there
    let reader = rusqlite::Connection::open(&db).expect("opens");
    reader.query_row("select count(*) from tasks", [], |r| r.get::<_, i64>(0)).expect("reads");
    let mode = |p: &Path| std::fs::metadata(p).map(|m| m.permissions().mode() & 0o777);
    assert_eq!(mode(&dir).expect("directory"), 0o700);
    for end in ["", ".lock", "-wal", "-shm"] {
        let file = dir.join(format!("orch.db{end}"));
        assert_eq!(mode(&file).expect("file"), 0o600, "{}", file.display());
    }
}

#[test]
fn an_unknown_key_of_the_configuration_is_named() {
    let w = World::new();
    w.enqueue(&["--provider", "shell", "true"]);
    w.config("default_provider = 'claude'\nkapa = 3\n");
    let file = w.text("config/orch/config.toml");
    let readers: [(&str, &[&str]); 5] = [
        ("orch-enqueue", &["a prompt"]),
        ("orch-assign", &[]),
        ("orch-ctx", &[]),
        ("orch-feedback", &["--task", "1"]),
        ("orch-wrap", &["--", "true"]),
    ];
    for (program, args) in readers {
        let ran = w.run(program, args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{program}");
        says_one_line(program, &ran);
        let named = ran.stderr.contains(&file)
            && ran.stderr.contains("line 2")
            && ran.stderr.contains("kapa");
        assert!(named, "{}", ran.stderr);
    }
    let checks = w.json("orch-ctl", &["doctor"]);
    let config = checks.iter().find(|c| c["check"] == "config").expect("a check");
    assert!(config["ok"] == false && config["found"].to_string().contains("kapa"), "{config}");
    assert_eq!(w.state("1"), "queued");
}

#[test]
fn without_a_home_the_remedy_is_named() {
    let w = World::new();
    for (program, args) in OPENERS {
        let mut c: Command = w.command(bin_dir().join(program));
        let ran = feed(c.args(*args).env_remove("ORCH_DB").env_remove("HOME"), b"");
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{program}");
        says_one_line(program, &ran);
        assert!(ran.stderr.contains("--db") && ran.stderr.contains("ORCH_DB"), "{}", ran.stderr);
    }
}

#[test]
fn an_answer_that_finds_no_room_is_told() {
    let w = furnished();
    for (program, args) in [
        ("orch-ls", ["--answer", "2"].as_slice()),
        ("orch-ctx", &["shell", "1", "--shell", "bash"]),
    ] {
        let ran = into(&w, program, args, "", full_disk());
        assert_eq!(ran.code, 2, "{program} {args:?}");
        says_one_line(program, &ran);
    }
}

#[test]
fn help_that_finds_no_room_is_told() {
    let w = World::new();
    for (name, _) in programs() {
        assert_eq!(into(&w, &name, &["--help"], "", full_disk()).code, 2, "{name}");
    }
}

#[test]
fn feedback_whose_reader_went_away_has_done_its_work() {
    for output in [closed_pipe, full_disk] {
        let w = furnished();
        let events = format!(
            "{NOTE}{}\n",
            r#"{"v":1,"type":"task_complete","seq":2,"source":{"format":"claude","line":2,"offset":0},"outcome":"complete","evidence":"protocol","confidence":1.0,"because":[]}"#
        );
        into(&w, "orch-feedback", &["--task", "1", "--tee"], &events, output());
        assert_eq!(w.state("1"), "completed");
        assert_eq!(w.events("1").len(), 2);
    }
}
