//! The tailer with a real nats-server: what somebody who drops files, and the consumer, would notice.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bed;
mod process;
mod contents;

mod rows; // what becomes of rows
mod endings; // where records and files end
mod identity; // which file is which
mod gone; // what goes away while nobody looks
mod closing; // what becomes of closed files
mod restarts; // stopping and starting in the middle
mod broker; // a broker that ends, fills up, or forgets
mod partition; // a network that cuts, swallows, delays and forgets
mod permissions; // nats.conf
mod health; // stages that wait
mod stalls; // stages that hang, and tasks that panic
mod foreign; // a stream that somebody else made
mod closed_bucket; // what is left of the files that ever were
mod crashes;
mod damaged_store; // a process that is killed between two steps
#[cfg(target_os = "linux")]
mod synced; // a power failure
mod model; // random writing and killing against a model
