use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::time::Duration;

use chrono::{DateTime, Utc};
use csv::{ByteRecord, StringRecord};
use tempfile::TempDir;
use tokio::time::Instant;

use super::row::COLUMNS;
use super::*;

/// 2024-05-01 12:00:00 UTC.
const NOON: DateTime<Utc> = DateTime::from_timestamp_secs(1_714_564_800).unwrap();

/// A run of one file of `count` rows, with nothing wrong in it.
fn rows(count: u64) -> Generate {
    Generate { count: Some(count), batch_size: Some(count), start_time: Some(NOON), ..Generate::default() }
}

struct Run {
    dir: TempDir,
    generated: Generated,
}

async fn generate(config: &Generate, seed: u64) -> Run {
    generate_until(config, seed, Shutdown::new()).await
}

async fn generate_until(config: &Generate, seed: u64, shutdown: Shutdown) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let progress = Arc::new(Progress::default());
    let generated =
        run(config, dir.path(), seed, Clock::Fixed(NOON), progress.clone(), shutdown).await.unwrap();
    assert_eq!((progress.rows(), progress.files()), (generated.rows, generated.files));
    Run { dir, generated }
}

impl Run {
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        fs::read_dir(&self.dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            .collect()
    }

    fn rows_by_file(&self) -> Vec<usize> {
        self.files().values().map(|file| records(file).len()).collect()
    }

    fn events(&self) -> Vec<Event> {
        let records = self.files().into_values().flat_map(|file| records(&file));
        records.map(|record| StringRecord::from_byte_record(record).unwrap()).map(Event).collect()
    }
}

fn records(file: &[u8]) -> Vec<ByteRecord> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    assert_eq!(reader.byte_headers().unwrap(), &ByteRecord::from(COLUMNS.to_vec()));
    reader.byte_records().collect::<Result<_, _>>().unwrap()
}

struct Event(StringRecord);

impl Event {
    fn get(&self, column: &str) -> &str {
        let position = COLUMNS.iter().position(|name| *name == column).unwrap();
        &self.0[position]
    }

    fn time(&self) -> DateTime<Utc> {
        self.get("event_timestamp").parse().unwrap()
    }
}

#[tokio::test]
async fn the_same_seed_and_start_time_write_the_same_files() {
    let config = Generate {
        count: Some(3_000),
        start_time: Some(NOON),
        dirty_rate: 0.1,
        duplicate_rate: 0.1,
        ..Generate::default()
    };
    let (one, same, other) =
        (generate(&config, 1).await, generate(&config, 1).await, generate(&config, 2).await);
    assert_eq!(one.files(), same.files());
    assert_ne!(one.files(), other.files());
}

/// Where an upgrade of `rand` or `fake` fails this, whoever repeats an earlier run has to be told.
#[tokio::test]
async fn a_seed_keeps_its_bytes() {
    let run = generate(&rows(1), 1).await;
    let (name, file) = run.files().pop_first().unwrap();
    assert_eq!(name, "events_20240501_120000_001.csv");
    assert_eq!(
        records(&file)[0],
        ByteRecord::from(vec![
            "13022ed7-e468-4ab3-976e-12906e60b239",
            "view",
            "2024-05-01T12:00:00.000Z",
            "C0000055",
            "Bridget Legros",
            "bridget.legros.55@example.net",
            "2658 Osinski Flat, Bergstromville, NY 3017",
            "69b030ab-39ec-43de-a0ed-0eacf50b3670",
            "Mozilla/5.0 (iPhone; U; CPU iPhone OS 4_2_1 like Mac OS X; nb-no) AppleWebKit/533.17.9 \
             (KHTML, like Gecko) Version/5.0.2 Mobile/8C148a Safari/6533.18.5",
            "198.18.51.14",
            "P000285",
            "Ironbark Pro Dumbbells",
            "Sports",
            "Ironbark",
            "SPO-IRO-000285",
            "57.57",
        ])
    );
}

#[tokio::test]
async fn rows_are_whole_events_in_the_order_of_time() {
    let run = generate(&rows(2_000), 1).await;
    let events = run.events();
    assert_eq!(events.len(), 2_000);
    assert!(
        events.iter().all(|event| event.0.len() == COLUMNS.len() && event.0.iter().all(|f| !f.is_empty()))
    );
    assert!(events.is_sorted_by_key(Event::time));
    assert!(events[0].time() >= NOON && events[1_999].time() <= NOON + Duration::from_secs(2));
    let ids: HashSet<_> = events.iter().map(|event| event.get("event_id")).collect();
    assert_eq!(ids.len(), 2_000);
    assert!(ids.iter().all(|id| uuid::Uuid::parse_str(id).unwrap().get_version_num() == 4));
    let sessions: HashSet<_> = events[..100].iter().map(|event| event.get("session_id")).collect();
    assert!(sessions.len() > 10, "sessions interleave");
}

#[tokio::test]
async fn the_funnel_narrows_from_views_to_purchases() {
    let run = generate(&rows(20_000), 1).await;
    let mut counts = HashMap::<_, u32>::new();
    let mut carts = HashMap::<_, u32>::new();
    for event in &run.events() {
        let event_type = event.get("event_type").to_owned();
        let in_cart = carts
            .entry((event.get("session_id").to_owned(), event.get("product_id").to_owned()))
            .or_default();
        match event_type.as_str() {
            "add_to_cart" => *in_cart += 1,
            "purchase" | "remove_from_cart" => {
                *in_cart = in_cart.checked_sub(1).expect("only what is in the cart leaves it");
            }
            _ => {}
        }
        *counts.entry(event_type).or_default() += 1;
    }
    assert_eq!(counts.len(), 6);
    assert!(counts["view"] > counts["click"]);
    assert!(counts["click"] > counts["add_to_cart"]);
    assert!(counts["add_to_cart"] > counts["purchase"]);
    assert!(counts["purchase"] > 500);
}

#[tokio::test]
async fn what_is_known_of_products_and_customers_never_changes() {
    let (one, other) = (generate(&rows(5_000), 1).await, generate(&rows(5_000), 2).await);
    let mut known = HashMap::new();
    for event in one.events().iter().chain(&other.events()) {
        for (key, described) in [
            ("product_id", vec!["product_name", "category", "brand", "sku", "price"]),
            ("customer_id", vec!["customer_name", "customer_email", "customer_address"]),
            ("session_id", vec!["customer_id", "user_agent", "ip_address"]),
        ] {
            let facts: Vec<_> = described.iter().map(|column| event.get(column).to_owned()).collect();
            let first = known.entry(event.get(key).to_owned()).or_insert_with(|| facts.clone());
            assert_eq!(*first, facts);
        }
    }
}

#[tokio::test]
async fn as_many_rows_are_spoilt_and_copied_as_were_asked_for() {
    let config = Generate { dirty_rate: 0.05, duplicate_rate: 0.1, ..rows(20_000) };
    let run = generate(&config, 1).await;
    assert!((900..1_100).contains(&run.generated.spoilt), "{:?}", run.generated);
    assert!((1_850..2_150).contains(&run.generated.copied), "{:?}", run.generated);

    let mut first_seen = HashMap::new();
    let mut copied = 0;
    let records = records(run.files().values().next().unwrap());
    assert_eq!(records.len(), 20_000);
    for record in records {
        match first_seen.get(&record[0]) {
            Some(first) => {
                assert_eq!(&record, first);
                copied += 1;
            }
            None => drop(first_seen.insert(record[0].to_vec(), record)),
        }
    }
    assert_eq!(copied, run.generated.copied);
}

#[tokio::test]
async fn the_last_file_is_cut_to_the_count() {
    let config = Generate { count: Some(250), batch_size: Some(100), ..Generate::default() };
    assert_eq!(generate(&config, 1).await.rows_by_file(), [100, 100, 50]);
}

#[tokio::test]
async fn files_end_a_run_and_have_sizes_between_the_bounds() {
    let config = Generate { files: Some(20), min_events: 10, max_events: 30, ..Generate::default() };
    let sizes = generate(&config, 1).await.rows_by_file();
    assert_eq!(sizes.len(), 20);
    assert!(sizes.iter().all(|rows| (10..=30).contains(rows)));
    assert!(sizes.iter().collect::<HashSet<_>>().len() > 5);
}

#[tokio::test]
async fn without_a_start_time_no_event_lies_in_the_future() {
    let config = Generate { start_time: None, ..rows(5_000) };
    let events = generate(&config, 1).await.events();
    assert!(events.iter().all(|event| event.time() <= NOON));
    assert!(events[0].time() >= NOON - Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_pace_is_kept() {
    let started = Instant::now();
    let config = Generate { events_per_second: Some(50.0), count: Some(225), ..Generate::default() };
    let run = generate(&config, 1).await;
    assert_eq!(run.rows_by_file(), [50, 50, 50, 50, 25]);
    assert_eq!(started.elapsed().as_millis(), 4_500);
}

#[tokio::test(start_paused = true)]
async fn a_slow_pace_lands_single_rows() {
    let config = Generate {
        events_per_second: Some(0.1),
        duration: Some(Duration::from_secs(35)),
        ..Generate::default()
    };
    assert_eq!(generate(&config, 1).await.rows_by_file(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn the_rows_whose_time_has_come_land_when_a_paced_run_ends() {
    let config = Generate {
        events_per_second: Some(100.0),
        duration: Some(Duration::from_millis(2_500)),
        ..Generate::default()
    };
    assert_eq!(generate(&config, 1).await.rows_by_file(), [100, 100, 50]);
}

#[tokio::test(start_paused = true)]
async fn draining_lands_what_a_paced_file_has_so_far() {
    let shutdown = Shutdown::new();
    let operator = shutdown.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1_250)).await;
        operator.drain();
    });
    let config = Generate { events_per_second: Some(100.0), ..Generate::default() };
    assert_eq!(generate_until(&config, 1, shutdown).await.rows_by_file(), [100, 25]);
}

#[tokio::test(start_paused = true)]
async fn files_come_by_the_interval_until_the_duration_ends() {
    let started = Instant::now();
    let config = Generate { duration: Some(Duration::from_secs(45)), ..Generate::default() };
    let run = generate(&config, 1).await;
    assert_eq!(run.generated.files, 3);
    assert!(run.rows_by_file().iter().all(|rows| (100..=1_500).contains(rows)));
    let last = run.events().last().unwrap().time();
    assert!(last <= NOON + started.elapsed() && last > NOON + Duration::from_secs(29));
}

#[tokio::test]
async fn a_run_that_is_draining_makes_nothing() {
    let shutdown = Shutdown::new();
    shutdown.drain();
    assert_eq!(generate_until(&rows(10), 1, shutdown).await.generated, Generated::default());
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error =
        run(&rows(1), &file, 1, Clock::Fixed(NOON), Arc::default(), Shutdown::new()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("failed to make directory {}", file.display()));
}
