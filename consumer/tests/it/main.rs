//! The consumer against a real nats-server and a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test has nobody else to tell")]

mod bed;
mod broker;
mod process;
mod server;

mod heal; // sums of files that are wrong
mod origins; // rows that come again as something else
mod batch_ids; // numbers that come again
mod accounts; // closing files, the ledger
mod commit; // an unknown outcome, and what makes a known one last
mod crash; // a process that is killed
mod drain; // ending
mod durable; // a broker that forgets, goes back, or is not ready
mod foreign; // a durable or a stream that somebody else made
mod going_back; // a database that has lost what it had committed
mod health; // stages that wait
mod outage; // services that go away and come back
mod partition; // a network that cuts, swallows, delays and forgets
mod permissions; // nats.conf
mod replicas; // several at once
mod refused; // rows that become corrupt records
mod mended; // rows that take the place of those
mod rows; // arriving, again, and twice
mod stall; // a request that is lost
mod stalls; // stages that hang
mod schema; // migrations, views, queries
