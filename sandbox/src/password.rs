//! The services' password: random, made once a directory, in a file for its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use crate::Error;
use crate::error::failed;
use crate::hex::hex;

const BYTES: usize = 24;

pub(crate) fn file(dir: &Path) -> PathBuf {
    dir.join("password")
}

pub(crate) fn read(file: &Path) -> Result<SecretString, Error> {
    Ok(fs::read_to_string(file).map_err(failed("read", file))?.trim().into())
}

/// The directory's password, made on the first call.
pub(crate) fn of(dir: &Path) -> Result<SecretString, Error> {
    let file = file(dir);
    if file.exists() {
        return read(&file);
    }
    if dir.join("postgres").exists() {
        return Err(Error::PasswordLost { file });
    }
    let password = random().map_err(failed("read", "/dev/urandom"))?;
    // Renamed into place, so that a crash leaves a whole password or none.
    let partial = dir.join("password.partial");
    write(&partial, &password)?;
    fs::rename(&partial, &file).map_err(failed("create", &file))?;
    Ok(password)
}

/// Writes a password where only the owner can read it.
pub(crate) fn write(file: &Path, password: &SecretString) -> Result<(), Error> {
    write_private(file, password.expose_secret().as_bytes())
}

/// Writes a file that only its owner can read, over what is there.
pub(crate) fn write_private(file: &Path, content: &[u8]) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        // An existing file would keep its mode.
        fs::remove_file(file).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(content)
    };
    write().map_err(failed("write", file))
}

/// From the system: a password must not repeat with a seed.
fn random() -> io::Result<SecretString> {
    let mut bytes = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex(&bytes).into())
}
