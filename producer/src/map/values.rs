//! IP addresses and devices.

use std::net::IpAddr;

use common::event::Reason;

/// Why a value is rejected: the reason, and the rest of a sentence that begins with the value.
pub(crate) type Refusal = (Reason, String);

pub(crate) fn ip_address(text: &str) -> Result<(), Refusal> {
    match text.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err((Reason::BadIpAddress, "is no IPv4 or IPv6 address".to_owned())),
    }
}

/// The device of a file's own word; `None` if that is unknown.
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

/// The device by its user agent.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_known_by_their_browser() {
        assert_eq!(device_of_user_agent("Mozilla/5.0 (iPad; CPU OS 17_0)"), "Tablet");
        assert_eq!(device_of_user_agent("Mozilla/5.0 (Linux; Android 14; Pixel 8) Mobile Safari"), "Mobile");
        assert_eq!(device_of_user_agent("Mozilla/5.0 (Linux; Android 14; SM-X710) Safari"), "Tablet");
        assert_eq!(device_of_user_agent("Mozilla/5.0 (X11; Linux x86_64)"), "Desktop");
        assert_eq!(device("Phone"), Some("Mobile"));
        assert_eq!(device("tv"), None);
    }
}
