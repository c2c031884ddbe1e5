//! One fault: what is struck, how, and for how long. Progress lines show it as [`Fault`] prints itself.

use std::fmt;
use std::time::Duration;

use sandbox::Way;

use crate::chaos::kind::Kind;

/// Processes that are counted together.
pub(in crate::chaos) const PROCESS_GROUPS: [&str; 4] = ["producer", "consumers", "nats-server", "PostgreSQL"];

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::chaos) enum Victim {
    Producer,
    /// One replica, from 1.
    Consumer(u16),
    Nats,
    Postgres,
}

/// A connection between a process and a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::chaos) enum Link {
    ProducerToNats,
    /// From this replica to nats-server.
    ConsumerToNats(u16),
    /// From this replica to PostgreSQL.
    ConsumerToPostgres(u16),
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::chaos) enum Disturbance {
    /// Nothing goes in this direction until it is over, and then all of it.
    Hold(Way),
    /// The same in both directions.
    HoldBoth,
    /// Connections are closed, and new ones refused.
    Cut,
    /// This direction is closed for good.
    HalfClose(Way),
    /// Connections stay open and carry nothing for good; new ones work.
    Blackhole,
}

/// What is struck, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::chaos) enum Strike {
    Kill(Victim),
    Stop(Victim),
    Network(Link, Disturbance),
    Fill,
    Store,
    Restore,
}

/// One strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::chaos) struct Fault {
    pub(in crate::chaos) strike: Strike,
    /// How long it lasts; of a restore, how old the copy is.
    pub(in crate::chaos) lasts: Duration,
}

impl Strike {
    pub(in crate::chaos) fn kind(self) -> Kind {
        match self {
            Self::Kill(_) => Kind::Kill,
            Self::Stop(_) => Kind::Stop,
            Self::Network(..) => Kind::Network,
            Self::Fill => Kind::Fill,
            Self::Store => Kind::Store,
            Self::Restore => Kind::Restore,
        }
    }

    /// The process that does not run meanwhile.
    pub(super) fn victim(self) -> Option<Victim> {
        match self {
            Self::Kill(victim) | Self::Stop(victim) => Some(victim),
            Self::Store => Some(Victim::Nats),
            Self::Network(..) | Self::Fill | Self::Restore => None,
        }
    }
}

impl Victim {
    /// Its place in [`PROCESS_GROUPS`].
    pub(in crate::chaos) fn group(self) -> usize {
        match self {
            Self::Producer => 0,
            Self::Consumer(_) => 1,
            Self::Nats => 2,
            Self::Postgres => 3,
        }
    }
}

impl Link {
    /// The process that has opened it.
    pub(in crate::chaos) fn client(self) -> Victim {
        match self {
            Self::ProducerToNats => Victim::Producer,
            Self::ConsumerToNats(number) | Self::ConsumerToPostgres(number) => Victim::Consumer(number),
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Producer => f.write_str("producer"),
            Self::Consumer(number) => write!(f, "consumer c{number}"),
            Self::Nats => f.write_str("nats-server"),
            Self::Postgres => f.write_str("PostgreSQL"),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = if matches!(self, Self::ConsumerToPostgres(_)) { "PostgreSQL" } else { "nats-server" };
        write!(f, "{} to {service}", self.client())
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hold(Way::ToServer) => "hold requests of",
            Self::Hold(Way::ToClient) => "hold answers to",
            Self::HoldBoth => "hold both directions of",
            Self::Cut => "cut",
            Self::HalfClose(Way::ToServer) => "half-close requests of",
            Self::HalfClose(Way::ToClient) => "half-close answers to",
            Self::Blackhole => "black-hole",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.lasts.as_millis();
        match self.strike {
            Strike::Kill(victim) => write!(f, "kill {victim} for {ms} ms"),
            Strike::Stop(victim) => write!(f, "stop {victim} for {ms} ms"),
            Strike::Network(link, how) => write!(f, "{how} {link} for {ms} ms"),
            Strike::Fill => write!(f, "fill the stream, full for {ms} ms"),
            Strike::Store => write!(f, "remove the store of nats-server, away for {ms} ms"),
            Strike::Restore => write!(f, "put PostgreSQL back to a copy of {ms} ms ago, and heal"),
        }
    }
}
