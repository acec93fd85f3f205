//! A rule's pattern, and what its groups hold: nothing is allocated for a row.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use regex_automata::PatternID;
use regex_automata::meta::{Config, Regex};
use regex_automata::util::{captures::Captures as Groups, syntax};

use super::decoder::lossy;

/// Bytes that one may take once it is compiled, as in `regex` itself.
const LARGEST: usize = 10 << 20;

#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    /// With their numbers.
    names: Vec<(String, usize)>,
    /// For the next row.
    spare: Mutex<Option<Groups>>,
}

pub struct Captures<'r> {
    pattern: &'r Pattern,
    row: &'r str,
    at: Option<Groups>,
}

impl Pattern {
    /// The error is one line.
    pub fn new(pattern: &str) -> Result<Pattern, String> {
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        let config =
            Config::new().hybrid(false).dfa(false).utf8_empty(false).nfa_size_limit(Some(LARGEST));
        let built = Regex::builder().syntax(syntax).configure(config).build(pattern);
        let regex = built.map_err(|e| match e.syntax_error() {
            Some(e) => e.to_string(),
            None => e.to_string(),
        })?;
        let groups = regex.create_captures();
        let names = groups.group_info().pattern_names(PatternID::ZERO).enumerate();
        let names = names.filter_map(|(i, name)| Some((name?.to_string(), i))).collect();
        Ok(Pattern { regex, names, spare: Mutex::new(None) })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| name.as_str())
    }

    pub fn captures<'r>(&'r self, row: &'r str) -> Option<Captures<'r>> {
        let spare = self.spare().take();
        let mut at = spare.unwrap_or_else(|| self.regex.create_captures());
        self.regex.captures(row.as_bytes(), &mut at);
        let fits = at.is_match();
        // Put back when it is dropped.
        let captures = Captures { pattern: self, row, at: Some(at) };
        fits.then_some(captures)
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Option<Groups>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Captures<'_> {
    /// The bytes of a group that took part.
    pub fn name(&self, name: &str) -> Option<&[u8]> {
        let (_, i) = self.pattern.names.iter().find(|(known, _)| known == name)?;
        let span = self.at.as_ref()?.get_group(*i)?;
        Some(&self.row.as_bytes()[span.range()])
    }

    /// What it says; what is no UTF-8 is replaced.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.name(name).map(lossy)
    }

    /// A template with the groups in the place of their `{name}`.
    pub fn fill(&self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            match after.split_once('}').filter(|(name, _)| name.chars().all(is_word)) {
                Some((name, after)) if !name.is_empty() => {
                    out.push_str(&self.text(name).unwrap_or_default());
                    rest = after;
                }
                _ => {
                    out.push('{');
                    rest = after;
                }
            }
        }
        out + rest
    }
}

impl Drop for Captures<'_> {
    fn drop(&mut self) {
        *self.pattern.spare() = self.at.take();
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_template_is_filled_with_groups() {
        let pattern = Pattern::new("^(?P<a>x+)(?P<b>y)?").expect("a pattern");
        for _ in 0..2 {
            let c = pattern.captures("xxz").expect("a match");
            assert_eq!(c.fill("{a}{b} {{a} {} {no such} {c"), "xx {xx {} {no such} {c");
            assert_eq!((c.name("a"), c.name("b"), c.name("c")), (Some(&b"xx"[..]), None, None));
        }
        assert!(pattern.captures("y").is_none());
    }
}
