//! The consumer against a real nats-server and a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test has nobody else to tell")]

mod test_env;
mod broker;
mod process;
mod server;

mod heal; // sums of files that are wrong
mod origins; // rows that come again as something else
mod batch_ids; // numbers that come again
mod closing; // totals of files, and files that are closed
mod commit; // an unknown outcome, and what makes a known one last
mod crash; // a process that is killed
mod drain; // ending
mod durable; // a broker that forgets, goes back, or is not ready
mod foreign; // a durable or a stream that somebody else made
mod rollback; // a database that has lost what it had committed
mod health; // stages that wait
mod outage; // services that go away and come back
mod partition; // a network that cuts, swallows, delays and forgets
mod permissions; // nats.conf
mod replicas; // several at once
mod refused; // rows that become corrupt records
mod replaced; // rows that take the place of those
mod rows; // arriving, again, and twice
mod lost_request; // a request for messages that is lost
mod stalls; // stages that hang
mod schema; // migrations, views, queries
