//! What every input owes, whatever its bytes: no panic, numbered events, one end, and the same
//! events however it is cut.

use orch::event::Event;
use orch::extract::{Extractor, Format};

/// The first byte says where the rest is cut.
pub fn check(format: Format, data: &[u8]) {
    let Some((cut, input)) = data.split_first() else { return };
    let whole = events(format, &[input]);
    for (i, event) in whole.iter().enumerate() {
        assert_eq!(event.seq, i as u64 + 1);
    }
    let ends = whole.iter().filter(|e| e.body.task_end().is_some()).count();
    let last = whole.last().is_some_and(|e| e.body.task_end().is_some());
    match format {
        Format::Hook => assert_eq!(ends, 0),
        Format::Auto if ends == 0 => {}
        _ => assert!(ends == 1 && last),
    }
    // Half of them: a second run costs as much as the first.
    if cut % 2 == 0 && !input.is_empty() {
        let at = usize::from(*cut) * input.len() / 256;
        assert_eq!(events(format, &[&input[..at], &input[at..]]), whole);
    }
}

fn events(format: Format, pieces: &[&[u8]]) -> Vec<Event> {
    let (mut extractor, mut out) = (Extractor::new(format), Vec::new());
    for piece in pieces {
        extractor.push(piece, &mut out);
    }
    extractor.finish(None, &mut out);
    out
}
