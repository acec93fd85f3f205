//! The real clients full-screen in a pane of the world's tmux server, with a stub for a model.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::client::{self, Kind};
use super::stub::Stub;
use super::world::{World, feed, until};

/// How to start a client.
pub struct Setup<'a> {
    pub width: u16,
    pub height: u16,
    /// Whether the directory is trusted beforehand; if not, a dialog comes up.
    pub trusted: bool,
    /// Codex keeps its conversations in a daemon, which outlives it: see `end_all`.
    pub daemon: bool,
    /// More arguments, after those that every client gets.
    pub args: &'a [&'a str],
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Setup { width: 120, height: 40, trusted: true, daemon: false, args: &[] }
    }
}

/// A client in a pane, and its own home.
pub struct Live<'w> {
    world: &'w World,
    pub kind: Kind,
    /// The tmux session.
    pub name: String,
    /// The pane's id, `%N`.
    pub pane: String,
    pub home: PathBuf,
}

impl<'w> Live<'w> {
    /// Starts a client as the process of a new pane. Its home is `NAME.home` in the world, seeded so that no first-run
    /// dialog comes up.
    pub fn start(
        world: &'w World,
        stub: &Stub,
        kind: Kind,
        name: &str,
        dir: &Path,
        setup: &Setup,
    ) -> Live<'w> {
        let home = world.path(&format!("{name}.home"));
        std::fs::create_dir_all(&home).expect("the client's home");
        let trusted: &[&Path] = if setup.trusted { &[dir] } else { &[] };
        let env = client::env(kind, stub.port(), &home, trusted);
        let env = env.into_iter().filter(|(name, _)| name != "TERM");
        let env = env.chain(world.env.iter().cloned()).map(|(k, v)| format!("{k}={v}"));
        let (width, height) = (setup.width.to_string(), setup.height.to_string());
        let dir = dir.to_str().expect("UTF-8");
        let mut args: Vec<String> = [
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-P",
            "-F",
            "#{pane_id}",
            "-s",
            name,
            "-c",
            dir,
        ]
        .map(str::to_owned)
        .to_vec();
        args.extend(["-x".into(), width, "-y".into(), height]);
        // what tmux itself tells a pane is kept, and nothing else; every step becomes the next one, so that the pane's
        // process is the client
        let bare = r#"exec env -i TERM="$TERM" TMUX="$TMUX" TMUX_PANE="$TMUX_PANE" "$@""#;
        args.extend(["sh", "-c", bare, "sh"].map(str::to_owned));
        args.extend(env);
        args.push(client::root().join("bin").join(kind.name()).display().to_string());
        args.extend(
            match kind {
                // the default would let a classifier answer, which the stub does not play
                Kind::Claude => &["--permission-mode", "default"][..],
                // the daemon would outlive the test
                Kind::Codex if setup.daemon => &[],
                Kind::Codex => &["--no-daemon"],
            }
            .iter()
            .chain(setup.args)
            .map(|a| (*a).to_owned()),
        );
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let pane = world.tmux(&args).trim().to_owned();
        Live { world, kind, name: name.to_owned(), pane, home }
    }

    /// Starts a client and waits for its prompt.
    pub fn ready(
        world: &'w World,
        stub: &Stub,
        kind: Kind,
        name: &str,
        dir: &Path,
        setup: &Setup,
    ) -> Live<'w> {
        let live = Live::start(world, stub, kind, name, dir, setup);
        live.await_prompt();
        live
    }

    /// Waits until there is a box to type into.
    pub fn await_prompt(&self) -> String {
        self.await_text("a prompt", |screen| self.has_prompt(screen))
    }

    /// Whether a box stands on this screen: drafts and all, but no row of the history and no choice of a menu.
    pub fn has_prompt(&self, screen: &str) -> bool {
        let rows: Vec<&str> = screen.lines().collect();
        match self.kind {
            Kind::Claude => {
                rows.windows(2).any(|w| w[0].starts_with("────") && w[1].starts_with("❯\u{a0}"))
            }
            Kind::Codex => rows
                .iter()
                .rev()
                .find_map(|r| r.strip_prefix("› "))
                .is_some_and(|text| !matches!(text.as_bytes(), [b'0'..=b'9', b'.', ..])),
        }
    }

    /// Waits until the screen is as wanted; answers it.
    pub fn await_text(&self, what: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        until(&format!("{what} on the screen of {}", self.name), || {
            let screen = self.screen();
            if wanted(&screen) { Ok(screen) } else { Err(screen) }
        })
    }

    /// Waits until this stands on the screen.
    pub fn await_words(&self, words: &str) -> String {
        self.await_text(&format!("{words:?}"), |screen| screen.contains(words))
    }

    pub fn screen(&self) -> String {
        self.world.tmux(&["capture-pane", "-p", "-t", &self.pane])
    }

    /// A field of the pane in tmux's own terms: `pane_title`, `pane_pid`, `pane_width`, ….
    pub fn field(&self, name: &str) -> String {
        let format = format!("#{{{name}}}");
        self.world.tmux(&["display-message", "-p", "-t", &self.pane, &format]).trim_end().to_owned()
    }

    pub fn title(&self) -> String {
        self.field("pane_title")
    }

    /// Puts a text into the prompt's box as a terminal pastes it.
    pub fn paste(&self, text: &str) {
        let socket = self.world.text("tmux");
        let buffer = format!("paste-{}", self.name);
        let mut load = self.world.command("tmux");
        load.args(["-S", &socket, "load-buffer", "-b", &buffer, "-"]);
        let ran = feed(&mut load, text.as_bytes());
        assert_eq!(ran.code, 0, "load-buffer: {}", ran.stderr);
        self.world.tmux(&["paste-buffer", "-p", "-r", "-d", "-b", &buffer, "-t", &self.pane]);
    }

    pub fn type_text(&self, text: &str) {
        self.world.tmux(&["send-keys", "-l", "-t", &self.pane, "--", text]);
    }

    pub fn key(&self, key: &str) {
        self.world.tmux(&["send-keys", "-t", &self.pane, key]);
    }

    /// Answers the dialog that has these words, and waits until it is gone. Claude is deaf to keys for the first 0.2 s of
    /// a dialog, so the key is pressed again while the dialog stands.
    pub fn answer(&self, dialog: &str, key: &str) {
        let mut pressed: Option<Instant> = None;
        self.await_text(&format!("no {dialog:?}"), |screen| {
            let stands = screen.contains(dialog);
            if stands && pressed.is_none_or(|t| t.elapsed() > Duration::from_secs(2)) {
                self.key(key);
                pressed = Some(Instant::now());
            }
            !stands
        });
    }

    /// Ends the client and starts it again, as it was started.
    pub fn respawn(&self) {
        self.world.tmux(&["respawn-pane", "-k", "-t", &self.pane]);
        self.await_text("nothing", |screen| !self.has_prompt(screen));
    }

    /// Pastes a prompt and submits it.
    pub fn submit(&self, prompt: &str) {
        self.paste(prompt);
        self.key("Enter");
    }

    /// Ends everything that was started with this client's home.
    pub fn end_all(&self) {
        let home = format!("HOME={}", self.home.display());
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            if environ.split(|b| *b == 0).any(|v| v == home.as_bytes()) {
                let pid = entry.file_name().into_string().expect("a number");
                // it may have ended by itself
                let _ = self.world.command("kill").args(["-KILL", &pid]).output();
            }
        }
    }
}
