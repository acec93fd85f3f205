//! One attempt at work: what happens comes as messages, and one loop takes them in turn.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::Signal;
use serde_json::json;

use super::child::{self, Raw, Running};
use super::printer::Printer;
use super::{Job, Outcomes, is_record, show};
use crate::clean::Secrets;
use crate::config::Config;
use crate::ctx::establish;
use crate::event::Event;
use crate::extract::Extractor;
use crate::feedback;
use crate::policy::Verdict;
use crate::proc;
use crate::store::{self, OpenAttempt, Standing, Started, Store};
use crate::when;

/// Events are kept at most this long after they could be read.
const LATEST: Duration = Duration::from_millis(50);
/// From TERM to KILL.
const GRACE: Duration = Duration::from_secs(5);
/// After the command's end its output is over when nothing comes for so many turns of 10 ms, or after so many bytes.
const QUIET_TURNS: u32 = 30;
const AFTER_EXIT: usize = 64 << 20;
/// Of what was printed, the end that may become the answer.
pub(super) const TAIL: usize = 64 * 1024;
/// How often the owner says that it is there, and asks whether it should end.
const RENEW: Duration = Duration::from_secs(20);

pub(super) enum Message {
    Output(Vec<u8>),
    /// What the child's terminal shows besides a record.
    Terminal(Vec<u8>),
    OutputEnded,
    Reported(Vec<u8>),
    Signal(i32),
}

/// One attempt at work.
pub(super) struct Work<'a> {
    pub(super) store: &'a mut Store,
    pub(super) config: &'a Config,
    pub(super) a: &'a OpenAttempt,
    pub(super) started: &'a Started,
    pub(super) job: &'a Job<'a>,
    pub(super) secrets: Secrets,
    pub(super) running: Running,
    pub(super) printer: Printer,
    pub(super) extractor: Extractor,
    pub(super) events: Vec<Event>,
    /// When the oldest event that is not kept yet was read.
    pub(super) oldest: Option<Instant>,
    pub(super) bound: bool,
    pub(super) tail: Vec<u8>,
    pub(super) send: SyncSender<Message>,
    pub(super) receive: Receiver<Message>,
    /// Readers of the child's output that have not come to its end.
    pub(super) open_outputs: usize,
    pub(super) raw: Option<Raw>,
    /// Why it is being ended, and when KILL follows.
    pub(super) ending: Option<(Verdict, String, Instant)>,
    pub(super) killed: bool,
    /// The shell has reported, or can no longer.
    pub(super) reported: bool,
    /// It was said that the database does not take events.
    pub(super) complained: bool,
    pub(super) refused: Option<String>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        store: &'a mut Store,
        config: &'a Config,
        started: &'a Started,
        job: &'a Job<'a>,
        secrets: Secrets,
        running: Running,
    ) -> Work<'a> {
        let (send, receive) = sync_channel(16);
        Work {
            store,
            config,
            a: &started.attempt,
            started,
            job,
            secrets,
            running,
            printer: Printer::new(),
            extractor: Extractor::new(job.profile.format),
            events: Vec::new(),
            oldest: None,
            bound: started.attempt.agent_session.is_some() && job.profile.names_session(),
            tail: Vec::new(),
            send,
            receive,
            open_outputs: 0,
            raw: None,
            ending: None,
            killed: false,
            reported: false,
            complained: false,
            refused: None,
        }
    }

    /// Sets the threads going that turn what happens into messages.
    pub(super) fn start(&mut self, prompt: Option<String>) -> anyhow::Result<()> {
        let record = self.running.output.is_some();
        if let Some(terminal) = &self.running.terminal {
            self.raw = Raw::enter();
            if record {
                self.forward(child::file(terminal)?, Message::Terminal, false);
            } else {
                self.forward(child::file(terminal)?, Message::Output, true);
                self.open_outputs += 1;
            }
            if self.raw.is_some() {
                let mut to = child::file(terminal)?;
                std::thread::spawn(move || std::io::copy(&mut std::io::stdin().lock(), &mut to));
            }
        }
        if let Some(output) = self.running.output.take() {
            self.forward(output, Message::Output, true);
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
        let mut signals = self.running.signals.take().context("signals")?;
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

    pub(super) fn run(mut self, code: Option<String>) -> anyhow::Result<Outcomes> {
        // what cannot be written now is tried again: the clock and the signals come first
        store::set_patience(Duration::from_secs(1));
        let begun = Instant::now();
        let mut code = code;
        let mut renewed = Instant::now();
        // turns of the loop in which nothing came, and bytes that came after the command's end
        let (mut quiet, mut after_exit) = (0u32, 0usize);
        let mut exited: Option<std::process::ExitStatus> = None;
        let mut looked = Instant::now();
        loop {
            let wait = Duration::from_millis(if exited.is_some() { 10 } else { 25 });
            match self.receive.recv_timeout(wait) {
                Ok(Message::Output(bytes)) => {
                    after_exit += if exited.is_some() { bytes.len() } else { 0 };
                    self.take(bytes);
                    quiet = 0;
                }
                Ok(Message::Terminal(bytes)) => self.printer.show(bytes),
                Ok(Message::OutputEnded) => self.open_outputs -= 1,
                Ok(Message::Reported(bytes)) => self.let_go(&bytes, code.take())?,
                Ok(Message::Signal(s)) => self.signalled(s),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => quiet += 1,
            }
            if exited.is_none() {
                exited = self.running.child.try_wait().context("wait")?;
                quiet = 0;
            }
            if renewed.elapsed() > RENEW {
                // a database that does not answer is no reason to end; it is asked again
                if let Ok(Some(why)) = self.store.renew(self.a, when::now()) {
                    self.end_it(Verdict::Cancelled, why);
                }
                renewed = Instant::now();
            }
            if self.oldest.is_some_and(|t| t.elapsed() >= LATEST) {
                self.try_keep();
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
            // what the command left behind may hold its output open, and even go on writing
            let over = self.open_outputs == 0 || quiet > QUIET_TURNS || after_exit > AFTER_EXIT;
            if let Some(status) = exited
                && self.reported
                && over
                && !self.still_ending(&mut looked)
            {
                while let Ok(m) = self.receive.try_recv() {
                    if let Message::Output(bytes) = m {
                        self.take(bytes);
                    }
                }
                return self.finish(status);
            }
        }
    }

    /// Whether something of an attempt that is being ended lives on, and KILL is still to come.
    fn still_ending(&self, looked: &mut Instant) -> bool {
        if self.ending.is_none() || self.killed {
            return false;
        }
        // a look at every process is not for every turn
        let due = looked.elapsed() > Duration::from_millis(100);
        if due {
            *looked = Instant::now();
        }
        !due || !proc::carriers(&self.marks()).is_empty()
    }

    /// The shell reports: at this moment it waits, so what is true of it now is what the task will find.
    fn let_go(&mut self, report: &[u8], code: Option<String>) -> anyhow::Result<()> {
        self.reported = true;
        let verified = match report {
            b"." => {
                establish::verify(&self.started.task.context, i64::from(self.running.child.id()))
            }
            b"" => Err("a prerequisite ended the shell".to_owned()),
            n => Err(prerequisite_failed(&self.started.task.context.prerequisites, n)),
        };
        match verified {
            Ok(()) => {
                // a record of it; the task does not wait for a database that is busy
                let body = json!({"context": self.started.task.context});
                let _ = self.store.note(
                    "context_verified",
                    Some(self.a),
                    None,
                    None,
                    body,
                    when::now(),
                );
                proc::stop_for_test("verified");
                let go = format!("g{}.", code.unwrap_or_default());
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

    fn take(&mut self, bytes: Vec<u8>) {
        let before = self.events.len();
        self.extractor.push(&bytes, &mut self.events);
        self.tail.extend_from_slice(&bytes);
        if self.tail.len() > 4 * TAIL {
            self.tail.drain(..self.tail.len() - 2 * TAIL);
        }
        if !is_record(self.job.profile.format) || self.job.raw {
            self.printer.show(bytes);
        } else {
            for e in &self.events[before..] {
                self.show(e);
            }
        }
        if self.events.len() > before {
            self.oldest.get_or_insert_with(Instant::now);
        }
        if self.events.len() >= if self.complained { 65_536 } else { 4096 } {
            self.try_keep();
        }
    }

    pub(super) fn show(&self, e: &Event) {
        let end = if self.raw.is_some() { "\r\n" } else { "\n" };
        for line in show::lines(e) {
            self.printer.show(format!("{line}{end}").into_bytes());
        }
    }

    /// Writes down what was read. A database that is busy or full is asked again later: it must not end the work.
    pub(super) fn keep(&mut self) -> anyhow::Result<()> {
        self.oldest = None;
        let id = self.events.iter().find_map(|e| e.session_id.clone()).filter(|_| !self.bound);
        if let Some(id) = id {
            self.store.bind_agent(self.a, &id)?;
            self.bound = true;
        }
        let line = |e: &Event| feedback::kept(e, Standing::Owner, Some(&self.secrets));
        let lines: Vec<_> = self.events.iter().map(line).collect();
        self.store.record(self.a, "wrap", &lines, when::now())?;
        self.events.clear();
        Ok(())
    }

    /// The same, while the command runs: a failure is said once.
    fn try_keep(&mut self) {
        let kept = self.keep();
        if let (Err(e), false) = (&kept, self.complained) {
            crate::cli::warn("orch-wrap", &format!("events are kept later: {e:#}"));
        }
        self.complained = kept.is_err();
        self.oldest = kept.is_err().then(Instant::now);
    }

    fn signalled(&mut self, s: i32) {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        match s {
            // where a person asked for it, closing makes it cancelled
            SIGTERM => self.end_it(Verdict::Lost, "orch-wrap was ended by a signal (TERM)".into()),
            SIGHUP => self.end_it(Verdict::Lost, "its terminal went away (HUP)".into()),
            SIGINT => self.kill(Signal::INT),
            SIGQUIT => self.kill(Signal::QUIT),
            _ => {
                if let Some(t) = &self.running.terminal {
                    child::follow_size(t);
                }
            }
        }
    }

    /// Does what must be done until it is: a database that is busy or full now takes it later, and there is nothing
    /// better to do. Only TERM ends the tries: with the pane gone there is still the record to write.
    pub(super) fn insist(
        &mut self,
        mut what: impl FnMut(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        loop {
            let Err(e) = what(self) else { return Ok(()) };
            if !self.complained {
                crate::cli::warn("orch-wrap", &format!("tried again until it is written: {e:#}"));
                self.complained = true;
            }
            use signal_hook::consts::SIGTERM;
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(500) {
                if let Ok(Message::Signal(SIGTERM)) =
                    self.receive.recv_timeout(Duration::from_millis(50))
                {
                    return Err(e);
                }
            }
        }
    }

    fn end_it(&mut self, verdict: Verdict, why: String) {
        if self.ending.is_none() {
            self.ending = Some((verdict, why, Instant::now() + GRACE));
            self.kill(Signal::TERM);
        }
    }

    pub(super) fn marks(&self) -> [String; 2] {
        self.a.name.marks(self.store.path())
    }

    /// A thread that makes messages of what comes, as fast as it can be shown.
    fn forward(
        &self,
        mut from: impl Read + Send + 'static,
        wrap: fn(Vec<u8>) -> Message,
        tells_end: bool,
    ) {
        let (send, backlog) = (self.send.clone(), self.printer.backlog());
        std::thread::spawn(move || {
            let mut buffer = vec![0u8; 64 * 1024];
            // a terminal whose last holder is gone reads as an error, a pipe as the end: both are the end
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                if send.send(wrap(buffer[..n].to_vec())).is_err() {
                    return;
                }
                backlog.await_room();
            }
            if tells_end {
                let _ = send.send(Message::OutputEnded);
            }
        });
    }

    /// The whole group, and whatever else carries the attempt's mark.
    fn kill(&self, signal: Signal) {
        proc::signal_group(i64::from(self.running.child.id()), signal);
        if signal != Signal::INT {
            for s in proc::carriers(&self.marks()) {
                proc::signal(s.pid, signal);
            }
        }
    }
}

fn prerequisite_failed(all: &[String], report: &[u8]) -> String {
    let n: usize = std::str::from_utf8(report).ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    match n.checked_sub(1).and_then(|i| all.get(i)) {
        Some(p) => format!("prerequisite {n} failed: {p}"),
        None => "a prerequisite failed".to_owned(),
    }
}
