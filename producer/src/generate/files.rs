//! Makes rows and lands them: an order enters, a file leaves. All of it works and blocks; none of it waits.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use common::config::Generate;
use common::printable::Printable;
use csv::ByteRecord;
use rand::RngExt as _;
use uuid::Builder;

use super::catalogue::Catalogue;
use super::dice::{Dice, Of, dice};
use super::recent::Recent;
use super::row::{self, COLUMNS};
use super::schedule::Order;
use super::spoil::spoil;
use super::traffic::Traffic;
use super::{Generated, Progress};
use crate::land::{self, Landing, LandingFile};

/// Everything that makes the next file follow the last: who is in the shop, the time there, what was written.
#[derive(Debug)]
pub(super) struct Files {
    landing: Landing,
    dice: Dice,
    traffic: Traffic,
    recent: Recent,
    /// The simulated time, up to which everything has happened.
    now: DateTime<Utc>,
    duplicate_rate: f64,
    dirty_rate: f64,
    record: ByteRecord,
    generated: Generated,
    progress: Arc<Progress>,
}

impl Files {
    pub(super) fn new(
        config: &Generate,
        landing: Landing,
        seed: u64,
        start: DateTime<Utc>,
        progress: Arc<Progress>,
    ) -> Self {
        let mut dice = dice(Of::Rows, seed);
        let traffic = Traffic::new(Catalogue::new(config.products), config.visitors, &mut dice);
        Self {
            landing,
            dice,
            traffic,
            recent: Recent::default(),
            now: start,
            duplicate_rate: config.duplicate_rate,
            dirty_rate: config.dirty_rate,
            record: ByteRecord::new(),
            generated: Generated::default(),
            progress,
        }
    }

    /// Makes and lands one file. What an error interrupts is not to be seen in the directory.
    pub(super) fn land(mut self, order: Order) -> Result<Self, land::Error> {
        let mut file = self.landing.begin(self.now, &COLUMNS)?;
        for _ in 0..order.rows {
            self.write_row(&mut file, order.tick)?;
        }
        let path = self.landing.land(file)?;
        self.generated.rows += order.rows;
        self.generated.files += 1;
        self.progress.add_file(order.rows);
        tracing::debug!(path = %Printable(path.display()), rows = order.rows, "file landed");
        Ok(self)
    }

    /// What all files together hold.
    pub(super) fn generated(&self) -> Generated {
        self.generated
    }

    /// Writes one row. It takes its share of time also where it copies an earlier one.
    fn write_row(&mut self, file: &mut LandingFile, tick: Duration) -> Result<(), land::Error> {
        let time = self.now + self.dice.random_range(Duration::ZERO..=tick);
        self.now += tick;
        let lot: f64 = self.dice.random();
        if lot < self.duplicate_rate
            && let Some(copy) = self.recent.any(&mut self.dice)
        {
            self.generated.copied += 1;
            return file.write(copy);
        }
        let id = Builder::from_random_bytes(self.dice.random()).into_uuid();
        let (session, step) = self.traffic.step(&mut self.dice);
        row::fill(&mut self.record, id, time, session, &step);
        if (self.duplicate_rate..self.duplicate_rate + self.dirty_rate).contains(&lot) {
            self.generated.spoilt += 1;
            spoil(&mut self.record, &mut self.dice);
            return file.write(&self.record);
        }
        file.write(&self.record)?;
        self.recent.keep(&mut self.record);
        Ok(())
    }
}
