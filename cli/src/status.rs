//! `millrace status`: where files, stream and table stand.

use async_nats::jetstream::stream::Stream;
use common::config::Config;
use common::stream::{self, DURABLE, Durable, HEAL, STREAM};
use common::{Exit, nats, print_json, print_line};
use futures::TryStreamExt;
use indicatif::{HumanBytes, HumanCount};
use ledger::file_totals::FileTotals;
use ledger::replicas::{self, ReplicaShare};
use sandbox::Services;
use serde::Serialize;

use crate::run_report::{Total, doubtful_ids};
use crate::services;

#[derive(Debug, Serialize)]
struct Status {
    stream: StreamStatus,
    consumers: Vec<ConsumerStatus>,
    /// Who wrote within the last minute before the newest commit.
    replicas: Vec<ReplicaShare>,
    files: FilesStatus,
    total: Total,
    /// Files whose ids are hardly those of events.
    doubtful_ids: Vec<FileTotals>,
}

#[derive(Debug, Serialize)]
struct StreamStatus {
    messages: u64,
    bytes: u64,
    max_bytes: i64,
    first_sequence: u64,
    last_sequence: u64,
}

/// One durable: the consumers' own, or a replay's.
#[derive(Debug, Serialize)]
struct ConsumerStatus {
    name: String,
    /// Messages that nobody has been given yet.
    pending: u64,
    /// Messages that were given and not acknowledged.
    unacknowledged: u64,
    redelivered: usize,
    /// Up to this sequence all is acknowledged; nothing behind it is purged.
    floor: u64,
}

#[derive(Debug, Serialize)]
struct FilesStatus {
    closed: usize,
    open: usize,
}

/// Prints the status.
pub(crate) async fn run(mut config: Config, json: bool) -> anyhow::Result<Exit> {
    services::refuse_empty(&config, Services::BOTH)?;
    let own = services::provide(&mut config, Services::BOTH).await?;
    let telling = Box::pin(async {
        let status = read(&config).await?;
        print(&status, json)?;
        Ok(Exit::Ok)
    });
    services::end_with(own, telling).await
}

async fn read(config: &Config) -> anyhow::Result<Status> {
    services::reach(config, Services { nats: false, postgres: true }).await?;
    let nats = nats::reach(&config.nats, "millrace status").await?;
    let Some(stream) = stream::find(&nats.jetstream).await? else {
        anyhow::bail!("there is no stream {STREAM} yet; run `millrace up`, or a producer");
    };
    let (stream, consumers) = of_stream(&stream).await?;
    let url = config.database.url.as_ref().ok_or_else(|| anyhow::anyhow!("there is no database"))?;
    let files = ledger::file_totals::by_file(url, None).await?;
    let closed = files.iter().filter(|file| file.closed).count();
    Ok(Status {
        stream,
        consumers,
        replicas: replicas::recent(url).await?,
        total: Total::of(&files),
        doubtful_ids: files.iter().filter(|file| file.has_doubtful_ids()).cloned().collect(),
        files: FilesStatus { closed, open: files.len() - closed },
    })
}

async fn of_stream(stream: &Stream) -> anyhow::Result<(StreamStatus, Vec<ConsumerStatus>)> {
    let info = stream.cached_info();
    let consumers: Vec<_> = stream.consumers().try_collect().await?;
    let consumers = consumers.into_iter().map(|consumer| {
        let Durable { pending, unacknowledged, floor, .. } = Durable::from(&consumer);
        let redelivered = consumer.num_redelivered;
        ConsumerStatus { name: consumer.name, pending, unacknowledged, redelivered, floor }
    });
    let status = StreamStatus {
        messages: info.state.messages,
        bytes: info.state.bytes,
        max_bytes: info.config.max_bytes,
        first_sequence: info.state.first_sequence,
        last_sequence: info.state.last_sequence,
    };
    Ok((status, consumers.collect()))
}

fn print(status: &Status, json: bool) -> anyhow::Result<()> {
    if json {
        print_json(status)?;
        return Ok(());
    }
    let Status { stream, consumers, replicas, files, total, doubtful_ids: doubtful } = status;
    let room = HumanBytes(stream.max_bytes.unsigned_abs());
    print_line(format_args!(
        "stream     {} messages, {} of {room}, sequences {} to {}",
        HumanCount(stream.messages),
        HumanBytes(stream.bytes),
        stream.first_sequence,
        stream.last_sequence
    ));
    for consumer in consumers {
        let who = match consumer.name.as_str() {
            DURABLE => "consumers",
            HEAL => "healing",
            _ => "replay",
        };
        print_line(format_args!(
            "{who:<10} {}: {} pending, {} unacknowledged, {} redelivered, all read up to sequence {}",
            consumer.name,
            HumanCount(consumer.pending),
            consumer.unacknowledged,
            consumer.redelivered,
            consumer.floor
        ));
    }
    for ReplicaShare { replica, rows, share_percent, lag_ms, last_commit } in replicas {
        let lag = lag_ms.map(|lag| format!(", its rows were {lag:.0} ms old")).unwrap_or_default();
        let last = last_commit.format("%H:%M:%S");
        print_line(format_args!(
            "replica    {replica}: {} rows in the last busy minute, {share_percent:.0} %, last commit {last} UTC{lag}",
            HumanCount(rows.unsigned_abs())
        ));
    }
    print_line(format_args!("files      {} closed, {} open", files.closed, files.open));
    let count = |count: i64| HumanCount(count.unsigned_abs());
    print_line(format_args!(
        "rows       {} events + {} duplicates + {} corrupt",
        count(total.events),
        count(total.duplicates),
        count(total.corrupt_records)
    ));
    for line in doubtful_ids(doubtful.iter()) {
        print_line(line);
    }
    Ok(())
}
