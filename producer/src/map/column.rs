//! The place of each of the event's columns in [`COLUMNS`]; an unknown name does not compile.

use common::event::COLUMNS;

pub(super) const EVENT_ID: usize = number_of("event_id");
pub(super) const EVENT_TYPE: usize = number_of("event_type");
pub(super) const EVENT_TIMESTAMP: usize = number_of("event_timestamp");
pub(super) const CUSTOMER_ID: usize = number_of("customer_id");
pub(super) const CUSTOMER_NAME: usize = number_of("customer_name");
pub(super) const CUSTOMER_EMAIL: usize = number_of("customer_email");
pub(super) const CUSTOMER_ADDRESS: usize = number_of("customer_address");
pub(super) const SESSION_ID: usize = number_of("session_id");
pub(super) const USER_AGENT: usize = number_of("user_agent");
pub(super) const IP_ADDRESS: usize = number_of("ip_address");
pub(super) const PRODUCT_ID: usize = number_of("product_id");
pub(super) const PRODUCT_NAME: usize = number_of("product_name");
pub(super) const CATEGORY: usize = number_of("category");
pub(super) const BRAND: usize = number_of("brand");
pub(super) const SKU: usize = number_of("sku");
pub(super) const PRICE: usize = number_of("price");
pub(super) const DEVICE_TYPE: usize = number_of("device_type");

const fn number_of(name: &str) -> usize {
    let mut number = 0;
    while !is_same(COLUMNS[number].as_bytes(), name.as_bytes()) {
        number += 1;
    }
    number
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}
