#![doc = include_str!("../README.md")]

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
