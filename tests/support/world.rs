//! A world of its own for one test: a private tmux server, a database, a home, and the programs in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Everything waits for a condition, this long at most.
const DEADLINE: Duration = Duration::from_secs(60);

pub struct World {
    pub dir: TempDir,
    /// Added to every program's and every pane's environment.
    pub env: Vec<(String, String)>,
}

impl World {
    pub fn new() -> World {
        let dir = TempDir::new().expect("a temporary directory");
        let world = World { dir, env: Vec::new() };
        std::fs::create_dir_all(world.path("home")).expect("home");
        world.config("[retry]\nbase = '1s'\nmax = '4s'\njitter = '0s'\n");
        world
    }

    /// A canonical path in the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().expect("canonical").join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    pub fn db(&self) -> PathBuf {
        self.path("orch.db")
    }

    pub fn config(&self, text: &str) {
        std::fs::create_dir_all(self.path("config/orch")).expect("config directory");
        std::fs::write(self.path("config/orch/config.toml"), text).expect("config");
    }

    /// A command in the world's environment, and in nothing of the outer one.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut c = Command::new(program);
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = bin_dir();
        c.env_clear()
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("HOME", self.path("home"))
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("ORCH_DB", self.db())
            .env("ORCH_TMUX", self.path("tmux"))
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .current_dir(self.path("home"))
            .stdin(Stdio::null());
        c
    }

    /// Runs one of our programs; its exit code, stdout, stderr.
    pub fn run(&self, program: &str, args: &[&str]) -> Ran {
        Ran::of(self.command(bin_dir().join(program)).args(args).output().expect("runs"))
    }

    pub fn run_with_input(&self, program: &str, args: &[&str], input: &[u8]) -> Ran {
        feed(self.command(bin_dir().join(program)).args(args), input)
    }

    /// Runs it, and wants exit 0 with nothing on stderr.
    pub fn ok(&self, program: &str, args: &[&str]) -> String {
        let ran = self.run(program, args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{program} {args:?}: {}", ran.stdout);
        ran.stdout
    }

    /// Runs it, and reads its JSON Lines.
    pub fn json(&self, program: &str, args: &[&str]) -> Vec<Value> {
        lines(&self.run(program, args).stdout)
    }

    /// Puts a task on the queue; its id.
    pub fn enqueue(&self, args: &[&str]) -> String {
        self.ok("orch-enqueue", args).trim().to_owned()
    }

    pub fn task(&self, id: &str) -> Value {
        self.json("orch-ls", &["tasks", id]).pop().expect("a task")
    }

    pub fn state(&self, id: &str) -> String {
        self.task(id)["state"].as_str().expect("a state").to_owned()
    }

    pub fn attempts(&self, id: &str) -> Vec<Value> {
        self.json("orch-ls", &["attempts", id])
    }

    pub fn events(&self, id: &str) -> Vec<Value> {
        self.json("orch-ls", &["events", id])
    }

    /// Waits until the task is in that state.
    pub fn await_state(&self, id: &str, state: &str) -> Value {
        until(&format!("task {id} to be {state}"), || {
            let t = self.task(id);
            if t["state"] == state { Ok(t) } else { Err(format!("{t}")) }
        })
    }

    pub fn assign(&self) -> Vec<Value> {
        let ran = self.run("orch-assign", &[]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        lines(&ran.stdout)
    }

    /// A pass that is stopped at a step of its own; what is done meanwhile; then it goes on. What it did.
    pub fn assign_stopped_at<T>(&self, step: &str, act: impl FnOnce() -> T) -> (Vec<Value>, T) {
        let mut c = self.command(bin_dir().join("orch-assign"));
        let child = c.env("ORCH_TEST_STOP", step).stdout(Stdio::piped()).spawn().expect("runs");
        let stat = format!("/proc/{}/stat", child.id());
        until("the pass to stop", || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            let state = stat.rsplit(") ").next().unwrap_or_default().to_owned();
            if state.starts_with('T') { Ok(()) } else { Err(state) }
        });
        let told = act();
        let goes_on = Command::new("kill").args(["-CONT", &child.id().to_string()]).status();
        assert!(goes_on.expect("kill").success());
        let out = child.wait_with_output().expect("ends");
        (lines(&String::from_utf8_lossy(&out.stdout)), told)
    }

    /// Passes until the task is in that state, as cron would.
    pub fn assign_until(&self, id: &str, state: &str) -> Value {
        until(&format!("task {id} to be {state}"), || {
            self.run("orch-assign", &[]);
            let t = self.task(id);
            if t["state"] == state { Ok(t) } else { Err(format!("{t}")) }
        })
    }

    pub fn tmux(&self, args: &[&str]) -> String {
        let out = self
            .command("tmux")
            .arg("-u")
            .arg("-S")
            .arg(self.path("tmux"))
            .args(args)
            .output()
            .expect("tmux");
        assert!(out.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// A tmux session with one pane that runs a shell in a directory, at its prompt.
    pub fn pane(&self, name: &str, shell: &str, dir: &Path) -> String {
        let command = match shell {
            "bash" => "PS1='$ ' exec bash --norc --noprofile",
            "zsh" => "PS1='%# ' exec zsh -f",
            "fish" => "exec fish --no-config",
            "dash" => "PS1='$ ' exec dash",
            other => other,
        };
        let dir = dir.to_str().expect("UTF-8");
        self.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "150",
            "-y",
            "40",
            "-s",
            name,
            "-c",
            dir,
            command,
        ]);
        let id = self
            .tmux(&["display-message", "-p", "-t", &format!("={name}:"), "#{pane_id}"])
            .trim()
            .to_owned();
        if ["bash", "zsh", "fish", "dash"].contains(&shell) {
            until("a prompt", || {
                let screen = self.screen(name);
                if screen.trim().is_empty() { Err(screen) } else { Ok(()) }
            });
        }
        id
    }

    /// The same, adopted.
    pub fn session(&self, name: &str, shell: &str, dir: &Path) -> String {
        let id = self.pane(name, shell, dir);
        self.ok("orch-ctx", &["adopt", &id]);
        id
    }

    pub fn screen(&self, name: &str) -> String {
        self.tmux(&["capture-pane", "-p", "-t", &format!("={name}:")])
    }

    /// Types into a pane as a person would.
    pub fn type_text(&self, name: &str, text: &str) {
        self.tmux(&["send-keys", "-l", "-t", &format!("={name}:"), "--", text]);
    }

    pub fn key(&self, name: &str, key: &str) {
        self.tmux(&["send-keys", "-t", &format!("={name}:"), key]);
    }

    pub fn await_screen(&self, name: &str, wanted: &str) -> String {
        until(&format!("{wanted:?} on the screen of {name}"), || {
            let s = self.screen(name);
            if s.contains(wanted) { Ok(s) } else { Err(s) }
        })
    }

    /// What orch-ctx shows of a session.
    pub fn ctx(&self, name: &str) -> Value {
        self.json("orch-ctx", &["show", name]).pop().unwrap_or(Value::Null)
    }

    pub fn await_idle(&self, name: &str) {
        until(&format!("{name} to be idle"), || {
            let c = self.ctx(name);
            if c["state"] == "idle" { Ok(()) } else { Err(format!("{c}\n{}", self.screen(name))) }
        });
    }

    /// Waits until no pass that an attempt's end started is under way any more.
    pub fn await_quiet(&self) {
        let db = self.db();
        until("passes to end", || {
            let out = self
                .command("pgrep")
                .args(["-f", &format!("orch-assign.*{}", db.display())])
                .output();
            let pids = String::from_utf8_lossy(&out.expect("pgrep").stdout).into_owned();
            if pids.is_empty() { Ok(()) } else { Err(pids) }
        });
    }

    /// A repository with a commit on `main` and the named branches.
    pub fn repository(&self, name: &str, branches: &[&str]) -> PathBuf {
        let dir = self.path(name);
        std::fs::create_dir_all(&dir).expect("repository");
        self.git(&dir, &["init", "-q", "-b", "main"]);
        std::fs::write(dir.join("file"), "one\n").expect("file");
        self.git(&dir, &["add", "file"]);
        self.git(&dir, &["commit", "-q", "-m", "one"]);
        for b in branches {
            self.git(&dir, &["branch", b]);
        }
        dir
    }

    pub fn git(&self, dir: &Path, args: &[&str]) -> String {
        let mut c = self.command("git");
        for who in ["AUTHOR", "COMMITTER"] {
            c.env(format!("GIT_{who}_NAME"), "t").env(format!("GIT_{who}_EMAIL"), "t@example.org");
        }
        let out = c.arg("-C").arg(dir).args(args).output().expect("git");
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// A program of the test's own on the PATH of panes made afterwards.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, text).expect("script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
        path
    }

    /// What the database says, by the query of a user.
    pub fn sql(&self, query: &str) -> String {
        let c = rusqlite::Connection::open_with_flags(
            self.db(),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        )
        .expect("opens");
        let mut s = c.prepare(query).expect("query");
        let n = s.column_count();
        let row = |r: &rusqlite::Row| -> rusqlite::Result<String> {
            let cells: Result<Vec<String>, _> = (0..n)
                .map(|i| {
                    r.get::<_, rusqlite::types::Value>(i).map(|v| match v {
                        rusqlite::types::Value::Null => String::new(),
                        rusqlite::types::Value::Integer(i) => i.to_string(),
                        rusqlite::types::Value::Real(x) => x.to_string(),
                        rusqlite::types::Value::Text(t) => t,
                        rusqlite::types::Value::Blob(_) => "blob".into(),
                    })
                })
                .collect();
            Ok(cells?.join("|"))
        };
        let rows: Result<Vec<String>, _> = s.query_map([], row).expect("rows").collect();
        rows.expect("rows").join("\n")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // the world's own server, by its own socket
        let _ = self.command("tmux").arg("-S").arg(self.path("tmux")).arg("kill-server").output();
    }
}

#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(o: Output) -> Ran {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Ran {
            code: o.status.code().unwrap_or(-1),
            stdout: text(&o.stdout),
            stderr: text(&o.stderr),
        }
    }
}

/// Runs a command with something on its standard input.
pub fn feed(c: &mut Command, input: &[u8]) -> Ran {
    use std::io::Write;
    let mut child = c
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let out = child.wait_with_output().expect("ends");
    // a program that does not read to the end is allowed to
    let _ = writer.join();
    Ran::of(out)
}

/// Where cargo put the programs.
pub fn bin_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_orch-ls")).parent().expect("a directory").to_owned()
}

/// Waits for a condition; what it was instead at the deadline is told.
pub fn until<T>(what: &str, mut holds: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match holds() {
            Ok(t) => return t,
            Err(instead) if begun.elapsed() > DEADLINE => {
                panic!("waited for {what} in vain: {instead}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

pub fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}
