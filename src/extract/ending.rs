//! Ends: what a record, an exit, or the words of an answer make of a turn.

use super::phrase;
use crate::event::{End, Evidence, Exit, Outcome, Resets};

/// An end that rests on nothing.
pub fn unknown(reason: &str) -> End {
    End {
        outcome: Outcome::Unknown,
        evidence: Evidence::None,
        confidence: 0.0,
        reason: Some(reason.to_string()),
        because: Vec::new(),
        answer: None,
        note: None,
        resets: Resets::default(),
        rule: None,
    }
}

/// What the process's own end says where the protocol says nothing: an exit of 0 is no proof
/// that a client which owes a last record did its work.
pub fn by_exit(exit: Option<Exit>, missing: &str) -> End {
    match exit {
        None | Some(Exit::Code(0)) => unknown(missing),
        Some(exit) => failed_exit(exit),
    }
}

pub fn failed_exit(exit: Exit) -> End {
    let reason = match exit {
        Exit::Signal(n) => format!("killed by signal {n}"),
        // A shell reports a signal as 128 + n.
        Exit::Code(code) if matches!(code - 128, 1 | 2 | 3 | 6 | 9 | 11 | 13 | 15) => {
            format!("killed by signal {} (exit code {code})", code - 128)
        }
        Exit::Code(code) => format!("exit code {code}"),
    };
    End {
        outcome: Outcome::Failed,
        evidence: Evidence::Exit,
        confidence: 1.0,
        reason: Some(reason),
        ..unknown("")
    }
}

pub fn protocol(outcome: Outcome, because: Vec<u64>) -> End {
    End {
        outcome,
        evidence: Evidence::Protocol,
        confidence: 1.0,
        reason: None,
        because,
        ..unknown("")
    }
}

pub fn api_end(
    words: &str,
    status: Option<u16>,
    limited: Option<(Resets, u64)>,
    because: Vec<u64>,
) -> End {
    let code = status.map(|s| format!(" {s}")).unwrap_or_default();
    let reason = Some(format!("api_error{code}: {}", phrase::first_line(words)));
    let answer = Some(words.to_string());
    match limited {
        Some((resets, _)) => {
            End { reason, answer, resets, ..protocol(Outcome::RateLimited, because) }
        }
        None => End { reason, answer, ..protocol(Outcome::Failed, because) },
    }
}

/// A good end, read against its words: a bare question with nothing done waits for its answer;
/// "could not" stays a success with a note.
pub fn judge(mut end: End, words: String, worked: bool) -> End {
    let question = phrase::question(&words);
    if let Some(question) = question {
        if !worked && words.len() <= 1000 && !phrase::is_offer(&question) {
            end.outcome = Outcome::Waiting;
            end.confidence = 0.6;
            end.reason = Some(format!("asks: {question}"));
        } else {
            end.note = Some(format!("ends with a question: {question}"));
        }
    }
    if let Some(said) = phrase::could_not(&words) {
        end.note = Some(format!("says: {said}"));
    }
    end.answer = Some(words);
    end
}
