use std::fs;

use common::Clock;
use tempfile::TempDir;

use super::*;
use crate::checkpoint::{State, Store};
use crate::file::identity::FileStat;
use crate::map::Mapped;
use crate::tail::Chunk;
use crate::tail::tailed_file::{Context, ReadState, TailedFile};

const HEADER: &str = "event_type,event_timestamp,price\n";
const ROWS: &str = "view,2024-03-13 10:21:14,1.50\nclick,soon,1\nview,2024-03-13 10:21:15,19";

/// A file that was read to its end, and put away.
struct Read {
    dir: TempDir,
    files: Files,
    checkpoint: Checkpoint,
    messages: Vec<Mapped>,
}

impl Read {
    fn of(text: &str) -> Self {
        Self::within(text, 1 << 20)
    }

    fn within(text: &str, max_payload: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let landed = dir.path().join("a.csv");
        fs::write(&landed, text).unwrap();
        let store = Store::open(&dir.path().join("checkpoints")).unwrap();
        let mut config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        config.tail.archive_dir = Some(dir.path().join("archive"));
        let context = Context {
            config: config.clone(),
            store: store.into(),
            clock: Clock::System,
            mapping_rules: MappingRules::new(&config, MaxPayload::Is(max_payload)),
        };
        let stat = FileStat::from(&fs::metadata(&landed).unwrap());
        let mut tailed_file = TailedFile::new(landed.clone(), stat);
        let mut chunk = Chunk::default();
        while tailed_file.read(&context, true, &mut chunk).unwrap() == ReadState::More {}
        let target = dir.path().join("archive/a.1.csv");
        fs::create_dir(dir.path().join("archive")).unwrap();
        fs::rename(landed, &target).unwrap();
        let checkpoint = tailed_file.reading.unwrap().checkpoint;
        let checkpoint = Checkpoint { state: State::Archived { target }, ..checkpoint };
        let mut messages = chunk.messages;
        messages.retain(|message| message.subject.as_str() != common::stream::FILE);
        Self { dir, files: Files { config, max_payload }, checkpoint, messages }
    }

    /// What the file gives when it is read again, or why it gives nothing.
    fn again(&self) -> Result<Vec<Mapped>, String> {
        let all_rows = RowSet::EMPTY.missing_up_to(self.checkpoint.reached.row);
        let file = self.files.file(&self.checkpoint, &all_rows, &[])?;
        let mut all = Vec::new();
        file.rows(|rows| {
            for row in rows {
                assert_eq!(usize::try_from(row.position.row).unwrap(), all.len() + 1);
                all.push(row.message);
            }
            Ok(())
        })
        .unwrap();
        Ok(all)
    }

    fn archived(&self) -> PathBuf {
        self.dir.path().join("archive/a.1.csv")
    }
}

fn payloads(messages: &[Mapped]) -> Vec<&[u8]> {
    messages.iter().map(|message| &*message.payload).collect()
}

#[test]
fn a_file_gives_the_rows_that_it_gave() {
    let read = Read::of(&format!("{HEADER}{ROWS}"));
    assert_eq!(payloads(&read.again().unwrap()), payloads(&read.messages));
    assert_eq!(read.messages.len(), 3);
}

#[test]
fn rule_mapping_is_pinned_when_a_file_is_read_again() {
    let mut read = Read::of(&format!("{HEADER}{ROWS}"));
    read.files.config.events.required = vec!["price".to_owned()];
    read.files.config.events.time_zone = chrono_tz::Tz::Asia__Tokyo;
    assert_eq!(payloads(&read.again().unwrap()), payloads(&read.messages));
    // Without a pinned mapping, the counts of the rows are compared.
    read.checkpoint.mapping = None;
    assert_eq!(read.again().unwrap().len(), 3);
}

#[test]
fn what_a_file_has_grown_by_changes_no_row() {
    let read = Read::of(&format!("{HEADER}{ROWS}"));
    fs::write(read.archived(), format!("{HEADER}{ROWS}.99\nview,2024-03-13 10:21:16,2\n")).unwrap();
    let unchanged: Vec<Mapped> = read.again().unwrap();
    let written = |message: &Mapped| {
        let mut event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        event.as_object_mut().unwrap().remove("written_us");
        event
    };
    let both = [&unchanged, &read.messages].map(|messages| messages.iter().map(written).collect::<Vec<_>>());
    assert_eq!(both[0], both[1]);
}

#[test]
fn a_file_is_found_by_its_content() {
    let mut read = Read::of(&format!("{HEADER}{ROWS}"));
    let elsewhere = read.dir.path().join("restored");
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(read.archived(), elsewhere.join("a.1.csv")).unwrap();
    fs::write(read.archived(), format!("{HEADER}another file\n")).unwrap();
    let why = read.again().unwrap_err();
    assert!(why.ends_with("archive/a.1.csv is not the file that was read"), "{why}");
    read.files.config.tail.archive_dir = Some(elsewhere);
    assert_eq!(payloads(&read.again().unwrap()).len(), 3);
    fs::remove_dir_all(read.dir.path().join("restored")).unwrap();
    fs::remove_file(read.archived()).unwrap();
    let why = read.again().unwrap_err();
    assert!(why.ends_with("archive/a.1.csv is not there"), "{why}");
}

#[test]
fn a_file_that_gives_other_rows_gives_none() {
    let mut read = Read::of(&format!("{HEADER}{ROWS}"));
    // As in a checkpoint of an older version.
    read.checkpoint.limits = None;
    read.files.config.tail.max_record_bytes = 20;
    let why = read.again().unwrap_err();
    assert!(why.contains("gives 0 events and 3 rejected rows now, and gave 2 and 1"), "{why}");
}

#[test]
fn rule_limits_are_pinned_when_a_file_is_read_again() {
    let long = format!("view,2024-03-13 10:21:16,\"{}\"\n", "\n".repeat(3_000));
    let mut read = Read::within(&format!("{HEADER}{long}{ROWS}"), 2_000);
    assert_eq!(read.messages.len(), 4);
    read.files.config.tail.max_record_bytes = 1_024;
    read.files.max_payload = 8 << 20;
    assert_eq!(payloads(&read.again().unwrap()), payloads(&read.messages));
}

#[test]
fn rule_limits_are_pinned_and_a_row_that_does_not_fit_any_more_is_not_cut() {
    let long = format!("view,2024-03-13 10:21:16,1,{}\n", "x".repeat(3_000));
    let header = HEADER.replace('\n', ",note\n");
    let mut read = Read::of(&format!("{header}{long}view,2024-03-13 10:21:14,2,y\n"));
    read.files.max_payload = 2_000;
    let why = read.again().unwrap_err();
    let size = read.messages[0].payload.len();
    assert!(size > 3_000);
    assert_eq!(
        why,
        format!(
            "row 1 makes a message of {size} bytes, and the broker's max_payload is 2000 now; set it to at least {size} \
             and run `millrace heal` again"
        )
    );
    read.files.max_payload = size;
    assert_eq!(payloads(&read.again().unwrap()), payloads(&read.messages));
}

#[test]
fn rule_mapping_is_pinned_as_the_rows_settled_it() {
    // The second row settles that times are in milliseconds; in those the first one would be a time.
    let read = Read::of(&format!("{HEADER}view,99999999999,1\nview,1710325274000,1\n"));
    assert!(read.messages[0].rejected.is_some() && read.messages[1].rejected.is_none());
    assert_eq!(payloads(&read.again().unwrap()), payloads(&read.messages));
}
