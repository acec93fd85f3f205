//! Usage and rate limits: whether a text speaks of one, and when it says the limit ends.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use super::clock;
use super::rules::regex;
use crate::event::Resets;

static LIMIT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:usage|rate|session|weekly|daily|monthly|hourly|opus|\d+-hour|request)[ _-]limits?\b|\b(?:hit|reached|exceeded|over|at|met) (?:your|the|its|my) limits?\b|\byour limit (?:will reset|resets|is reached|has been reached)\b|\blimit reached\b|\brate[- ]limited\b|\brate_limit_error\b|\b(?:current|usage|your|api|daily|insufficient)[ _]quota\b|\b(?:error|status|code|http|got|received|returned)\b\W{0,3}(?:code\W{0,2}|an? )?429\b|\b429\b\W{0,3}(?:\{|too\b|rate|resource|quota|error)|\(429\)|\btoo many requests\b|\b(?:usage|rate)_limit_(?:reached|exceeded)\b|\bresource_exhausted\b|\bquota (?:exceeded|will reset)\b|\bexceeded (?:your|the) (?:\w+ )?quota\b|\bout of (?:extra )?(?:usage|credits)\b",
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
        r"(?i)\bresets?(?:\b|_?(?:at|in|after|time))|\b(?:try|retry) again\b|\bretry[- ]after\b|\bavailable again\b|\bretry in\b|\bretry_?(?:after|delay)|\bwait (?:for )?\d|limit reached\|\d{10}",
    )
});
static EPOCH: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?:\||(?i:resets?)(?:_at|At)?\D{1,4})([1-2]\d{9})(?:\d{3})?\b"));
static INSTANT: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"\b(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?\(?UTC\)?|Z|[+-]\d\d:?\d\d))")
});
static SPAN: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:in|after|wait|retry_?delay\x22?|reset(?:-[a-z]+)?)[:\s]\s*\x22?(?:for\s+|about\s+|approximately\s+|around\s+|another\s+|~\s*)?((?:\d+(?:\.\d+)?\s*(?:weeks?|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|milliseconds?|ms|[wdhms])[\s,]*(?:and\s+)?)+)\b",
    )
});
static SPAN_PART: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(\d+(?:\.\d+)?)\s*(milliseconds?|ms|weeks?|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|[wdhms])",
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
/// Speaks of a limit that was met.
pub fn is_limit(text: &str) -> bool {
    is_met(text) && (!NEAR.is_match(text) || is_met(&NEAR.replace_all(text, "")))
}

/// Its words stand there, and are not quoted from elsewhere.
fn is_met(text: &str) -> bool {
    LIMIT.find_iter(text).any(|found| {
        let quoted = text[..found.start()].strip_suffix(['"', '\'', '`', '“', '‘']);
        // In JSON a key or a comma stands before the quote.
        quoted.is_none_or(|before| {
            !before.ends_with([' ', '(']) || before.trim_end().ends_with([':', ',', '[', '{'])
        })
    })
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
    } else if let Some((clock, zone)) = clock::find(text) {
        resets.resets_clock = Some(clock);
        resets.resets_zone = zone;
    }
    resets
}

fn span(text: &str) -> Option<u64> {
    let mut ms = 0.0;
    for c in SPAN_PART.captures_iter(text) {
        let unit = c[2].to_ascii_lowercase();
        let scale = match unit.as_str() {
            u if u.starts_with("ms") || u.starts_with("mil") => 1.0,
            u if u.starts_with('w') => 604_800_000.0,
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

#[cfg(test)]
mod tests {
    use super::{has_reset, is_limit, resets};
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
            ("limit resets at 9:59 AM GMT+9", clock("09:59", Some("+09:00"))),
            ("resets 15:00 UTC", clock("15:00", Some("UTC"))),
            ("try again at 5:00 PM.", clock("17:00", None)),
            ("resets on October 1, 2025 at 12:00 AM UTC", clock("2025-10-01T00:00", Some("UTC"))),
            ("resets 13:00 on 6 Oct", clock("10-06T13:00", None)),
            ("resets at 3pm on Oct 6", clock("10-06T15:00", None)),
            ("resets 1 Oct 15:00", clock("10-01T15:00", None)),
            ("resets 1st of October, 2025 at 3 p.m.", clock("2025-10-01T15:00", None)),
            ("resets 15:00 UTC+5:30", clock("15:00", Some("+05:30"))),
            ("resets 15:00 +02:00", clock("15:00", Some("+02:00"))),
            ("resets 15:00 IST", clock("15:00", Some("Asia/Kolkata"))),
            ("resets 15:00 EEST", clock("15:00", Some("Europe/Athens"))),
            ("resets 15:00 XYZT", clock("15:00", None)),
            ("resets 3pm America/Los_Angeles", clock("15:00", Some("America/Los_Angeles"))),
            ("resets 13:00 UTC on 6 Oct", clock("10-06T13:00", Some("UTC"))),
            ("resets 13:00 on 6 Oct (Europe/Berlin)", clock("10-06T13:00", Some("Europe/Berlin"))),
            (
                "resets at 2025-10-06 13:00 Europe/Berlin",
                clock("2025-10-06T13:00", Some("Europe/Berlin")),
            ),
            ("resets at noon (Europe/Berlin)", clock("12:00", Some("Europe/Berlin"))),
            ("try again at midnight.", clock("00:00", None)),
            ("resets tomorrow at 3pm PT", clock("tomorrowT15:00", Some("America/Los_Angeles"))),
            ("resets Monday at 3pm", clock("monT15:00", None)),
            ("resets 9:30 am on Thursday, Oct 9", clock("10-09T09:30", None)),
            ("resets in 2 weeks", ms(1_209_600_000)),
            ("resets 3pm, not before 4pm", clock("15:00", None)),
            ("your limit will reset 3 March 15:00", clock("03-03T15:00", None)),
            ("resets Feb 31, 3pm", Resets::default()),
            ("resets Feb 29, 3pm", clock("02-29T15:00", None)),
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
        assert!(is_limit("You have reached your limit."));
        assert!(is_limit("{\"type\": \"rate_limit_error\"}"));
        assert!(is_limit("unexpected status 429"));
        assert!(!is_limit("the line limit of 80 columns"));
        assert!(!is_limit("when \"usage limit reached\" appears, it says so"));
        assert!(!is_limit("GET /x 429 12ms"));
        assert!(!is_limit("context window exceeded; see your limits page"));
        assert!(has_reset("{\"resets_at\":1750000000}") && has_reset("resetsAt: 5"));
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
