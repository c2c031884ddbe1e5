//! A stream of our name that someone else created or changed: its configuration enters, the differences that would lose
//! rows, or let them wait for ever, leave.

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

/// What differs from what is needed, each as "what there is, what is needed"; empty where nothing does.
///
/// `max_bytes` is not among them, since the producer changes that by itself. What has no bearing on rows (description,
/// compression, placement, replicas) may be as it is.
pub(super) fn differences(found: &Config, needed: &Config) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differs = |setting: &str, found: String, needed: &str| {
        differences.push(format!("{setting} is {found} and must be {needed}"));
    };
    let sorted = |subjects: &[String]| {
        let mut subjects = subjects.to_vec();
        subjects.sort();
        subjects.join(",")
    };
    if sorted(&found.subjects) != sorted(&needed.subjects) {
        differs("subjects", sorted(&found.subjects), &sorted(&needed.subjects));
    }
    if found.retention != RetentionPolicy::Limits {
        differs("retention", format!("{:?}", found.retention).to_lowercase(), "limits");
    }
    if found.discard != DiscardPolicy::New {
        differs("discard", format!("{:?}", found.discard).to_lowercase(), "new");
    }
    if found.storage != StorageType::File {
        differs("storage", format!("{:?}", found.storage).to_lowercase(), "file");
    }
    if !found.max_age.is_zero() {
        differs("max_age", format!("{:?}", found.max_age), "unlimited");
    }
    let limits = [
        ("max_msgs", found.max_messages),
        ("max_msgs_per_subject", found.max_messages_per_subject),
        ("max_msg_size", found.max_message_size.into()),
    ];
    for (setting, limit) in limits.into_iter().filter(|(_, limit)| *limit > 0) {
        differs(setting, limit.to_string(), "unlimited");
    }
    let flags = [("no_ack", found.no_ack), ("sealed", found.sealed), ("deny_purge", found.deny_purge)];
    for (setting, _) in flags.into_iter().filter(|(_, is_set)| *is_set) {
        differs(setting, "true".to_owned(), "false");
    }
    if let Some(origin) = &found.mirror {
        differs("mirror", origin.name.clone(), "none");
    }
    if let Some(origins) = found.sources.as_ref().filter(|origins| !origins.is_empty()) {
        let names: Vec<_> = origins.iter().map(|origin| origin.name.as_str()).collect();
        differs("sources", names.join(","), "none");
    }
    if let Some(transform) = &found.subject_transform {
        differs("subject_transform", format!("{} to {}", transform.source, transform.destination), "none");
    }
    differences
}
