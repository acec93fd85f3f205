//! Runs a command as an attempt: its context, a terminal, its events, its exit code.

pub mod child;
pub mod prepare;
mod script;
mod show;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::Signal;
use serde_json::json;

use crate::assign::reap;
use crate::clean::{self, Secrets};
use crate::config::Config;
use crate::event::{End, Event, Evidence, Exit, Outcome};
use crate::extract::{Extractor, Format};
use crate::feedback::{self, Ending};
use crate::policy::Verdict;
use crate::proc;
use crate::provider::{Answer, Content, Profile};
use crate::store::{OpenAttempt, Standing, Started, Store};
use crate::when;
use child::{Gate, Plan, Raw, Running};
use script::Then;

/// Events are kept at most this long after they could be read.
const LATEST: Duration = Duration::from_millis(50);
/// From TERM to KILL.
const GRACE: Duration = Duration::from_secs(5);
/// How long what the child left behind may hold its output open.
const DRAIN: Duration = Duration::from_millis(300);
/// Of what was printed, the end that may become the answer.
const TAIL: usize = 64 * 1024;
/// How often the owner says that it is there, and asks whether it should end.
const RENEW: Duration = Duration::from_secs(20);

/// What to run.
#[derive(Debug)]
pub struct Job<'a> {
    pub profile: &'a Profile,
    /// `None`: as the profile says. Else this command instead.
    pub command: Option<Vec<String>>,
    /// Show the bytes of a record instead of a rendering.
    pub raw: bool,
    pub timeout: Option<when::Ms>,
}

/// How a job came out.
#[derive(Clone, Copy, Debug)]
pub struct Outcomes {
    pub exit_code: u8,
}

enum Message {
    Output(Vec<u8>),
    /// What the child's terminal shows besides a record.
    Terminal(Vec<u8>),
    OutputEnded,
    Reported(Vec<u8>),
    Signal(i32),
}

/// Runs an attempt that has begun to its end. `gate` comes from before the database was opened.
pub fn run(
    store: &mut Store,
    config: &Config,
    started: &Started,
    job: &Job,
    gate: Gate,
) -> anyhow::Result<Outcomes> {
    let (a, task) = (&started.attempt, &started.task);
    let prepared = context(config, started);
    let environment = match prepared {
        Ok(e) => e,
        Err(why) => return context_failed(store, config, started, &why),
    };
    let agent_session = a.agent_session.clone().unwrap_or_default();
    let then = match (&job.command, job.profile.content) {
        (Some(argv), _) => Then::Exec(argv.clone()),
        (None, Content::Shell) => Then::Eval,
        (None, Content::Stdin) => Then::Exec(job.profile.argv(&agent_session)),
    };
    let feeds = job.command.is_none() && job.profile.content == Content::Stdin;
    let mut env = environment.pairs;
    let [mark, db] = reap::marks(store.path(), a.name);
    for pair in [mark, db, format!("ORCH_TASK={}", task.id)] {
        if let Some((k, v)) = pair.split_once('=') {
            env.push((k.to_owned(), v.to_owned()));
        }
    }
    let plan = Plan {
        shell: &config.shell.0,
        prerequisites: &task.context.prerequisites,
        then: then.clone(),
        env,
        dir: task.context.working_dir.as_deref().map(Path::new),
        feeds_stdin: feeds,
        records: is_record(job.profile.format),
    };
    let running = match child::spawn(&plan, gate) {
        Ok(r) => r,
        Err(e) => return context_failed(store, config, started, &format!("{e:#}")),
    };
    let code = matches!(then, Then::Eval).then(|| task.content.clone());
    let body = json!({"provider": task.provider, "pid": running.child.id()});
    store.note("start", Some(a), None, None, body, when::now())?;
    let mut work = Work::new(store, config, started, job, environment.secrets, running);
    work.start(feeds.then(|| job.profile.prompt(&task.content)))?;
    work.run(code)
}

fn context(config: &Config, started: &Started) -> Result<prepare::Environment, String> {
    let environment = prepare::environment(&started.task.context, config)?;
    prepare::place(&started.task.context, config)?;
    Ok(environment)
}

fn is_record(format: Format) -> bool {
    !matches!(format, Format::Text)
}

fn context_failed(
    store: &mut Store,
    config: &Config,
    started: &Started,
    why: &str,
) -> anyhow::Result<Outcomes> {
    let ending = Ending {
        verdict: Verdict::ContextFailed,
        reason: Some(clean::line(why)),
        end: None,
        exit_code: None,
    };
    feedback::close(store, config, &started.attempt, &started.task, &ending)?;
    crate::cli::warn(
        "orch-wrap",
        &format!("attempt {}: context not established: {why}", started.attempt.name),
    );
    Ok(Outcomes { exit_code: 1 })
}

/// One attempt at work.
struct Work<'a> {
    store: &'a mut Store,
    config: &'a Config,
    a: &'a OpenAttempt,
    started: &'a Started,
    job: &'a Job<'a>,
    secrets: Secrets,
    running: Running,
    extractor: Extractor,
    events: Vec<Event>,
    /// When the oldest event that is not kept yet was read.
    oldest: Option<Instant>,
    bound: bool,
    tail: Vec<u8>,
    send: Sender<Message>,
    receive: Receiver<Message>,
    /// Readers of the child's output that have not come to its end.
    open_outputs: usize,
    raw: Option<Raw>,
    /// Why it is being ended, and when KILL follows.
    ending: Option<(Verdict, String, Instant)>,
    killed: bool,
    /// The shell has reported, or can no longer.
    reported: bool,
    refused: Option<String>,
}

impl<'a> Work<'a> {
    fn new(
        store: &'a mut Store,
        config: &'a Config,
        started: &'a Started,
        job: &'a Job<'a>,
        secrets: Secrets,
        running: Running,
    ) -> Work<'a> {
        let (send, receive) = channel();
        Work {
            store,
            config,
            a: &started.attempt,
            started,
            job,
            secrets,
            running,
            extractor: Extractor::new(job.profile.format),
            events: Vec::new(),
            oldest: None,
            bound: started.attempt.agent_session.is_some() && job.profile.format == Format::Claude,
            tail: Vec::new(),
            send,
            receive,
            open_outputs: 0,
            raw: None,
            ending: None,
            killed: false,
            reported: false,
            refused: None,
        }
    }

    /// Sets the threads going that turn what happens into messages.
    fn start(&mut self, prompt: Option<String>) -> anyhow::Result<()> {
        let has_terminal = self.running.terminal.is_some();
        let record = self.running.output.is_some();
        if let Some(terminal) = &self.running.terminal {
            self.raw = Raw::enter();
            if record {
                forward(child::file(terminal)?, self.send.clone(), Message::Terminal, false);
            } else {
                forward(child::file(terminal)?, self.send.clone(), Message::Output, true);
                self.open_outputs += 1;
            }
            if self.raw.is_some() {
                let mut to = child::file(terminal)?;
                std::thread::spawn(move || std::io::copy(&mut std::io::stdin().lock(), &mut to));
            }
        }
        if let Some(output) = self.running.output.take() {
            forward(output, self.send.clone(), Message::Output, true);
            self.open_outputs += 1;
        }
        if let (Some(mut stdin), Some(prompt)) = (self.running.stdin.take(), prompt) {
            // a command that does not read its prompt ends the pipe: that is its own affair
            std::thread::spawn(move || stdin.write_all(prompt.as_bytes()));
        }
        let mut report = self.running.report.try_clone().context("pipe")?;
        let send = self.send.clone();
        std::thread::spawn(move || {
            let mut first = [0u8; 16];
            let n = report.read(&mut first).unwrap_or(0);
            send.send(Message::Reported(first[..n].to_vec()))
        });
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
        let mut signals = vec![SIGTERM, SIGHUP, SIGINT, SIGQUIT];
        if has_terminal {
            signals.push(SIGWINCH);
        }
        let mut signals = signal_hook::iterator::Signals::new(signals).context("signals")?;
        let send = self.send.clone();
        std::thread::spawn(move || {
            for s in signals.forever() {
                if send.send(Message::Signal(s)).is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    fn run(mut self, code: Option<String>) -> anyhow::Result<Outcomes> {
        let begun = Instant::now();
        let mut code = code;
        let mut renewed = Instant::now();
        let mut exited: Option<(std::process::ExitStatus, Instant)> = None;
        loop {
            match self.receive.recv_timeout(Duration::from_millis(if exited.is_some() {
                10
            } else {
                25
            })) {
                Ok(Message::Output(bytes)) => self.take(&bytes)?,
                Ok(Message::Terminal(bytes)) => show_bytes(&bytes),
                Ok(Message::OutputEnded) => self.open_outputs -= 1,
                Ok(Message::Reported(bytes)) => self.let_go(&bytes, code.take())?,
                Ok(Message::Signal(s)) => self.signalled(s)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if exited.is_none() {
                exited =
                    self.running.child.try_wait().context("wait")?.map(|s| (s, Instant::now()));
            }
            if renewed.elapsed() > RENEW {
                self.store.renew(self.a, when::now())?;
                renewed = Instant::now();
            }
            if self.oldest.is_some_and(|t| t.elapsed() >= LATEST) {
                self.keep()?;
            }
            if exited.is_none()
                && self.ending.is_none()
                && self.job.timeout.is_some_and(|t| begun.elapsed().as_millis() as i64 >= t)
            {
                let why = format!("timed out after {} s", begun.elapsed().as_secs());
                self.end_it(Verdict::Failed, why);
            }
            if let Some((_, _, deadline)) = &self.ending
                && !self.killed
                && Instant::now() >= *deadline
            {
                self.kill(Signal::KILL);
                self.killed = true;
            }
            if let Some((status, at)) = exited
                && self.reported
                && (self.open_outputs == 0 || at.elapsed() > DRAIN)
            {
                while let Ok(m) = self.receive.try_recv() {
                    if let Message::Output(bytes) = m {
                        self.take(&bytes)?;
                    }
                }
                return self.finish(status);
            }
        }
    }

    /// The shell reports: at this moment it waits, so what is true of it now is what the task will find.
    fn let_go(&mut self, report: &[u8], code: Option<String>) -> anyhow::Result<()> {
        self.reported = true;
        let verified = match report {
            b"." => prepare::verify(&self.started.task.context, i64::from(self.running.child.id())),
            b"" => Err("a prerequisite ended the shell".to_owned()),
            n => Err(prerequisite_failed(&self.started.task.context.prerequisites, n)),
        };
        match verified {
            Ok(()) => {
                self.store.note(
                    "context_verified",
                    Some(self.a),
                    None,
                    None,
                    json!({"context": self.started.task.context}),
                    when::now(),
                )?;
                let go = format!("g{}", code.unwrap_or_default());
                let mut pipe = self.running.go.try_clone().context("pipe")?;
                self.close_gate()?;
                // longer code than the pipe holds must not stop us from reading what the shell prints
                std::thread::spawn(move || pipe.write_all(go.as_bytes()));
            }
            Err(why) => {
                self.refused = Some(why);
                self.close_gate()?;
                self.kill(Signal::TERM);
            }
        }
        Ok(())
    }

    fn close_gate(&mut self) -> anyhow::Result<()> {
        // replaced by a pipe that leads nowhere, the one to the shell is closed
        self.running.go = std::io::pipe().context("pipe")?.1;
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let before = self.events.len();
        self.extractor.push(bytes, &mut self.events);
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
        if !is_record(self.job.profile.format) || self.job.raw {
            show_bytes(bytes);
        } else {
            for e in &self.events[before..] {
                self.show(e);
            }
        }
        if self.events.len() > before {
            self.oldest.get_or_insert_with(Instant::now);
        }
        if self.events.len() >= 4096 {
            self.keep()?;
        }
        Ok(())
    }

    fn show(&self, e: &Event) {
        let end = if self.raw.is_some() { "\r\n" } else { "\n" };
        for line in show::lines(e) {
            show_bytes(format!("{line}{end}").as_bytes());
        }
    }

    fn keep(&mut self) -> anyhow::Result<()> {
        self.oldest = None;
        let events = std::mem::take(&mut self.events);
        if !self.bound
            && let Some(id) = events.iter().find_map(|e| e.session_id.clone())
        {
            self.store.bind_agent(self.a, &id)?;
            self.bound = true;
        }
        let lines: Vec<_> = events
            .into_iter()
            .map(|e| feedback::kept(e, Standing::Owner, Some(&self.secrets)))
            .collect();
        self.store.record(self.a, "wrap", &lines, when::now())
    }

    fn signalled(&mut self, s: i32) -> anyhow::Result<()> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        match s {
            SIGTERM => {
                let asked = self.store.renew(self.a, when::now())?;
                match asked {
                    Some(why) => self.end_it(Verdict::Cancelled, why),
                    None => {
                        self.end_it(Verdict::Lost, "orch-wrap was ended by a signal (TERM)".into())
                    }
                }
            }
            SIGHUP => self.end_it(Verdict::Lost, "its terminal went away (HUP)".into()),
            SIGINT => self.kill(Signal::INT),
            SIGQUIT => self.kill(Signal::QUIT),
            _ => {
                if let Some(t) = &self.running.terminal {
                    child::follow_size(t);
                }
            }
        }
        Ok(())
    }

    fn end_it(&mut self, verdict: Verdict, why: String) {
        if self.ending.is_none() {
            self.ending = Some((verdict, why, Instant::now() + GRACE));
            self.kill(Signal::TERM);
        }
    }

    /// The whole group, and whatever else carries the attempt's mark.
    fn kill(&self, signal: Signal) {
        proc::signal_group(i64::from(self.running.child.id()), signal);
        if signal != Signal::INT {
            for s in proc::carriers(&reap::marks(self.store.path(), self.a.name)) {
                proc::signal(s.pid, signal);
            }
        }
    }

    fn finish(mut self, status: std::process::ExitStatus) -> anyhow::Result<Outcomes> {
        use std::os::unix::process::ExitStatusExt;
        let exit = match (status.code(), status.signal()) {
            (Some(c), _) => Exit::Code(c),
            (None, s) => Exit::Signal(s.unwrap_or(0)),
        };
        let code = match exit {
            Exit::Code(c) => c,
            Exit::Signal(s) => 128 + s,
        };
        let before = self.events.len();
        let extractor = std::mem::replace(&mut self.extractor, Extractor::new(Format::Text));
        extractor.finish(Some(exit), &mut self.events);
        if is_record(self.job.profile.format) && !self.job.raw {
            for e in &self.events[before..] {
                self.show(e);
            }
        }
        let end = self.events.last().and_then(|e| e.body.task_end()).cloned();
        self.raw = None;
        self.keep()?;
        if let Some(why) = self.refused.take().filter(|_| self.ending.is_none()) {
            return context_failed(self.store, self.config, self.started, &why);
        }
        self.store.note(
            "exit",
            Some(self.a),
            None,
            None,
            json!({"exit_code": code}),
            when::now(),
        )?;
        let mut end = end.unwrap_or_else(|| unknown_end(exit));
        if self.job.profile.answer == Answer::Output {
            end.answer = Some(tail_text(&self.tail));
        }
        end.answer = end.answer.map(|t| self.secrets.redact(&t)).filter(|t| !t.is_empty());
        end.reason = end.reason.map(|t| self.secrets.redact(&t));
        self.conclude(&end, exit, i64::from(code))?;
        Ok(Outcomes { exit_code: u8::try_from(code).unwrap_or(1) })
    }

    fn conclude(&mut self, end: &End, exit: Exit, code: i64) -> anyhow::Result<()> {
        let task = &self.started.task;
        let close = |w: &mut Self, verdict, reason, end| {
            let ending = Ending { verdict, reason: Some(reason), end, exit_code: Some(code) };
            feedback::close(w.store, w.config, w.a, task, &ending)
        };
        if let Some((verdict, why, _)) = self.ending.take() {
            let alive = proc::carriers(&reap::marks(self.store.path(), self.a.name));
            let names: Vec<String> = alive.iter().map(ToString::to_string).collect();
            return match (verdict, names.is_empty()) {
                (Verdict::Lost, false) => {
                    let why = format!("{why}, still running: {}", names.join(", "));
                    close(self, Verdict::Unknown { survivors: true }, why, None).map(drop)
                }
                (v, true) => close(self, v, why, None).map(drop),
                (v, false) => {
                    close(self, v, format!("{why}; survivors: {}", names.join(", ")), None)
                        .map(drop)
                }
            };
        }
        // a person may have asked while the child ended by itself
        if let Some(why) = self.store.renew(self.a, when::now())?
            && end.outcome != Outcome::Complete
        {
            return close(self, Verdict::Cancelled, why, None).map(drop);
        }
        if let Some(signal) = foreign_signal(exit, end, self.job) {
            let reason = format!("killed by signal {signal}");
            return close(self, Verdict::Lost, reason, None).map(drop);
        }
        feedback::conclude(self.store, self.config, self.a, task, end, None, Some(code)).map(drop)
    }
}

/// A signal that is not ours ended the agent before its record said how it went. Agents that catch TERM or HUP
/// exit with 128+n; of a shell's command that is an ordinary exit.
fn foreign_signal(exit: Exit, end: &End, job: &Job) -> Option<i32> {
    match exit {
        _ if end.evidence == Evidence::Protocol => None,
        Exit::Signal(s) => Some(s),
        Exit::Code(c @ (129 | 130 | 137 | 143)) if is_record(job.profile.format) => Some(c - 128),
        Exit::Code(_) => None,
    }
}

fn unknown_end(exit: Exit) -> End {
    End {
        outcome: Outcome::Unknown,
        evidence: Evidence::None,
        confidence: 0.0,
        reason: Some(format!("no outcome ({exit:?})")),
        because: Vec::new(),
        answer: None,
        note: None,
        resets: Default::default(),
    }
}

fn prerequisite_failed(all: &[String], report: &[u8]) -> String {
    let n: usize = std::str::from_utf8(report).ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    match n.checked_sub(1).and_then(|i| all.get(i)) {
        Some(p) => format!("prerequisite {n} failed: {p}"),
        None => "a prerequisite failed".to_owned(),
    }
}

fn forward(
    mut from: impl Read + Send + 'static,
    send: Sender<Message>,
    wrap: fn(Vec<u8>) -> Message,
    tells_end: bool,
) {
    std::thread::spawn(move || {
        let mut buffer = vec![0u8; 64 * 1024];
        // a terminal whose last holder is gone reads as an error, a pipe as the end: both are the end
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if send.send(wrap(buffer[..n].to_vec())).is_err() {
                return;
            }
        }
        if tells_end {
            let _ = send.send(Message::OutputEnded);
        }
    });
}

/// A reader that is gone does not stop the work.
fn show_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

fn tail_text(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(TAIL);
    let text = String::from_utf8_lossy(&bytes[from..]);
    clean::text(&text.replace("\r\n", "\n")).trim_end().to_owned()
}
