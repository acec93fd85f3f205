//! An agent's settings as text: hooks of ours put in and taken out, and no other byte changed.
//!
//! The file is a person's. Read into a value and written anew it would lose the order of its keys, its numbers' spelling
//! and its layout, so what is done to it is a list of replacements.

use std::fmt;
use std::ops::Range;

use anyhow::{Context as _, anyhow, bail};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::quote;

/// A hook that the file is to have, or to have no more.
pub struct Wanted<'a> {
    /// The program's absolute path.
    pub program: &'a str,
    pub agent: &'a str,
    /// With the seconds that the agent gives the hook.
    pub events: &'a [(&'a str, u32)],
}

/// A settings file's text after a change, and what changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed {
    pub text: String,
    /// Events that got the hook, or lost it.
    pub events: Vec<String>,
    /// Hooks that were there, with another path of the program.
    pub updated: usize,
}

impl Wanted<'_> {
    /// A settings file that has these hooks and nothing else.
    pub fn settings(&self) -> anyhow::Result<String> {
        Ok(self.install("{}\n")?.text)
    }

    fn entries(&self, layout: &Layout, depth: usize) -> Vec<String> {
        self.events.iter().map(|(name, time)| self.event(name, *time, layout, depth)).collect()
    }

    /// `"Stop": [group]`
    fn event(&self, name: &str, timeout: u32, layout: &Layout, depth: usize) -> String {
        let groups =
            layout.braced('[', vec![self.group(timeout, layout, depth + 1)], ']', depth + 1);
        layout.entry(name, &groups)
    }

    fn group(&self, timeout: u32, layout: &Layout, depth: usize) -> String {
        let command = quote::line(&[self.program.into(), "--hook".into(), self.agent.into()]);
        let hook = [
            layout.entry("type", &json("command")),
            layout.entry("command", &json(&command)),
            layout.entry("timeout", &timeout.to_string()),
        ];
        let one_line = if layout.unit.is_some() { ", " } else { "," };
        let hook = format!("{{{}}}", hook.join(one_line));
        let hooks = layout.entry("hooks", &layout.braced('[', vec![hook], ']', depth + 2));
        layout.braced('{', vec![hooks], '}', depth + 1)
    }

    /// Where the program stands in a command that is a call of ours, however it is quoted and whatever follows.
    fn program_in(&self, command: &str) -> Option<(Range<usize>, String)> {
        let assignment = |w: &str| w.split_once('=').is_some_and(|(n, _)| !n.contains('/'));
        let mut words = quote::words(command).into_iter().skip_while(|(_, w)| assignment(w));
        let program = words.next()?;
        let named = program.1.rsplit('/').next() == self.program.rsplit('/').next();
        let rest: Vec<String> = words.map(|(_, w)| w).collect();
        let asks = rest.windows(2).any(|w| w[0] == "--hook" && w[1] == self.agent)
            || rest.contains(&format!("--hook={}", self.agent));
        (named && asks).then_some(program)
    }

    /// The text with a hook at every wanted event.
    pub fn install(&self, text: &str) -> anyhow::Result<Changed> {
        let top = Object::read(text, whole(text)).context("no JSON object: put it right first")?;
        let layout = Layout::of(text);
        let mut edits = Vec::new();
        let Some(hooks) = top.get("hooks")? else {
            let entry =
                layout.entry("hooks", &layout.braced('{', self.entries(&layout, 2), '}', 2));
            edits.push(append(&top.inside, top.last(), &layout, vec![entry], 1));
            let events = self.events.iter().map(|(name, _)| (*name).to_owned()).collect();
            return Ok(Changed { text: apply(text, edits), events, updated: 0 });
        };
        let hooks = Events::read(text, hooks)?;
        let mut updated = 0;
        for hook in hooks.hooks() {
            if let Some((at, was)) = self.program_in(&hook.command)
                && was != self.program
            {
                let mut command = hook.command.clone();
                command.replace_range(at, &quote::line(&[self.program.into()]));
                edits.push((hook.at.clone(), json(&command)));
                updated += 1;
            }
        }
        let mut events = Vec::new();
        let mut entries = Vec::new();
        for (name, timeout) in self.events {
            match hooks.events.iter().find(|e| e.name == *name) {
                None => entries.push(self.event(name, *timeout, &layout, 2)),
                Some(e) if e.hooks().any(|h| self.program_in(&h.command).is_some()) => continue,
                Some(e) => {
                    let last = e.groups.last().map(|g| g.span.end);
                    let group = self.group(*timeout, &layout, 3);
                    edits.push(append(&e.inside, last, &layout, vec![group], 3));
                }
            }
            events.push((*name).to_owned());
        }
        if !entries.is_empty() {
            edits.push(append(&hooks.object.inside, hooks.object.last(), &layout, entries, 2));
        }
        Ok(Changed { text: apply(text, edits), events, updated })
    }

    /// The text without hooks of ours, and without what is empty then and was not before.
    pub fn uninstall(&self, text: &str) -> anyhow::Result<Changed> {
        let top = Object::read(text, whole(text)).context("no JSON object: put it right first")?;
        let mut changed = Changed { text: text.to_owned(), events: Vec::new(), updated: 0 };
        let Some(at) = top.get("hooks")? else { return Ok(changed) };
        let hooks = Events::read(text, at.clone())?;
        let mut edits = Vec::new();
        let mut no_events = Vec::new();
        for event in &hooks.events {
            let mut no_groups = Vec::new();
            for group in &event.groups {
                let ours = |h: &Hook| self.program_in(&h.command).is_some();
                let goes: Vec<bool> = group.hooks.iter().map(ours).collect();
                let spans: Vec<_> = group.hooks.iter().map(|h| h.span.clone()).collect();
                no_groups.push(remove(&mut edits, &spans, &goes, &group.span));
                if goes.contains(&true) && changed.events.last() != Some(&event.name) {
                    changed.events.push(event.name.clone());
                }
            }
            let spans: Vec<_> = event.groups.iter().map(|g| g.span.clone()).collect();
            no_events.push(remove(&mut edits, &spans, &no_groups, &event.span));
        }
        let spans: Vec<_> = hooks.events.iter().map(|e| e.span.clone()).collect();
        let none = remove(&mut edits, &spans, &no_events, &at);
        let goes: Vec<bool> = top.entries.iter().map(|e| none && e.key == "hooks").collect();
        let spans: Vec<_> = top.entries.iter().map(|e| e.span.clone()).collect();
        if remove(&mut edits, &spans, &goes, &top.inside) {
            edits = vec![(top.inside, String::new())];
        }
        changed.text = apply(text, edits);
        Ok(changed)
    }
}

type Edit = (Range<usize>, String);

/// Takes items out of a list, unless all of them go: then the list itself does, and that is the answer.
fn remove(
    edits: &mut Vec<Edit>,
    items: &[Range<usize>],
    goes: &[bool],
    list: &Range<usize>,
) -> bool {
    if goes.contains(&true) && !goes.contains(&false) {
        edits.retain(|(at, _)| at.start < list.start || at.end > list.end);
        return true;
    }
    for i in (0..items.len()).filter(|i| goes[*i]) {
        // with the comma before it; what leads the list, with the one after it
        edits.retain(|(at, _)| at.start < items[i].start || at.end > items[i].end);
        let leads = !goes[..i].contains(&false);
        let at =
            if leads { items[i].start..items[i + 1].start } else { items[i - 1].end..items[i].end };
        edits.push((at, String::new()));
    }
    false
}

/// Items behind the last one of a list, or into an empty one.
fn append(
    inside: &Range<usize>,
    last: Option<usize>,
    layout: &Layout,
    items: Vec<String>,
    depth: usize,
) -> Edit {
    let line = layout.line(depth);
    let list: Vec<String> = items.iter().map(|i| format!("{line}{i}")).collect();
    match last {
        Some(end) => (end..end, format!(",{}", list.join(","))),
        None => (inside.clone(), format!("{}{}", list.join(","), layout.line(depth - 1))),
    }
}

fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(at, _)| at.start);
    let mut out = text.to_owned();
    for (at, new) in edits.into_iter().rev() {
        out.replace_range(at, &new);
    }
    out
}

/// How a file is laid out: what one step of indentation is; none where it is all on one line.
struct Layout {
    unit: Option<String>,
}

impl Layout {
    /// As the first key of the file has it; two blanks where there is none.
    fn of(text: &str) -> Layout {
        let inner = text.trim_start().trim_start_matches('{');
        let blank = &inner[..inner.len() - inner.trim_start().len()];
        let unit = blank.rsplit_once('\n').map(|(_, unit)| unit.to_owned());
        Layout { unit: if inner.trim() == "}" { Some("  ".into()) } else { unit } }
    }

    fn line(&self, depth: usize) -> String {
        self.unit.as_ref().map_or(String::new(), |u| format!("\n{}", u.repeat(depth)))
    }

    fn entry(&self, key: &str, value: &str) -> String {
        format!("{}:{}{value}", json(key), if self.unit.is_some() { " " } else { "" })
    }

    /// `depth`: of the items.
    fn braced(&self, open: char, items: Vec<String>, close: char, depth: usize) -> String {
        let line = self.line(depth);
        let items: Vec<String> = items.iter().map(|i| format!("{line}{i}")).collect();
        format!("{open}{}{}{close}", items.join(","), self.line(depth - 1))
    }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A JSON object in its text: entries in their order.
struct Object {
    entries: Vec<Entry>,
    /// Between its braces.
    inside: Range<usize>,
}

struct Entry {
    key: String,
    value: Range<usize>,
    /// From the key to the value's end.
    span: Range<usize>,
}

impl Object {
    fn read(text: &str, at: Range<usize>) -> anyhow::Result<Object> {
        let Pairs(pairs) = serde_json::from_str(&text[at.clone()])?;
        let inside = at.start + 1..at.end - 1;
        let mut end = inside.start;
        let mut entries = Vec::new();
        for (key, value) in pairs {
            let value = place(text, value);
            let start = past_comma(text, end);
            end = value.end;
            entries.push(Entry { key, span: start..end, value });
        }
        Ok(Object { entries, inside })
    }

    /// Where the value of that key is; a key that is there twice could mean either.
    fn get(&self, key: &str) -> anyhow::Result<Option<Range<usize>>> {
        let mut found = self.entries.iter().filter(|e| e.key == key);
        let value = found.next().map(|e| e.value.clone());
        if found.next().is_some() {
            bail!("it has {key:?} twice: take one out first");
        }
        Ok(value)
    }

    fn last(&self) -> Option<usize> {
        self.entries.last().map(|e| e.span.end)
    }
}

/// What stands under `hooks`: events, each with groups, each with hooks.
struct Events {
    object: Object,
    events: Vec<Event>,
}

struct Event {
    name: String,
    groups: Vec<Group>,
    span: Range<usize>,
    inside: Range<usize>,
}

struct Group {
    hooks: Vec<Hook>,
    span: Range<usize>,
}

struct Hook {
    command: String,
    /// The command's place; the hook's own where it has none.
    at: Range<usize>,
    span: Range<usize>,
}

impl Events {
    fn read(text: &str, at: Range<usize>) -> anyhow::Result<Events> {
        // where serde finds the fault is counted from the part's beginning: of no use to a reader
        let object = Object::read(text, at)
            .map_err(|_| anyhow!("its \"hooks\" is no object: put it right first"))?;
        let mut events = Vec::new();
        for e in &object.entries {
            object.get(&e.key)?;
            let read = || -> anyhow::Result<Vec<Group>> {
                elements(text, &e.value)?.into_iter().map(|g| Group::read(text, g)).collect()
            };
            let groups = read().map_err(|_| {
                let name = &e.key;
                anyhow!("its hooks of {name:?} are no list of {{\"hooks\": [{{...}}]}}: put that right first")
            })?;
            events.push(Event {
                name: e.key.clone(),
                groups,
                span: e.span.clone(),
                inside: e.value.start + 1..e.value.end - 1,
            });
        }
        Ok(Events { object, events })
    }

    fn hooks(&self) -> impl Iterator<Item = &Hook> {
        self.events.iter().flat_map(Event::hooks)
    }
}

impl Event {
    fn hooks(&self) -> impl Iterator<Item = &Hook> {
        self.groups.iter().flat_map(|g| &g.hooks)
    }
}

impl Group {
    fn read(text: &str, span: Range<usize>) -> anyhow::Result<Group> {
        let object = Object::read(text, span.clone())?;
        let hooks = object.get("hooks")?.context("no \"hooks\"")?;
        let mut all = Vec::new();
        for span in elements(text, &hooks)? {
            let at = Object::read(text, span.clone())?.get("command")?;
            // hooks of other kinds have none, or something else there
            let command = at.clone().and_then(|at| serde_json::from_str(&text[at]).ok());
            let at = at.unwrap_or_else(|| span.clone());
            all.push(Hook { command: command.unwrap_or_default(), at, span });
        }
        Ok(Group { hooks: all, span })
    }
}

fn elements(text: &str, at: &Range<usize>) -> anyhow::Result<Vec<Range<usize>>> {
    let all: Vec<&RawValue> = serde_json::from_str(&text[at.clone()])?;
    Ok(all.into_iter().map(|v| place(text, v)).collect())
}

fn whole(text: &str) -> Range<usize> {
    const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];
    let start = text.len() - text.trim_start_matches(BLANK).len();
    start..text.trim_end_matches(BLANK).len().max(start)
}

/// Where a value that was read from the text stands in it.
fn place(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
    start..start + value.get().len()
}

fn past_comma(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    at + rest.len() - rest.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace()).len()
}

/// The entries of an object as they stand there, repeated keys too.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs<'de>, M::Error> {
                let mut all = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    all.push(pair);
                }
                Ok(Pairs(all))
            }
        }
        d.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const WANTED: Wanted = Wanted {
        program: "/opt/it's here/orch-feedback",
        agent: "claude",
        events: &[("SessionStart", 10), ("Stop", 3)],
    };

    fn installed(text: &str) -> String {
        WANTED.install(text).expect("installs").text
    }

    fn uninstalled(text: &str) -> String {
        WANTED.uninstall(text).expect("uninstalls").text
    }

    #[test]
    fn what_is_not_ours_keeps_every_byte() {
        let text = "{\n\t\"z\" : 1.50e+3,\n\t\"a\": 12345678901234567890123,\n\t\"hooks\": {\"Stop\": [ {\"matcher\":\"\",\"hooks\":[{\"type\":\"prompt\",\"x\":1}]} ] , \"New\":[]},\n\t\"\\u0061b\": null\n}\r\n";
        let with = installed(text);
        assert!(with.starts_with("{\n\t\"z\" : 1.50e+3,\n\t\"a\": 12345678901234567890123,\n\t\"hooks\": {\"Stop\": [ {\"matcher\":\"\",\"hooks\":[{\"type\":\"prompt\",\"x\":1}]},"));
        assert!(with.ends_with(",\n\t\"\\u0061b\": null\n}\r\n"), "{with}");
        let changed = WANTED.install(&with).expect("again");
        assert_eq!((changed.text, changed.events.len(), changed.updated), (with.clone(), 0, 0));
        assert_eq!(uninstalled(&with), text);
    }

    #[test]
    fn an_older_call_gets_the_new_path_and_keeps_what_was_added_to_it() {
        let text = r#"{"hooks":{"Stop":[{"hooks":[{"command":"A=1 '/old path/orch-feedback' --hook claude --db /x || true"}]}],
            "PostToolUse":[{"hooks":[{"command":"orch-feedback --hook=claude"},{"command":"sh orch-feedback --hook claude"},
            {"command":"orch-feedback --hook codex"},{"command":"orch-feedback --task 1; x --hook claude"}]}]}}"#;
        let changed = WANTED.install(text).expect("installs");
        assert_eq!((changed.events, changed.updated), (vec!["SessionStart".to_owned()], 2));
        let v: Value = serde_json::from_str(&changed.text).expect("JSON");
        let commands = |event: &str| v["hooks"][event][0]["hooks"].clone();
        let program = quote::word(WANTED.program);
        assert_eq!(
            commands("Stop")[0]["command"],
            format!("A=1 {program} --hook claude --db /x || true")
        );
        assert_eq!(commands("PostToolUse")[0]["command"], format!("{program} --hook=claude"));
        assert_eq!(commands("PostToolUse")[1]["command"], "sh orch-feedback --hook claude");
        let left: Value = serde_json::from_str(&uninstalled(&changed.text)).expect("JSON");
        let others = &v["hooks"]["PostToolUse"][0]["hooks"].as_array().expect("list")[1..];
        assert_eq!(left, json!({"hooks": {"PostToolUse": [{"hooks": others}]}}));
    }

    #[test]
    fn another_shape_is_refused() {
        for text in [
            "",
            " ",
            "[]",
            "null",
            "{",
            "{} x",
            "{\"a\":1,}",
            "// c\n{}",
            "\u{feff}{}",
            "\u{a0}{}",
            r#"{"hooks":null}"#,
            r#"{"hooks":[]}"#,
            r#"{"hooks":{"Stop":{}}}"#,
            r#"{"hooks":{"Stop":["x"]}}"#,
            r#"{"hooks":{"Stop":[{}]}}"#,
            r#"{"hooks":{"Other":[{"hooks":{}}]}}"#,
            r#"{"hooks":{"Stop":[{"hooks":["x"]}]}}"#,
            r#"{"hooks":{},"hooks":{}}"#,
            r#"{"hooks":{"Stop":[],"Stop":[]}}"#,
        ] {
            assert!(WANTED.install(text).is_err(), "{text}");
            let untouched = WANTED.uninstall(text).is_ok_and(|c| c.text == text);
            assert!(WANTED.uninstall(text).is_err() || untouched, "{text}");
        }
    }

    /// Hooks as people write them, ours among them.
    fn hooks() -> impl Strategy<Value = Value> {
        let hook = prop_oneof![
            Just(json!({"type": "command", "command": "x", "n": 1.5})),
            Just(json!({"type": "prompt"})),
            Just(json!({"command": "orch-feedback --hook claude", "type": "command"})),
            Just(json!({"command": "/old/orch-feedback --hook claude || true"})),
        ];
        let group = prop::collection::vec(hook, 0..4).prop_map(|h| json!({"hooks": h, "m": ""}));
        let groups = prop::collection::vec(group, 0..3);
        let name = prop::sample::select(vec!["Stop", "SessionStart", "Other", "Ünder"]);
        prop::collection::btree_map(name, groups, 0..4).prop_map(|m| json!(m))
    }

    fn is_ours(hook: &Value) -> bool {
        hook["command"].as_str().is_some_and(|c| c.contains("orch-feedback"))
    }

    /// The same, done on values.
    fn without_ours(hooks: &Value) -> Option<Value> {
        let mut left = serde_json::Map::new();
        for (event, groups) in hooks.as_object().expect("object") {
            let groups = groups.as_array().expect("list");
            let stays = |g: &Value| {
                let mut g = g.clone();
                let hooks = g["hooks"].as_array_mut().expect("list");
                let before = hooks.len();
                hooks.retain(|h| !is_ours(h));
                (before == 0 || !hooks.is_empty()).then_some(g)
            };
            let kept: Vec<Value> = groups.iter().filter_map(stays).collect();
            if groups.is_empty() || !kept.is_empty() {
                left.insert(event.clone(), kept.into());
            }
        }
        (hooks == &json!({}) || !left.is_empty()).then(|| left.into())
    }

    proptest! {
        #[test]
        fn installed_it_is_there_once_and_uninstalled_as_if_it_had_never_been(
            hooks in prop::option::of(hooks()), before: bool, after: bool, pretty: bool,
        ) {
            let mut v = json!({});
            if before { v["a"] = json!(1); }
            if let Some(h) = &hooks { v["hooks"] = h.clone(); }
            if after { v["z"] = json!({"b": [1, 2]}); }
            let text = if pretty { format!("{v:#}\n") } else { v.to_string() };

            let with = installed(&text);
            let w: Value = serde_json::from_str(&with).expect("JSON");
            for (event, _) in WANTED.events {
                let all = w["hooks"][event].as_array().expect("groups").iter();
                let ours = all.flat_map(|g| g["hooks"].as_array().expect("hooks")).filter(|h| is_ours(h));
                prop_assert!(ours.count() >= 1, "{event}: {with}");
            }
            prop_assert_eq!(installed(&with), with.clone());
            prop_assert!(!with.contains("/old/"));

            let mut left = v.clone();
            match hooks.as_ref().map(without_ours) {
                Some(Some(h)) => left["hooks"] = h,
                _ => { left.as_object_mut().expect("object").remove("hooks"); }
            }
            let direct: Value = serde_json::from_str(&uninstalled(&text)).expect("JSON");
            prop_assert_eq!(&direct, &left);
            let gone = uninstalled(&with);
            prop_assert!(!gone.contains("orch-feedback"));
            prop_assert_eq!(uninstalled(&gone), gone.clone());
            let has_none = hooks.as_ref().is_none_or(|h| !h.to_string().contains("orch-feedback"));
            let no_empties = hooks.as_ref().is_none_or(|h| {
                h != &json!({}) && h.as_object().expect("object").values().all(|g| g != &json!([]))
            });
            if has_none && no_empties && v != json!({}) {
                prop_assert_eq!(gone, text);
            }
        }
    }
}
