//! The whole of Millrace on one machine: one command that starts everything, and commands that look at it.
//!
//! `services` provides the broker and the database. `up` wires generator, tailer and consumers, `live` shows them at
//! work and `run_report` the totals of each file. `psql` and `status` look at what is there, `verify` proves it and `explain`
//! tells of one row; `rejects` and `heal` mend it. `chaos` strikes a Millrace of its own, to prove what it survives.

mod services;
mod up;
mod live;
mod run_report;
mod psql;
mod status;
mod rejects;
mod verify;
mod explain;
mod heal;
mod chaos;

pub mod cli;
