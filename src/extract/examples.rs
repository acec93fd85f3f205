//! Runs the examples that rules carry.

use super::decoder::{Decoder, Place, Sink};
use super::formats::text::Text;
use super::rules::{Kind, Rule, Rules};
use crate::event::{Body, Event, Outcome, Severity};

/// Holds a rule to its examples; the error says what was given instead.
pub fn check(rules: &'static Rules, rule: &Rule) -> Result<(), String> {
    for (text, gives) in &rule.yes {
        if !fits(rules, rule, text) {
            return Err(format!("does not fit {text:?}"));
        }
        let (events, verdict) = read(rules, text);
        let Some(gives) = gives else { continue };
        let mut told: Vec<String> = events.iter().map(|(_, told)| told.clone()).collect();
        let own = |(by, told): &(String, String)| *by == rule.name && told == gives;
        let right = match rule.kind {
            Kind::Verdict => {
                let said = match verdict {
                    Some(Outcome::Complete) => "good",
                    Some(_) => "bad",
                    None => "nothing",
                };
                told.push(said.into());
                said == gives
            }
            // Its row may only have begun what another ends.
            _ => events.iter().any(own) || (rule.opens.is_some() && told.contains(gives)),
        };
        if !right {
            return Err(format!("{text:?} gives {told:?}, not {gives:?}"));
        }
    }
    for text in &rule.no {
        let silent = match rule.kind {
            Kind::Part | Kind::Verdict => !fits(rules, rule, text),
            _ if rule.step.is_some() => !fits(rules, rule, text) || read(rules, text).0.is_empty(),
            _ => read(rules, text).0.iter().all(|(by, _)| *by != rule.name),
        };
        if !silent {
            return Err(format!("takes {text:?}"));
        }
    }
    Ok(())
}

/// Whether a row has the rule's literals and its form.
fn fits(rules: &Rules, rule: &Rule, text: &str) -> bool {
    let mut found = Vec::new();
    text.lines().any(|row| {
        rules.candidates(row.as_bytes(), true, &mut found);
        let names = |i: &u16| rules.rules[usize::from(*i)].name == rule.name;
        found.iter().any(names) && rule.captures(row).is_some()
    })
}

/// The events of a text, each with its rule and in words, and the verdict.
fn read(rules: &'static Rules, text: &str) -> (Vec<(String, String)>, Option<Outcome>) {
    let (mut out, mut seq) = (Vec::new(), 0);
    let mut put = |event| out.push(event);
    let mut place = Place { explain: true, line: 1, ..Place::start("text") };
    let mut sink = Sink::new(&mut put, &mut seq, &mut place);
    let mut reader = Text::new(rules);
    reader.block(text.as_bytes(), &mut sink);
    reader.close(&mut sink);
    let told = out.iter().filter_map(|e| Some((e.source.rule.clone()?, words(e)?)));
    (told.collect(), reader.verdict())
}

/// `error FILE:LINE:COLUMN [CODE] TOOL: MESSAGE`, `tests FRAMEWORK PASSED/FAILED/ERRORS/SKIPPED`,
/// `metric NAME VALUE UNIT`, `milestone TEXT`.
fn words(event: &Event) -> Option<String> {
    Some(match &event.body {
        Body::Error { severity, message, file, line, column, code, tool } => {
            let severity = match severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            let number = |n: &Option<u64>| n.map(|n| format!(":{n}")).unwrap_or_default();
            let place = file.as_deref().unwrap_or("-");
            let code = code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
            let tool = tool.as_deref().unwrap_or_default();
            format!("{severity} {place}{}{}{code} {tool}: {message}", number(line), number(column))
        }
        Body::TestSummary { framework, passed, failed, errors, skipped, .. } => {
            format!("tests {framework} {passed}/{failed}/{errors}/{skipped}")
        }
        Body::Metric { name, value, unit } => {
            format!("metric {name} {value} {}", unit.as_deref().unwrap_or_default())
        }
        Body::Milestone { text } => format!("milestone {text}"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::extract::rules::current;

    #[test]
    fn every_rule_of_the_house_has_examples_and_keeps_to_them() {
        let rules = current();
        let mut wrong = Vec::new();
        for rule in &rules.rules {
            if rule.yes.is_empty() || (rule.no.is_empty() && rule.when.is_none()) {
                wrong.push(format!("{}: no examples", rule.name));
            }
            if let Err(e) = rule.compile().and_then(|_| check(rules, rule)) {
                wrong.push(format!("{}: {e}", rule.name));
            }
        }
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
        assert!(rules.rules.len() > 200, "{} rules", rules.rules.len());
    }

    #[test]
    fn names_of_rules_differ() {
        let mut names: Vec<_> = current().rules.iter().map(|r| &r.name).collect();
        names.sort();
        names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
    }
}
