//! Where records and files end.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use common::Clock;
use common::config::Source;
use common::event::Reason;
use common::wire::FileState;

use crate::contents::sha256;
use crate::test_env::{HEADER, TestEnv, row, rows, until};

pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// One frame with its checksum.
fn zstd(text: &str) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// As pzstd writes it: before each frame one that readers skip, with the length of the next.
fn pzstd(texts: &[String]) -> Vec<u8> {
    let frame = |text: &String| {
        let frame = zstd(text);
        let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
        [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0], &length[..], &frame].concat()
    };
    texts.iter().flat_map(frame).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_half_a_line_waits() {
    let env = TestEnv::start_with(|config| config.tail.finish_after = Duration::from_mins(1)).await;
    let tailer = env.tail();
    let text = rows(1..=2);
    let (half, rest) = text.split_at(text.len() - 4);
    env.append("a.csv", half);
    env.until_rows(1).await;
    env.append("a.csv", rest);
    env.until_rows(2).await;
    tailer.drain().await;
    let contents = env.contents().await;
    assert!(contents.rejects().is_empty());
    assert_eq!(contents.events()[1].price.as_deref(), Some("2.50"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_half_a_line_waits_until_the_file_is_quiet() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    let text = rows(1..=2);
    let (half, rest) = text.split_at(text.len() - 4);
    env.append("a.csv", half);
    let first = env.until_finished("a.csv", 2).await;
    assert_eq!((first.published, first.rejected), (2, 0));
    assert_eq!(env.contents().await.events()[1].price.as_deref(), Some("2"));

    // The line grows after all: `2` was published, and the rest of it is no row.
    env.append("a.csv", rest.to_owned() + &row(3));
    let second = env.until_finished("a.csv", 4).await;
    tailer.drain().await;
    assert_eq!((second.file_id, second.published, second.rejected), (first.file_id, 3, 1));
    let contents = env.contents().await;
    let continued = &contents.rejects()[0];
    assert_eq!((continued.row, continued.reason), (3, Reason::LineContinued));
    assert_eq!(continued.raw.0, b".50");
    assert_eq!(contents.rows_of(first.file_id), [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_stray_quote_is_bounded_and_so_is_a_line_that_goes_on_after_its_row() {
    let env = TestEnv::start_with(|config| config.tail.max_record_bytes = 1_024).await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=2).trim_end());
    env.until_finished("a.csv", 2).await;
    let rest = "x".repeat(2_500);
    env.append("a.csv", &rest);
    // Each piece of the length of a record is a reject; what is left waits until the file is quiet.
    let totals = env.until_finished("a.csv", 5).await;
    assert_eq!((totals.published, totals.rejected), (2, 3));
    env.append("a.csv", format!("\n{}", row(3)));
    env.until_finished("a.csv", 6).await;
    tailer.drain().await;
    let rejects = env.contents().await.rejects();
    assert!(rejects.iter().all(|reject| reject.reason == Reason::LineContinued && !reject.truncated));
    let kept: Vec<u8> = rejects.into_iter().flat_map(|reject| reject.raw.0).collect();
    assert_eq!(kept, rest.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_end_that_comes_late_is_no_row() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=2).trim_end());
    env.until_finished("a.csv", 2).await;
    env.append("a.csv", format!("\n{}", row(3)));
    assert_eq!(env.until_finished("a.csv", 3).await.rejected, 0);
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_stray_quote_is_bounded() {
    let env = TestEnv::start_with(|config| {
        config.tail.max_record_bytes = 1_024;
        // The rows behind the quote do not wait for the end of the file.
        config.tail.finish_after = Duration::from_mins(1);
    })
    .await;
    let stray = "7,view,2024-03-13T10:21:14Z,\"open,p,1\n";
    let good: String = (1..=100).map(row).collect();
    env.land("a.csv", format!("{HEADER}{}{stray}{good}", row(101)));
    let tailer = env.tail();
    env.until_rows(102).await;
    tailer.drain().await;
    let contents = env.contents().await;
    let [reject] = &contents.rejects()[..] else { panic!("one reject: {:?}", contents.rejects()) };
    assert_eq!((contents.events().len(), reject.row, reject.reason), (101, 2, Reason::RecordTooLong));
    assert_eq!(reject.raw.0, stray.trim_end().as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_stray_quote_is_bounded_at_the_end_of_the_file_too() {
    let env = TestEnv::start().await;
    env.land("a.csv", format!("{HEADER}{}7,view,2024-03-13T10:21:14Z,\"open,p,1\n{}", row(1), row(2)));
    let tailer = env.tail();
    let totals = env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    assert_eq!((totals.published, totals.rejected), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_end_that_comes_in_pieces_is_one_reject() {
    let env = TestEnv::start_with(|config| {
        config.tail.max_record_bytes = 1_024;
        config.tail.finish_after = Duration::from_mins(1);
    })
    .await;
    let tailer = env.tail();
    let good = rows(1..=3);
    env.append("a.csv", format!("{good}{}", "x".repeat(2_000)));
    env.until_rows(3).await;
    // Started again in the middle of the line.
    tailer.drain().await;
    let tailer = env.tail();
    env.append("a.csv", "y".repeat(3_000));
    env.append("a.csv", format!("\n{}", row(4)));
    env.until_rows(5).await;
    tailer.drain().await;
    let contents = env.contents().await;
    let [reject] = &contents.rejects()[..] else { panic!("one reject: {:?}", contents.rejects()) };
    assert_eq!((reject.row, reject.reason, reject.truncated), (4, Reason::RecordTooLong, true));
    assert_eq!(reject.raw.0, "x".repeat(1_024).as_bytes());
    let line = "x".repeat(2_000) + &"y".repeat(3_000);
    assert!(reject.message.contains(&sha256(&line)), "{}", reject.message);
    assert_eq!(reject.byte_start, i64::try_from(good.len()).unwrap());
    assert_eq!(reject.byte_end - reject.byte_start, 5_001);
    assert_eq!(contents.rows_of(reject.file_id), [1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_end_that_a_running_tailer_follows_is_one_reject() {
    let env = TestEnv::start_with(|config| {
        config.tail.max_record_bytes = 1_024;
        config.tail.finish_after = Duration::from_mins(1);
    })
    .await;
    let tailer = env.tail();
    env.append("a.csv", format!("{}{}", rows(1..=3), "x".repeat(2_000)));
    env.until_rows(3).await;
    env.append("a.csv", "y".repeat(3_000));
    env.append("a.csv", format!("\n{}", row(4)));
    env.until_rows(5).await;
    tailer.drain().await;
    let contents = env.contents().await;
    let [reject] = &contents.rejects()[..] else { panic!("one reject: {:?}", contents.rejects()) };
    let line = "x".repeat(2_000) + &"y".repeat(3_000);
    assert!(
        reject.message.contains(&format!("5000 bytes with sha256 {}", sha256(&line))),
        "{}",
        reject.message
    );
    assert_eq!((reject.row, reject.byte_end - reject.byte_start), (4, 5_001));
    assert_eq!(contents.rows_of(reject.file_id), [1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_as_windows_writes_it() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    let text = rows(1..=3).replace('\n', "\r\n");
    env.land("a.csv", format!("\u{feff}{text}\r\n").replace("A thing", "\"A\r\nthing\""));
    let totals = env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    assert_eq!(totals.rejected, 0);
    let contents = env.contents().await;
    assert_eq!(contents.events()[0].event_id, uuid::Uuid::from_u128(1));
    assert_eq!(contents.events()[0].product_name.as_deref(), Some("A\r\nthing"));
    assert_eq!(contents.events()[2].price.as_deref(), Some("3.50"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quoted_line_end_belongs_to_its_row_however_it_is_written() {
    let env = TestEnv::start_with(|config| config.tail.finish_after = Duration::from_mins(1)).await;
    let tailer = env.tail();
    env.append("a.csv", format!("{HEADER}{}", row(1)));
    env.append("a.csv", "7,view,2024-03-13T10:21:14Z,c,\"first line\n");
    env.until_rows(1).await;
    env.append("a.csv", "second line\",1\n");
    env.until_rows(2).await;
    tailer.drain().await;
    assert_eq!(env.contents().await.events()[1].product_name.as_deref(), Some("first line\nsecond line"));
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_files_are_read_as_their_text() {
    let env = TestEnv::start().await;
    let text = rows(1..=5_000) + "no row\n";
    env.land("a.csv.gz", gzip(&text));
    // As `cat a.gz b.gz` makes one.
    env.land("b.csv.gz", [gzip(&rows(1..=10)), gzip(&row(11))].concat());
    let tailer = env.tail();
    let totals = env.until_finished("a.csv.gz", 5_001).await;
    assert_eq!(totals.bytes, i64::try_from(text.len()).unwrap());
    env.until_finished("b.csv.gz", 11).await;
    tailer.drain().await;
    let reject = &env.contents().await.rejects()[0];
    assert_eq!(reject.byte_start, i64::try_from(text.len() - "no row\n".len()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_every_frame() {
    let env = TestEnv::start().await;
    let parts = [rows(1..=200), (201..=300).map(row).collect(), String::new(), row(301) + "no row\n"];
    env.land("a.csv.zst", pzstd(&parts));
    env.land("b.csv.zst", parts.iter().flat_map(|part| zstd(part)).collect::<Vec<_>>());
    // Members, and zeros up to a full block.
    let padding = vec![0; 10_000];
    env.land("c.csv.gz", [parts.iter().flat_map(|part| gzip(part)).collect(), padding].concat());
    let closing = env.close_all();
    let outcome = env.tail_once().end().await.unwrap();
    drop(closing);
    assert_eq!((outcome.open, outcome.parked.len(), env.archived().len()), (0, 0, 3));
    let contents = env.contents().await;
    for file in outcome.files {
        assert_eq!(contents.rows_of(file), (1..=302).collect::<Vec<_>>());
    }
    let bytes = i64::try_from(parts.concat().len()).unwrap();
    let all_totals = contents.totals();
    assert_eq!(all_totals.iter().filter(|one| (one.bytes, one.rejected) == (bytes, 1)).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_every_frame_that_is_damaged_keeps_its_file_in_its_place() {
    let env = TestEnv::start().await;
    let flip = |mut bytes: Vec<u8>, from_end: usize| {
        let at = bytes.len() - from_end;
        bytes[at] ^= 0xff;
        bytes
    };
    let (first, second) = (rows(1..=200), (201..=300).map(row).collect::<String>());
    let damaged = [
        ("checksum.csv.zst", flip([zstd(&first), zstd(&second)].concat(), 1)),
        ("garbage.csv.zst", [zstd(&first), b"garbage".to_vec()].concat()),
        ("crc.csv.gz", flip([gzip(&first), gzip(&second)].concat(), 5)),
        ("length.csv.gz", flip([gzip(&first), gzip(&second)].concat(), 1)),
        ("member.csv.gz", [gzip(&first), flip(gzip(&second), gzip(&second).len())].concat()),
        ("plain.csv.gz", first.clone().into_bytes()),
    ];
    for (name, bytes) in &damaged {
        env.land(name, bytes);
    }
    let closing = env.close_all();
    let outcome = env.tail_once().end().await.unwrap();
    assert_eq!(outcome.parked.len(), damaged.len(), "{outcome:?}");
    // What is tried again by itself "cannot be read".
    let is_final = |why: &str| why.starts_with("the compressed file is damaged");
    assert!(outcome.parked.iter().all(|(_, why)| is_final(why)), "{outcome:?}");
    assert!(env.archived().is_empty());
    assert!(env.totals().await.iter().all(|totals| totals.state == FileState::Open));

    // Copied again, it is the same file with the same rows, and is closed.
    let tailer = env.tail();
    fs::write(env.path("checksum.csv.zst"), [zstd(&first), zstd(&second)].concat()).unwrap();
    let totals = env.until_finished("checksum.csv.zst", 300).await;
    env.until_archived(totals.file_id).await;
    tailer.drain().await;
    drop(closing);
    assert_eq!(env.contents().await.rows_of(totals.file_id), (1..=300).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_unfinished_gzip_waits() {
    for (name, whole, first) in [
        ("a.csv.gz", gzip(&rows(1..=5_000)), 0),
        (
            "b.csv.gz",
            [gzip(&rows(1..=4_000)), gzip(&(4_001..=5_000).map(row).collect::<String>())].concat(),
            4_000,
        ),
        ("c.csv.zst", zstd(&rows(1..=5_000)), 0),
        ("d.csv.zst", pzstd(&[rows(1..=4_000), (4_001..=5_000).map(row).collect()]), 4_000),
    ] {
        let env = TestEnv::start().await;
        // Of the last member or frame only its trailer is missing, which has the checksum.
        let (beginning, rest) = whole.split_at(whole.len() - 2);
        env.append(name, beginning);
        let closing = env.close_all();
        let outcome = env.tail_once().end().await.unwrap();
        let [(path, why)] = &outcome.parked[..] else { panic!("one file is parked: {outcome:?}") };
        assert!(path.ends_with(name) && why.contains("stops before its end"), "{why}");
        assert!(env.archived().is_empty() && env.contents().await.rows().len() >= first);

        // The upload goes on, and so does the file, under its id.
        let tailer = env.tail();
        env.append(name, rest);
        let totals = env.until_finished(name, 5_000).await;
        env.until_archived(totals.file_id).await;
        tailer.drain().await;
        drop(closing);
        let contents = env.contents().await;
        assert_eq!(contents.files().into_iter().collect::<Vec<_>>(), [totals.file_id]);
        assert_eq!(contents.rows_of(totals.file_id), (1..=5_000).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_rows_have_totals_once_they_have_a_header() {
    let env = TestEnv::start().await;
    env.land("empty.csv", "");
    env.land("header.csv", HEADER);
    env.land("notes.txt", "not for us");
    let closing = env.close_all();
    let outcome = env.tail_once().end().await.unwrap();
    drop(closing);
    assert!(outcome.parked.is_empty());
    let [open, finished] = &env.totals().await[..] else { panic!("totals of one file are sent twice") };
    assert!(open.path.ends_with("header.csv"));
    assert_eq!((finished.state, finished.rows_read), (FileState::Finished, 0));
    assert!(env.path("empty.csv").exists() && env.path("notes.txt").exists());
    assert!(!env.path("header.csv").exists(), "it is archived");
    // An empty file is one that somebody is about to write.
    let tailer = env.tail();
    env.append("empty.csv", rows(1..=1));
    env.until_finished("empty.csv", 1).await;
    until("it is drained", async || tailer.progress.messages() >= 3).await;
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_ends_with_files_that_have_no_header() {
    let env = TestEnv::start_with(|config| {
        config.source = vec![Source { comment: Some('#'), ..Source::default() }];
    })
    .await;
    let texts =
        ["", "\n", "\u{feff}", "\r\n\r\n", "\u{feff}\n", "# a note\n# another one\n", "# half a note"];
    for (number, text) in texts.iter().enumerate() {
        env.land(&format!("{number}.csv"), text);
        env.land(&format!("{number}.csv.gz"), gzip(text));
        env.land(&format!("{number}.csv.zst"), zstd(text));
    }
    env.land("other.csv", rows(1..=3));
    let closing = env.close_all();
    let outcome = env.tail_once().end().await.unwrap();
    drop(closing);
    // As it is with a file of no bytes: somebody is about to write it.
    assert_eq!((outcome.parked, outcome.files.len(), outcome.open), (vec![], 1, 0));
    for number in 0..texts.len() {
        for ending in ["csv", "csv.gz", "csv.zst"] {
            assert!(env.path(&format!("{number}.{ending}")).exists(), "{number}.{ending}");
        }
    }
    // It is read once it has a header.
    let tailer = env.tail();
    env.append("1.csv", rows(4..=5));
    env.until_finished("1.csv", 2).await;
    tailer.drain().await;
}

/// Lands a file whose time of writing is as the clock of another machine would have it.
fn land_at(env: &TestEnv, name: &str, text: &str, written: SystemTime) {
    let part = env.path(&format!("{name}.part"));
    fs::write(&part, text).unwrap();
    fs::File::options().append(true).open(&part).unwrap().set_modified(written).unwrap();
    fs::rename(part, env.path(name)).unwrap();
}

const IN_THE_FUTURE: Duration = Duration::from_secs(4_000_000_000);

#[tokio::test(flavor = "multi_thread")]
async fn rule_time_goes_back_and_a_file_from_the_future_is_finished() {
    let env = TestEnv::start().await;
    land_at(&env, "a.csv", rows(1..=3).trim_end(), SystemTime::UNIX_EPOCH + IN_THE_FUTURE);
    let tailer = env.tail();
    env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    let latest = env.contents().await.events().iter().map(|event| event.written_us).max().unwrap();
    assert!(latest <= Clock::System.micros(), "a row is not read before it was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_time_goes_back_and_half_a_line_of_a_machine_whose_clock_is_behind_waits() {
    let env = TestEnv::start_with(|config| config.tail.finish_after = Duration::from_mins(1)).await;
    let text = rows(1..=3);
    let (half, rest) = text.split_at(text.len() - 4);
    land_at(&env, "a.csv", half, SystemTime::UNIX_EPOCH);
    let tailer = env.tail();
    env.until_rows(2).await;
    env.append("a.csv", rest);
    env.until_rows(3).await;
    tailer.drain().await;
    let contents = env.contents().await;
    assert!(contents.rejects().is_empty());
    assert_eq!(contents.events()[2].price.as_deref(), Some("3.50"));
}
