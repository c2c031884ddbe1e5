//! Parses prices, without rounding, and finds their category.

use common::event::Reason;

use crate::map::values::Refusal;

/// The price as text that PostgreSQL's `numeric(12,2)` stores without a change.
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
pub(crate) fn category(price: &str, low_below: f64, medium_below: f64) -> &'static str {
    match price.parse::<f64>() {
        Ok(price) if price < low_below => "Low",
        Ok(price) if price < medium_below => "Medium",
        _ => "High",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(ok("00.5").as_deref(), Ok("0.50"));
        assert_eq!(ok("1234567890.12").as_deref(), Ok("1234567890.12"));
        assert_eq!(price("-5.00", '.').unwrap_err().0, Reason::NegativePrice);
        for no_number in ["-", "-abc"] {
            assert_eq!(price(no_number, '.').unwrap_err().0, Reason::BadPrice, "{no_number}");
        }
    }

    #[test]
    fn a_decimal_comma_is_named_only_where_it_may_be_meant() {
        let names_it = |text, decimal| price(text, decimal).unwrap_err().1.contains("decimal = \",\"");
        assert!(names_it("12,50", '.'));
        assert!(!names_it("1,234.50", '.') && !names_it("abc", '.') && !names_it("12.50", ','));
        assert!(!names_it("1,2,3", ','));
    }

    #[test]
    fn a_category_begins_at_its_bound() {
        let of = |price| category(price, 10.0, 100.0);
        assert_eq!(["9.99", "10.00", "99.99", "100.00"].map(of), ["Low", "Medium", "Medium", "High"]);
    }
}
