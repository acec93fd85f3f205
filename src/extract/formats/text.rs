//! Plain text and terminal output.

use std::sync::LazyLock;

use regex::Regex;

use crate::event::{Body, End, Evidence, Exit, Outcome, Resets};
use crate::extract::client::{self, Rest};
use crate::extract::decoder::{Decoder, Sink, TEXT_CAP};
use crate::extract::ending::{failed_exit, unknown};
use crate::extract::fence::Fences;
use crate::extract::prefix::{instant, strip};
use crate::extract::prompt::{self, Prompt};
use crate::extract::render::{Look, Mark, Rendered, look, unframe};
use crate::extract::rules::{Rules, regex};
use crate::extract::scan::{Claim, Scanner};
use crate::extract::tail::{Tail, trim};
use crate::extract::walk::{Walk, Want};
use crate::extract::{limit, phrase};

#[derive(Default)]
pub struct Text {
    fences: Fences,
    scanner: Scanner,
    tail: Tail,
    walk: Walk,
    /// The row that was read last.
    number: u64,
    /// The exit code of the shell's last command, from its own mark; none while one runs.
    shell: Option<(i64, u64)>,
    input: Option<String>,
    started: bool,
    /// What stood open when the input rested last, and the `seq` of its event.
    prompt: Option<(String, u64)>,
    limited: Option<(Resets, u64, String)>,
}

static WORKING: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\besc to (?:interrupt|cancel)\b"));
static TROUBLE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\W{0,3}(?:\S{1,60}: ){0,3}(?:error|fatal|fatal error|panic|critical|exception|[\w.]+(?:Error|Exception))\b(?:\[\w+\])?:\s|\bcommand not found\s*$|\bNo such file or directory\s*$|\bPermission denied\b.{0,20}$|\bNo space left on device\s*$|\bnot found\s*$|: No module named \S+$|\bLinter failed\b|^FAILED: \S|^ERROR\b|^\[(?:error|fatal|critical)\]|(?:[:\]] |\.\.\. ?)(?-i:FAILED|FAIL)\W{0,3}$|: contract violation$|^\s*context\.\.\.:$|: Prelude\.\w+: |^CallStack \(from HasCallStack\)|\bConnection (?:refused|timed out|reset by peer)\b|\b(?:connection to .{1,200} was|connection) refused\b|\bCould not resolve host(?:name)?\b|\bError response from daemon: |^E: \S|: invalid version: |^toomanyrequests: |^The job (?:has been|exceeded .{1,60} and has been) terminated\b|^(?:an )?(?:unexpected|unhandled|internal) (?:error|exception)\b|\b(?:build|tests?|job|task|command|lint) failed\b",
    )
});
static DONE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\W*(?:all )?(?:done|finished|completed|task complete(?:d)?|success)\b[.!:]?|\b(?:completed|passed|finished|built|created|installed|updated) successfully\b|\bsuccessfully (?:completed|passed|finished|built|created|installed|updated)\b|\ball (?:focused |the )?tests? (?:pass|passed)\b|^Complete!$|^Processing triggers for \S+ \(|^Setting up \S+ \(.{1,80}\) \.\.\.$|^Output written on \S+ \(\d+ pages?\b|(?:[:\]] |\.\.\. ?)(?-i:SUCCESS|PASS|PASSED)\W{0,3}$|^make(?:\[1\])?: (?:Leaving directory|Nothing to be done|'.*' is up to date)",
    )
});

impl Decoder for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn cap(&self) -> usize {
        TEXT_CAP
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        self.read(line, sink);
    }

    fn block(&mut self, block: &[u8], sink: &mut Sink<'_>) -> Option<(u64, usize)> {
        Some((self.read(block, sink), block.len()))
    }

    fn rest(&mut self, partial: &[u8], sink: &mut Sink<'_>) {
        self.tail.settle();
        let mut rows: Vec<String> = self.tail.rows().cloned().collect();
        if let Look::Row(row) = look(partial) {
            rows.push(trim(&row).to_string());
        }
        self.ask(&rows, sink);
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        self.fences.close(sink);
        self.tail.settle();
        let before = self.scanner.verdicts;
        self.scanner.flush(sink);
        if self.scanner.verdicts != before {
            self.tail.set_verdict(self.scanner.summary);
        }
        let rows: Vec<String> = self.tail.rows().cloned().collect();
        self.ask(&rows, sink);
    }

    fn end(&self, exit: Option<Exit>) -> Option<End> {
        Some(self.outcome(exit))
    }
}

impl Text {
    pub fn new(rules: &'static Rules) -> Text {
        Text { scanner: Scanner::new(rules), ..Text::default() }
    }

    /// The last verdict, of whatever weight.
    pub fn verdict(&self) -> Option<Outcome> {
        let scanner = &self.scanner;
        let claims = [&scanner.job, &scanner.verdict, &scanner.pattern];
        claims.into_iter().flatten().next().map(|claim| claim.outcome)
    }

    pub fn outcome(&self, exit: Option<Exit>) -> End {
        match exit {
            Some(Exit::Code(0)) => End {
                outcome: Outcome::Complete,
                reason: Some("exit code 0".into()),
                ..failed_exit(Exit::Code(0))
            },
            Some(exit) => self.failed(exit),
            None => self.said(),
        }
    }

    /// The last rows of what rests or has ended: a prompt that nobody answered, or a limit. Each is
    /// told once.
    pub fn ask(&mut self, rows: &[String], sink: &mut Sink<'_>) {
        let rows: Vec<&String> = rows.iter().filter(|row| !row.trim().is_empty()).collect();
        let (earlier, limited) = (self.prompt.take(), self.limited.take());
        if self.shell.is_some() {
            // The command is over: nobody waits.
        } else if let Some(asked) = prompt::live(&rows) {
            let text = asked.text().to_string();
            let told = earlier.filter(|(told, _)| *told == text).map(|(_, seq)| seq);
            let seq = told.unwrap_or_else(|| {
                sink.put(match asked {
                    Prompt::Permission(text) => Body::PermissionRequest { text, tool: None },
                    Prompt::Question(text) => Body::Question { text },
                })
            });
            self.prompt = Some((text, seq));
        } else if let Some(text) = self.tail_limit() {
            let resets = limit::resets(&text);
            let told = limited.filter(|(_, _, told)| *told == text).map(|(_, seq, _)| seq);
            let seq = told.unwrap_or_else(|| {
                sink.put(Body::RateLimit { text: text.clone(), resets: resets.clone() })
            });
            self.limited = Some((resets, seq, text));
        }
    }

    /// Reads lines and answers with their number.
    fn read(&mut self, block: &[u8], sink: &mut Sink<'_>) -> u64 {
        let (first, offset) = sink.at();
        let mut walk = std::mem::take(&mut self.walk);
        let filter = &self.scanner.rules().filter;
        let lines = walk.block(filter, block, self.want(first), |line| {
            let number = first + line.number;
            sink.set_place(number, offset + line.offset as u64);
            self.show(number, line.bytes, sink);
            self.want(number + 1)
        });
        self.tail.keep_last(walk.text(block), first + lines);
        self.walk = walk;
        self.number = first + lines;
        lines
    }

    /// Which rows matter from the one of this number on.
    fn want(&self, number: u64) -> Want {
        if self.fences.is_open() { Want::All } else { self.scanner.want(number) }
    }

    fn show(&mut self, number: u64, line: &[u8], sink: &mut Sink<'_>) {
        let Rendered { rows, marks } = match look(line) {
            Look::Row(row) => {
                sink.set_ts(instant(&row));
                return self.log_row(number, &row, sink);
            }
            Look::Rows(rendered) => rendered,
        };
        sink.set_ts(rows.first().and_then(|row| instant(row)));
        let mut marks = marks.into_iter().peekable();
        for (i, row) in rows.iter().enumerate() {
            while let Some((_, mark)) = marks.next_if(|(at, _)| *at <= i) {
                self.mark(mark, row, sink);
            }
            self.log_row(number, row, sink);
        }
    }

    fn log_row(&mut self, number: u64, row: &str, sink: &mut Sink<'_>) {
        let row = trim(row);
        let underline = row.trim_start().starts_with('~')
            && !self.fences.is_open()
            && self.scanner.shows_source(number);
        // What a CI system says of the job stands in no block: a fence was left open.
        if self.fences.is_open() && self.scanner.ends_job(row) {
            self.fences.close(sink);
        }
        let fenced = !underline && self.fences.row(row, sink);
        self.scan(number, row, fenced, sink);
    }

    /// A row of a terminal.
    pub fn row(&mut self, row: &str, sink: &mut Sink<'_>) {
        self.number += 1;
        self.log_row(self.number, row, sink);
        self.tail.keep(self.number, row);
    }

    /// A row of a full-screen program: what was drawn once is not drawn again, the second of two
    /// fences neither, so fences are none.
    pub fn painted(&mut self, row: &str, sink: &mut Sink<'_>) {
        self.number += 1;
        let row = unframe(strip(row));
        self.scan(self.number, row, false, sink);
        self.tail.keep(self.number, row);
    }

    /// What stands on the screen at the end takes the place of the last rows.
    pub fn screen(&mut self, rows: Vec<String>) {
        self.tail.clear();
        for row in &rows {
            self.number += 1;
            self.tail.keep(self.number, row);
        }
    }

    fn scan(&mut self, number: u64, row: &str, fenced: bool, sink: &mut Sink<'_>) {
        if fenced {
            // No more are remembered than rows are kept, and blank ones are not.
            if !row.trim().is_empty() {
                self.tail.mute(number);
            }
            return;
        }
        let before = self.scanner.verdicts;
        self.scanner.row(number, row, sink);
        if self.scanner.verdicts != before {
            // The row of the verdict itself is no trouble after it.
            self.tail.set_verdict(number);
        }
    }

    fn mark(&mut self, mark: Mark, row: &str, sink: &mut Sink<'_>) {
        match mark {
            Mark::Input(column) => {
                self.input = row.get(column..).map(|c| c.trim().to_string());
            }
            Mark::Start => {
                let command = self.input.take();
                self.begin_command(command);
            }
            Mark::End(code) => {
                self.end_command(code, sink);
            }
        }
    }

    /// A shell's command starts.
    pub fn begin_command(&mut self, command: Option<String>) {
        self.input = command;
        self.started = true;
        self.shell = None;
    }

    /// It ended: its exit code and the `seq` of the event that says so.
    pub fn end_command(&mut self, code: Option<i64>, sink: &mut Sink<'_>) -> Option<(i64, u64)> {
        // Shells send an end without a start when the prompt is merely redrawn.
        if !std::mem::take(&mut self.started) {
            return None;
        }
        let command = self.input.take().unwrap_or_default();
        let event = Body::Command { command, exit_code: code, duration_ms: None };
        let seq = sink.put(event);
        self.shell = code.map(|code| (code, seq));
        self.shell
    }

    fn failed(&self, exit: Exit) -> End {
        let mut end = failed_exit(exit);
        if let Some((resets, seq, text)) = &self.limited {
            end.outcome = Outcome::RateLimited;
            end.resets = resets.clone();
            end.because = vec![*seq];
            end.reason = Some(text.clone());
        } else if let Some(claim) = self.claim().filter(|c| c.outcome == Outcome::Failed) {
            end.because = claim.because;
            end.rule = claim.rule;
            end.reason = end.reason.map(|reason| format!("{reason}: {}", claim.reason));
        }
        end
    }

    /// Without the process's exit: what the text itself says of its end.
    fn said(&self) -> End {
        if let Some((code, seq)) = self.shell {
            let outcome = if code == 0 { Outcome::Complete } else { Outcome::Failed };
            let reason = format!("exit code {code}");
            let end = pattern(outcome, 1.0, reason, vec![seq]);
            return End { evidence: Evidence::Exit, ..end };
        }
        if let Some((text, seq)) = &self.prompt {
            return pattern(Outcome::Waiting, 0.7, text.clone(), vec![*seq]);
        }
        if let Some((resets, seq, text)) = &self.limited {
            let end = pattern(Outcome::RateLimited, 0.6, text.clone(), vec![*seq]);
            return End { resets: resets.clone(), ..end };
        }
        if self.tail.rows().rev().take(8).any(|row| WORKING.is_match(row)) {
            return unknown("still at work when the input ended");
        }
        match client::rest(self.tail.rows().rev()) {
            Some(Rest::Failed(row)) => return pattern(Outcome::Failed, 0.6, row, Vec::new()),
            Some(Rest::Interrupted) => return unknown("interrupted by the user"),
            Some(Rest::Finished(row)) => return pattern(Outcome::Complete, 0.45, row, Vec::new()),
            None => {}
        }
        let strong = self.scanner.job.as_ref().or(self.scanner.verdict.as_ref());
        if let Some(claim) = strong {
            if let Some(trouble) = self.trouble_since(claim) {
                return pattern(Outcome::Failed, 0.4, trouble, Vec::new());
            }
            let end = pattern(
                claim.outcome,
                claim.confidence,
                claim.reason.clone(),
                claim.because.clone(),
            );
            return End { evidence: Evidence::Summary, rule: claim.rule, ..end };
        }
        match self.claim() {
            Some(c) => {
                End { rule: c.rule, ..pattern(c.outcome, c.confidence, c.reason, c.because) }
            }
            None => unknown("nothing in the text says how it ended"),
        }
    }

    /// Trouble in the last rows that came after a good verdict: a step's success is not the end's.
    fn trouble_since(&self, verdict: &Claim) -> Option<String> {
        if verdict.outcome != Outcome::Complete || self.scanner.job.is_some() {
            return None;
        }
        let mut since = self.tail.since_verdict().take(10);
        since.find(|row| TROUBLE.is_match(row)).map(|row| row.trim().to_string())
    }

    /// The best of the claims; of phrases, trouble at the end outweighs a cheer.
    fn claim(&self) -> Option<Claim> {
        let scanned = self.scanner.job.clone().or(self.scanner.verdict.clone());
        scanned.or_else(|| {
            let tail = self.tail_claim();
            match (self.scanner.pattern.clone(), tail) {
                (Some(a), Some(b)) => Some(if b.confidence > a.confidence { b } else { a }),
                (a, b) => a.or(b),
            }
        })
    }

    fn tail_claim(&self) -> Option<Claim> {
        let rows: Vec<&String> = self.tail.rows().rev().take(12).collect();
        let find = |pattern: &Regex, reach: usize| {
            rows.iter()
                .take(reach)
                .find(|row| pattern.is_match(row))
                .map(|row| row.trim().to_string())
        };
        let claim = |outcome, confidence, reason| Claim {
            outcome,
            reason,
            confidence,
            because: Vec::new(),
            rule: None,
        };
        if let Some(row) = find(&TROUBLE, 10) {
            return Some(claim(Outcome::Failed, 0.4, row));
        }
        let said = rows.iter().take(8).find_map(|row| phrase::could_not(row));
        if let Some(words) = said {
            return Some(claim(Outcome::Failed, 0.2, words));
        }
        find(&DONE, 8).map(|row| claim(Outcome::Complete, 0.3, row))
    }

    /// A limit near the end that nothing was decided after: it needs a word for the limit and one
    /// for its end, in one row or close together.
    fn tail_limit(&self) -> Option<String> {
        let rows: Vec<&String> = self.tail.since_verdict().take(15).collect();
        let resets: Vec<bool> =
            rows.iter().map(|row| limit::has_reset(row) && !limit::is_near(row)).collect();
        let limits: Vec<usize> = (0..rows.len()).filter(|i| limit::is_limit(rows[*i])).collect();
        let pair = |at: usize| {
            let (from, to) = (at.saturating_sub(5), (at + 6).min(rows.len()));
            (from..to).find(|i| resets[*i]).map(|near| (at, near))
        };
        let both = limits.iter().find(|i| resets[**i]).map(|i| (*i, *i));
        let (at, near) = both.or_else(|| limits.iter().find_map(|i| pair(*i)))?;
        let text = rows[at.min(near)..=at.max(near)].iter().rev().map(|row| row.trim());
        Some(text.collect::<Vec<_>>().join("\n"))
    }
}

fn pattern(outcome: Outcome, confidence: f64, reason: String, because: Vec<u64>) -> End {
    End {
        outcome,
        evidence: Evidence::Pattern,
        confidence,
        reason: Some(reason),
        because,
        ..unknown("")
    }
}
