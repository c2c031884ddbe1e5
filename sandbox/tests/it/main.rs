//! The sandbox with real servers: what a user of it notices.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bed;
mod faults;
mod lifecycle;
mod recovery;
mod refusals;
mod single;
