//! The consumer against a real nats-server and a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test has nobody else to tell")]

mod bed;

mod accounts; // closing files, the ledger
mod commit; // an unknown outcome
mod drain; // ending
mod outage; // lost connections
mod refused; // rows that become corrupt records
mod rows; // arriving, again, and twice
mod schema; // migrations, views, queries
