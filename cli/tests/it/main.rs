//! The whole, through the real binary: files are dropped, tables are read.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bed;

mod up; // everything in one process
mod ids; // ids that are not those of events
mod signals; // ending, in good order and otherwise
mod apart; // producer and consumers as processes of their own
mod chaos; // kills at random moments
mod backpressure; // a database that stands still
mod health; // alive or ready, and who says so
mod loss; // a stream that has lost data
mod verify; // reconciliation, from the tables
mod explain; // the life of one row
mod heal; // a database that has lost rows
mod replay; // the stream once more
mod rejects; // rejected rows that are mended and sent again
mod refusals; // wrong use, wrong configuration, services that are not there
mod hostile; // file names, headers and values that are made to harm who looks at them
mod looking; // commands that only look, where nothing is or nothing answers
mod stack; // the running Compose stack, where there is one
mod layering; // who may know whom
mod catalogue; // which tests there are, as the documentation has it
