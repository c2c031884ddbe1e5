//! The tailer against a model: files grow by pieces that end anywhere, tailers come and go, and each record arrives.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::bed::{Bed, HEADER, Tailer, until};

const FILES: usize = 3;

/// How a record looks in its file.
#[derive(Clone, Copy, Debug)]
enum Looks {
    Plain,
    WindowsEnd,
    QuotedLineEnd,
    BehindABlankLine,
    /// A field is missing.
    Bad,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    /// The next bytes of a file are written.
    Append { file: usize, bytes: usize },
    /// Everything that is complete has arrived.
    Settle,
    /// The tailer is drained, and another one started.
    Drain,
    /// The tailer is stopped where it is, and another one started.
    Stop,
}

/// A file to be written, and what is to be found in it.
#[derive(Clone, Debug, Default)]
struct Story {
    text: String,
    written: usize,
    /// Where each record ends, and its customer; none for a bad one.
    records: Vec<(usize, Option<String>)>,
}

impl Story {
    fn of(looks: &[Looks]) -> Self {
        let mut story = Self { text: HEADER.to_owned(), ..Self::default() };
        for (number, look) in looks.iter().enumerate() {
            let mut customer = format!("customer {number}");
            let mut end = "\n";
            match look {
                Looks::Plain | Looks::Bad => {}
                Looks::WindowsEnd => end = "\r\n",
                Looks::QuotedLineEnd => customer += "\nof \"two\" lines",
                Looks::BehindABlankLine => story.text += "\n",
            }
            let price = if matches!(look, Looks::Bad) { "" } else { ",1.50" };
            let quoted = customer.replace('"', "\"\"");
            let row = format!("id {number},view,2024-03-13T10:21:14Z,\"{quoted}\",A thing{price}{end}");
            story.text += &row;
            let expected = (!matches!(look, Looks::Bad)).then_some(customer);
            story.records.push((story.text.len(), expected));
        }
        story
    }

    fn next(&mut self, bytes: usize) -> &str {
        let from = self.written;
        self.written = (from + bytes).min(self.text.len());
        &self.text[from..self.written]
    }

    fn complete(&self) -> usize {
        self.records.iter().filter(|(end, _)| *end <= self.written).count()
    }
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
    prop_oneof![
        8 => (0..FILES, 1_usize..400).prop_map(|(file, bytes)| Action::Append { file, bytes }),
        2 => Just(Action::Settle),
        1 => Just(Action::Drain),
        1 => Just(Action::Stop),
    ]
}

#[test]
fn every_record_arrives_in_order_however_files_grow_and_tailers_restart() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // No line is taken before its end: how long that lasts is not the model's matter.
    let bed = Bed::start_with(|config| config.tail.finish_after = Duration::from_mins(1));
    let bed = RefCell::new(runtime.block_on(bed));
    let strategy = (vec(vec(looks(), 0..30), FILES), vec(action(), 0..30));
    let config = Config { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let play = TestRunner::new(config).run(&strategy, |(files, actions)| {
        let stories = files.iter().map(|looks| Story::of(looks)).collect();
        runtime.block_on(play(&mut bed.borrow_mut(), stories, &actions));
        Ok(())
    });
    play.unwrap();
}

async fn play(bed: &mut Bed, mut stories: Vec<Story>, actions: &[Action]) {
    bed.begin_again().await;
    let mut tailer = bed.tail();
    let mut stops = 0;
    for action in actions {
        match *action {
            Action::Append { file, bytes } => bed.append(&name(file), stories[file].next(bytes)),
            Action::Settle => settle(bed, &stories).await,
            Action::Drain => {
                tailer.drain().await;
                tailer = bed.tail();
            }
            Action::Stop => {
                stops += 1;
                tailer.stop().await;
                tailer = bed.tail();
            }
        }
    }
    for (file, story) in stories.iter_mut().enumerate() {
        bed.append(&name(file), story.next(usize::MAX / 2));
    }
    finish(bed, tailer).await;
    check(bed, &stories, stops).await;
}

async fn finish(bed: &Bed, tailer: Tailer) {
    let closing = bed.close_all();
    tailer.ending.cancel();
    let outcome = tailer.end().await.unwrap();
    drop(closing);
    assert_eq!((outcome.open, outcome.parked), (0, vec![]));
    assert_eq!(bed.archived().len(), FILES);
}

async fn settle(bed: &Bed, stories: &[Story]) {
    let complete: usize = stories.iter().map(Story::complete).sum();
    until("what is complete has arrived", async || {
        let mut rows = bed.contents().await.rows();
        rows.sort_unstable();
        rows.dedup();
        rows.len() >= complete
    })
    .await;
}

async fn check(bed: &Bed, stories: &[Story], stops: usize) {
    let contents = bed.contents().await;
    let mut ids = BTreeMap::new();
    for account in contents.accounts() {
        ids.entry(account.path).or_insert_with(Vec::new).push(account.file_id);
    }
    for (file, story) in stories.iter().enumerate() {
        let path = bed.path(&name(file));
        let ids = &mut ids.remove(path.to_str().unwrap()).unwrap();
        ids.dedup();
        let [id] = ids[..] else { panic!("{} is one file, not {ids:?}", path.display()) };

        let rows = contents.rows_of(id);
        let descents = rows.windows(2).filter(|pair| pair[0] >= pair[1]).count();
        assert!(descents <= stops, "{descents} times back in {rows:?} after {stops} stops");
        let mut distinct = rows;
        distinct.sort_unstable();
        distinct.dedup();
        let expected: Vec<i64> = (1..).zip(&story.records).map(|(row, _)| row).collect();
        assert_eq!(distinct, expected, "{}", path.display());

        for event in contents.events().into_iter().filter(|event| event.file_id == id) {
            let (_, customer) = &story.records[usize::try_from(event.row).unwrap() - 1];
            assert_eq!(event.customer_id.as_deref(), customer.as_deref(), "row {}", event.row);
        }
        for reject in contents.rejects().into_iter().filter(|reject| reject.file_id == id) {
            let (end, customer) = &story.records[usize::try_from(reject.row).unwrap() - 1];
            assert_eq!((usize::try_from(reject.byte_end).unwrap(), customer), (*end, &None));
        }
    }
}

fn name(file: usize) -> String {
    format!("{file}.csv")
}
