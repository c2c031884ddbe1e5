//! One row of a file: a step enters, a record of the sixteen columns leaves.

use chrono::{DateTime, SecondsFormat, Utc};
use csv::ByteRecord;
use uuid::Uuid;

use super::session::{Session, Step};

/// The columns, in the order in which they are written.
pub(super) const COLUMNS: [&str; 16] = [
    "event_id",
    "event_type",
    "event_timestamp",
    "customer_id",
    "customer_name",
    "customer_email",
    "customer_address",
    "session_id",
    "user_agent",
    "ip_address",
    "product_id",
    "product_name",
    "category",
    "brand",
    "sku",
    "price",
];

/// Puts one event into `record`, in place of what is there, so that its memory is used again.
pub(super) fn fill(record: &mut ByteRecord, id: Uuid, time: DateTime<Utc>, session: &Session, step: &Step) {
    let (visitor, product) = (&session.visitor, &*step.product);
    let mut hyphenated = Uuid::encode_buffer();
    let fields: [&str; COLUMNS.len()] = [
        id.hyphenated().encode_lower(&mut hyphenated),
        step.event_type,
        &time.to_rfc3339_opts(SecondsFormat::Millis, true),
        &visitor.id,
        &visitor.name,
        &visitor.email,
        &visitor.address,
        &session.id,
        session.user_agent,
        &session.ip_address,
        &product.id,
        &product.name,
        product.category,
        product.brand,
        &product.sku,
        &product.price,
    ];
    record.clear();
    record.extend(fields);
}
