//! The sections of the configuration with their defaults. Durations are written like `500ms`, `2s`, `1m`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::show::hide;
use super::source::EventTypes;

/// Logs: human lines or JSON on standard error, and rotated files where `dir` is set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Level or filter, as in `RUST_LOG`: `info`, `debug`, `warn,producer=debug`.
    pub level: String,
    /// `human` or `json`.
    pub format: LogFormat,
    /// Where to keep a log file a day; none by default.
    pub dir: Option<PathBuf>,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Human, dir: None }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// The broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nats {
    /// `nats://[user:password@]host:port`, several separated by commas. `millrace up` starts one where it is unset.
    #[serde(serialize_with = "hide")]
    pub url: Option<SecretString>,
    /// A file that holds the password of the user in `url`.
    pub password_file: Option<PathBuf>,
    /// A credentials file (`.creds`), where the account asks for one.
    pub credentials: Option<PathBuf>,
    /// How long one attempt to connect may take.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
}

impl Default for Nats {
    fn default() -> Self {
        Self { url: None, password_file: None, credentials: None, connect_timeout: Duration::from_secs(5) }
    }
}

/// The database.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `postgres://user:password@host:port/database`. `millrace up` starts one where it is unset.
    #[serde(serialize_with = "hide")]
    pub url: Option<SecretString>,
    /// A file that holds the password of the user in `url`.
    pub password_file: Option<PathBuf>,
    /// How long one attempt to connect may take, and how long an answer may be missing before the server is asked on
    /// another connection whether it is still at work.
    #[serde(with = "humantime_serde")]
    pub answer_timeout: Duration,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: None, password_file: None, answer_timeout: Duration::from_secs(10) }
    }
}

/// The stream `EVENTS`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stream {
    /// The most bytes that it holds; when it is full the tailer waits. Must fit the broker's disk.
    pub max_bytes: i64,
    /// Above this share of `max_bytes` the oldest messages that everyone has read are purged.
    pub high_water: f64,
    /// Copies that a NATS cluster keeps.
    pub replicas: usize,
}

impl Default for Stream {
    fn default() -> Self {
        Self { max_bytes: 2 << 30, high_water: 0.8, replicas: 1 }
    }
}

/// Reading files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tail {
    /// Where files land; `landing` in the data directory by default.
    pub landing_dir: Option<PathBuf>,
    /// Where finished files go; `archive` in the data directory by default.
    pub archive_dir: Option<PathBuf>,
    /// Where positions are kept; `checkpoints` in the data directory by default.
    pub checkpoint_dir: Option<PathBuf>,
    /// What becomes of a file whose every row is in the database.
    pub on_close: OnClose,
    /// How often the directory is looked through, besides file system notifications.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
    /// How long a file must be quiet before its last line, and the file, count as finished.
    #[serde(with = "humantime_serde")]
    pub finish_after: Duration,
    /// How often positions are written to disk.
    #[serde(with = "humantime_serde")]
    pub checkpoint_every: Duration,
    /// The longest record, in bytes; a longer one is rejected.
    pub max_record_bytes: usize,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            landing_dir: None,
            archive_dir: None,
            checkpoint_dir: None,
            on_close: OnClose::Archive,
            poll: Duration::from_secs(1),
            finish_after: Duration::from_secs(2),
            checkpoint_every: Duration::from_millis(500),
            max_record_bytes: 256 << 10,
        }
    }
}

/// What becomes of a file whose every row is in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnClose {
    /// It moves to the archive directory.
    Archive,
    /// It stays where it is.
    Keep,
    /// It is deleted.
    Delete,
}

/// Publishing rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// How many messages may wait for their acknowledgement at once.
    pub window: usize,
    /// After how long without one a message is sent again.
    #[serde(with = "humantime_serde")]
    pub ack_timeout: Duration,
}

impl Default for Publish {
    fn default() -> Self {
        Self { window: 1000, ack_timeout: Duration::from_secs(5) }
    }
}

/// What a valid event is; a `[[source]]` may say otherwise for its files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Event types besides the built-in ones, or `"any"`.
    pub types: EventTypes,
    /// Columns that a row must fill besides `event_type` and `event_timestamp`.
    pub required: Vec<String>,
    /// The zone of times that name none.
    pub time_zone: Tz,
    /// What becomes of columns that map to nothing.
    pub unknown_columns: UnknownColumns,
    /// Prices below this are Low.
    pub price_low_below: f64,
    /// Prices below this, and not Low, are Medium; the others are High.
    pub price_medium_below: f64,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            types: EventTypes::default(),
            required: Vec::new(),
            time_zone: Tz::UTC,
            unknown_columns: UnknownColumns::Keep,
            price_low_below: 50.0,
            price_medium_below: 200.0,
        }
    }
}

/// What becomes of a file's columns that map to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownColumns {
    /// They go to `attributes`.
    Keep,
    /// They are left out.
    Ignore,
    /// The file is parked until the mapping is mended.
    Park,
}

/// Making files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Generate {
    /// Whether `producer run` makes files besides tailing them.
    pub enabled: bool,
    /// The pace; unset, files come by `interval`, or as fast as they can where `count` or `files` is set.
    pub events_per_second: Option<f64>,
    /// When to end, by the clock.
    #[serde(with = "humantime_serde")]
    pub duration: Option<Duration>,
    /// When to end, by rows.
    pub count: Option<u64>,
    /// When to end, by files.
    pub files: Option<u64>,
    /// Rows a file; by default a number from `min_events` to `max_events`.
    pub batch_size: Option<u64>,
    /// The fewest rows a file.
    pub min_events: u64,
    /// The most rows a file.
    pub max_events: u64,
    /// The pause between files.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// What the random choices start from: the same seed and `start_time` write the same bytes.
    pub seed: Option<u64>,
    /// The time of the first event; now by default.
    pub start_time: Option<DateTime<Utc>>,
    /// The share of rows that are spoilt, from 0 to 1.
    pub dirty_rate: f64,
    /// The share of rows that repeat an earlier one, from 0 to 1.
    pub duplicate_rate: f64,
    /// How many visitors there are.
    pub visitors: u64,
    /// How many products there are.
    pub products: u64,
}

impl Default for Generate {
    fn default() -> Self {
        Self {
            enabled: true,
            events_per_second: None,
            duration: None,
            count: None,
            files: None,
            batch_size: None,
            min_events: 100,
            max_events: 1500,
            interval: Duration::from_secs(15),
            seed: None,
            start_time: None,
            dirty_rate: 0.0,
            duplicate_rate: 0.0,
            visitors: 1000,
            products: 500,
        }
    }
}

/// What one transaction holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// The most rows.
    pub rows: usize,
    /// The most bytes of rows, and of rows that wait to be written.
    pub bytes: usize,
    /// How long a batch waits to fill; by default a free writer takes what there is at once.
    #[serde(with = "humantime_serde")]
    pub linger: Option<Duration>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { rows: 5_000, bytes: 4 << 20, linger: None }
    }
}

/// Taking messages off the stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consumer {
    /// This replica's name in `batches`; the host's name and the process id by default.
    pub replica: Option<String>,
    /// Connections that write at the same time.
    pub writers: usize,
    /// After how long without an acknowledgement a message goes to another replica.
    #[serde(with = "humantime_serde")]
    pub ack_wait: Duration,
    /// The most messages in flight to all replicas together.
    pub max_ack_pending: i64,
}

impl Default for Consumer {
    fn default() -> Self {
        Self { replica: None, writers: 2, ack_wait: Duration::from_secs(30), max_ack_pending: 100_000 }
    }
}

/// Ending.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stopping {
    /// How long draining may take after the first signal.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

impl Default for Stopping {
    fn default() -> Self {
        Self { grace: Duration::from_secs(20) }
    }
}

/// Answers over HTTP to whoever asks whether a process is alive or ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Whether anybody is answered.
    pub enabled: bool,
    /// The address to listen on.
    pub address: IpAddr,
    /// The port, or the next free one; 9090 for a producer and 9091 for a consumer by default, 0 for any.
    pub port: Option<u16>,
    /// For how long a stage may have work and make no progress before a log line and `/healthz` say that it is stuck;
    /// by default each stage has a limit of its own, from one minute to ten.
    #[serde(with = "humantime_serde")]
    pub stall_after: Option<Duration>,
}

impl Default for Health {
    fn default() -> Self {
        Self { enabled: true, address: Ipv4Addr::LOCALHOST.into(), port: None, stall_after: None }
    }
}

/// The programs of the private services; found or fetched where unset.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Programs {
    /// The nats-server program.
    pub nats_server: Option<PathBuf>,
    /// The directory of PostgreSQL's programs.
    pub postgres_bin: Option<PathBuf>,
    /// Where fetched programs are unpacked.
    pub cache_dir: Option<PathBuf>,
}
