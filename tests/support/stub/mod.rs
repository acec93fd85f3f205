//! A model API on loopback for the real clients; the prompt itself says what the model does.
//!
//! It speaks as much of the Anthropic Messages API (Claude Code) and of the OpenAI Responses API (Codex) as the pinned
//! clients use. In the last human prompt, the last line that holds a directive decides, and its first directive:
//!
//! | directive | the model |
//! |---|---|
//! | `STUB:ok TEXT` | answers TEXT |
//! | `STUB:bash CMD` | runs CMD with the client's shell tool, then names the result |
//! | `STUB:esc CMD` | the same, and asks to leave the sandbox (Codex) |
//! | `STUB:loop N CMD` | the same as `bash`, N times |
//! | `STUB:background CMD` | starts CMD and goes on without its end |
//! | `STUB:write PATH TEXT` | writes a file with the client's own tool |
//! | `STUB:ask` | asks with the client's tool which of two options to take (Codex: in words) |
//! | `STUB:task PROMPT` | has a sub-agent do PROMPT (Codex: says that there is none) |
//! | `STUB:think` | thinks for a second, then answers |
//! | `STUB:long N` | answers N lines: prose, code and the words that careless screen rules look for |
//! | `STUB:fail` | says that it could not do it |
//! | `STUB:question` | ends with a question to the user |
//! | `STUB:slow N` | streams words for N seconds |
//! | `STUB:hang N` | says nothing for N seconds, then answers |
//! | `STUB:drop` | begins to answer, then the line is cut |
//! | `STUB:sse-error` | begins to answer, then the stream itself reports an overload |
//! | `STUB:400`, `401`, `429`, `500`, `529` | that HTTP error, every time |
//! | `STUB:flaky N` | 529 for the first N requests with this prompt, then an answer |
//! | `STUB:limit [EPOCH]` | the usage limit is reached; EPOCH says when it resets |

mod answer;
mod anthropic;
mod http;
mod openai;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use answer::{Answer, Turn};

pub struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Stub {
    pub fn start() -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind on loopback");
        let address = listener.local_addr().expect("address of a listener");
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if theirs.lock().stopped {
                    break;
                }
                let shared = theirs.clone();
                // a client may leave in the middle of an answer: that ends the connection and nothing else
                std::thread::spawn(move || drop(http::serve(&shared, stream)));
            }
        });
        Stub { address, shared, accepting: Some(accepting) }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The user's prompt of every model request so far, retries and the rounds after a tool call included.
    pub fn prompts(&self) -> Vec<String> {
        self.shared.lock().requests.iter().map(|r| r.prompt.clone()).collect()
    }

    /// Every text that the user (or an agent to its sub-agent) sent, byte for byte and once for each time it was sent.
    /// A retry, the round after a tool call and the one after a notice of the client's own add nothing. Prompts that
    /// were queued and went as one turn are one text each.
    pub fn deliveries(&self) -> Vec<String> {
        self.shared.lock().requests.iter().flat_map(|r| r.delivered.clone()).collect()
    }

    /// When each model request began and when and how its answer ended, in order of time. The requests that a client
    /// makes on the side, for a title, are left out: no state of the client goes with them.
    pub fn timeline(&self) -> Vec<(Instant, Phase)> {
        let state = self.shared.lock();
        let mut all: Vec<_> = state
            .requests
            .iter()
            .flat_map(|r| {
                let end = r.ended.map(|(at, end)| (at, Phase::Ended(end)));
                [Some((r.began, Phase::Began)), end].into_iter().flatten()
            })
            .collect();
        all.sort_by_key(|(at, _)| *at);
        all
    }

    /// Waits for the `n`th model request, so that a test can act while the model answers.
    pub fn await_prompts(&self, n: usize) -> Vec<String> {
        self.wait(&format!("{n} model requests"), |s| s.requests.len() >= n);
        self.prompts()
    }

    /// Waits until an answer has ended in this way, `n` times.
    pub fn await_end(&self, end: End, n: usize) {
        self.wait(&format!("{n} answers to end as {end:?}"), |s| {
            s.requests.iter().filter(|r| r.ended.is_some_and(|(_, e)| e == end)).count() >= n
        });
    }

    fn wait(&self, what: &str, holds: impl Fn(&State) -> bool) {
        let (state, wait) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), Duration::from_secs(60), |s| !holds(s))
            .expect("stub state");
        assert!(!wait.timed_out(), "waited 60 s for {what}: {:?}", state.requests);
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.accepting.take() {
            drop(thread.join());
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Began,
    Ended(End),
}

/// How the answer to a model request ended, and so what the client is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its last word: the turn is over.
    Said,
    /// With a tool call: the client runs it, or asks for permission.
    Called,
    /// With an error or a cut: the client tries again, or gives up.
    Failed,
    /// The client hung up.
    Left,
}

/// What Claude makes of a big paste: it tells the model that the text came from elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub struct Pasted<'a> {
    /// What was typed before the paste.
    pub before: &'a str,
    pub text: &'a str,
    /// What was typed after it.
    pub after: &'a str,
}

/// The one paste that Claude wrapped in this prompt, if it wrapped one.
pub fn pasted(prompt: &str) -> Option<Pasted<'_>> {
    let (before, rest) = prompt.split_once("<pasted_content id=\"")?;
    let (id, rest) = rest.split_once("\">\n")?;
    let (text, after) = rest.split_once(&format!("\n</pasted_content id=\"{id}\">"))?;
    let before = before.strip_suffix("\n\n").unwrap_or(before);
    Some(Pasted { before, text, after: after.strip_prefix('\n').unwrap_or(after) })
}

#[derive(Debug)]
struct Request {
    session: String,
    said: Vec<String>,
    prompt: String,
    /// What of `said` no earlier request had.
    delivered: Vec<String>,
    began: Instant,
    ended: Option<(Instant, End)>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    stopped: bool,
}

impl State {
    /// What of this the session's human had not said before.
    fn delivered(&self, session: &str, said: &[String]) -> Vec<String> {
        let known = self.requests.iter().filter(|r| r.session == session);
        // of those with the same start, the latest
        let Some(best) = known.max_by_key(|r| shared_start(&r.said, said)) else {
            return said.to_vec();
        };
        let old = shared_start(&best.said, said);
        // a client that hung up was interrupted; Claude then takes the prompt back, so that the same is a new one
        let again = old == said.len() && matches!(best.ended, Some((_, End::Left)));
        said[old - usize::from(again)..].to_vec()
    }
}

/// How many texts two conversations have in common. Claude ends the earlier of two prompts with a newline if there is no
/// answer between them.
fn shared_start(a: &[String], b: &[String]) -> usize {
    let same = |(a, b): &(&String, &String)| a.trim_end_matches('\n') == b.trim_end_matches('\n');
    a.iter().zip(b).take_while(same).count()
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("stub state")
    }

    /// Notes a model request. Answers its number, and what the model does.
    fn begin(&self, session: &str, turn: &Turn) -> (usize, Answer) {
        let mut state = self.lock();
        let before = state.requests.iter().filter(|r| r.prompt == turn.prompt).count();
        let delivered = state.delivered(session, &turn.said);
        state.requests.push(Request {
            session: session.to_owned(),
            said: turn.said.clone(),
            prompt: turn.prompt.clone(),
            delivered,
            began: Instant::now(),
            ended: None,
        });
        self.changed.notify_all();
        (state.requests.len() - 1, turn.answer(before))
    }

    fn end(&self, number: usize, end: End) {
        self.lock().requests[number].ended = Some((Instant::now(), end));
        self.changed.notify_all();
    }
}
