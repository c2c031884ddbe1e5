//! Secrets that must never be printed. Each is registered here when it is read; what is printed about errors and events
//! passes here, and leaves without it.
//!
//! Libraries below us print what they are given: at `trace` the NATS client prints user and password. Holding lines
//! against the secrets themselves works for every library and every level.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// What is printed in the place of a secret.
const HIDDEN: &str = "***";

static KEPT: RwLock<Vec<Secret>> = RwLock::new(Vec::new());

struct Secret {
    text: String,
    /// Whether it is a name too, as a user or a database: lines of our own, which hold no secret, may contain it.
    is_name: bool,
}

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Written by Millrace.
    Us,
    /// Written by a library, or with its text in it.
    Others,
}

/// Keeps the passwords of a URL, or of several separated by commas.
pub fn keep_url(url: &SecretString) {
    for one in url.expose_secret().split(',') {
        match Url::parse(one.trim()) {
            Ok(url) => {
                // nats-server takes a user without a password for a token.
                let is_token = url.password().is_none() && url.scheme() != "postgres";
                let secret = url.password().or_else(|| is_token.then(|| url.username()));
                let names =
                    [url.username(), url.path().trim_start_matches('/'), url.host_str().unwrap_or("")];
                let is_name = !is_token && secret.is_some_and(|secret| names.contains(&secret));
                keep_text(secret.unwrap_or(""), is_name);
                keep_text(&percent_decoded(secret.unwrap_or("")), is_name);
                for (name, value) in url.query_pairs() {
                    if name.contains("password") {
                        keep_text(&value, false);
                    }
                }
            }
            // It will be refused; its text may stand in what refuses it.
            Err(_) => keep_text(one.trim(), false),
        }
    }
}

/// Keeps the secrets of a credentials file: its lines, but for their frames.
pub(crate) fn keep_credentials(text: &str) {
    let secrets = text.lines().map(str::trim).filter(|line| line.len() > 20 && !line.contains(['-', ' ']));
    // The parts of a token may be base64 with dashes.
    let tokens = text.lines().map(str::trim).filter(|line| line.starts_with("eyJ"));
    secrets.chain(tokens).for_each(|line| keep_text(line, false));
}

fn keep_text(secret: &str, is_name: bool) {
    if secret.is_empty() {
        return;
    }
    // As it is, and as it stands in JSON and in Rust's debug output.
    let quoted = serde_json::Value::from(secret).to_string();
    let debug = format!("{secret:?}");
    let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
    for text in [secret, quoted.trim_matches('"'), debug.trim_matches('"')] {
        if kept.iter().all(|known| known.text != text) {
            kept.push(Secret { text: text.to_owned(), is_name });
        }
    }
    // One that is part of another one comes after it.
    kept.sort_by_key(|secret| std::cmp::Reverse(secret.text.len()));
}

/// `text` without secrets.
pub(crate) fn hidden(text: &str, by: By) -> Cow<'_, str> {
    let kept = KEPT.read().unwrap_or_else(PoisonError::into_inner);
    let mut text = Cow::Borrowed(text);
    for secret in kept.iter().filter(|secret| by == By::Others || !secret.is_name) {
        if text.contains(&secret.text) {
            text = text.replace(&secret.text, HIDDEN).into();
        }
    }
    text
}

/// A URL holds the special characters of a user or a password as `%2F`; programs want them as they are.
pub fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_no_secret_is_printed_in_whatever_form() {
        keep_url(&"nats://me:p%2Fq%22r+s%3C@host:4222, nats://t0ken5@other:4222".into());
        keep_url(&"postgres://me:hunter2secret@host/db?sslpassword=alsosecret".into());
        keep_url(&"postgres://shop:shop@host/db".into());
        keep_url(&"postgres://me:e&hidden%26tail@host/db".into());
        keep_credentials(
            "-----BEGIN NATS USER JWT-----\neyJ0eXAi.abc-d.e\n------END\nSUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4\n",
        );
        let hostile = "p/q\"r+s< p%2Fq%22r+s%3C {\"pass\":\"p/q\\\"r+s<\"} t0ken5 hunter2secret alsosecret eyJ0eXAi.abc-d.e \
                       SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4";
        assert_eq!(hidden(hostile, By::Us), "*** *** {\"pass\":\"***\"} *** *** *** *** ***");
        assert_eq!(hidden("user shop, password shop", By::Others), "user ***, password ***");
        assert_eq!(hidden("the shop's files", By::Us), "the shop's files");
        assert_eq!(hidden("the e&hidden&tail", By::Us), "the ***");
        assert!(matches!(hidden("nothing", By::Others), Cow::Borrowed("nothing")));
    }
}
