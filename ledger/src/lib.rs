#![doc = include_str!("../README.md")]

mod error;
mod connect; // a URL -> a connection with the settings that delivery needs
mod session; // a connection, and whether its server process is still there
mod sqlstate; // an error -> what to do about it
mod migrate; // an empty database -> the schema

pub mod batch_id; // numbers of batches
pub mod rollback; // a database that has lost what it had committed

pub mod file_totals; // control totals of files, and throughput
pub mod file_rows; // which rows of a file are in the tables
pub mod row_outcomes; // the table in which each row ended
pub mod row_history; // all that the database has about one row
pub mod rejects; // rows of corrupt_records
pub mod replicas; // what each replica has written lately
pub mod commits; // when rows were committed
pub mod repair; // totals of files, corrected to what the tables hold

pub use connect::{Database, check_reachable};
pub use error::Error;
pub use migrate::{check_schema, migrate};
pub use session::{Backend, Session};
pub use sqlstate::{Refusal, classify, refusal};
