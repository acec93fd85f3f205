//! tmux: one server, its panes, what stands on them, and the one way to type.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::proc;
use crate::session::{Incarnation, Row};
use crate::when::Ms;

/// How long a server may take for one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// One that has not is asked again after so long.
const AGAIN: Duration = Duration::from_secs(30);

type Hung = Vec<(Socket, Instant)>;
static HUNG: Mutex<Hung> = Mutex::new(Vec::new());

/// What a pane shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub title: String,
    /// Its rows, with the sequences that colour them.
    pub rows: Vec<String>,
}

/// Which server is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmux {
    socket: Socket,
    /// See `only_while`.
    front: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Socket {
    Default,
    Name(OsString),
    Path(PathBuf),
}

/// A pane as `list-panes` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pane {
    /// `%N`
    pub id: String,
    pub pid: i64,
    pub server_pid: i64,
    pub dead: bool,
    pub in_mode: bool,
    pub input_off: bool,
    pub synchronized: bool,
    pub tty: String,
    /// How many panes its tmux session has.
    pub siblings: usize,
    /// When somebody who has the pane before him pressed a key last: by the second, of any key.
    pub touched: Option<Ms>,
    /// `SESSION:WINDOW.PANE`
    pub address: String,
    pub session: String,
}

/// The server's panes at one moment.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The socket's path: names the server for good.
    pub socket: String,
    pub panes: Vec<Pane>,
}

// names that a person may choose come last, where they cannot be taken for another field
const FORMAT: &str = "#{pane_id} #{pane_pid} #{pid} #{pane_dead} #{pane_in_mode} #{pane_input_off} \
     #{?pane_synchronized,1,0} #{window_index} #{pane_index} #{pane_tty} #{session_name}";

impl Tmux {
    /// `ORCH_TMUX` (a name for -L or a path for -S), else `$TMUX`, else the default server.
    pub fn from_env() -> Tmux {
        let set = |n: &str| std::env::var_os(n).filter(|v| !v.is_empty());
        let socket = if let Some(v) = set("ORCH_TMUX") {
            if v.to_string_lossy().contains('/') { Socket::Path(v.into()) } else { Socket::Name(v) }
        } else if let Some(v) = set("TMUX") {
            Socket::Path(v.to_string_lossy().rsplitn(3, ',').last().unwrap_or_default().into())
        } else {
            Socket::Default
        };
        Tmux { socket, front: None }
    }

    pub fn at(path: &str) -> Tmux {
        Tmux { socket: Socket::Path(path.into()), front: None }
    }

    fn command(&self) -> Command {
        let mut c = Command::new("tmux");
        // UTF-8 in and out whatever the locale is, and no config of the user's for a server that is not there
        c.arg("-u");
        match &self.socket {
            Socket::Default => {}
            Socket::Name(n) => {
                c.arg("-L").arg(n);
            }
            Socket::Path(p) => {
                c.arg("-S").arg(p);
            }
        }
        c.env_remove("TMUX");
        c
    }

    fn run(&self, args: &[&str]) -> anyhow::Result<Output> {
        self.ask(args, "")
    }

    /// Runs tmux with some input, within its deadline: a server that hangs must not hold up everybody else.
    fn ask(&self, args: &[&str], input: &str) -> anyhow::Result<Output> {
        let hung = |all: &Hung| all.iter().any(|(s, t)| *s == self.socket && t.elapsed() < AGAIN);
        if HUNG.lock().is_ok_and(|all| hung(&all)) {
            bail!("tmux: its server did not answer a moment ago");
        }
        let mut c = self.command();
        c.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = c.spawn().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                anyhow::anyhow!("tmux: not installed (apt install tmux, brew install tmux)")
            }
            _ => anyhow::Error::from(e).context("tmux"),
        })?;
        let pid = i64::from(child.id());
        let mut stdin = child.stdin.take().context("tmux")?;
        let input = input.to_owned();
        let (tell, told) = std::sync::mpsc::channel();
        // a server that hangs has the client's own output in hand, so that this may stay there for ever
        std::thread::spawn(move || {
            let written = stdin.write_all(input.as_bytes());
            drop(stdin);
            let _ = tell.send((written, child.wait_with_output()));
        });
        let Ok((written, out)) = told.recv_timeout(ANSWER) else {
            proc::signal(pid, Signal::KILL);
            if let Ok(mut all) = HUNG.lock() {
                all.retain(|(s, _)| *s != self.socket);
                all.push((self.socket.clone(), Instant::now()));
            }
            bail!("tmux: its server has not answered for {} s", ANSWER.as_secs());
        };
        let out = out.context("tmux")?;
        // what it did not read of its input is told by its status
        written.or_else(|e| if out.status.success() { Err(e) } else { Ok(()) }).context("tmux")?;
        Ok(out)
    }

    /// Every pane of the server; `None` where no server answers at that socket.
    pub fn panes(&self) -> anyhow::Result<Option<Listing>> {
        let out = self.run(&[
            "display-message",
            "-p",
            "#{socket_path}",
            ";",
            "list-clients",
            "-F",
            "@#{client_activity} #{pane_id}",
            ";",
            "list-panes",
            "-a",
            "-F",
            FORMAT,
        ])?;
        let stderr = String::from_utf8_lossy(&out.stderr);
        if !out.status.success() {
            if [
                "no server running",
                "error connecting",
                "no sessions",
                "server exited",
                "lost server",
            ]
            .iter()
            .any(|s| stderr.contains(s))
            {
                return Ok(None);
            }
            bail!("tmux list-panes: {}", crate::clean::line(stderr.trim()));
        }
        let text = String::from_utf8_lossy(&out.stdout);
        let mut lines = text.lines();
        let socket = lines.next().unwrap_or_default().to_owned();
        let (clients, panes): (Vec<&str>, Vec<&str>) = lines.partition(|l| l.starts_with('@'));
        let mut panes: Vec<Pane> = panes.into_iter().filter_map(parse).collect();
        let names: Vec<String> = panes.iter().map(|p| p.session.clone()).collect();
        for p in &mut panes {
            p.siblings = names.iter().filter(|n| **n == p.session).count();
            p.touched = clients.iter().filter_map(|c| activity(c, &p.id)).max();
        }
        Ok(Some(Listing { socket, panes }))
    }

    /// The rows at the cursors of some panes, in one call.
    pub fn rows(&self, panes: &[&str]) -> anyhow::Result<Vec<Option<Row>>> {
        self.captured(panes, "#{cursor_x} #{cursor_y} #{pane_width}", "-N", row)
    }

    /// What some panes show, in one call.
    pub fn screens(&self, panes: &[&str]) -> anyhow::Result<Vec<Option<Shown>>> {
        self.captured(panes, "#{pane_title}", "-e", |part| {
            let mut rows = part.lines().map(str::to_owned);
            Some(Shown { title: rows.next()?, rows: rows.collect() })
        })
    }

    /// Of each pane a row of its own after `format`, then its screen.
    fn captured<T: Clone>(
        &self,
        panes: &[&str],
        format: &str,
        how: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<Vec<Option<T>>> {
        if panes.is_empty() {
            return Ok(Vec::new());
        }
        let mark = mark()?;
        let format = format!("{mark}{format}");
        let mut args: Vec<&str> = Vec::new();
        for p in panes {
            args.extend(["display-message", "-p", "-t", p, &format, ";"]);
            args.extend(["capture-pane", "-p", how, "-t", p, ";"]);
        }
        args.pop();
        let out = self.run(&args)?;
        let text = String::from_utf8_lossy(&out.stdout);
        let mut all: Vec<Option<T>> = text.split(&mark).skip(1).map(read).collect();
        all.resize(panes.len(), None);
        Ok(all)
    }

    /// Types a line that holds no control character, and Enter, where `seen` stands at the cursor. The leading blank goes
    /// first: a shell at a prompt shows it behind what was seen, a line editor in a command mode moves nothing and so is
    /// found out before it acts on a letter, and what a person types meanwhile shows too.
    pub fn type_line(
        &self,
        pane: &str,
        line: &str,
        seen: &Row,
    ) -> anyhow::Result<Result<(), String>> {
        anyhow::ensure!(
            line.starts_with(' ') && !crate::clean::has_control(line),
            "not a line to be typed"
        );
        let wanted = format!("{} ", seen.before_cursor);
        self.send(pane, &["send-keys", "-l", "-t", pane, "--", " "])?;
        let begun = Instant::now();
        loop {
            match self.rows(&[pane])?.pop().flatten() {
                Some(row) if row.before_cursor == wanted => break,
                Some(row) if row != *seen => return Ok(Err("somebody types there".into())),
                None => return Ok(Err("its screen cannot be read".into())),
                Some(_) if begun.elapsed() > Duration::from_millis(500) => {
                    return Ok(Err(
                        "the shell does not take text (a command mode, or it hangs)".into()
                    ));
                }
                Some(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        // a trailing ; would end the tmux command
        let rest = match line[1..].strip_suffix(';') {
            Some(head) => format!("{head}\\;"),
            None => line[1..].to_owned(),
        };
        self.send(
            pane,
            &["send-keys", "-l", "-t", pane, "--", &rest, ";", "send-keys", "-t", pane, "Enter"],
        )?;
        Ok(Ok(()))
    }

    /// Pastes a text as one bracketed paste: what is in it reaches the program as it is, control characters included.
    /// False: see `on`.
    pub fn paste(&self, to: &Incarnation, text: &str) -> anyhow::Result<bool> {
        let buffer = format!("orch-{}", mark()?.trim_end());
        let paste = format!("paste-buffer -p -r -d -b {buffer} -t {}", quoted(&to.pane_id));
        let load = ["load-buffer", "-b", &buffer, "-", ";"];
        let pasted = self.on(to, &load, &paste, &format!("delete-buffer -b {buffer} ; "), text);
        if pasted.is_err() {
            // the text is not left for others to paste; most often it is not there
            let _ = self.run(&["delete-buffer", "-b", &buffer]);
        }
        pasted
    }

    /// Presses a key, by tmux's name for it. False: see `on`.
    pub fn press(&self, to: &Incarnation, key: &str) -> anyhow::Result<bool> {
        let keys = format!("send-keys -t {} {}", quoted(&to.pane_id), quoted(key));
        self.on(to, &[], &keys, "", "")
    }

    /// Types a text that holds no control character, key by key. False: see `on`.
    pub fn type_text(&self, to: &Incarnation, text: &str) -> anyhow::Result<bool> {
        anyhow::ensure!(!crate::clean::has_control(text), "not a text to be typed");
        let keys = format!("send-keys -l -t {} -- {}", quoted(&to.pane_id), quoted(text));
        self.on(to, &[], &keys, "", "")
    }

    /// The same server, whose panes take input only while a program of this name has their terminal: what ends in a shell
    /// leaves the pane's own process as it was.
    pub fn only_while(self, program: Option<String>) -> Tmux {
        // as a word of a format
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        Tmux { front: program.filter(|p| p.chars().all(plain)), ..self }
    }

    /// The name of the program that has a pane's terminal.
    pub fn front(&self, pane: &str) -> anyhow::Result<String> {
        let out = self.run(&["display-message", "-p", "-t", pane, "#{pane_current_command}"])?;
        Ok(String::from_utf8_lossy(&out.stdout).trim_end().to_owned())
    }

    /// Does something to a pane if the same process fills it as ever, and it takes input: the server looks and acts in
    /// one step, so that nothing comes between. False: it did `otherwise`.
    fn on(
        &self,
        to: &Incarnation,
        before: &[&str],
        then: &str,
        otherwise: &str,
        input: &str,
    ) -> anyhow::Result<bool> {
        let free = "#{==:#{?pane_dead,1,0}#{?pane_in_mode,1,0}#{?pane_input_off,1,0}#{?pane_synchronized,1,0},0000}";
        let free = match &self.front {
            Some(p) => format!("#{{&&:{free},#{{==:#{{pane_current_command}},{p}}}}}"),
            None => free.to_owned(),
        };
        self.where_it_is(to, &free, before, then, otherwise, input)
    }

    /// Does something to a pane if the same process fills it as ever, and `free` holds of it.
    fn where_it_is(
        &self,
        to: &Incarnation,
        free: &str,
        before: &[&str],
        then: &str,
        otherwise: &str,
        input: &str,
    ) -> anyhow::Result<bool> {
        let same = format!(
            "#{{&&:#{{==:#{{pid}},{}}},#{{==:#{{pane_pid}},{}}}}}",
            to.server_pid, to.pane_pid
        );
        let holds = format!("#{{&&:{same},{free}}}");
        let refused = format!("{otherwise}display-message -p refused");
        let check = ["if-shell", "-F", "-t", &to.pane_id, &holds, then, &refused];
        let out = self.ask(&[before, &check].concat(), input)?;
        if !out.status.success() {
            bail!(
                "tmux, pane {}: {}",
                to.pane_id,
                crate::clean::line(String::from_utf8_lossy(&out.stderr).trim())
            );
        }
        Ok(out.stdout.is_empty())
    }

    /// Ends what runs in a pane and starts a program there, in a directory. False: see `on`.
    pub fn respawn(&self, to: &Incarnation, dir: &str, argv: &[String]) -> anyhow::Result<bool> {
        // tmux would expand formats in its -c
        let there = r#"cd -- "$0" && exec "$@""#;
        let words = ["sh", "-c", there, dir].into_iter().chain(argv.iter().map(String::as_str));
        let words: Vec<String> = words.map(quoted).collect();
        let start = format!("respawn-pane -k -t {} -- {}", quoted(&to.pane_id), words.join(" "));
        self.on(to, &[], &start, "", "")
    }

    /// Gives a copy of what a pane prints to a shell command. False: somebody else's command has it, and keeps it, or
    /// another process fills the pane.
    pub fn pipe(&self, to: &Incarnation, command: &str) -> anyhow::Result<bool> {
        // tmux expands its own formats and the clock's in it; nothing protects #[ but that it is not there
        let command = command.replace("#[", "#''[").replace('#', "##").replace('%', "%%");
        let pipe = format!("pipe-pane -O -t {} {}", quoted(&to.pane_id), quoted(&command));
        self.where_it_is(to, "#{==:#{pane_pipe},0}", &[], &pipe, "", "")
    }

    /// What a pane shows and has shown, as far as it is kept, without colours; rows that tmux broke are whole again.
    pub fn scrollback(&self, pane: &str) -> anyhow::Result<Vec<String>> {
        let out = self.run(&["capture-pane", "-p", "-J", "-S", "-5000", "-t", pane])?;
        let text = String::from_utf8_lossy(&out.stdout);
        Ok(text.lines().map(|r| r.trim_end().to_owned()).collect())
    }

    /// Takes the copy away again.
    pub fn unpipe(&self, pane: &str) -> anyhow::Result<()> {
        self.run(&["pipe-pane", "-t", pane]).map(drop)
    }

    fn send(&self, pane: &str, args: &[&str]) -> anyhow::Result<()> {
        let out = self.run(args)?;
        if !out.status.success() {
            bail!(
                "tmux send-keys to {pane}: {}",
                crate::clean::line(String::from_utf8_lossy(&out.stderr).trim())
            );
        }
        Ok(())
    }
}

/// What stands on a screen cannot guess it.
fn mark() -> anyhow::Result<String> {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).map_err(|e| anyhow::anyhow!("random numbers: {e}"))?;
    Ok(format!("{} ", crate::context::hex(&random)))
}

fn parse(line: &str) -> Option<Pane> {
    let mut f = line.splitn(11, ' ');
    let mut next = || f.next();
    let id = next()?.to_owned();
    let (pid, server_pid) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let mut flag = || next().map(|t| t != "0" && !t.is_empty());
    let (dead, in_mode, input_off, synchronized) = (flag()?, flag()?, flag()?, flag()?);
    let (window, pane, tty) = (next()?, next()?, next()?.to_owned());
    let session = next()?.to_owned();
    let address = format!("{session}:{window}.{pane}");
    Some(Pane {
        id,
        pid,
        server_pid,
        dead,
        in_mode,
        input_off,
        synchronized,
        tty,
        siblings: 1,
        touched: None,
        address,
        session,
    })
}

/// `@SECONDS PANE`: when a client that has this pane before it was last used.
fn activity(line: &str, pane: &str) -> Option<Ms> {
    let (at, before_it) = line.strip_prefix('@')?.split_once(' ')?;
    (before_it == pane).then(|| at.parse::<Ms>().ok().map(|s| s * 1000)).flatten()
}

/// A word of a tmux command.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// `X Y WIDTH`, then the screen's rows.
fn row(text: &str) -> Option<Row> {
    let mut rows = text.lines();
    let numbers: Vec<usize> = rows.next()?.split(' ').map_while(|n| n.parse().ok()).collect();
    let [x, y, width] = numbers[..] else { return None };
    let rows: Vec<&str> = rows.collect();
    let here = rows.get(y).copied().unwrap_or_default();
    let (before, after) = here.split_at(column(here, x));
    let y = y.min(rows.len());
    let from = (1..=y).rev().find(|&i| !runs_into(rows[i - 1], rows.get(i), width)).unwrap_or(0);
    Some(Row {
        // a row ends where nothing was written any more
        before_cursor: format!("{before}{}", " ".repeat(x.saturating_sub(here.width()))),
        after_cursor: after.to_owned(),
        above: rows[from..y].concat(),
    })
}

/// The byte at which a column begins, the row's end where it has fewer.
fn column(row: &str, x: usize) -> usize {
    let mut at = 0;
    let here = row.char_indices().find(|(_, c)| {
        at += c.width().unwrap_or(0);
        at > x
    });
    here.map_or(row.len(), |(i, _)| i)
}

/// Whether a row leaves no room for what stands in the next: a wide character needs two columns.
fn runs_into(row: &str, next: Option<&&str>, width: usize) -> bool {
    let needs = next.and_then(|n| n.chars().next()).and_then(|c| c.width()).unwrap_or(1).max(1);
    row.width() + needs > width
}

/// `None`: tmux is not installed.
pub fn version() -> Option<String> {
    let out = Command::new("tmux").arg("-V").output().ok()?;
    Some(String::from_utf8(out.stdout).context("version").ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_cut_at_the_cursors_column_and_has_the_full_rows_above_it() {
        let row = |t| row(t).expect("a row");
        let r = row("4 3 7\n1234567\n123456\n日本語\n$ ls\n");
        assert_eq!((r.before_cursor.as_str(), r.after_cursor.as_str()), ("$ ls", ""));
        assert_eq!(r.above, "");
        let r = row("2 3 7\n12345\n123456\n語 1234\n$ \n");
        assert_eq!(r.above, "123456語 1234");
        let r = row("5 1 9\nfull-line\n日本$ x\n");
        assert_eq!((r.before_cursor.as_str(), r.after_cursor.as_str()), ("日本$", " x"));
        assert_eq!(r.above, "full-line");
        let r = row("2 0 80\n$\n");
        assert_eq!((r.before_cursor.as_str(), r.above.as_str()), ("$ ", ""));
    }
}
