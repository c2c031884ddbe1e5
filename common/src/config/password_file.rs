//! `password_file` of a section: the password of its URL, kept in a file that only the programs that need it can read.
//!
//! What enters is a URL with a user and the path of a file; what leaves is the URL with user and password, so that
//! nothing else has to know where a password came from.

use std::fs;
use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Config;

/// Puts the passwords into the URLs. An error is the key with the rest of its line, which never shows what a file holds.
pub(super) fn read(config: &mut Config) -> Result<(), (String, String)> {
    let Config { database, nats, .. } = config;
    for (section, url, file) in [
        ("database", &mut database.url, &database.password_file),
        ("nats", &mut nats.url, &nats.password_file),
    ] {
        let Some(file) = file else { continue };
        let wrong =
            |what: &str| (format!("{section}.password_file"), format!("= \"{}\": {what}", file.display()));
        let without = url.as_ref().ok_or_else(|| wrong(&format!("{section}.url is not set; set both")))?;
        *url = Some(url_with_password(without, file).map_err(|what| wrong(&what))?);
    }
    Ok(())
}

/// The URL, or each of several separated by commas, with the password that `file` holds. An error never shows it.
pub fn url_with_password(url: &SecretString, file: &Path) -> Result<SecretString, String> {
    let password = password(file)?;
    let urls: Result<Vec<String>, String> =
        url.expose_secret().split(',').map(|one| with_password(one.trim(), &password)).collect();
    Ok(urls?.join(",").into())
}

fn password(file: &Path) -> Result<SecretString, String> {
    let bytes = fs::read(file).map_err(|error| format!("it cannot be read: {error}"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| "it is not UTF-8 text; write the password into it".to_owned())?;
    // Editors and `echo` end a line. Spaces may belong to the password.
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line {
        "" => Err("it is empty; write the password into it".to_owned()),
        line if line.contains(char::is_control) => {
            Err("it holds more than one line, or control characters; write the password alone into it"
                .to_owned())
        }
        line => Ok(line.into()),
    }
}

fn with_password(url: &str, password: &SecretString) -> Result<String, String> {
    // NATS takes host:port too.
    let whole = if url.contains("://") { url.to_owned() } else { format!("nats://{url}") };
    let mut url = Url::parse(&whole).map_err(|_| "the URL is not one".to_owned())?;
    if url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password") {
        return Err("the URL holds a password as well; leave one of them out".to_owned());
    }
    // A NATS URL with a user alone would be one with a token.
    if url.username().is_empty() {
        return Err("the URL names no user for the password; write it as in nats://user@host:4222".to_owned());
    }
    // `set_password` leaves % and the comma, which separates URLs of NATS, as they are.
    let password = utf8_percent_encode(password.expose_secret(), NON_ALPHANUMERIC).to_string();
    url.set_password(Some(&password)).map_err(|()| "the URL names no host".to_owned())?;
    Ok(url.into())
}
