//! What can go wrong, told to the person who has to act. No message carries a password.

use std::io;
use std::path::PathBuf;

/// Why the services cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory of the sandbox.
    #[error("failed to {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A program that does not even start.
    #[error("failed to run {}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A program that ran and failed.
    #[error("{program} failed with {status}:\n{output}")]
    Program {
        /// Its name.
        program: String,
        /// How it ended.
        status: String,
        /// The last lines that it wrote.
        output: String,
    },
    /// What the config names does not fit.
    #[error("{} cannot be used: {reason}", program.display())]
    Unusable {
        /// The program or directory.
        program: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither installed nor to be fetched.
    #[error("no {needed} is installed, and fetching it failed: {reason}\n{remedy}")]
    Unavailable {
        /// The program and its least version.
        needed: &'static str,
        /// Why it could not be fetched.
        reason: String,
        /// How to install both programs.
        remedy: &'static str,
    },
    /// A download that is not what the source pins.
    #[error("{} has sha256 {found}, but {expected} is pinned; it was not used", file.display())]
    Checksum {
        /// The downloaded file.
        file: PathBuf,
        /// The digest in the source.
        expected: &'static str,
        /// The digest of the file.
        found: String,
    },
    /// A cluster that needs another PostgreSQL.
    #[error(
        "the database in {} was made by PostgreSQL {made_by}, but only {available} is at hand; \
         install PostgreSQL {made_by}, or start from nothing with --fresh", cluster.display()
    )]
    OtherMajor {
        /// The data directory of the cluster.
        cluster: PathBuf,
        /// The major version in its `PG_VERSION`.
        made_by: u32,
        /// What was found instead.
        available: String,
    },
    /// Somebody else runs services there.
    #[error("process {pid} already runs the services in {}; stop it first, or use another data directory",
        dir.display())]
    Owned {
        /// The owner's process id.
        pid: String,
        /// The state directory.
        dir: PathBuf,
    },
    /// The owner has not finished starting.
    #[error("process {pid} is still starting its services in {}; try again in a moment", dir.display())]
    Starting {
        /// The owner's process id.
        pid: String,
        /// The state directory.
        dir: PathBuf,
    },
    /// A predecessor, or a service told to stop, that does not end.
    #[error("{service} is still running after {seconds} s (it holds {}); end it by hand", log.display())]
    Lingering {
        /// Which service.
        service: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// The log file that it holds open.
        log: PathBuf,
    },
    /// A service that runs but does not answer.
    #[error("{service} is not ready after {seconds} s; the end of {}:\n{tail}", log.display())]
    NotReady {
        /// Which service.
        service: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A service that ended by itself.
    #[error("{service} ended by itself with {status}; the end of {}:\n{tail}", log.display())]
    Ended {
        /// Which service.
        service: &'static str,
        /// Its exit status or signal.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A service that was started again cannot be where its clients expect it.
    #[error(
        "{service} cannot have its port back: another program took it while the service was down; run it again"
    )]
    PortLost {
        /// Which service.
        service: &'static str,
    },
    /// A database whose password is gone.
    #[error("{} is missing, so the database beside it cannot be opened; restore the file, or start from nothing \
         with --fresh", file.display())]
    PasswordLost {
        /// The password file.
        file: PathBuf,
    },
}

impl Error {
    /// Whether another process took the service's port after it was chosen: both services say it in these words.
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { tail, .. } if tail.to_lowercase().contains("address already in use"))
    }
}

/// Says what was tried on which path: `fs::read(path).map_err(failed("read", path))`.
pub(crate) fn failed(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io { action, path, source }
}
