//! The kinds of strikes: what `--only` chooses from, and what the report counts.

use std::fmt;

use clap::ValueEnum;

/// A kind of strike, on processes, on what they rely on, or on files that are being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Kind {
    /// SIGKILL to a process, and a new start.
    Kill,
    /// SIGSTOP to a process, and SIGCONT.
    Stop,
    /// A connection between a process and a service is held in one direction or both, cut, half-closed, or forgotten.
    Network,
    /// The consumers are held until the stream refuses messages.
    Fill,
    /// The broker is killed and its store deleted.
    Store,
    /// The database is put back to a copy of seconds ago, and healed.
    Restore,
    /// A file grows, also by half a line.
    Append,
    /// A file is renamed inside the landing directory, and another one takes its name.
    Rotate,
    /// A file is cut to some of its bytes, and grows on.
    Truncate,
    /// Other rows are written into the file, or another file is renamed to its name.
    Rewrite,
    /// A file is deleted.
    Remove,
    /// Many files land at once.
    Burst,
    /// Files in gzip and zstd, of several members or frames, also in pieces.
    Compress,
}

impl Kind {
    /// Every kind.
    pub(super) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Whether rows that were written cannot be read again afterwards.
    pub(super) fn destroys_rows(self) -> bool {
        matches!(self, Self::Truncate | Self::Rewrite | Self::Remove)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
