//! Times as people write them: RFC 3339, `HH:MM`, durations. `now` always comes in as a value.

use anyhow::{Context as _, bail};
use jiff::fmt::temporal::DateTimeParser;
use jiff::{SignedDuration, Timestamp, Zoned, civil, tz::TimeZone};

use crate::event::Resets;

/// UTC milliseconds.
pub type Ms = i64;

/// `90s`, `10m`, `2h`, `1h30m`, `250ms`, `1d`, in milliseconds.
pub fn duration(s: &str) -> anyhow::Result<Ms> {
    let bad = || format!("'{s}' is no duration: write 90s, 10m, or 2h");
    let s = s.trim();
    if s.is_empty() || s.starts_with('-') {
        bail!(bad());
    }
    let d: SignedDuration = match s.strip_suffix('d').map(str::parse::<i64>) {
        Some(Ok(days)) => SignedDuration::from_hours(days.checked_mul(24).with_context(bad)?),
        _ => s.parse().ok().with_context(bad)?,
    };
    Ms::try_from(d.as_millis())
        .ok()
        .filter(|ms| *ms >= 0 && *ms < 100 * 365 * 86_400_000)
        .with_context(bad)
}

/// An instant: RFC 3339, `HH:MM` (the next one in the local zone), or a duration from now.
pub fn instant(s: &str, now: Ms) -> anyhow::Result<Ms> {
    if let Ok(t) = s.parse::<Timestamp>() {
        return Ok(t.as_millisecond());
    }
    if let Some(t) = clock(s) {
        return next(t, now, &TimeZone::system());
    }
    match duration(s) {
        Ok(d) => Ok(now + d),
        Err(_) => bail!("'{s}' is no time: write 2026-01-31T18:00:00Z, 18:00, or 10m"),
    }
}

/// A moment in the past: RFC 3339, `HH:MM` (the last one), or a duration ago.
pub fn since(s: &str, now: Ms) -> anyhow::Result<Ms> {
    if let Some(t) = clock(s) {
        let next = next(t, now, &TimeZone::system())?;
        return Ok(if next > now { next - 86_400_000 } else { next });
    }
    if let Ok(d) = duration(s) {
        return Ok(now - d);
    }
    instant(s, now)
}

/// RFC 3339 in UTC, to the millisecond.
pub fn rfc3339(ms: Ms) -> String {
    Timestamp::from_millisecond(ms).map(|t| format!("{t:.3}")).unwrap_or_else(|_| ms.to_string())
}

/// A clock time this long ago is taken for that, not for tomorrow's.
const JUST_OVER: Ms = 15 * 60_000;

/// The instant at which a limit ends, where its words suffice to know one.
pub fn resolve(resets: &Resets, now: Ms) -> Option<Ms> {
    if let Some(at) = &resets.resets_at {
        return at.parse::<Timestamp>().ok().map(|t| t.as_millisecond());
    }
    if let Some(ms) = resets.resets_in_ms {
        return now.checked_add(ms.try_into().ok()?);
    }
    let text = resets.resets_clock.as_deref()?;
    let zone = match &resets.resets_zone {
        // an IANA name, or an offset
        Some(z) => DateTimeParser::new().parse_time_zone(z).ok()?,
        None => TimeZone::system(),
    };
    if let Some(time) = clock(text) {
        // a clock shows a whole minute, and words take time to be read: what is just over is not tomorrow's
        let at = next(time, now - JUST_OVER, &zone).ok()?;
        return Some(if at <= now { (at + 60_000).max(now) } else { at });
    }
    if let Some((day, time)) = text.split_once('T')
        && day.starts_with(|c: char| c.is_ascii_lowercase())
    {
        let time = clock(time)?;
        let now = Timestamp::from_millisecond(now - JUST_OVER).ok()?.to_zoned(zone);
        let first = days_to(day, &now)?;
        let at = |days: i64| {
            let date = now.date().checked_add(jiff::Span::new().days(days)).ok()?;
            date.to_datetime(time).to_zoned(now.time_zone().clone()).ok()
        };
        let at = at(first).filter(|at| *at > now).or_else(|| at(first + 7))?;
        return Some(at.timestamp().as_millisecond());
    }
    let at = |dated: &str| {
        let zoned = dated.parse::<civil::DateTime>().ok()?.to_zoned(zone.clone()).ok()?;
        Some(zoned.timestamp().as_millisecond())
    };
    at(text).or_else(|| {
        // a day without its year: the one to come
        let year = Timestamp::from_millisecond(now).ok()?.to_zoned(zone.clone()).year();
        let to_come = |ms: &Ms| *ms > now - 86_400_000;
        at(&format!("{year}-{text}"))
            .filter(to_come)
            .or_else(|| at(&format!("{}-{text}", year + 1)))
    })
}

/// Days from now to the one of this name: `tomorrow`, or one of the week.
fn days_to(name: &str, now: &Zoned) -> Option<i64> {
    if name == "tomorrow" {
        return Some(1);
    }
    const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day = i64::try_from(WEEK.iter().position(|d| *d == name)?).ok()?;
    Some((day - i64::from(now.weekday().to_monday_zero_offset())).rem_euclid(7))
}

fn clock(s: &str) -> Option<civil::Time> {
    let (h, m) = s.split_once(':')?;
    let short = |t: &str| (1..=2).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
    (short(h) && short(m)).then(|| civil::Time::new(h.parse().ok()?, m.parse().ok()?, 0, 0).ok())?
}

/// The first instant after `now` at which a clock in `zone` shows `time`; across a DST gap, the instant after it.
fn next(time: civil::Time, now: Ms, zone: &TimeZone) -> anyhow::Result<Ms> {
    let now = Zoned::new(Timestamp::from_millisecond(now)?, zone.clone());
    let today = now.date().to_datetime(time).to_zoned(zone.clone())?;
    let at = if today > now {
        today
    } else {
        now.date().tomorrow()?.to_datetime(time).to_zoned(zone.clone())?
    };
    Ok(at.timestamp().as_millisecond())
}

/// The present. Only programs call it; rules are given the value.
pub fn now() -> Ms {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: &str) -> Ms {
        s.parse::<Timestamp>().expect("a time").as_millisecond()
    }

    #[test]
    fn durations_are_read_and_nonsense_is_refused() {
        assert_eq!(duration("90s").expect("s"), 90_000);
        assert_eq!(duration("10m").expect("m"), 600_000);
        assert_eq!(duration("2h").expect("h"), 7_200_000);
        assert_eq!(duration("1d").expect("d"), 86_400_000);
        assert_eq!(duration("250ms").expect("ms"), 250);
        for bad in ["", "soon", "-5s", "10", "99999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_clock_time_is_the_next_one_in_its_zone_also_on_the_day_the_clocks_change() {
        let clock = |t: &str, z: &str| Resets {
            resets_clock: Some(t.into()),
            resets_zone: Some(z.into()),
            ..Default::default()
        };
        let now = at("2026-03-28T23:30:00Z");
        assert_eq!(
            resolve(&clock("03:00", "Europe/Berlin"), now),
            Some(at("2026-03-29T01:00:00Z"))
        );
        assert_eq!(
            resolve(&clock("15:00", "Europe/Berlin"), now),
            Some(at("2026-03-29T13:00:00Z"))
        );
        assert_eq!(resolve(&clock("23:30", "UTC"), now + 5), Some(at("2026-03-28T23:31:00Z")));
        assert_eq!(resolve(&clock("23:20", "UTC"), now), Some(now));
        assert_eq!(resolve(&clock("23:10", "UTC"), now), Some(at("2026-03-29T23:10:00Z")));
        assert_eq!(resolve(&clock("00:15", "UTC"), now), Some(at("2026-03-29T00:15:00Z")));
        assert_eq!(resolve(&clock("03:00", "Nowhere/Land"), now), None);
        assert_eq!(resolve(&clock("15:00", "+05:30"), now), Some(at("2026-03-29T09:30:00Z")));
        // a Saturday
        for (text, want) in [
            ("tomorrowT15:00", "2026-03-29T15:00:00Z"),
            ("monT15:00", "2026-03-30T15:00:00Z"),
            ("satT23:45", "2026-03-28T23:45:00Z"),
            ("satT15:00", "2026-04-04T15:00:00Z"),
        ] {
            assert_eq!(resolve(&clock(text, "UTC"), now), Some(at(want)), "{text}");
        }
        assert_eq!(resolve(&clock("somedayT15:00", "UTC"), now), None);
        assert_eq!(resolve(&clock("04-02T22:06", "UTC"), now), Some(at("2026-04-02T22:06:00Z")));
        assert_eq!(resolve(&clock("01-02T22:06", "UTC"), now), Some(at("2027-01-02T22:06:00Z")));
    }
}
