//! Times of a wall clock as people write them: `3pm (Europe/Berlin)`, `13:00 UTC on 6 Oct`,
//! `tomorrow at noon`.

use std::sync::LazyLock;

use jiff::civil::Date;
use regex::{Captures, Regex};

use super::rules::regex;

/// What such a time stands behind.
static KEY: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\b(?:resets?|again|until|available)(?:_?at)?\b"));
/// Words and marks that may stand between its parts.
static FILL: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"^(?i:[\s:,.=|·"'()\[\]~]+|(?:at|on|again|from|after|around|about|approximately|by|the|next|of|time|is|will|be|today|tonight|this|resets?|available|until)\b)"#,
    )
});
static DATE: LazyLock<Regex> = LazyLock::new(|| {
    const MONTH: &str = "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?";
    regex(&format!(
        r"^(?i:(?P<y>20\d\d)-(?P<m>\d\d)-(?P<d>\d\d)(?:T|\b)|(?P<month>{MONTH})\b\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<year>20\d\d))?\b|(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?[ -](?:of )?(?P<month2>{MONTH})\b\.?(?:,?[ -](?P<year2>20\d\d)\b)?)"
    ))
});
static DAY: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?i:(?P<day>tomorrow)|(?P<week>mon|tue|wed|thu|fri|sat|sun)(?:s|nes|rs|ur)?(?:day)?)\b\.?",
    )
});
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?i:(?P<word>noon|midnight)\b|(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?::\d\d)?\s*(?P<half>[ap]\.?m\b\.?)?)",
    )
});
static ZONE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:\((?P<name>[A-Z][A-Za-z_]+(?:/[A-Za-z_+\-0-9]+)*)\)|(?P<place>(?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc|US|Canada)/[A-Za-z_+\-0-9/]+)|\(?(?:UTC|GMT)?(?P<sign>[+-])(?P<h>\d{1,2})(?::?(?P<min>\d\d))?\b|(?P<short>[A-Z]{1,4}T|UTC|MSK)\b)",
    )
});

/// A clock in the forms of `resets_clock`, and its zone.
pub fn find(text: &str) -> Option<(String, Option<String>)> {
    KEY.find_iter(text).find_map(|key| read(&text[key.end()..]))
}

/// What was found of each, and what it says: nothing, where no clock or calendar has it.
#[derive(Default)]
struct Parts {
    day: Option<Option<String>>,
    time: Option<Option<String>>,
    zone: Option<Option<String>>,
}

/// The parts come in any order.
fn read(text: &str) -> Option<(String, Option<String>)> {
    let (mut parts, mut rest) = (Parts::default(), text);
    while let Some(length) = parts.take(rest) {
        rest = &rest[length..];
    }
    let time = parts.time??;
    let clock = match parts.day {
        Some(day) => format!("{}T{time}", day?),
        None => time,
    };
    Some((clock, parts.zone.flatten()))
}

impl Parts {
    /// The length of the next part, or of what may stand between two.
    fn take(&mut self, text: &str) -> Option<usize> {
        let timed = self.time.is_some();
        let found = if let Some(c) = ZONE.captures(text).filter(|_| timed && self.zone.is_none()) {
            self.zone = Some(zone(&c));
            c
        } else if let Some(c) = DATE.captures(text) {
            self.day = Some(date(&c));
            c
        } else if let Some(c) = DAY.captures(text) {
            // A date says more.
            let day = c.name("day").or(c.name("week")).map(|d| d.as_str().to_ascii_lowercase());
            self.day = self.day.take().or(Some(day));
            c
        } else if let Some(c) = TIME.captures(text).filter(|_| !timed) {
            self.time = Some(time(&c));
            c
        } else {
            FILL.captures(text)?
        };
        Some(found[0].len())
    }
}

fn time(c: &Captures<'_>) -> Option<String> {
    if let Some(word) = c.name("word") {
        let noon = word.as_str().eq_ignore_ascii_case("noon");
        return Some(if noon { "12:00" } else { "00:00" }.into());
    }
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
    (hour < 24 && minute < 60).then(|| format!("{hour:02}:{minute:02}"))
}

/// `MM-DD`, or with its year; none where the calendar has no such day.
fn date(c: &Captures<'_>) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let text = |names: &[&str]| names.iter().find_map(|name| c.name(name)).map(|m| m.as_str());
    let month = match (text(&["m"]), text(&["month", "month2"])) {
        (Some(digits), _) => digits.parse().ok()?,
        (None, name) => {
            let name = name?.get(..3)?.to_ascii_lowercase();
            MONTHS.iter().position(|m| *m == name)? + 1
        }
    };
    let day: i8 = text(&["d", "day", "day2"])?.parse().ok()?;
    let year = text(&["y", "year", "year2"]).and_then(|y| y.parse::<i16>().ok());
    // Of an unknown year: the longest.
    Date::new(year.unwrap_or(2024), i8::try_from(month).ok()?, day).ok()?;
    Some(match year {
        Some(year) => format!("{year}-{month:02}-{day:02}"),
        None => format!("{month:02}-{day:02}"),
    })
}

/// An IANA name or an offset such as `+05:30`.
fn zone(c: &Captures<'_>) -> Option<String> {
    if let Some(hours) = c.name("h") {
        let minutes = c.name("min").map_or("00", |m| m.as_str());
        let hours: u8 = hours.as_str().parse().ok().filter(|h| *h < 15)?;
        return Some(format!("{}{hours:02}:{minutes}", &c["sign"]));
    }
    if let Some(name) = c.name("place") {
        return Some(name.as_str().to_string());
    }
    match (c.name("name"), c.name("short")) {
        (Some(name), _) => Some(abbreviated(name.as_str()).unwrap_or(name.as_str()).to_string()),
        (None, short) => abbreviated(short?.as_str()).map(str::to_string),
    }
}

/// The zone that people of the clients' languages mean by these letters.
fn abbreviated(short: &str) -> Option<&'static str> {
    Some(match short {
        "UTC" | "GMT" => "UTC",
        "PST" | "PDT" | "PT" => "America/Los_Angeles",
        "MST" | "MDT" | "MT" => "America/Denver",
        "CST" | "CDT" | "CT" => "America/Chicago",
        "EST" | "EDT" | "ET" => "America/New_York",
        "AKST" | "AKDT" => "America/Anchorage",
        "HST" => "Pacific/Honolulu",
        "BRT" => "America/Sao_Paulo",
        "BST" => "Europe/London",
        "WET" | "WEST" => "Europe/Lisbon",
        "CET" | "CEST" => "Europe/Paris",
        "EET" | "EEST" => "Europe/Athens",
        "MSK" => "Europe/Moscow",
        "IST" => "Asia/Kolkata",
        "SGT" => "Asia/Singapore",
        "HKT" => "Asia/Hong_Kong",
        "KST" => "Asia/Seoul",
        "JST" => "Asia/Tokyo",
        "AEST" | "AEDT" => "Australia/Sydney",
        "NZST" | "NZDT" => "Pacific/Auckland",
        _ => return None,
    })
}
