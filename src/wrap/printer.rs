//! What is shown goes out on a thread of its own: a reader that stands still stops the command, and neither the clock nor
//! a signal nor the record.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes not yet shown, from which on no more of the command's output is read.
const FULL: usize = 1 << 20;

pub(super) struct Printer {
    lines: Sender<Vec<u8>>,
    backlog: Arc<Backlog>,
}

/// How many bytes are still to be shown.
#[derive(Default)]
pub(super) struct Backlog {
    bytes: Mutex<usize>,
    less: Condvar,
}

impl Backlog {
    fn bytes(&self) -> MutexGuard<'_, usize> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for more.
    pub(super) fn await_room(&self) {
        let full = |n: &mut usize| *n >= FULL;
        drop(self.less.wait_while(self.bytes(), full).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Printer {
    pub(super) fn new() -> Printer {
        let (lines, receive) = channel();
        let backlog = Arc::new(Backlog::default());
        let of = Arc::clone(&backlog);
        std::thread::spawn(move || print(&receive, &of));
        Printer { lines, backlog }
    }

    pub(super) fn backlog(&self) -> Arc<Backlog> {
        Arc::clone(&self.backlog)
    }

    pub(super) fn show(&self, bytes: Vec<u8>) {
        *self.backlog.bytes() += bytes.len();
        // the thread ends with this sender and not before
        let _ = self.lines.send(bytes);
    }

    /// Waits until everything is shown, or `stop` says so; it is asked twenty times a second.
    pub(super) fn drain(&self, mut stop: impl FnMut() -> bool) {
        let mut left = self.backlog.bytes();
        while *left > 0 && !stop() {
            let waited = self.backlog.less.wait_timeout(left, Duration::from_millis(50));
            left = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn print(lines: &Receiver<Vec<u8>>, backlog: &Backlog) {
    for bytes in lines {
        let mut out = std::io::stdout().lock();
        // a reader that is gone does not stop the work
        let _ = out.write_all(&bytes).and_then(|()| out.flush());
        *backlog.bytes() -= bytes.len();
        backlog.less.notify_all();
    }
}
