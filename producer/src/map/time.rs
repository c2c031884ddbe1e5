//! Parses the times of files. They leave as RFC 3339 in UTC; nothing is guessed and nothing rounded.

use chrono::{DateTime, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use common::event::Reason;
use serde::{Deserialize, Serialize};

use crate::map::values::Refusal;

/// How a file writes times, as in its first row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TimeForm {
    Dates,
    Seconds,
    Milliseconds,
}

impl TimeForm {
    /// The form of `text`: a number has the unit in which it is a time of these decades.
    pub(crate) fn of(text: &str) -> Self {
        match text.parse::<i64>() {
            Err(_) => Self::Dates,
            Ok(number) if number.abs() >= 100_000_000_000 => Self::Milliseconds,
            Ok(_) => Self::Seconds,
        }
    }
}

/// A time in RFC 3339 and UTC. Text without a zone is in `zone`.
pub(crate) fn timestamp(text: &str, zone: Tz, form: TimeForm) -> Result<String, Refusal> {
    let bad = |what: &str| (Reason::BadTimestamp, what.to_owned());
    let time = match (form, text.parse::<i64>()) {
        (TimeForm::Seconds, Ok(number)) => DateTime::from_timestamp(number, 0),
        (TimeForm::Milliseconds, Ok(number)) => DateTime::from_timestamp_millis(number),
        (TimeForm::Dates, Ok(_)) => {
            return Err(bad("is a number in a file whose times are dates; write it as a date"));
        }
        (_, Err(_)) => return calendar(text, zone),
    };
    time.filter(in_range).map(|time| rfc3339(&time)).ok_or_else(|| bad(OUT_OF_RANGE))
}

const OUT_OF_RANGE: &str = "is outside the years 1970 to 2100";
const FORMS: &str =
    "is no time; write 2024-03-13T10:21:14Z, 2024-03-13 10:21:14, or seconds or milliseconds since 1970";

fn calendar(text: &str, zone: Tz) -> Result<String, Refusal> {
    let bad = |what: &str| (Reason::BadTimestamp, what.to_owned());
    let (date_time, rest) = date_time(text).ok_or_else(|| bad(FORMS))?;
    let (micros, rest) = fraction(rest).ok_or_else(|| bad("has more digits than microseconds"))?;
    let date_time = date_time + chrono::TimeDelta::microseconds(micros);
    let time = match rest.trim_start() {
        "" => match zone.from_local_datetime(&date_time) {
            LocalResult::Single(time) => time.to_utc(),
            LocalResult::Ambiguous(earlier, _) => earlier.to_utc(),
            LocalResult::None => {
                return Err((
                    Reason::BadTimestamp,
                    format!("does not exist in {zone}: clocks were put forward"),
                ));
            }
        },
        "Z" | "z" | "UTC" | "GMT" => date_time.and_utc(),
        offset => {
            let offset = offset_of(offset).ok_or_else(|| bad(FORMS))?;
            date_time.and_local_timezone(offset).single().ok_or_else(|| bad(OUT_OF_RANGE))?.to_utc()
        }
    };
    if in_range(&time) { Ok(rfc3339(&time)) } else { Err(bad(OUT_OF_RANGE)) }
}

/// `YYYY-MM-DD?HH:MM:SS`, where `?` is `T` or a space, and what follows.
fn date_time(text: &str) -> Option<(NaiveDateTime, &str)> {
    let head = text.as_bytes().get(..19)?;
    let signs = (head[4], head[7], head[13], head[16]);
    if signs != (b'-', b'-', b':', b':') || !matches!(head[10], b'T' | b't' | b' ') {
        return None;
    }
    let number = |from: usize, to: usize| {
        head[from..to]
            .iter()
            .try_fold(0_u32, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
    };
    let year = i32::try_from(number(0, 4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(5, 7)?, number(8, 10)?)?;
    let time = NaiveTime::from_hms_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?)?;
    Some((date.and_time(time), &text[19..]))
}

/// Microseconds of `.fff…`; `None` where digits beyond them are not zero.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(digits) = text.strip_prefix('.').or_else(|| text.strip_prefix(',')) else {
        return Some((0, text));
    };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = digits.split_at(length);
    let (kept, beyond) = digits.split_at(length.min(6));
    let scale = 10_i64.pow(6 - u32::try_from(kept.len()).ok()?);
    let zeros = beyond.bytes().all(|digit| digit == b'0');
    if kept.is_empty() || !zeros { None } else { Some((kept.parse::<i64>().ok()? * scale, rest)) }
}

/// `±HH:MM`, `±HHMM` or `±HH`.
fn offset_of(text: &str) -> Option<FixedOffset> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().filter(|&sign| sign != ':').collect();
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) || !matches!(digits.len(), 2 | 4) {
        return None;
    }
    let (hours, minutes) = (digits[..2].parse::<i32>().ok()?, digits[2..].parse::<i32>().unwrap_or(0));
    (minutes < 60).then(|| FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60)))?
}

fn in_range(time: &DateTime<Utc>) -> bool {
    (0..4_133_980_800).contains(&time.timestamp())
}

/// With microseconds only where there are any. Written by hand: it runs once a row.
fn rfc3339(time: &DateTime<Utc>) -> String {
    use chrono::{Datelike, Timelike};
    let mut text = Vec::with_capacity(27);
    let mut put = |number: u32, width: u32, sign: u8| {
        for place in (0..width).rev() {
            text.push(b'0' + u8::try_from(number / 10_u32.pow(place) % 10).unwrap_or(0));
        }
        text.push(sign);
    };
    put(time.year().unsigned_abs(), 4, b'-');
    put(time.month(), 2, b'-');
    put(time.day(), 2, b'T');
    put(time.hour(), 2, b':');
    put(time.minute(), 2, b':');
    let micros = time.timestamp_subsec_micros();
    put(time.second(), 2, if micros == 0 { b'Z' } else { b'.' });
    if micros != 0 {
        put(micros, 6, b'Z');
    }
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Result<String, String> {
        timestamp(text, Tz::UTC, TimeForm::of(text)).map_err(|(_, what)| what)
    }

    #[test]
    fn times_in_every_documented_form() {
        for (text, wanted) in [
            ("2024-03-13T10:21:14Z", "2024-03-13T10:21:14Z"),
            ("2024-03-13T10:21:14.5+02:00", "2024-03-13T08:21:14.500000Z"),
            ("2024-03-13 10:21:14", "2024-03-13T10:21:14Z"),
            ("2024-03-13 10:21:14.123456 UTC", "2024-03-13T10:21:14.123456Z"),
            ("2024-03-13 10:21:14 -0530", "2024-03-13T15:51:14Z"),
            ("1710325274", "2024-03-13T10:21:14Z"),
            ("1710325274123", "2024-03-13T10:21:14.123000Z"),
            ("2024-03-13T10:21:14.123456000Z", "2024-03-13T10:21:14.123456Z"),
            // The ends of what is accepted, and the first number that is milliseconds.
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("2100-12-31T23:59:59Z", "2100-12-31T23:59:59Z"),
            ("100000000000", "1973-03-03T09:46:40Z"),
        ] {
            assert_eq!(time(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn times_are_not_guessed() {
        for text in [
            "",
            "yesterday",
            "2024-02-30 00:00:00",
            "13/03/2024 10:21",
            "2024-03-13",
            "2024-03-13 10:21:14 CET",
            "2024/03/13 10:21:14",
            "2024-03-13x10:21:14",
            "2024-03-13T10.21.14",
            "2024-03-13T10:21:14.",
            "2024-03-13T10:21:14+01:60",
            "2024-03-13T10:21:14+02:0",
            "2024-03-13T10:21:14+0x",
            "99999999999",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
        assert!(time("1969-12-31 23:59:59").unwrap_err().contains("1970"));
        assert!(time("2101-01-01 00:00:00").unwrap_err().contains("2100"));
        assert!(time("2024-03-13T10:21:14.1234567Z").unwrap_err().contains("microseconds"));
    }

    #[test]
    fn local_times_that_do_not_exist_are_refused_and_ambiguous_ones_are_the_earlier() {
        let berlin = |text| timestamp(text, Tz::Europe__Berlin, TimeForm::Dates).map_err(|(_, what)| what);
        assert!(berlin("2024-03-31 02:30:00").unwrap_err().contains("does not exist in Europe/Berlin"));
        assert_eq!(berlin("2024-10-27 02:30:00").as_deref(), Ok("2024-10-27T00:30:00Z"));
    }
}
