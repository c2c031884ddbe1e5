//! What a test needs: directories and a nats-server of its own, tailers, and a replacement for the consumer.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, kv};
use common::config::Config;
use common::stream::{self, STREAM};
use common::wire::{ClosedFile, FileMessage, FileState};
use common::{FileId, Shutdown};
use futures::{StreamExt as _, TryStreamExt as _};
use producer::{Error, Outcome, Progress};
use rustix::process::{Pid, Signal, kill_process};
use sandbox::testing::ended;
pub(crate) use sandbox::testing::until;
use sandbox::{Nats, Options};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::contents::{Contents, Sent};

/// The header of [`rows`].
pub(crate) const HEADER: &str = "event_id,event_type,event_timestamp,customer_id,product_name,price\n";

pub(crate) struct TestEnv {
    pub(crate) config: Config,
    pub(crate) jetstream: jetstream::Context,
    // Before the directory it lives in.
    nats: Option<Nats>,
    dir: TempDir,
}

pub(crate) struct Tailer {
    pub(crate) progress: Arc<Progress>,
    pub(crate) shutdown: Shutdown,
    pub(crate) ending: CancellationToken,
    task: JoinHandle<Result<Outcome, Error>>,
}

impl TestEnv {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// A server and empty directories; no tailer. Tailers scan often, and quiet files are soon finished.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("nats")).unwrap();
        let nats = nats_in(dir.path()).await;
        let mut config = Config { data_dir: dir.path().join("data"), ..Config::default() };
        config.nats.url = Some(nats.url());
        config.tail.poll = Duration::from_millis(50);
        config.tail.finish_after = Duration::from_millis(100);
        config.tail.checkpoint_every = Duration::from_millis(20);
        config.publish.ack_timeout = Duration::from_millis(500);
        change(&mut config);
        fs::create_dir_all(config.landing_dir()).unwrap();
        let nats_client = common::nats::connect(&config.nats, "test", &Shutdown::new()).await.unwrap();
        Self { config, jetstream: nats_client.jetstream, nats: Some(nats), dir }
    }

    /// Empty directories and no stream; the server is the same.
    pub(crate) async fn begin_again(&mut self) {
        let dir = tempfile::tempdir_in(self.dir.path()).unwrap().keep();
        self.config.data_dir = dir;
        fs::create_dir_all(self.config.landing_dir()).unwrap();
        let _ = self.jetstream.delete_stream(STREAM).await;
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.config.landing_dir().join(name)
    }

    /// A directory beside landing, archive and checkpoints, on the same file system.
    pub(crate) fn aside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A complete file, as the generator lands it.
    pub(crate) fn land(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let part = self.path(&format!("{name}.part"));
        fs::write(&part, bytes).unwrap();
        fs::rename(part, self.path(name)).unwrap();
    }

    /// More of a file, or its beginning.
    pub(crate) fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn archived(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.config.archive_dir()) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    pub(crate) fn tail(&self) -> Tailer {
        self.tail_with(|_| ())
    }

    pub(crate) fn tail_with(&self, change: impl FnOnce(&mut Config)) -> Tailer {
        let mut config = self.config.clone();
        change(&mut config);
        let (progress, shutdown, ending) =
            (Arc::new(Progress::default()), Shutdown::new(), CancellationToken::new());
        let (its_progress, its_shutdown, its_ending) = (progress.clone(), shutdown.clone(), ending.clone());
        let task = tokio::spawn(async move {
            producer::tail(&config, &config.landing_dir(), its_progress, its_ending, its_shutdown).await
        });
        Tailer { progress, shutdown, ending, task }
    }

    /// A tailer with `--once`, which ends when everything that is there is closed.
    pub(crate) fn tail_once(&self) -> Tailer {
        let tailer = self.tail();
        tailer.ending.cancel();
        tailer
    }

    /// Everything that the stream holds, in its order.
    pub(crate) async fn contents(&self) -> Contents {
        Contents(self.read("").await)
    }

    /// Takes everything out of the stream that it holds now.
    pub(crate) async fn take_contents(&self) -> Contents {
        let contents = self.contents().await;
        if let Some(last) = contents.0.last() {
            let events = self.jetstream.get_stream(STREAM).await.unwrap();
            events.purge().sequence(last.sequence + 1).await.unwrap();
        }
        contents
    }

    /// As [`Contents::totals`].
    pub(crate) async fn totals(&self) -> Vec<FileMessage> {
        Contents(self.read(stream::FILE).await).totals()
    }

    async fn read(&self, subject: &str) -> Vec<Sent> {
        let config = pull::Config {
            ack_policy: AckPolicy::None,
            filter_subject: subject.to_owned(),
            memory_storage: true,
            inactive_threshold: Duration::from_secs(5),
            ..pull::Config::default()
        };
        // No stream, no contents.
        let Ok(events) = self.jetstream.get_stream(STREAM).await else { return Vec::new() };
        let mut made = None;
        // While the server reloads its configuration it does not answer.
        until("the stream can be read", async || {
            made = events.create_consumer(config.clone()).await.ok();
            made.is_some()
        })
        .await;
        let consumer = made.unwrap();
        let there = usize::try_from(consumer.cached_info().num_pending).unwrap();
        let messages = consumer.stream().max_messages_per_batch(1_000).messages().await.unwrap();
        let read = messages.take(there).map_ok(|message| Sent::from(&message)).try_collect();
        let read = ended("what is there is read", read).await.unwrap();
        // A server that reloads its configuration may not answer; then it goes by itself.
        let _ = events.delete_consumer(&consumer.cached_info().name).await;
        read
    }

    /// How many messages the stream holds.
    pub(crate) async fn messages(&self) -> u64 {
        match self.jetstream.get_stream(STREAM).await {
            Ok(events) => events.cached_info().state.messages,
            Err(_) => 0,
        }
    }

    /// Waits until a file's latest totals are final and count so many rows.
    pub(crate) async fn until_finished(&self, name: &str, rows_read: i64) -> FileMessage {
        let wanted =
            |totals: &FileMessage| (totals.state, totals.rows_read) == (FileState::Finished, rows_read);
        self.until_totals(name, wanted).await
    }

    /// Waits until a file's latest totals are as `wanted`.
    pub(crate) async fn until_totals(
        &self,
        name: &str,
        wanted: impl Fn(&FileMessage) -> bool,
    ) -> FileMessage {
        let mut latest = None;
        let path = self.path(name);
        until(&format!("the wanted totals of {name}"), async || {
            latest = self.totals().await.into_iter().rfind(|totals| Path::new(&totals.path) == path);
            latest.as_ref().is_some_and(&wanted)
        })
        .await;
        latest.unwrap()
    }

    /// Waits until so many rows, good and bad, of one file are in the stream.
    pub(crate) async fn until_rows(&self, rows: usize) {
        until(&format!("{rows} rows in the stream"), async || self.contents().await.rows().len() >= rows)
            .await;
    }

    pub(crate) async fn closed_bucket(&self) -> kv::Store {
        stream::closed_bucket(&self.jetstream).await.unwrap()
    }

    /// Announces a file as closed, as the consumer does when every row of these totals is in a table.
    pub(crate) async fn close(&self, totals: &FileMessage) {
        let closed = ClosedFile { revision: totals.revision, rows_read: totals.rows_read };
        self.announce_closed(totals.file_id, closed).await;
    }

    pub(crate) async fn announce_closed(&self, file: FileId, closed: ClosedFile) {
        let value = serde_json::to_vec(&closed).unwrap();
        self.closed_bucket().await.put(file.to_string(), value.into()).await.unwrap();
    }

    /// Closes every finished file, until it is dropped.
    pub(crate) fn close_all(&self) -> AbortOnDropHandle<()> {
        let jetstream = self.jetstream.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut last = 0;
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let Ok(events) = jetstream.get_stream(STREAM).await else { continue };
                // The next totals after those that are closed.
                let next = events.direct_get_next_for_subject(stream::FILE, Some(last + 1)).await;
                let Ok(message) = next else { continue };
                last = message.sequence;
                let totals: FileMessage = serde_json::from_slice(&message.payload).unwrap();
                if totals.state == FileState::Finished {
                    let closed = ClosedFile { revision: totals.revision, rows_read: totals.rows_read };
                    let bucket = stream::closed_bucket(&jetstream).await.unwrap();
                    let value = serde_json::to_vec(&closed).unwrap();
                    bucket.put(totals.file_id.to_string(), value.into()).await.unwrap();
                }
            }
        }))
    }

    /// Waits until the checkpoint of a file is in the state `archived`. The file is moved before that.
    pub(crate) async fn until_archived(&self, file: FileId) {
        until("the file is archived", async || {
            let known = producer::checkpoint_summaries(&self.config).unwrap().unwrap_or_default();
            known.iter().any(|one| one.file_id == file && one.state == "archived")
        })
        .await;
    }

    /// The store of checkpoints.
    pub(crate) fn checkpoint_store(&self) -> PathBuf {
        self.config.checkpoint_dir().join("checkpoints.db")
    }

    /// The JSON of the file's checkpoint and of its mapping.
    pub(crate) fn checkpoint(&self, file: FileId) -> (serde_json::Value, serde_json::Value) {
        let store = rusqlite::Connection::open(self.checkpoint_store()).unwrap();
        let query =
            "select c.body, m.body from checkpoint c join mapping m on m.id = c.mapping where file_id = ?1";
        let columns = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let (checkpoint, mapping) = store.query_row(query, [file.get()], columns).unwrap();
        (serde_json::from_str(&checkpoint).unwrap(), serde_json::from_str(&mapping).unwrap())
    }

    /// With SIGKILL.
    pub(crate) fn kill_nats(&mut self) {
        let nats = self.nats.take().unwrap();
        let pid = Pid::from_raw(nats.pid().cast_signed()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
    }

    pub(crate) async fn stop_nats(&mut self) {
        self.nats.take().unwrap().stop().await.unwrap();
    }

    /// Starts the server again on the same port, with what is left of its store.
    pub(crate) async fn restart_nats(&mut self) {
        let port = self.config.nats.url.clone();
        let nats = nats_in(self.dir.path()).await;
        let same = |url: &secrecy::SecretString| secrecy::ExposeSecret::expose_secret(url).to_owned();
        assert_eq!(same(&nats.url()), same(&port.unwrap()), "another process took the port");
        self.nats = Some(nats);
        until("the test is connected again", async || self.jetstream.query_account().await.is_ok()).await;
    }

    /// Without a restart.
    pub(crate) fn reload_nats(&self, change: impl FnOnce(String) -> String) {
        let path = self.dir.path().join("nats/nats.conf");
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
        let pid = Pid::from_raw(self.nats.as_ref().unwrap().pid().cast_signed()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
    }

    /// Where the server keeps its streams.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("nats/nats")
    }
}

async fn nats_in(dir: &Path) -> Nats {
    Nats::start(&Options::new(dir), &dir.join("nats")).await.unwrap()
}

impl Tailer {
    /// As the first Ctrl-C does.
    pub(crate) async fn drain(self) -> Outcome {
        self.shutdown.drain();
        self.end().await.unwrap()
    }

    /// As the second Ctrl-C does.
    pub(crate) async fn stop(self) {
        self.shutdown.stop();
        // It may fail because messages were in flight.
        let _ = self.end().await;
    }

    pub(crate) async fn end(self) -> Result<Outcome, Error> {
        ended("the tailer ends", self.task).await.expect("it does not panic")
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.task.is_finished()
    }
}

/// A directory on another file system than the one of temporary files, to which no file can be renamed from there.
pub(crate) fn other_file_system() -> TempDir {
    let there = tempfile::tempdir_in("/dev/shm").unwrap();
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    assert_ne!(device(there.path()), device(&std::env::temp_dir()), "both are one file system");
    there
}

/// One good row. The number makes it different from others.
pub(crate) fn row(number: u128) -> String {
    let id = uuid::Uuid::from_u128(number);
    format!("{id},view,2024-03-13T10:21:14Z,customer {number},A thing,{number}.50\n")
}

/// A header and good rows.
pub(crate) fn rows(numbers: std::ops::RangeInclusive<u128>) -> String {
    HEADER.chars().chain(numbers.flat_map(|number| row(number).chars().collect::<Vec<_>>())).collect()
}
