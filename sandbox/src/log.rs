//! A service's log file, which is also the lock that the service holds while it lives.
//!
//! The lock belongs to the open file, which the service and its children inherit as their standard error: the kernel
//! releases it when the last of them has ended, however they end. So a predecessor that is still going down is seen
//! without trusting process ids.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::failed;
use crate::wait::until;
use crate::{Error, command};

/// How long a predecessor may take to end.
const PREDECESSOR: Duration = Duration::from_secs(15);
const PRIVATE: u32 = 0o600;
/// A log beyond this size starts anew; 8 MiB hold weeks of a quiet service.
const LIMIT: u64 = 8 << 20;
/// More than the last lines ever need.
const TAIL: u64 = 16 << 10;

/// A log that no service holds but the next one, to which it is lent.
pub(crate) struct Held {
    path: PathBuf,
    file: File,
}

/// Where to read what one run of a service wrote.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    from: u64,
}

impl Held {
    /// Waits until no earlier service holds the log.
    pub(crate) fn take(service: &'static str, path: PathBuf) -> Result<Self, Error> {
        // For its owner only, also one that an earlier version has made: it may hold what others must not read, and who
        // can open it can lock it.
        let open = OpenOptions::new().create(true).append(true).read(true).mode(PRIVATE).open(&path);
        let file = open.map_err(failed("open", &path))?;
        file.set_permissions(Permissions::from_mode(PRIVATE)).map_err(failed("protect", &path))?;
        if !until(PREDECESSOR, || file.try_lock().is_ok()) {
            return Err(Error::Lingering { service, seconds: PREDECESSOR.as_secs(), log: path });
        }
        shorten(&file).map_err(failed("shorten", &path))?;
        Ok(Self { path, file })
    }

    /// The same open file, which keeps the lock as long as somebody has it.
    pub(crate) fn lend(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(failed("share", &self.path))
    }

    /// The log of a run that begins now.
    pub(crate) fn log(&self) -> Result<Log, Error> {
        let about = self.file.metadata().map_err(failed("examine", &self.path))?;
        Ok(Log { path: self.path.clone(), from: about.len() })
    }
}

impl Log {
    /// The last lines that this run wrote.
    pub(crate) fn tail(&self) -> String {
        let text = read_end(&self.path, self.from).unwrap_or_else(|error| format!("(unreadable: {error})"));
        command::last_lines(&text)
    }
}

fn shorten(file: &File) -> io::Result<()> {
    if file.metadata()?.len() > LIMIT { file.set_len(0) } else { Ok(()) }
}

fn read_end(path: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let start = from.max(file.metadata()?.len().saturating_sub(TAIL));
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
