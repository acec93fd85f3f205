//! Rules are data (orch-rules(5)): what a row must look like, and what it then says.

use std::fmt;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use serde::Deserialize;

use super::capture::{Captures, Pattern};
use super::examples;
use super::filter::{Filter, WORD, has_place, lead, trim_end, untag};
use crate::event::Severity;

/// The rules of the house. Within a kind the first that fits a row decides.
const EMBEDDED: [&str; 5] = [
    include_str!("rules/tests.toml"),
    include_str!("rules/verdicts.toml"),
    include_str!("rules/metrics.toml"),
    include_str!("rules/traces.toml"),
    include_str!("rules/errors.toml"),
];

/// A row longer than this fits no rule.
pub const LONGEST: usize = 4000;
/// Rows for which a context stays open.
const REACH: u64 = 40;
/// More rules, or literals of them, than any file has.
const MOST: usize = 2000;

/// The names that groups of a pattern may have, apart from those in a rule's `message`.
const GROUPS: [&str; 32] = [
    "file",
    "line",
    "column",
    "severity",
    "code",
    "code2",
    "code3",
    "message",
    "tool",
    "frame",
    "margin",
    "head",
    "bad",
    "passed",
    "failed",
    "errors",
    "skipped",
    "total",
    "start",
    "first",
    "first_total",
    "value",
    "unit",
    "hours",
    "minutes",
    "seconds",
    "ms",
    "name",
    "word",
    "counts",
    "directive",
    "not",
];

static CURRENT: OnceLock<Rules> = OnceLock::new();

/// A pattern that the source itself holds. Its words are of ASCII: with others no automaton can be
/// used where any letter of the text is not.
pub fn regex(pattern: &str) -> regex::Regex {
    let pattern = pattern.replace(r"\b", r"(?-u:\b)");
    regex::Regex::new(&pattern).expect("a pattern of the source")
}

/// What a rule's row is. The order is that in which kinds are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Tests,
    Verdict,
    Milestone,
    Metric,
    /// An error, warning or note.
    Error,
    /// A row that only says something for a later one.
    Part,
}

/// Who says how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The job as a whole, said by what runs it.
    Job,
    /// A build tool or a command within it.
    Build,
    /// Words that often stand for the end.
    Phrase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Says {
    Good,
    Bad,
    /// The group `code`: 0 is good.
    Code,
    /// Bad if the group `bad` took part.
    Named,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Span {
    /// The row is the whole summary.
    #[default]
    Whole,
    /// Rows of one run follow each other and add up (a binary, a module each).
    Part,
    /// One count a row; a summary has several rows.
    Row,
}

/// How a summary pairs counts with their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Counts {
    /// `3 passed, 1 failed`
    Words,
    /// `Passed: 3, Failed: 1`
    Labels,
    /// Groups of the pattern.
    #[default]
    Groups,
}

/// Rows of runs that are told by several of different looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    UnittestRan,
    UnittestEnd,
    GoTest,
    GoPackage,
    Tap,
    TapPlan,
    CargoRun,
    CargoFailed,
    CargoBinary,
    Files,
}

/// A rule as its file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    name: String,
    kind: Kind,
    #[serde(default)]
    holds: Vec<String>,
    #[serde(default)]
    starts: Vec<String>,
    #[serde(default)]
    ends: Vec<String>,
    #[serde(default)]
    place: bool,
    pattern: String,
    tool: Option<String>,
    severity: Option<Severity>,
    message: Option<String>,
    when: Option<String>,
    opens: Option<String>,
    #[serde(default)]
    adds: bool,
    #[serde(default)]
    keep: bool,
    reach: Option<u64>,
    #[serde(default)]
    user: bool,
    #[serde(default)]
    unescape: bool,
    framework: Option<String>,
    #[serde(default)]
    span: Span,
    #[serde(default)]
    counts: Counts,
    step: Option<Step>,
    weight: Option<Weight>,
    says: Option<Says>,
    metric: Option<String>,
    unit: Option<String>,
    #[serde(default)]
    yes: Vec<Vec<String>>,
    #[serde(default)]
    no: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Source>,
}

#[derive(Debug)]
pub struct Rule {
    pub name: String,
    pub kind: Kind,
    /// Not of the house.
    own: bool,
    /// Of an error: empty is guessed from what it says and of which file.
    pub tool: String,
    /// Of an error whose pattern has no such group.
    pub severity: Severity,
    /// What an error or a milestone says, with `{group}`s; without it the group `message`.
    pub message: Option<String>,
    /// The row counts only while this context is open, and takes what it knows.
    pub when: Option<usize>,
    /// What this row says is kept in this context.
    pub opens: Option<usize>,
    /// To what is there, the first words and the last place; else in its stead.
    pub adds: bool,
    /// The context of `when` stays open.
    pub keep: bool,
    pub reach: u64,
    /// A file of the language or of a package does not count.
    pub user: bool,
    /// Its groups are written as in GitHub's commands: `%0A`.
    pub unescape: bool,
    pub framework: String,
    pub span: Span,
    pub counts: Counts,
    pub step: Option<Step>,
    pub weight: Weight,
    pub says: Says,
    pub metric: String,
    pub unit: Option<String>,
    /// Rows, and the event that they give (none of a part).
    pub yes: Vec<(String, Option<String>)>,
    /// Rows that are none of this rule's.
    pub no: Vec<String>,
    holds: Vec<String>,
    starts: Vec<String>,
    ends: Vec<String>,
    /// Its rows begin with the place, so that `holds` is asked only of such rows.
    place: bool,
    pattern: String,
    regex: OnceLock<Pattern>,
}

/// A set of rules, ready to be asked.
pub struct Rules {
    pub rules: Vec<Rule>,
    pub contexts: Vec<String>,
    pub filter: Filter,
    holds: Holders,
    /// The same of rules whose rows begin with a place.
    placed: Holders,
    /// Rules without a literal: they have a context.
    bare: Vec<u16>,
    /// Rules without a literal for rows that begin with a place.
    places: Vec<u16>,
}

/// Literals of `holds`, and whose they are.
struct Holders {
    searcher: AhoCorasick,
    rules: Vec<u16>,
}

impl Holders {
    fn new(of: &[(&[u8], u16)]) -> Option<Holders> {
        let searcher = AhoCorasick::builder()
            .kind(Some(aho_corasick::AhoCorasickKind::DFA))
            .build(of.iter().map(|(literal, _)| literal))
            .ok()?;
        Some(Holders { searcher, rules: of.iter().map(|(_, rule)| *rule).collect() })
    }

    fn find(&self, row: &[u8], found: &mut Vec<u16>) {
        let hits = self.searcher.find_overlapping_iter(row);
        found.extend(hits.map(|hit| self.rules[hit.pattern().as_usize()]));
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rules", self.rules.len())
    }
}

/// The rules of this process: those of the house, and what `extend` was given.
pub fn current() -> &'static Rules {
    CURRENT.get_or_init(|| Rules::new("").expect("the rules of the house"))
}

/// Puts the rules of a file before those of the house; one of the same name takes its place.
/// To be called once, before anything is read. The error is one line.
pub fn extend(text: &str) -> Result<(), String> {
    let rules = Rules::new(text)?;
    CURRENT.set(rules).map_err(|_| "rules are already in use".to_string())?;
    let rules = current();
    let own = rules.rules.iter().filter(|rule| rule.own);
    own.into_iter().try_for_each(|rule| {
        examples::check(rules, rule).map_err(|e| format!("{}: {e}", rule.name))
    })
}

impl Rules {
    pub fn new(own: &str) -> Result<Rules, String> {
        let mut sources = parse(own)?;
        let owned = sources.len();
        for text in EMBEDDED {
            for source in parse(text)? {
                if !sources[..owned].iter().any(|s| s.name == source.name) {
                    sources.push(source);
                }
            }
        }
        let mut contexts = Vec::new();
        let mut rules = Vec::new();
        for (i, source) in sources.into_iter().enumerate() {
            let name = source.name.clone();
            let mut rule = Rule::new(source, &mut contexts).map_err(|e| format!("{name}: {e}"))?;
            rule.own = i < owned;
            if rule.own {
                let compiled = rule.compile().map_err(|e| format!("{name}: {e}"))?;
                if let Some(group) = compiled.names().find(|group| !rule.reads(group)) {
                    return Err(format!("{name}: pattern: nothing reads a group `{group}`"));
                }
                rule.regex = OnceLock::from(compiled);
            }
            rules.push(rule);
        }
        rules.sort_by_key(|r: &Rule| r.kind.min(Kind::Error));
        Rules::index(rules, contexts).ok_or_else(|| "too many rules".to_string())
    }

    fn index(rules: Vec<Rule>, contexts: Vec<String>) -> Option<Rules> {
        if rules.len() > MOST {
            return None;
        }
        let (mut holds, mut placed) = (Vec::new(), Vec::new());
        // A fence of Markdown begins so, or in a quote.
        let fences = ["```", "~~~", "> `", "> ~", ">``", ">~~"].map(|l| (l.into(), None));
        let (mut starts, mut later, mut ends) = (Vec::from(fences), Vec::new(), Vec::new());
        let (mut bare, mut places) = (Vec::new(), Vec::new());
        for (i, rule) in rules.iter().enumerate() {
            let i = u16::try_from(i).ok()?;
            for literal in &rule.holds {
                let of = if rule.place { &mut placed } else { &mut holds };
                of.push((literal.as_bytes(), i));
            }
            let edge = |literal: &String| (literal.clone().into_bytes(), Some(i));
            let mine = if rule.when.is_some() { &mut later } else { &mut starts };
            mine.extend(rule.starts.iter().map(edge));
            ends.extend(rule.ends.iter().map(edge));
            if rule.holds.is_empty() && rule.starts.is_empty() && rule.ends.is_empty() {
                if rule.place { places.push(i) } else { bare.push(i) }
            }
        }
        let free: Vec<&[u8]> = holds.iter().map(|(literal, _)| *literal).collect();
        let filter = Filter::new(&free, [&starts, &later, &ends])?;
        Some(Rules {
            contexts,
            filter,
            holds: Holders::new(&holds)?,
            placed: Holders::new(&placed)?,
            bare,
            places,
            rules,
        })
    }

    /// Gathers the rules, in their order, whose literals this row has.
    pub fn candidates(&self, row: &[u8], bare: bool, found: &mut Vec<u16>) {
        found.clear();
        let row = trim_end(row);
        if row.len() > LONGEST {
            return;
        }
        if self.filter.holds(row) {
            self.holds.find(row, found);
        }
        let whole = lead(row);
        let behind = untag(whole);
        self.filter.rules(row, [whole, behind], found);
        if has_place(whole) || has_place(behind) {
            self.placed.find(row, found);
            found.extend(&self.places);
        }
        if bare {
            found.extend(&self.bare);
        }
        found.sort_unstable();
        found.dedup();
    }

    /// The contexts in which a rule without literals waits.
    pub fn hungry(&self) -> Vec<usize> {
        let bare = self.bare.iter().map(|i| &self.rules[usize::from(*i)]);
        let mut contexts: Vec<usize> = bare.filter_map(|rule| rule.when).collect();
        contexts.sort_unstable();
        contexts.dedup();
        contexts
    }
}

impl Rule {
    fn new(s: Source, contexts: &mut Vec<String>) -> Result<Rule, String> {
        let need = |what: &str| format!("{what} is missing");
        if s.name.is_empty() {
            return Err(need("name"));
        }
        let literals = s.holds.iter().chain(&s.starts).chain(&s.ends);
        if literals.clone().any(String::is_empty) || s.holds.iter().any(|l| l.len() < 2) {
            return Err("a literal is too short".into());
        }
        if literals.clone().any(|l| l.contains(['\n', '\r'])) {
            return Err("a literal holds a line end".into());
        }
        if literals.clone().next().is_none() && !s.place && s.when.is_none() {
            return Err("holds, starts, ends or place is missing".into());
        }
        if s.starts.iter().any(|l| l.starts_with('…')) {
            return Err("a literal begins with a word".into());
        }
        let blank = |c: char| matches!(c, ' ' | '\t');
        if s.starts.iter().any(|l| l.starts_with(blank))
            || s.ends.iter().any(|l| l.ends_with(blank))
        {
            return Err("blanks at the edge of a row are not looked at".into());
        }
        match s.kind {
            Kind::Tests if s.framework.is_none() && s.step.is_none() => {
                return Err(need("framework"));
            }
            Kind::Verdict if s.weight.is_none() => return Err(need("weight")),
            Kind::Verdict if s.says.is_none() => return Err(need("says")),
            Kind::Metric if s.metric.is_none() => return Err(need("metric")),
            Kind::Part if s.opens.is_none() && s.when.is_none() => return Err(need("opens")),
            Kind::Part | Kind::Error => {}
            Kind::Metric if s.opens.is_none() => {}
            _ if s.when.is_some() || s.opens.is_some() => {
                return Err("only kinds error, part and metric have contexts".into());
            }
            _ => {}
        }
        let mut context = |name: Option<String>| {
            name.map(|name| {
                contexts.iter().position(|c| *c == name).unwrap_or_else(|| {
                    contexts.push(name);
                    contexts.len() - 1
                })
            })
        };
        let yes = s.yes.into_iter().map(|mut pair| match (pair.len(), pair.pop()) {
            (1, Some(text)) => Ok((text, None)),
            (2, gives) => Ok((pair.swap_remove(0), gives)),
            _ => Err("an example of yes is rows, or rows and what they give".to_string()),
        });
        Ok(Rule {
            when: context(s.when),
            opens: context(s.opens),
            yes: yes.collect::<Result<_, _>>()?,
            name: s.name,
            kind: s.kind,
            own: false,
            tool: s.tool.unwrap_or_default(),
            severity: s.severity.unwrap_or(Severity::Error),
            message: s.message,
            adds: s.adds,
            keep: s.keep,
            reach: s.reach.unwrap_or(REACH),
            user: s.user,
            unescape: s.unescape,
            framework: s.framework.unwrap_or_default(),
            span: s.span,
            counts: s.counts,
            step: s.step,
            weight: s.weight.unwrap_or(Weight::Phrase),
            says: s.says.unwrap_or(Says::Good),
            metric: s.metric.unwrap_or_default(),
            unit: s.unit,
            no: s.no,
            holds: s.holds,
            // `…` stands for a word.
            starts: s
                .starts
                .iter()
                .map(|l| l.replace('…', &char::from(WORD).to_string()))
                .collect(),
            ends: s.ends,
            place: s.place,
            pattern: s.pattern,
            regex: OnceLock::new(),
        })
    }

    pub fn captures<'r>(&'r self, row: &'r str) -> Option<Captures<'r>> {
        let compiled = || self.compile().expect("a pattern of the house");
        self.regex.get_or_init(compiled).captures(row)
    }

    /// Its rows begin with one that tells where a run begins.
    pub fn has_start(&self) -> bool {
        ["(?P<start>", "(?P<first"].iter().any(|group| self.pattern.contains(group))
    }

    /// A group of this name says something.
    fn reads(&self, group: &str) -> bool {
        let message = self.message.as_deref().unwrap_or_default();
        GROUPS.contains(&group) || message.contains(&format!("{{{group}}}"))
    }

    pub fn compile(&self) -> Result<Pattern, String> {
        Pattern::new(&self.pattern).map_err(|text| {
            let last = text.lines().last().unwrap_or_default();
            format!("pattern: {}", last.trim_start_matches("error: "))
        })
    }
}

fn parse(text: &str) -> Result<Vec<Source>, String> {
    let file: File = toml::from_str(text).map_err(|e| {
        let line = e.span().map(|s| text[..s.start].matches('\n').count() + 1);
        let at = line.map(|n| format!("line {n}: ")).unwrap_or_default();
        format!("{at}{}", e.message().lines().collect::<Vec<_>>().join(", "))
    })?;
    Ok(file.rule)
}
