//! Where records and files end.

use std::io::Write as _;
use std::time::Duration;

use common::event::Reason;
use common::wire::FileState;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::bed::{Bed, HEADER, row, rows, until};
use crate::contents::sha256;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_half_a_line_waits() {
    let bed = Bed::start_with(|config| config.tail.finish_after = Duration::from_mins(1)).await;
    let tailer = bed.tail();
    let text = rows(1..=2);
    let (half, rest) = text.split_at(text.len() - 4);
    bed.append("a.csv", half);
    bed.until_rows(1).await;
    bed.append("a.csv", rest);
    bed.until_rows(2).await;
    tailer.drain().await;
    let contents = bed.contents().await;
    assert!(contents.rejects().is_empty());
    assert_eq!(contents.events()[1].price.as_deref(), Some("2.50"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_half_a_line_waits_until_the_file_is_quiet() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    let text = rows(1..=2);
    let (half, rest) = text.split_at(text.len() - 4);
    bed.append("a.csv", half);
    let first = bed.until_finished("a.csv", 2).await;
    assert_eq!((first.published, first.rejected), (2, 0));
    assert_eq!(bed.contents().await.events()[1].price.as_deref(), Some("2"));

    // The line grows after all: `2` was published, and the rest of it is no row.
    bed.append("a.csv", rest.to_owned() + &row(3));
    let second = bed.until_finished("a.csv", 4).await;
    tailer.drain().await;
    assert_eq!((second.file_id, second.published, second.rejected), (first.file_id, 3, 1));
    let contents = bed.contents().await;
    let continued = &contents.rejects()[0];
    assert_eq!((continued.row, continued.reason), (3, Reason::LineContinued));
    assert_eq!(continued.raw.0, b".50");
    assert_eq!(contents.rows_of(first.file_id), [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_stray_quote_is_bounded_and_so_is_a_line_that_goes_on_after_its_row() {
    let bed = Bed::start_with(|config| config.tail.max_record_bytes = 1_024).await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=2).trim_end());
    bed.until_finished("a.csv", 2).await;
    let rest = "x".repeat(2_500);
    bed.append("a.csv", &rest);
    // Each piece of the length of a record is a reject; what is left waits until the file is quiet.
    let account = bed.until_finished("a.csv", 5).await;
    assert_eq!((account.published, account.rejected), (2, 3));
    bed.append("a.csv", format!("\n{}", row(3)));
    bed.until_finished("a.csv", 6).await;
    tailer.drain().await;
    let rejects = bed.contents().await.rejects();
    assert!(rejects.iter().all(|reject| reject.reason == Reason::LineContinued && !reject.truncated));
    let kept: Vec<u8> = rejects.into_iter().flat_map(|reject| reject.raw.0).collect();
    assert_eq!(kept, rest.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_end_that_comes_late_is_no_row() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=2).trim_end());
    bed.until_finished("a.csv", 2).await;
    bed.append("a.csv", format!("\n{}", row(3)));
    assert_eq!(bed.until_finished("a.csv", 3).await.rejected, 0);
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_stray_quote_is_bounded() {
    let bed = Bed::start_with(|config| config.tail.max_record_bytes = 1_024).await;
    let stray = "7,view,2024-03-13T10:21:14Z,\"open,p,1\n";
    let good: String = (1..=100).map(row).collect();
    bed.land("a.csv", format!("{HEADER}{}{stray}{good}", row(101)));
    let tailer = bed.tail();
    let account = bed.until_finished("a.csv", 102).await;
    tailer.drain().await;
    assert_eq!((account.published, account.rejected), (101, 1));
    let reject = &bed.contents().await.rejects()[0];
    assert_eq!((reject.row, reject.reason), (2, Reason::RecordTooLong));
    assert_eq!(reject.raw.0, stray.trim_end().as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_stray_quote_is_bounded_at_the_end_of_the_file_too() {
    let bed = Bed::start().await;
    bed.land("a.csv", format!("{HEADER}{}7,view,2024-03-13T10:21:14Z,\"open,p,1\n{}", row(1), row(2)));
    let tailer = bed.tail();
    let account = bed.until_finished("a.csv", 3).await;
    tailer.drain().await;
    assert_eq!((account.published, account.rejected), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_end_that_comes_in_pieces_is_one_reject() {
    let bed = Bed::start_with(|config| {
        config.tail.max_record_bytes = 1_024;
        config.tail.finish_after = Duration::from_mins(1);
    })
    .await;
    let tailer = bed.tail();
    let good = rows(1..=3);
    bed.append("a.csv", format!("{good}{}", "x".repeat(2_000)));
    bed.until_rows(3).await;
    // Started again in the middle of the line.
    tailer.drain().await;
    let tailer = bed.tail();
    bed.append("a.csv", "y".repeat(3_000));
    bed.append("a.csv", format!("\n{}", row(4)));
    bed.until_rows(5).await;
    tailer.drain().await;
    let contents = bed.contents().await;
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
    let bed = Bed::start_with(|config| {
        config.tail.max_record_bytes = 1_024;
        config.tail.finish_after = Duration::from_mins(1);
    })
    .await;
    let tailer = bed.tail();
    bed.append("a.csv", format!("{}{}", rows(1..=3), "x".repeat(2_000)));
    bed.until_rows(3).await;
    bed.append("a.csv", "y".repeat(3_000));
    bed.append("a.csv", format!("\n{}", row(4)));
    bed.until_rows(5).await;
    tailer.drain().await;
    let contents = bed.contents().await;
    assert_eq!((contents.rejects().len(), contents.rejects()[0].row), (1, 4));
    assert_eq!(contents.rows_of(contents.rejects()[0].file_id), [1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_as_windows_writes_it() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    let text = rows(1..=3).replace('\n', "\r\n");
    bed.land("a.csv", format!("\u{feff}{text}\r\n").replace("A thing", "\"A\r\nthing\""));
    let account = bed.until_finished("a.csv", 3).await;
    tailer.drain().await;
    assert_eq!(account.rejected, 0);
    let contents = bed.contents().await;
    assert_eq!(contents.events()[0].event_id, uuid::Uuid::from_u128(1));
    assert_eq!(contents.events()[0].product_name.as_deref(), Some("A\r\nthing"));
    assert_eq!(contents.events()[2].price.as_deref(), Some("3.50"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quoted_line_end_belongs_to_its_row_however_it_is_written() {
    let bed = Bed::start_with(|config| config.tail.finish_after = Duration::from_mins(1)).await;
    let tailer = bed.tail();
    bed.append("a.csv", format!("{HEADER}{}", row(1)));
    bed.append("a.csv", "7,view,2024-03-13T10:21:14Z,c,\"first line\n");
    bed.until_rows(1).await;
    bed.append("a.csv", "second line\",1\n");
    bed.until_rows(2).await;
    tailer.drain().await;
    assert_eq!(bed.contents().await.events()[1].product_name.as_deref(), Some("first line\nsecond line"));
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_files_are_read_as_their_text() {
    let bed = Bed::start().await;
    let text = rows(1..=5_000) + "no row\n";
    bed.land("a.csv.gz", gzip(&text));
    // As `cat a.gz b.gz` makes one.
    bed.land("b.csv.gz", [gzip(&rows(1..=10)), gzip(&row(11))].concat());
    let tailer = bed.tail();
    let account = bed.until_finished("a.csv.gz", 5_001).await;
    assert_eq!(account.bytes, i64::try_from(text.len()).unwrap());
    bed.until_finished("b.csv.gz", 11).await;
    tailer.drain().await;
    let reject = &bed.contents().await.rejects()[0];
    assert_eq!(reject.byte_start, i64::try_from(text.len() - "no row\n".len()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zstd_file_is_read_as_its_text() {
    let compressed = compress_to_vec(rows(1..=500).as_bytes(), CompressionLevel::Fastest);
    let bed = Bed::start().await;
    bed.land("a.csv.zst", compressed);
    let tailer = bed.tail();
    bed.until_finished("a.csv.zst", 500).await;
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_unfinished_gzip_waits() {
    let bed = Bed::start().await;
    let whole = gzip(&rows(1..=5_000));
    let (half, rest) = whole.split_at(whole.len() / 2);
    bed.append("a.csv.gz", half);
    let outcome = bed.tail_once().end().await.unwrap();
    let [(path, why)] = &outcome.parked[..] else { panic!("one file is parked: {outcome:?}") };
    assert!(path.ends_with("a.csv.gz") && why.contains("stops before its end"), "{why}");

    // The upload goes on, and so does the file, under its id.
    let tailer = bed.tail();
    bed.append("a.csv.gz", rest);
    let account = bed.until_finished("a.csv.gz", 5_000).await;
    tailer.drain().await;
    let contents = bed.contents().await;
    assert_eq!(contents.files().into_iter().collect::<Vec<_>>(), [account.file_id]);
    assert_eq!(contents.rows_of(account.file_id), (1..=5_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_rows_have_an_account_once_they_have_a_header() {
    let bed = Bed::start().await;
    bed.land("empty.csv", "");
    bed.land("header.csv", HEADER);
    bed.land("notes.txt", "not for us");
    let closing = bed.close_all();
    let outcome = bed.tail_once().end().await.unwrap();
    drop(closing);
    assert!(outcome.parked.is_empty());
    let [open, finished] = &bed.accounts().await[..] else { panic!("one file has an account") };
    assert!(open.path.ends_with("header.csv"));
    assert_eq!((finished.state, finished.rows_read), (FileState::Finished, 0));
    assert!(bed.path("empty.csv").exists() && bed.path("notes.txt").exists());
    assert!(!bed.path("header.csv").exists(), "it is archived");
    // An empty file is one that somebody is about to write.
    let tailer = bed.tail();
    bed.append("empty.csv", rows(1..=1));
    bed.until_finished("empty.csv", 1).await;
    until("it is drained", async || tailer.progress.messages() >= 3).await;
    tailer.drain().await;
}
