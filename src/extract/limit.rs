//! Usage and rate limits: whether a text speaks of one, and when it says the limit ends.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use super::rules::regex;
use crate::event::Resets;

static LIMIT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:usage|rate|session|weekly|daily|monthly|hourly|opus|\d+-hour|request|your)[ _-]limits?\b|\blimit reached\b|\brate[- ]limited\b|\brate_limit_error\b|\b(?:current|usage|your|api|daily|insufficient)[ _]quota\b|\b429\b|\btoo many requests\b|\b(?:usage|rate)_limit_(?:reached|exceeded)\b|\bresource_exhausted\b|\bquota (?:exceeded|will reset)\b|\bexceeded (?:your|the) (?:\w+ )?quota\b|\bout of (?:extra )?(?:usage|credits)\b",
    )
});
/// Words that speak of a limit which was not met, as a client's foot and its `/status` do.
static NEAR: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\bapproaching\b[^\n]{0,40}\blimits?\b|\bused \d+% of [^\n]{0,40}\blimits?\b|\blimits?:?[^\n]{0,60}\b\d+% (?:left|used|remaining)\b|\b\d+% (?:left|remaining)\b[^\n]{0,40}\blimits?\b",
    )
});
static RESET: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\bresets?\b|\b(?:try|retry) again\b|\bretry[- ]after\b|\bavailable again\b|\bretry in\b|\bretry_?(?:after|delay)|\bwait (?:for )?\d|limit reached\|\d{10}",
    )
});
static EPOCH: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?:\||(?i:resets?)(?:_at|At)?\D{1,4})([1-2]\d{9})(?:\d{3})?\b"));
static INSTANT: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"\b(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?\(?UTC\)?|Z|[+-]\d\d:?\d\d))")
});
static SPAN: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:in|after|wait|retry_?delay\x22?|reset(?:-[a-z]+)?)[:\s]\s*\x22?(?:for\s+|about\s+|approximately\s+|around\s+|another\s+|~\s*)?((?:\d+(?:\.\d+)?\s*(?:days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|milliseconds?|ms|[dhms])\b?[\s,]*(?:and\s+)?)+)",
    )
});
static SPAN_PART: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(\d+(?:\.\d+)?)\s*(milliseconds?|ms|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|[dhms])",
    )
});
static RETRY_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?i)\b(?:retry[-_ ]after|resets?_in|resets?_after)(?P<unit>[-_ ]?ms|[-_ ]seconds?)?"?\s*[:=]\s*"?(?P<n>\d{1,10})(?:\.\d+)?\b(?:[\s"},]|$)"#,
    )
});
/// `in an hour`
static ONE: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)\b(?:in|after)\s+(?:about\s+)?an?\s+(?P<unit>minute|hour|day|week)\b")
});
/// The date of HTTP.
static HTTP: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\b")
});
/// A date and a time of no zone.
static LOCAL: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:resets?|again|until|available)\b[^\n]{0,12}?\b(?P<day>20\d\d-\d\d-\d\d)[T ](?P<time>\d\d:\d\d)(?::\d\d)?\b(?:\s*\((?P<zone>[A-Za-z_]+(?:/[A-Za-z_+\-0-9]+)*)\))?",
    )
});
static CLOCK: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?ix)\b(?:resets?|again|until|available)\b (?:\s+again)? (?:\s*(?:at|on))? [\s:]*
          (?: (?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?
              (?:,?\s+(?P<year>20\d\d))? ,?\s*(?:at\s+)? )?
          (?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?::\d\d)?\s*(?P<half>[ap]\.?m\b\.?)?
          (?:\s*\((?P<zone>[A-Za-z_]+(?:/[A-Za-z_+\-0-9]+)*)\)|\s*\(?(?P<short>(?-i:UTC|GMT|[A-Z]{1,4}ST|[A-Z]{1,4}DT|CET)(?:[+-]\d{1,2})?)\b\)?)?",
    )
});

/// Speaks of a limit that was met.
pub fn is_limit(text: &str) -> bool {
    LIMIT.is_match(text) && (!NEAR.is_match(text) || LIMIT.is_match(&NEAR.replace_all(text, "")))
}

/// Speaks of a limit that may be met yet.
pub fn is_near(text: &str) -> bool {
    NEAR.is_match(text)
}

/// Says when it ends.
pub fn has_reset(text: &str) -> bool {
    RESET.is_match(text)
}

pub fn instant(epoch_seconds: i64) -> Option<String> {
    Timestamp::from_second(epoch_seconds).ok().map(|t| t.to_string())
}

/// When the limit ends, as the text says it; the strongest form that is there.
pub fn resets(text: &str) -> Resets {
    let mut resets = Resets::default();
    if let Some(c) = EPOCH.captures(text) {
        resets.resets_at = c[1].parse().ok().and_then(instant);
    } else if let Some(c) = INSTANT.captures(text) {
        let stamp = c[1].replacen(' ', "T", 1).replace(['(', ')', ' '], "").replace("UTC", "Z");
        resets.resets_at = stamp.parse::<Timestamp>().ok().map(|t| t.to_string());
    } else if let Some(date) = HTTP.find(text) {
        let at = jiff::fmt::rfc2822::parse(&date.as_str().replace("GMT", "+0000"));
        resets.resets_at = at.ok().map(|at| at.timestamp().to_string());
    }
    if resets.resets_at.is_some() {
        return resets;
    }
    if let Some(c) = RETRY_AFTER.captures(text) {
        let ms = c.name("unit").is_some_and(|u| u.as_str().to_ascii_lowercase().ends_with("ms"));
        let n = c["n"].parse::<u64>().ok().map(|n| if ms { n } else { n * 1000 });
        resets.resets_in_ms = n.filter(|ms| sane(*ms as f64));
    }
    if resets.resets_in_ms.is_some() {
        return resets;
    }
    if let Some(c) = SPAN.captures(text) {
        resets.resets_in_ms = span(&c[1]);
    } else if let Some(c) = ONE.captures(text) {
        resets.resets_in_ms = Some(match c["unit"].to_ascii_lowercase().as_str() {
            "minute" => 60_000,
            "hour" => 3_600_000,
            "day" => 86_400_000,
            _ => 604_800_000,
        });
    } else if let Some(c) = LOCAL.captures(text) {
        resets.resets_clock = Some(format!("{}T{}", &c["day"], &c["time"]));
        resets.resets_zone = c.name("zone").map(|z| z.as_str().to_string());
    } else if let Some(c) = CLOCK.captures(text) {
        resets.resets_clock = clock(&c);
        if resets.resets_clock.is_some() {
            let short = c.name("short").and_then(|z| zone(z.as_str()));
            resets.resets_zone = c.name("zone").map(|z| z.as_str().to_string()).or(short);
        }
    }
    resets
}

fn span(text: &str) -> Option<u64> {
    let mut ms = 0.0;
    for c in SPAN_PART.captures_iter(text) {
        let unit = c[2].to_ascii_lowercase();
        let scale = match unit.as_str() {
            u if u.starts_with("ms") || u.starts_with("mil") => 1.0,
            u if u.starts_with('d') => 86_400_000.0,
            u if u.starts_with('h') => 3_600_000.0,
            u if u.starts_with('m') => 60_000.0,
            _ => 1000.0,
        };
        ms += c[1].parse::<f64>().ok()? * scale;
    }
    sane(ms).then_some(ms.round() as u64)
}

/// A limit that ends in more than a year is a misreading.
fn sane(ms: f64) -> bool {
    ms > 0.0 && ms < 3.2e10
}

/// The IANA name of what a client abbreviates.
fn zone(short: &str) -> Option<String> {
    if let Some(hours) = short.strip_prefix("GMT").or(short.strip_prefix("UTC")) {
        // The sign of these names is the other way round.
        return match hours.parse::<i32>() {
            Ok(hours @ -14..=12) => Some(format!("Etc/GMT{:+}", -hours)),
            Ok(_) => None,
            Err(_) => hours.is_empty().then(|| "UTC".into()),
        };
    }
    let name = match short {
        "PST" | "PDT" => "America/Los_Angeles",
        "MST" | "MDT" => "America/Denver",
        "CST" | "CDT" => "America/Chicago",
        "EST" | "EDT" => "America/New_York",
        "BST" => "Europe/London",
        "CET" | "CEST" => "Europe/Paris",
        "JST" => "Asia/Tokyo",
        "AEST" | "AEDT" => "Australia/Sydney",
        _ => return None,
    };
    Some(name.into())
}

fn clock(c: &regex::Captures<'_>) -> Option<String> {
    let number = |name| c.name(name).and_then(|m| m.as_str().parse::<u32>().ok());
    let mut hour = number("hour")?;
    let minute = number("minute").unwrap_or(0);
    match c.name("half").map(|h| h.as_str().as_bytes()[0].to_ascii_lowercase()) {
        Some(_) if hour == 0 || hour > 12 => return None,
        Some(b'p') => hour = hour % 12 + 12,
        Some(_) => hour %= 12,
        None => {
            // A bare number is not a time of day.
            c.name("minute")?;
        }
    }
    if hour > 23 || minute > 59 {
        return None;
    }
    let time = format!("{hour:02}:{minute:02}");
    let Some(month) = c.name("month") else { return Some(time) };
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let name = month.as_str().to_ascii_lowercase();
    let month = MONTHS.iter().position(|m| *m == name)? + 1;
    let day = number("day").filter(|d| (1..=31).contains(d))?;
    Some(match number("year") {
        Some(year) => format!("{year}-{month:02}-{day:02}T{time}"),
        None => format!("{month:02}-{day:02}T{time}"),
    })
}

#[cfg(test)]
mod tests {
    use super::{is_limit, resets};
    use crate::event::Resets;

    fn clock(at: &str, zone: Option<&str>) -> Resets {
        Resets {
            resets_clock: Some(at.into()),
            resets_zone: zone.map(Into::into),
            ..Resets::default()
        }
    }

    #[test]
    fn reads_every_form_that_the_clients_print() {
        let ms = |n| Resets { resets_in_ms: Some(n), ..Resets::default() };
        for (text, want) in [
            (
                "You've hit your limit · resets 3pm (Europe/Berlin)",
                clock("15:00", Some("Europe/Berlin")),
            ),
            ("5-hour limit reached ∙ resets 12:30am", clock("00:30", None)),
            ("You have reached your usage limit. It resets at 5pm.", clock("17:00", None)),
            ("try again at 4:05 PM.", clock("16:05", None)),
            ("or try again at Oct 9th, 2025 4:05 PM.", clock("2025-10-09T16:05", None)),
            (
                "resets Oct 6, 1pm (America/New_York)",
                clock("10-06T13:00", Some("America/New_York")),
            ),
            ("try again in 3 days 2 hours 5 minutes.", ms(266_700_000)),
            ("Please try again in 1.5s", ms(1_500)),
            ("Please try again in 6m0s.", ms(360_000)),
            ("retry-after: 30", ms(30_000)),
            ("rate limit; nothing about its end", Resets::default()),
            ("try again in a moment", Resets::default()),
            ("resets Monday", Resets::default()),
            (
                "Your limit will reset at 7pm (America/Chicago).",
                clock("19:00", Some("America/Chicago")),
            ),
            ("Access resets at 2:00 PM PST. /stats", clock("14:00", Some("America/Los_Angeles"))),
            ("limit resets at 9:59 AM GMT+9", clock("09:59", Some("Etc/GMT-9"))),
            ("resets 15:00 UTC", clock("15:00", Some("UTC"))),
            ("try again at 5:00 PM.", clock("17:00", None)),
            ("resets on October 1, 2025 at 12:00 AM UTC", clock("2025-10-01T00:00", Some("UTC"))),
            ("resets at 2025-10-06 13:00", clock("2025-10-06T13:00", None)),
            ("try again in 3 days 4 hours", ms(273_600_000)),
            ("Try again in about 5 minutes.", ms(300_000)),
            ("try again in an hour", ms(3_600_000)),
            ("Please wait 20s before trying again", ms(20_000)),
            ("Your quota will reset after 18h12m5s.", ms(65_525_000)),
            ("\"retryDelay\": \"34s\"", ms(34_000)),
            ("{\"type\":\"usage_limit_reached\",\"resets_in_seconds\":4242}", ms(4_242_000)),
            ("retry_after_ms: 1500", ms(1_500)),
            ("Retry-After: 120", ms(120_000)),
            ("x-ratelimit-reset-requests: 6m0s", ms(360_000)),
            ("retry after 30 seconds", ms(30_000)),
        ] {
            assert_eq!(resets(text), want, "{text}");
        }
        let at = resets("Claude AI usage limit reached|1750000000").resets_at;
        assert_eq!(at.as_deref(), Some("2025-06-15T15:06:40Z"));
        for (text, at) in [
            ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", "2015-10-21T07:28:00Z"),
            ("anthropic-ratelimit-reset: 2025-10-06T13:00:00Z", "2025-10-06T13:00:00Z"),
            ("resets 2025-10-06T13:00:00+02:00", "2025-10-06T11:00:00Z"),
            ("resets at 2025-10-06 13:00 (UTC)", "2025-10-06T13:00:00Z"),
            ("\"resets_at\":1750000000", "2025-06-15T15:06:40Z"),
            ("X-RateLimit-Reset: 1750000000000", "2025-06-15T15:06:40Z"),
        ] {
            assert_eq!(resets(text).resets_at.as_deref(), Some(at), "{text}");
        }
        let at = resets("quota, available again 2025-10-01 12:00 UTC").resets_at;
        assert_eq!(at.as_deref(), Some("2025-10-01T12:00:00Z"));
    }

    #[test]
    fn a_limit_needs_its_own_word() {
        assert!(is_limit(
            "API Error: 429 {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\""
        ));
        assert!(is_limit("You've hit your limit · resets 3pm"));
        assert!(is_limit("{\"type\":\"usage_limit_reached\"}"));
        assert!(is_limit("429 RESOURCE_EXHAUSTED"));
        assert!(!is_limit("the line limit of 80 columns"));
    }

    #[test]
    fn a_limit_that_comes_near_was_not_met() {
        for foot in [
            "Approaching usage limit · resets at 3pm",
            "You've used 90% of your weekly limit · resets 3pm",
            "Weekly limit: [████░░] 80% left (resets 13:00 on 6 Oct)",
            "5h limit:  45% used",
        ] {
            assert!(!is_limit(foot), "{foot}");
        }
        assert!(is_limit("Approaching usage limit\n5-hour limit reached ∙ resets 3pm"));
    }
}
