//! The stream sequence in the subject at which a message is acknowledged.

/// The stream sequence in a message's reply subject (NATS ADR-15):
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.…`, with domain and account before the stream in the
/// longer form.
pub(super) fn stream_sequence(reply: &str) -> Option<u64> {
    let tokens = reply.strip_prefix("$JS.ACK.")?;
    let position = if tokens.split('.').count() > 7 { 5 } else { 3 };
    tokens.split('.').nth(position)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::stream_sequence;

    #[test]
    fn the_sequence_is_found_in_both_forms() {
        assert_eq!(stream_sequence("$JS.ACK.EVENTS.warehouse.1.118.7.1700000000000000000.0"), Some(118));
        let long = "$JS.ACK._.hash.EVENTS.warehouse.1.118.7.1700000000000000000.0.random";
        assert_eq!(stream_sequence(long), Some(118));
        assert_eq!(stream_sequence("_INBOX.x"), None);
    }
}
