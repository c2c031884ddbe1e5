//! The tailer with a real nats-server: what a user who drops files, and the consumer, would notice.
#![expect(clippy::unwrap_used, reason = "a panic shows where a test failed")]

mod test_env;
mod process;
mod contents;

mod rows; // what becomes of rows
mod endings; // where records and files end
mod identity; // which file is which
mod gone; // files that are removed while no tailer is running
mod closing; // what becomes of closed files
mod restarts; // stopping and starting in the middle
mod broker; // a broker that ends, fills up, or forgets
mod partition; // a network that cuts, drops and delays
mod permissions; // nats.conf
mod health; // stages that wait
mod stalls; // stages that hang, and tasks that panic
mod foreign; // a stream with another configuration
mod closed_bucket; // which closed files are kept in it
mod crashes; // a process that is killed between two steps
mod damaged_store;
#[cfg(target_os = "linux")]
mod synced; // a power failure
mod model; // random writing and killing against a model
