//! Rows that the database has lost come back: from the stream, or from the files.

use common::stream::STREAM;
use rustix::process::{Pid, Signal, kill_process};
use sandbox::{Nats, Options, testing};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::bed::{Bed, Ended, HEADER, Process, copy, gzip, jetstream, messages, rows, until};

/// Every row in the tables: its origin, and what tells it apart.
const ORIGINS: &str = "
    select file_id, source_row, event_id || price_category from events
    union all select file_id, source_row, event_id || price_category from duplicates
    union all select file_id, source_row, encode(raw, 'hex') from corrupt_records
    order by 1, 2, 3";
/// Files that are not closed, or whose sums are not those of the tables.
const WRONG: &str = "
    with sums as (
        select file_id, sum(events) as e, sum(duplicates) as d, sum(corrupt) as c
        from batch_files where not replay group by file_id
    ), counts as (
        select file_id,
            (select count(*) from events e where e.file_id = f.file_id) as e,
            (select count(*) from duplicates d where d.file_id = f.file_id) as d,
            (select count(*) from corrupt_records c where c.file_id = f.file_id) as c
        from files f
    )
    select count(*) from files join counts using (file_id) left join sums using (file_id)
    where closed_at is null
        or (counts.e, counts.d, counts.c) <> (coalesce(sums.e, 0), coalesce(sums.d, 0), coalesce(sums.c, 0))";

/// Heals, and everything is as it was.
async fn heals(bed: &Bed, origins: &str) -> Ended {
    let healed = bed.run(&["heal"]).await;
    assert_eq!(healed.code, Some(0), "{healed:?}");
    assert!(healed.out.contains("reconciled: "), "{healed:?}");
    assert_eq!(bed.sql(ORIGINS).await, origins);
    assert_eq!(bed.sql(WRONG).await, "0");
    let verified = bed.run(&["verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    healed
}

async fn finds_nothing(bed: &Bed) {
    let again = bed.run(&["heal"]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.out.starts_with("nothing to heal\n"), "{again:?}");
}

#[tokio::test]
async fn deleted_rows_are_put_back_from_the_stream() {
    let bed = Bed::new();
    bed.write("in/a.csv", rows(1..=500));
    bed.write("in/b.csv", rows(501..=600));
    let once = ["up", "--once", "--input", "in"];
    assert_eq!(bed.run(&once).await.code, Some(0));
    let origins = bed.sql(ORIGINS).await;
    finds_nothing(&bed).await;

    bed.sql("delete from events using files where files.file_id = events.file_id and path = 'in/a.csv' and source_row in (7, 9, 8)")
        .await;
    let verified = bed.run(&["verify"]).await;
    assert_eq!(verified.code, Some(1), "{verified:?}");
    assert!(verified.out.contains("in/a.csv: rows 7-9 are missing"), "{verified:?}");
    let rehearsed = bed.run(&["heal", "--dry-run"]).await;
    assert_eq!(rehearsed.code, Some(1), "{rehearsed:?}");
    assert!(rehearsed.out.contains("in/a.csv: rows 7-9 would be put back from the stream"), "{rehearsed:?}");
    assert_eq!(bed.run(&["verify"]).await.code, Some(1), "a dry run changes nothing");

    let healed = bed.run(&["heal", "--json"]).await;
    assert_eq!(healed.code, Some(0), "{healed:?}");
    let healed = healed.json();
    assert_eq!(healed["files"].as_array().unwrap().len(), 1, "{healed}");
    assert_eq!(
        (&healed["files"][0]["file"], &healed["files"][0]["from_stream"]),
        (&json!("in/a.csv"), &json!([[7, 9]]))
    );
    assert_eq!((&healed["corrected"][0]["events"], &healed["reconciled"]), (&json!(-3), &json!(true)));
    assert_eq!(bed.sql(ORIGINS).await, origins);
    assert_eq!(bed.sql(WRONG).await, "0");
    assert_eq!(bed.run(&["verify"]).await.code, Some(0));
    finds_nothing(&bed).await;

    // Rows that are all there do not help where nobody knows from when they are.
    bed.sql("delete from batches").await;
    assert_eq!(bed.run(&once).await.code, Some(1));
    let healed = bed.run(&["heal"]).await;
    assert_eq!(healed.code, Some(0), "{healed:?}");
    assert!(healed.out.starts_with("the database knows again how far"), "{healed:?}");
    assert_eq!(bed.run(&once).await.code, Some(0));
}

#[tokio::test]
async fn rule_going_back_is_noticed_and_healed_from_the_stream() {
    let bed = Bed::new();
    bed.drop_file("my data/landing/a.csv", rows(1..=300));
    let once = ["up", "--once"];
    assert_eq!(bed.run(&once).await.code, Some(0));
    copy(&bed.data().join("sandbox/postgres"), &bed.path("backup"));
    // Files that the backup knows nothing of, one with a duplicate of a row that it knows, one with a bad row.
    bed.drop_file("my data/landing/b.csv", rows(300..=700));
    bed.drop_file("my data/landing/c.csv", rows(701..=710) + "x,view,yesterday,,,\n");
    assert_eq!(bed.run(&once).await.code, Some(0));
    let origins = bed.sql(ORIGINS).await;

    std::fs::remove_dir_all(bed.data().join("sandbox/postgres")).unwrap();
    copy(&bed.path("backup"), &bed.data().join("sandbox/postgres"));
    let refused = bed.run(&once).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("the database has gone back") && refused.err.contains("run `millrace heal`"),
        "{refused:?}"
    );
    let healed = heals(&bed, &origins).await;
    assert!(healed.out.contains("b.csv: rows 1-401 put back from the stream"), "{healed:?}");
    assert!(!healed.out.contains("a.csv"), "{healed:?}");
    finds_nothing(&bed).await;
    bed.drop_file("my data/landing/d.csv", rows(711..=720));
    assert_eq!(bed.run(&once).await.code, Some(0));
}

/// Services of the test's own, with files of every kind that were read and put away.
struct Archived {
    bed: Bed,
    database: SecretString,
    origins: String,
    nats: Nats,
}

impl Archived {
    /// `backup` is made of the database when half of the files are in it.
    async fn with_backup() -> Self {
        let (nats, database) = tokio::join!(testing::nats(), testing::postgres_database());
        let bed = Bed::with_services(&nats.url(), &database);
        bed.write("my data/landing/a.csv", rows(1..=300));
        assert_eq!(bed.run(&["up", "--once"]).await.code, Some(0));
        administer(&database, |name| format!("create database {name}_backup template {name}")).await;
        bed.write("my data/landing/b.csv.gz", gzip(&rows(250..=900)));
        bed.write("my data/landing/c.csv", rows(901..=950).trim_end().replace(",view,", ",no_such_type,"));
        bed.write("my data/landing/d.csv", HEADER);
        assert_eq!(bed.run(&["up", "--once"]).await.code, Some(0));
        let origins = bed.sql(ORIGINS).await;
        assert_eq!(bed.totals().await, [1_001, 900, 51, 50]);
        Self { bed, database, origins, nats }
    }

    async fn put_back(&self) {
        administer(&self.database, |name| format!("drop database {name} with (force)")).await;
        administer(&self.database, |name| format!("create database {name} template {name}_backup")).await;
    }

    async fn purge(&self) {
        let jetstream = jetstream(&self.nats.url()).await;
        jetstream.get_stream(STREAM).await.unwrap().purge().await.unwrap();
    }
}

/// Runs a statement on the server of a database, whose name it is given.
async fn administer(database: &SecretString, statement: impl Fn(&str) -> String) {
    let (server, name) = database.expose_secret().rsplit_once('/').unwrap();
    let mut connection = PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
    connection.execute(&*statement(name)).await.unwrap();
}

#[tokio::test]
async fn rows_that_the_stream_no_longer_has_are_put_back_from_archived_files() {
    let archived = Archived::with_backup().await;
    let (bed, origins) = (&archived.bed, &archived.origins);
    archived.put_back().await;
    archived.purge().await;
    let refused = bed.run(&["consumer", "run"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let healed = heals(bed, origins).await;
    assert!(healed.out.contains("b.csv.gz: rows 1-651 put back from the file"), "{healed:?}");
    finds_nothing(bed).await;

    // With everything gone, what there is of it is in the stream and in the files.
    bed.sql("truncate events, duplicates, corrupt_records").await;
    let healed = heals(bed, origins).await;
    assert!(healed.out.contains("a.csv: rows 1-300 put back from the file"), "{healed:?}");
    assert!(healed.out.contains("b.csv.gz: rows 1-651 put back from the stream"), "{healed:?}");

    // An archive that was put back from a backup itself has other inodes, and may be elsewhere; and the configuration
    // may have changed since.
    archived.purge().await;
    copy(&bed.data().join("archive"), &bed.path("elsewhere"));
    std::fs::remove_dir_all(bed.data().join("archive")).unwrap();
    bed.write("millrace.toml", "[tail]\narchive_dir = \"elsewhere\"\n[events]\nprice_low_below = 1.0\n");
    bed.sql("truncate events, duplicates, corrupt_records, files, batch_files, batches").await;
    heals(bed, origins).await;
    finds_nothing(bed).await;
}

#[tokio::test]
async fn rule_heal_signs_only_what_it_counted() {
    let archived = Archived::with_backup().await;
    archived.put_back().await;
    archived.purge().await;
    // A machine that has none of the checkpoints.
    let elsewhere = Bed::with_services(&archived.nats.url(), &archived.database);
    let healed = elsewhere.run(&["heal"]).await;
    assert_eq!(healed.code, Some(1), "{healed:?}");
    assert!(
        healed.out.contains("are not accounted for: ") && healed.out.contains("a.csv has no checkpoint here")
    );
    for bed in [&elsewhere, &archived.bed] {
        let verified = bed.run(&["verify"]).await;
        assert_eq!(verified.code, Some(1), "{verified:?}");
        let refused = bed.run(&["consumer", "run"]).await;
        assert!(refused.code == Some(1) && refused.err.contains("run `millrace heal`"), "{refused:?}");
    }
    let again = elsewhere.run(&["heal", "--json"]).await;
    assert_eq!((again.code, again.json()["gaps"].as_array().unwrap().len()), (Some(1), 1), "{again:?}");
    // Rows that come anew do not hide what is lost.
    elsewhere.write("my data/landing/new.csv", rows(2_000..=2_009));
    let stream = jetstream(&archived.nats.url()).await;
    let before = messages(&stream).await;
    let tailer = elsewhere.start(&["producer", "tail"]);
    until("its rows are in the stream", async || messages(&stream).await > before + 10).await;
    tailer.signal(Signal::TERM);
    tailer.end().await;
    let refused = elsewhere.run(&["up", "--once"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(elsewhere.run(&["heal"]).await.code, Some(1));
    let refused = archived.bed.run(&["consumer", "run"]).await;
    assert!(refused.err.contains("not every file was held against its checkpoint"), "{refused:?}");

    // The files of both machines are held by now.
    let healed = archived.bed.run(&["heal"]).await;
    assert_eq!(healed.code, Some(0), "{healed:?}");
    assert_eq!(archived.bed.sql("select count(*) from events where event_id is not null").await, "910");
    assert_eq!(elsewhere.run(&["verify"]).await.code, Some(0));
    finds_nothing(&elsewhere).await;
}

#[tokio::test]
async fn rule_heal_signs_only_what_it_counted_unless_a_person_accepts_the_loss() {
    let archived = Archived::with_backup().await;
    archived.put_back().await;
    archived.purge().await;
    let elsewhere = Bed::with_services(&archived.nats.url(), &archived.database);
    assert_eq!(elsewhere.run(&["heal"]).await.code, Some(1));
    let accepted = elsewhere.run(&["heal", "--accept-loss"]).await;
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
    assert_eq!(elsewhere.run(&["verify"]).await.code, Some(0));
}

#[tokio::test]
async fn files_that_begin_while_it_heals_do_not_keep_it_from_signing() {
    let archived = Archived::with_backup().await;
    let bed = &archived.bed;
    archived.put_back().await;
    archived.purge().await;
    let jetstream = jetstream(&archived.nats.url()).await;
    let arrive = async |name: &str, numbers| {
        let before = messages(&jetstream).await;
        bed.write(&format!("my data/landing/{name}"), rows(numbers));
        until(name, async || messages(&jetstream).await >= before + 12).await;
    };
    let tailer = bed.start(&["producer", "tail"]);
    arrive("before.csv", 1_990..=1_999).await;
    let (hold, reached) = (bed.path("hold"), bed.path("hold.reached"));
    bed.write("hold", "");
    // Each time that it has looked at files and database, and has published what is missing.
    let fault = format!("heal_published:{}", hold.display());
    let healing = async { bed.run_with(&[("FAULT_POINT", &fault)], &["heal"]).await };
    let meanwhile = async {
        for round in 0.. {
            until("it is held", async || reached.exists()).await;
            arrive(&format!("new_{round}.csv"), 2_000 + 10 * round..=2_009 + 10 * round).await;
            std::fs::remove_file(&hold).unwrap();
            until("it goes on", async || !reached.exists()).await;
            bed.write("hold", "");
        }
    };
    let healed = tokio::select! {
        healed = healing => healed,
        () = meanwhile => unreachable!("files begin for ever"),
    };
    assert_eq!(healed.code, Some(0), "{healed:?}");
    assert_eq!(bed.sql("select count(*) from stream_gaps").await, "0");
    tailer.signal(Signal::TERM);
    tailer.end().await;
}

#[tokio::test]
async fn a_healing_that_is_killed_is_run_again() {
    let archived = Archived::with_backup().await;
    let (bed, origins) = (&archived.bed, &archived.origins);
    archived.put_back().await;
    for point in ["heal_corrected", "heal_sent", "heal_published", "heal_consumed"] {
        let killed = bed.run_with(&[("FAULT_POINT", point)], &["heal"]).await;
        assert_eq!(killed.code, None, "{point}: {killed:?}");
        let refused = bed.run(&["consumer", "run"]).await;
        assert!(refused.err.contains("run `millrace heal`"), "{point}: {refused:?}");
        let verified = bed.run(&["verify"]).await;
        assert_eq!(verified.code, Some(1), "{point}: {verified:?}");
    }
    heals(bed, origins).await;
}

#[tokio::test]
async fn what_nobody_has_any_more_is_named() {
    let (nats, database) = tokio::join!(testing::nats(), testing::postgres_database());
    let bed = Bed::with_services(&nats.url(), &database).with("MILLRACE_TAIL__ON_CLOSE", "delete");
    bed.write("my data/landing/a.csv", rows(1..=30));
    bed.write("my data/landing/b.csv", rows(31..=40));
    assert_eq!(bed.run(&["up", "--once"]).await.code, Some(0));
    jetstream(&nats.url()).await.get_stream(STREAM).await.unwrap().purge().await.unwrap();
    bed.sql("delete from events where source_row in (3, 5) and file_id = (select file_id from files where path like '%a.csv')")
        .await;
    let healed = bed.run(&["heal"]).await;
    assert_eq!(healed.code, Some(1), "{healed:?}");
    let line =
        "a.csv: rows 3, 5 cannot be restored: the file was deleted when it was closed, as tail.on_close says";
    assert!(healed.out.contains(line) && healed.out.contains("NOT RECONCILED: "), "{healed:?}");
    let json = bed.run(&["heal", "--json"]).await.json();
    assert_eq!(
        (&json["files"][0]["lost"], &json["reconciled"]),
        (&json!([[3, 3], [5, 5]]), &json!(false)),
        "{json}"
    );
}

/// A running `up` that has read a file, which is not finished, and has written its position. Also returns [`ORIGINS`].
async fn reading_an_unfinished_file() -> (Bed, Process, String) {
    let bed = Bed::new().with("MILLRACE_TAIL__FINISH_AFTER", "1h");
    bed.write("in/a.csv", rows(1..=300));
    let up = bed.start(&["up", "--input", "in"]);
    bed.until_sql("select count(*) from events", "300").await;
    let origins = bed.sql(ORIGINS).await;
    until("its position is written", async || {
        bed.run(&["producer", "checkpoint", "list"]).await.out.contains("reading           300")
    })
    .await;
    (bed, up, origins)
}

#[tokio::test]
async fn rows_of_a_file_that_a_tailer_reads_are_healed_beside_it() {
    let (bed, up, origins) = reading_an_unfinished_file().await;
    // Neither the stream nor the database has them, and the tailer knows that they were acknowledged.
    jetstream(&bed.nats()).await.get_stream(STREAM).await.unwrap().purge().await.unwrap();
    bed.sql("delete from events where source_row > 200").await;
    let healed = bed.run(&["heal"]).await;
    assert_eq!(healed.code, Some(0), "{healed:?}");
    assert!(healed.out.contains("in/a.csv: rows 201-300 put back from the file"), "{healed:?}");
    assert_eq!(bed.sql(ORIGINS).await, origins);
    bed.append("in/a.csv", rows(301..=310).strip_prefix(HEADER).unwrap());
    bed.until_sql("select count(*) from events", "310").await;
    up.signal(Signal::INT);
    up.end().await;
}

#[tokio::test]
async fn lost_rows_of_a_file_that_is_not_finished_are_a_failure() {
    let (bed, up, _) = reading_an_unfinished_file().await;
    jetstream(&bed.nats()).await.get_stream(STREAM).await.unwrap().purge().await.unwrap();
    bed.sql("delete from events where source_row > 200").await;
    bed.kill(up).await;
    // A row in the middle is no event any more, so that the rows behind it may not be those that were read.
    let text = std::fs::read_to_string(bed.path("in/a.csv")).unwrap();
    let (head, rest) = text.split_at(text.match_indices(",view,").nth(100).unwrap().0);
    bed.write("in/a.csv", format!("{head}{}", rest.replacen(",view,", ",wiev,", 1)));
    let healed = bed.run(&["heal"]).await;
    assert!(healed.out.contains("in/a.csv: rows 201-300 cannot be restored: "), "{healed:?}");
    assert_eq!(healed.code, Some(1), "{healed:?}");
}

#[tokio::test]
async fn a_file_that_is_not_finished_is_healed_and_read_on() {
    let (bed, up, origins) = reading_an_unfinished_file().await;
    jetstream(&bed.nats()).await.get_stream(STREAM).await.unwrap().purge().await.unwrap();
    bed.sql("delete from events where source_row > 200; truncate files, batch_files").await;
    bed.kill(up).await;
    let healed = bed.run(&["heal"]).await;
    assert_eq!(healed.code, Some(0), "{healed:?}");
    assert!(healed.out.contains("in/a.csv: rows 201-300 put back from the file"), "{healed:?}");
    assert_eq!(bed.sql(ORIGINS).await, origins);
    bed.append("in/a.csv", rows(301..=310).strip_prefix(HEADER).unwrap());
    let ended = bed.run(&["up", "--once", "--input", "in"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((bed.totals().await, bed.sql(WRONG).await.as_str()), ([310, 310, 0, 0], "0"));
}

#[tokio::test]
async fn a_running_up_is_healed_beside_it() {
    let bed = Bed::new();
    bed.write("in/a.csv", rows(1..=400));
    let up = bed.start(&["up", "--input", "in", "--fresh"]);
    bed.until_sql("select count(*) from files where closed_at is not null", "1").await;
    let origins = bed.sql(ORIGINS).await;
    bed.sql("delete from events where source_row between 100 and 299").await;
    heals(&bed, &origins).await;
    bed.drop_file("in/b.csv", rows(401..=410));
    bed.until_sql("select count(*) from events", "410").await;
    up.signal(Signal::INT);
    let ended = up.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn more_than_the_stream_can_hold_is_healed() {
    let (nats, database) = tokio::join!(testing::nats(), testing::postgres_database());
    let bed = Bed::with_services(&nats.url(), &database).with("MILLRACE_STREAM__MAX_BYTES", "16777216");
    let long = "x".repeat(4_000);
    let row = |number: u32| format!("id-{number},view,2024-03-13T10:21:14Z,{long},A thing,1.50\n");
    bed.write("my data/landing/a.csv", HEADER.to_owned() + &(1..=6_000).map(row).collect::<String>());
    assert_eq!(bed.run(&["up", "--once"]).await.code, Some(0));
    let origins = bed.sql(ORIGINS).await;
    bed.sql("truncate events").await;
    heals(&bed, &origins).await;
}

#[tokio::test]
async fn nats_conf_permits_the_operator_to_heal() {
    let dir = tempfile::tempdir().unwrap();
    let nats = Nats::start(&Options::new(dir.path()), dir.path()).await.unwrap();
    let database = testing::postgres_database().await;
    let bed = Bed::with_services(&nats.url(), &database);
    bed.write("my data/landing/a.csv", rows(1..=100));
    assert_eq!(bed.run(&["up", "--once"]).await.code, Some(0));
    let origins = bed.sql(ORIGINS).await;
    bed.sql("delete from events where source_row > 50").await;

    let path = dir.path().join("nats.conf");
    let generated: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let conf = include_str!("../../../nats.conf")
        .replace("127.0.0.1:4222", &format!("127.0.0.1:{}", generated["port"]))
        .replace("http: \"127.0.0.1:8222\"", "")
        .replace("data/nats", generated["jetstream"]["store_dir"].as_str().unwrap());
    let passwords = ["PRODUCER", "CONSUMER", "OPERATOR"].map(|user| format!("{user}_PASSWORD: secret\n"));
    std::fs::write(&path, passwords.concat() + &conf).unwrap();
    kill_process(Pid::from_raw(nats.pid().cast_signed()).unwrap(), Signal::HUP).unwrap();
    let url = nats.url();
    let server = url.expose_secret().split_once('@').unwrap().1;
    let operator = format!("nats://operator:secret@{server}");
    until("its users are known", async || {
        bed.run_with(&[("NATS_URL", &operator)], &["status"]).await.code == Some(0)
    })
    .await;
    let healed = bed.run_with(&[("NATS_URL", &operator)], &["heal"]).await;
    assert_eq!(healed.code, Some(0), "{healed:?}");
    assert!(!healed.err.contains("nats-server refuses"), "{healed:?}");
    assert_eq!(bed.sql(ORIGINS).await, origins);
}

#[tokio::test]
async fn one_heals_at_a_time() {
    let (nats, database) = tokio::join!(testing::nats(), testing::postgres_database());
    let bed = Bed::with_services(&nats.url(), &database);
    let refused = bed.run(&["heal"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("run `consumer migrate`"), "{refused:?}");
    assert_eq!(bed.run(&["consumer", "migrate"]).await.code, Some(0));
    let mut other = PgConnection::connect(database.expose_secret()).await.unwrap();
    other.execute(include_str!("../../../sql/heal_lock.sql")).await.unwrap();
    let refused = bed.run(&["heal"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.ends_with(
            "error: another `millrace heal` is running on this database; wait until it has ended\n"
        ),
        "{refused:?}"
    );
    other.close().await.unwrap();
    finds_nothing(&bed).await;
}
