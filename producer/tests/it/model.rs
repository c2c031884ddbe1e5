//! The tailer against a model: files grow by pieces that end anywhere, are cut, rewritten, replaced, renamed and
//! removed, while producers are killed and started again. Whatever was there to be read arrives.

mod check;
mod files;

use std::cell::RefCell;
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sandbox::testing::Process;

use crate::test_env::{TestEnv, until};
use files::{Files, Looks};

/// Names under which files come.
const NAMES: [&str; 3] = ["0.csv", "1.csv", "2.csv"];

#[derive(Clone, Copy, Debug)]
enum Action {
    /// The next bytes of a file are written.
    Append {
        name: &'static str,
        bytes: usize,
    },
    Cut {
        name: &'static str,
        keep: usize,
    },
    Rewrite {
        name: &'static str,
        keep: usize,
        bytes: usize,
    },
    Replace {
        name: &'static str,
        keep: usize,
        bytes: usize,
    },
    Rotate {
        name: &'static str,
    },
    Exchange {
        names: (&'static str, &'static str),
    },
    Remove {
        name: &'static str,
    },
    /// A producer runs, where none did.
    Start,
    /// Everything that is complete has arrived.
    Settle,
    /// The producer is asked to end.
    Drain,
    /// The producer is killed where it is.
    Kill,
    /// The broker is killed, and started again.
    KillBroker,
}

fn looks() -> impl Strategy<Value = Looks> {
    prop_oneof![
        4 => Just(Looks::Plain),
        1 => Just(Looks::WindowsEnd),
        2 => Just(Looks::QuotedLineEnd),
        1 => Just(Looks::BehindABlankLine),
        1 => Just(Looks::Bad),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let name = || proptest::sample::select(NAMES.to_vec());
    let (keep, bytes) = (0_usize..12, 0_usize..600);
    prop_oneof![
        24 => (name(), 1_usize..600).prop_map(|(name, bytes)| Action::Append { name, bytes }),
        3 => (name(), keep.clone()).prop_map(|(name, keep)| Action::Cut { name, keep }),
        3 => (name(), keep.clone(), bytes.clone())
            .prop_map(|(name, keep, bytes)| Action::Rewrite { name, keep, bytes }),
        2 => (name(), keep, bytes).prop_map(|(name, keep, bytes)| Action::Replace { name, keep, bytes }),
        3 => name().prop_map(|name| Action::Rotate { name }),
        1 => (name(), name()).prop_map(|names| Action::Exchange { names }),
        2 => name().prop_map(|name| Action::Remove { name }),
        8 => Just(Action::Start),
        4 => Just(Action::Settle),
        1 => Just(Action::Drain),
        4 => Just(Action::Kill),
        1 => Just(Action::KillBroker),
    ]
}

#[test]
fn every_record_that_was_there_to_be_read_arrives_whatever_happens_to_files_and_producers() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let env = TestEnv::start_with(|config| {
        // No line is taken before its end: how long that lasts is not the model's matter.
        config.tail.finish_after = Duration::from_mins(1);
        // Kills find checkpoints that are behind.
        config.tail.checkpoint_every = Duration::from_secs(1);
    });
    let env = RefCell::new(runtime.block_on(env));
    let strategy = (vec(vec(looks(), 0..20), 1..6), vec(action(), 0..40));
    let cases = env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(12);
    let config = Config { cases, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let play = TestRunner::new(config).run(&strategy, |(looks, actions)| {
        runtime.block_on(play(&mut env.borrow_mut(), looks, &actions));
        Ok(())
    });
    play.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Shows what the producers of a play have said, where it fails.
struct Said(PathBuf);

impl Drop for Said {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = fs::read_to_string(&self.0).unwrap_or_default();
            io::stderr().write_all(said.as_bytes()).unwrap();
        }
    }
}

async fn play(env: &mut TestEnv, looks: Vec<Vec<Looks>>, actions: &[Action]) {
    env.begin_again().await;
    let _said = Said(env.log());
    let mut files = Files::new(env.config.landing_dir(), looks);
    let mut producer: Option<Process> = None;
    for action in actions {
        match *action {
            Action::Append { name, bytes } => files.append(name, bytes),
            Action::Cut { name, keep } => files.cut(name, keep),
            Action::Rewrite { name, keep, bytes } => files.rewrite(name, keep, bytes),
            Action::Replace { name, keep, bytes } => files.replace(name, keep, bytes),
            Action::Rotate { name } => files.rotate(name),
            Action::Exchange { names: (one, other) } => files.exchange(one, other),
            Action::Remove { name } => files.remove(name),
            Action::Start => drop(producer.get_or_insert_with(|| env.producer(&["tail"]))),
            Action::Settle => {
                producer.get_or_insert_with(|| env.producer(&["tail"]));
                settle(env, &mut files).await;
            }
            Action::Drain => {
                if let Some(producer) = producer.take() {
                    producer.drain().await;
                }
            }
            Action::Kill => {
                if let Some(producer) = producer.take() {
                    producer.kill().await;
                }
            }
            Action::KillBroker => {
                env.kill_nats();
                env.restart_nats().await;
            }
        }
    }
    if let Some(producer) = producer {
        producer.drain().await;
    }
    finish(env, &mut files).await;
    check::all(&env.contents().await, &files);
}

/// Everything that can be read is, and is put away.
async fn finish(env: &TestEnv, files: &mut Files) {
    files.complete();
    files.prove();
    let closing = env.close_all();
    let ended = env.producer(&["tail", "--once"]).end().await;
    drop(closing);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(env.archived().len(), files.live.len());
}

async fn settle(env: &TestEnv, files: &mut Files) {
    until("what is complete has arrived", async || {
        let delivered = check::delivered(&env.contents().await);
        let has =
            |records: &[_]| records.is_empty() || delivered.values().any(|rows| check::hold(rows, records));
        files.visible().iter().all(|records| has(records))
    })
    .await;
    files.prove();
}
