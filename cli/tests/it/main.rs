//! The whole, through the real binary: files are dropped, tables are read.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bed;

mod up; // everything in one process
mod signals; // ending, in good order and otherwise
mod apart; // producer and consumers as processes of their own
mod refusals; // wrong use, wrong configuration, services that are not there
mod layering; // who may know whom
