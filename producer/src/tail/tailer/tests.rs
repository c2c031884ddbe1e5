//! The end of a file's life, step by step and without a broker: the test is the publisher and the consumer. Files are
//! written, replaced and removed between any two steps of the tailer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::SystemTime;

use common::config::{Config, OnClose};
use common::wire::{ClosedFile, EventMessage, FileMessage, FileState};
use common::{Clock, stream};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{self, RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;

use super::*;
use crate::archive;
use crate::checkpoint::{State, Store};
use crate::map::{MappingRules, MaxPayload};
use crate::progress::Progress;

const HEADER: &str = "event_id,event_type,event_timestamp,customer_id\n";
const NAMES: [&str; 2] = ["a.csv", "b.csv"];

fn row(number: u32) -> String {
    // All of one length, so that what is written over has the same size.
    format!("{},view,2024-03-13T10:21:14Z,{number:08}\n", uuid::Uuid::from_u128(number.into()))
}

/// The rows of a file.
fn rows_in(content: &str) -> BTreeSet<u32> {
    content.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect()
}

struct World {
    dir: TempDir,
    config: Config,
    store: Arc<Store>,
    tailer: Tailer,
    chunks: mpsc::Receiver<Chunk>,
    /// Rows that were published.
    published: BTreeSet<u32>,
    /// Totals that were announced, and that the consumer may say are in the tables.
    announced: Vec<FileMessage>,
    last_row: u32,
    /// The clock of the file system.
    tick: u64,
}

impl World {
    fn new(on_close: OnClose) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: dir.path().join("data"), ..Config::default() };
        config.tail.finish_after = Duration::ZERO;
        config.tail.on_close = on_close;
        fs::create_dir_all(config.landing_dir()).unwrap();
        let (store, tailer, chunks) = start(&config);
        Self {
            dir,
            config,
            store,
            tailer,
            chunks,
            published: BTreeSet::new(),
            announced: Vec::new(),
            last_row: 0,
            tick: 1_700_000_000,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.config.landing_dir().join(name)
    }

    fn rows(&mut self, count: usize) -> String {
        (0..count)
            .map(|_| {
                self.last_row += 1;
                row(self.last_row)
            })
            .collect()
    }

    /// Each write has a time of its own, which file systems with coarse clocks give only to writes that are not close.
    fn write(&mut self, path: &Path, content: &str) {
        fs::write(path, content).unwrap();
        self.tick += 1;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.tick);
        fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
    }

    fn append(&mut self, name: &str, count: usize) {
        let path = self.path(name);
        let before = fs::read_to_string(&path).unwrap_or_else(|_| HEADER.to_owned());
        let content = before + &self.rows(count);
        self.write(&path, &content);
    }

    /// Other rows in the place of the last ones: the same size, and the same file to the system.
    fn write_over(&mut self, name: &str, count: usize) {
        let path = self.path(name);
        let Ok(before) = fs::read_to_string(&path) else { return };
        let kept = rows_in(&before).len().saturating_sub(count);
        let lines: Vec<&str> = before.lines().take(kept + 1).collect();
        let count = rows_in(&before).len() - kept;
        let content = lines.join("\n") + "\n" + &self.rows(count);
        self.write(&path, &content);
    }

    fn replace(&mut self, name: &str, count: usize) {
        let (path, part) = (self.path(name), self.path("next.part"));
        let content = HEADER.to_owned() + &self.rows(count);
        self.write(&part, &content);
        fs::rename(part, path).unwrap();
    }

    /// What the tailer has sent is published.
    fn publish(&mut self) {
        while let Ok(chunk) = self.chunks.try_recv() {
            for message in chunk.messages {
                if *message.subject == *stream::FILE {
                    let totals: FileMessage = serde_json::from_slice(&message.payload).unwrap();
                    if totals.state == FileState::Finished {
                        self.announced.push(totals);
                    }
                } else {
                    let event: EventMessage<'_> = serde_json::from_slice(&message.payload).unwrap();
                    self.published.insert(event.customer_id.unwrap().parse().unwrap());
                }
            }
            for mark in chunk.marks {
                self.store.advance(mark).unwrap();
            }
        }
    }

    fn read_next(&mut self) {
        self.tailer.read_next().unwrap();
        self.publish();
    }

    /// Everything that is there is read, and announced.
    fn settle(&mut self) {
        loop {
            self.tailer.scan(false);
            self.tailer.finish_quiet();
            if self.tailer.ready.is_empty() {
                return;
            }
            while !self.tailer.ready.is_empty() {
                self.read_next();
            }
        }
    }

    /// The system speaks of a file.
    fn changed(&mut self, name: &str) {
        let path = self.path(name);
        self.tailer.changed(&path);
    }

    /// The consumer announces these totals as closed. The tailer may only put away what it has read.
    fn close(&mut self, back: usize) {
        let Some(at) = self.announced.len().checked_sub(1 + back) else { return };
        let totals = &self.announced[at];
        let closed = ClosedFile { revision: totals.revision, rows_read: totals.rows_read };
        let there = self.files();
        let closed_before = self.closed_files();
        self.tailer.closed(vec![(totals.file_id, closed)]).unwrap();
        self.publish();
        let now = self.files();
        for (inode, content) in &there {
            let unread: Vec<u32> = rows_in(content).difference(&self.published).copied().collect();
            let is_away = !now.contains_key(inode);
            let closed = self.closed_files();
            let is_kept = closed.difference(&closed_before).any(|(_, closed)| closed == inode);
            assert!(unread.is_empty() || !(is_away || is_kept), "closed with unread rows {unread:?}");
        }
        for (inode, content) in &now {
            assert_eq!(there.get(inode), Some(content), "nothing is put there or changed");
        }
    }

    /// The files of the landing directory.
    fn files(&self) -> BTreeMap<u64, String> {
        let entries = fs::read_dir(self.config.landing_dir()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.map(|path| (fs::metadata(&path).unwrap().ino(), fs::read_to_string(path).unwrap())).collect()
    }

    /// Files that were left where they are, with their inodes.
    fn closed_files(&self) -> BTreeSet<(FileId, u64)> {
        let closed = self.store.select(|one| one.state == State::Kept).into_iter();
        closed.map(|one| (one.file_id, one.identity.inode)).collect()
    }

    /// The tailer ends as by a kill, after its positions were written or before, and another one begins.
    fn restart(&mut self, is_flushed: bool) {
        if is_flushed {
            self.store.flush().unwrap();
        }
        (self.store, self.tailer, self.chunks) = start(&self.config);
    }

    /// Every file that is there is read to its end and put away.
    fn finish(&mut self) {
        let mut there = BTreeSet::new();
        for _ in 0..8 {
            self.settle();
            there.extend(self.files().values().flat_map(|content| rows_in(content)));
            for back in 0..self.announced.len() {
                self.close(back);
            }
        }
        let unread: Vec<u32> = there.difference(&self.published).copied().collect();
        assert!(unread.is_empty(), "{unread:?} were never read");
        let left = if self.config.tail.on_close == OnClose::Keep {
            let closed = self.closed_files();
            self.files().into_keys().filter(|inode| !closed.iter().any(|(_, closed)| closed == inode)).count()
        } else {
            self.files().len()
        };
        assert_eq!(left, 0, "files are never closed: {:?}", self.tailer.parked);
        assert!(self.dir.path().exists());
    }
}

fn start(config: &Config) -> (Arc<Store>, Tailer, mpsc::Receiver<Chunk>) {
    let store = Arc::new(Store::open(&config.checkpoint_dir()).unwrap());
    archive::recover(&store).unwrap();
    let context = Context {
        config: config.clone(),
        store: store.clone(),
        clock: Clock::System,
        mapping_rules: MappingRules::new(config, MaxPayload::DEFAULT),
    };
    let (_, inbox) = mpsc::channel(1);
    let (to_publisher, chunks) = mpsc::channel(64);
    let pulse = Progress::default().health().pulse("tail", Duration::from_mins(1));
    let landing = config.landing_dir();
    let tailer = Tailer::new(context, &landing, inbox, to_publisher, CancellationToken::new(), pulse);
    (store, tailer, chunks)
}

#[test]
fn rule_closed_is_what_was_announced() {
    for on_close in [OnClose::Archive, OnClose::Keep, OnClose::Delete] {
        let mut world = World::new(on_close);
        world.append("a.csv", 3);
        world.settle();
        // It grows and is checked. The totals of before are announced as closed before it is read on.
        world.append("a.csv", 2);
        world.changed("a.csv");
        world.close(0);
        assert_eq!(world.files().len(), 1, "{on_close:?}");
        // It grows, and is not checked.
        world.settle();
        world.append("a.csv", 2);
        world.close(0);
        // It is another one of the same size.
        world.settle();
        world.write_over("a.csv", 1);
        world.changed("a.csv");
        world.close(0);
        assert_eq!(world.files().len(), 1, "{on_close:?}");
        world.settle();
        assert_eq!(world.published.len(), 3 + 2 + 2 + 1, "{on_close:?}");
        world.finish();
    }
}

#[test]
fn rule_closed_is_what_was_announced_and_what_grows_in_the_archive_is_brought_back() {
    let mut world = World::new(OnClose::Archive);
    world.append("a.csv", 3);
    world.settle();
    world.close(0);
    assert_eq!(world.files().len(), 0);
    let archived = fs::read_dir(world.config.archive_dir()).unwrap().next().unwrap().unwrap().path();
    // Another one has come under its name.
    world.append("a.csv", 1);
    let late = world.rows(2);
    let content = fs::read_to_string(&archived).unwrap() + &late;
    world.write(&archived, &content);
    world.settle();
    assert_eq!((world.published.len(), archived.exists()), (6, false));
    assert_eq!(world.store.select(|_| true).len(), 2, "it is the file that it was");
    world.finish();
    let paths = fs::read_dir(world.config.archive_dir()).unwrap().map(|entry| entry.unwrap().path());
    assert!(paths.map(|path| fs::read_to_string(path).unwrap()).any(|archived| archived == content));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Append {
        name: &'static str,
        rows: usize,
    },
    WriteOver {
        name: &'static str,
        rows: usize,
    },
    Replace {
        name: &'static str,
        rows: usize,
    },
    Remove {
        name: &'static str,
    },
    Scan,
    Changed {
        name: &'static str,
    },
    ReadNext,
    Settle,
    /// The consumer speaks of the last totals, or of some before.
    Close {
        back: usize,
    },
    Restart {
        is_flushed: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let name = || proptest::sample::select(NAMES.to_vec());
    prop_oneof![
        6 => (name(), 1_usize..4).prop_map(|(name, rows)| Step::Append { name, rows }),
        2 => (name(), 1_usize..3).prop_map(|(name, rows)| Step::WriteOver { name, rows }),
        1 => (name(), 0_usize..4).prop_map(|(name, rows)| Step::Replace { name, rows }),
        1 => name().prop_map(|name| Step::Remove { name }),
        3 => Just(Step::Scan),
        3 => name().prop_map(|name| Step::Changed { name }),
        6 => Just(Step::ReadNext),
        3 => Just(Step::Settle),
        6 => (0_usize..3).prop_map(|back| Step::Close { back }),
        1 => any::<bool>().prop_map(|is_flushed| Step::Restart { is_flushed }),
    ]
}

fn play(on_close: OnClose, steps: &[Step]) {
    let mut world = World::new(on_close);
    for step in steps {
        match *step {
            Step::Append { name, rows } => world.append(name, rows),
            Step::WriteOver { name, rows } => world.write_over(name, rows),
            Step::Replace { name, rows } => world.replace(name, rows),
            Step::Remove { name } => drop(fs::remove_file(world.path(name))),
            Step::Scan => world.tailer.scan(false),
            Step::Changed { name } => world.changed(name),
            Step::ReadNext => world.read_next(),
            Step::Settle => world.settle(),
            Step::Close { back } => world.close(back),
            Step::Restart { is_flushed } => world.restart(is_flushed),
        }
    }
    world.finish();
}

#[test]
fn rule_closed_is_what_was_announced_however_growing_reading_and_closing_meet() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96);
    let config = test_runner::Config { cases, failure_persistence: None, ..test_runner::Config::default() };
    let on_close = proptest::sample::select(vec![OnClose::Archive, OnClose::Keep, OnClose::Delete]);
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let played =
        TestRunner::new_with_rng(config, rng).run(&(on_close, vec(step(), 0..40)), |(on_close, steps)| {
            play(on_close, &steps);
            Ok(())
        });
    played.unwrap_or_else(|failure| panic!("{failure}"));
}
