//! Tool calls whose result is awaited.

use std::collections::HashMap;

use serde_json::Value;

use super::phrase::clip;

/// Bytes of all of them; what opens beyond these is not kept, and its result tells no command.
const MOST: usize = 2 << 20;
/// Bytes of one command, and of an entry apart from its words.
const LONGEST: usize = 64 << 10;
const ENTRY: usize = 128;

/// How far the list of things to do is, where a call's input has one.
pub fn todos(input: &Value) -> Option<String> {
    let todos = input.get("todos")?.as_array()?;
    let done = todos.iter().filter(|t| t["status"] == "completed").count();
    Some(format!("{done}/{} todos", todos.len()))
}

#[derive(Default)]
pub struct Calls {
    open: HashMap<String, Call>,
    bytes: usize,
}

#[derive(Default)]
pub struct Call {
    pub name: String,
    /// The command, or the path.
    pub object: String,
}

impl Calls {
    pub fn open(&mut self, id: &str, name: &str, object: &str) {
        self.close(id);
        let call = Call { name: name.to_string(), object: clip(object, LONGEST) };
        let size = call.size(id);
        if self.bytes + size <= MOST {
            self.bytes += size;
            self.open.insert(id.to_string(), call);
        }
    }

    pub fn close(&mut self, id: &str) -> Option<Call> {
        let call = self.open.remove(id)?;
        self.bytes -= call.size(id);
        Some(call)
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

impl Call {
    fn size(&self, id: &str) -> usize {
        ENTRY + id.len() + self.name.len() + self.object.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Calls, MOST};

    #[test]
    fn what_is_open_is_bounded_together() {
        let (mut calls, long) = (Calls::default(), "x".repeat(1 << 20));
        calls.open("a", "Bash", "ls");
        (0..100).for_each(|i| calls.open(&format!("{i}{long}"), "Bash", &long));
        (0..100).for_each(|i| calls.open(&i.to_string(), "Bash", &long));
        assert!(calls.bytes <= MOST && calls.open.len() < 50, "{}", calls.bytes);
        assert_eq!(calls.close("a").map(|c| c.object).as_deref(), Some("ls"));
        let ids: Vec<String> = calls.open.keys().cloned().collect();
        ids.iter().for_each(|id| assert!(calls.close(id).is_some()));
        assert!(calls.is_empty() && calls.bytes == 0);
    }
}
