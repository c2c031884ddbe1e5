//! A program enters; the version that it prints leaves.

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::{Error, command};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Version {
    pub(crate) const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Runs `program --version`. PostgreSQL answers this even to root.
    pub(crate) fn of(program: &Path) -> Result<Self, Error> {
        let printed = command::run(Command::new(program).arg("--version"))?;
        Self::parse(&printed).ok_or_else(|| Error::Unusable {
            program: program.to_owned(),
            reason: format!("its --version printed {:?}", printed.trim()),
        })
    }

    /// Takes the first word that looks like a version: `nats-server: v2.12.0`, `postgres (PostgreSQL) 18beta1`.
    fn parse(printed: &str) -> Option<Self> {
        let word = printed
            .split_whitespace()
            .map(|word| word.trim_start_matches('v'))
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let mut parts = word.split('.').map(leading_number);
        Some(Self { major: parts.next()??, minor: parts.next().flatten().unwrap_or(0) })
    }
}

fn leading_number(part: &str) -> Option<u32> {
    let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
    part[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_programs_print() {
        for (printed, major, minor) in [
            ("nats-server: v2.15.1\n", 2, 15),
            ("nats-server: v2.12.0-RC.3", 2, 12),
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", 15, 18),
            ("postgres (PostgreSQL) 18beta1", 18, 0),
            ("postgres (PostgreSQL) 9.6.24", 9, 6),
        ] {
            assert_eq!(Version::parse(printed), Some(Version::new(major, minor)), "{printed}");
        }
        assert_eq!(Version::parse("command not found"), None);
    }

    #[test]
    fn compares_as_numbers() {
        assert!(Version::new(2, 9) < Version::new(2, 12));
        assert!(Version::new(10, 1) > Version::new(9, 6));
    }
}
