//! Text to values: times, prices, addresses, devices, ids. Nothing is guessed and nothing rounded.

use std::net::IpAddr;

use chrono::{DateTime, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use common::event::Reason;

/// The namespace of event ids that are made from a file's own ids or from whole rows. It never changes.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x6d69_6c6c_7261_4365_8e76_656e_7469_6473);

/// How a file writes times; its first one settles it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TimeForm {
    /// As dates.
    Dates,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
}

impl TimeForm {
    /// The form of `text`: a number is taken in the unit in which it is a time of our days.
    pub(crate) fn of(text: &str) -> Self {
        match text.parse::<i64>() {
            Err(_) => Self::Dates,
            Ok(number) if number.abs() >= 100_000_000_000 => Self::Milliseconds,
            Ok(_) => Self::Seconds,
        }
    }
}

/// Why a value is refused: the reason, and the rest of a sentence which begins with the value.
pub(crate) type Refusal = (Reason, String);

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

/// A price as PostgreSQL's `numeric(12,2)` takes it, in text.
pub(crate) fn price(text: &str, decimal: char) -> Result<String, Refusal> {
    let bad = |what: String| (Reason::BadPrice, what);
    if text.starts_with('-')
        && text.len() > 1
        && text[1..].bytes().all(|sign| sign.is_ascii_digit() || sign == b'.')
    {
        return Err((Reason::NegativePrice, "is negative; a price is 0 or more".to_owned()));
    }
    let (whole, cents) = text.split_once(decimal).unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|sign| sign.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(cents) {
        let comma = decimal == '.' && text.contains(',') && !text.contains('.');
        let hint = if comma { "; for a decimal comma set decimal = \",\" in its [[source]]" } else { "" };
        return Err(bad(format!("is not a decimal number{hint}")));
    }
    let significant = cents.trim_end_matches('0');
    if significant.len() > 2 {
        return Err(bad("has more than two decimals".to_owned()));
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > 10 {
        return Err(bad("has more than ten digits before the decimals".to_owned()));
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok(if cents.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{:0<2}", &cents[..cents.len().min(2)])
    })
}

/// Low, Medium or High, by the bounds below which a price is Low and Medium.
pub(crate) fn price_category(price: &str, low_below: f64, medium_below: f64) -> &'static str {
    match price.parse::<f64>() {
        Ok(price) if price < low_below => "Low",
        Ok(price) if price < medium_below => "Medium",
        _ => "High",
    }
}

/// Checks an IPv4 or IPv6 address.
pub(crate) fn ip_address(text: &str) -> Result<(), Refusal> {
    match text.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err((Reason::BadIpAddress, "is no IPv4 or IPv6 address".to_owned())),
    }
}

/// The device that a file's own word means, where it is a known one.
pub(crate) fn device(word: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 12] = [
        ("mobile", "Mobile"),
        ("phone", "Mobile"),
        ("smartphone", "Mobile"),
        ("android", "Mobile"),
        ("ios", "Mobile"),
        ("desktop", "Desktop"),
        ("pc", "Desktop"),
        ("computer", "Desktop"),
        ("laptop", "Desktop"),
        ("web", "Desktop"),
        ("tablet", "Tablet"),
        ("ipad", "Tablet"),
    ];
    WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|&(_, device)| device)
}

/// The device that a browser says it runs on.
pub(crate) fn device_of_user_agent(user_agent: &str) -> &'static str {
    let has = |word| user_agent.contains(word);
    if has("iPad") || has("Tablet") || (has("Android") && !has("Mobile")) {
        "Tablet"
    } else if has("Mobi") || has("iPhone") {
        "Mobile"
    } else {
        "Desktop"
    }
}

/// UUIDv5 over values in their given order, each preceded by its length in bytes as four bytes, big-endian.
pub(crate) fn uuid_of<'a>(values: impl Iterator<Item = &'a str>, scratch: &mut Vec<u8>) -> Uuid {
    scratch.clear();
    for value in values {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        scratch.extend_from_slice(&length.to_be_bytes());
        scratch.extend_from_slice(value.as_bytes());
    }
    Uuid::new_v5(&NAMESPACE, scratch)
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

    #[test]
    fn prices_keep_every_digit() {
        let ok = |text| price(text, '.').map_err(|(_, what)| what);
        assert_eq!(ok("19.99").as_deref(), Ok("19.99"));
        assert_eq!(ok("0019.9").as_deref(), Ok("19.90"));
        assert_eq!(ok("7").as_deref(), Ok("7"));
        assert_eq!(ok("19.990").as_deref(), Ok("19.99"));
        assert_eq!(price("12,50", ',').as_deref(), Ok("12.50"));
        for text in ["", ".", "abc", "NaN", "1e3", "1.999", "12345678901", "--5", "1.2.3", "$5"] {
            assert!(ok(text).is_err(), "{text}");
        }
        assert_eq!(price("-5.00", '.').unwrap_err().0, Reason::NegativePrice);
        assert!(ok("12,50").unwrap_err().contains("decimal = \",\""));
    }

    #[test]
    fn devices_are_known_by_their_browser() {
        assert_eq!(device_of_user_agent("Mozilla/5.0 (iPad; CPU OS 17_0)"), "Tablet");
        assert_eq!(device_of_user_agent("Mozilla/5.0 (Linux; Android 14; Pixel 8) Mobile Safari"), "Mobile");
        assert_eq!(device_of_user_agent("Mozilla/5.0 (Linux; Android 14; SM-X710) Safari"), "Tablet");
        assert_eq!(device_of_user_agent("Mozilla/5.0 (X11; Linux x86_64)"), "Desktop");
        assert_eq!(device("Phone"), Some("Mobile"));
        assert_eq!(device("tv"), None);
    }

    #[test]
    fn ids_depend_on_where_values_end() {
        let mut scratch = Vec::new();
        let one = uuid_of(["ab", "c"].into_iter(), &mut scratch);
        assert_ne!(one, uuid_of(["a", "bc"].into_iter(), &mut scratch));
        assert_eq!(one, uuid_of(["ab", "c"].into_iter(), &mut scratch));
    }
}
