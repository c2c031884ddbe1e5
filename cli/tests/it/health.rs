//! Health: what a process answers to whoever asks, and what an outage changes in it.

use rustix::process::Signal;
use sandbox::testing::{self, Proxy};

use crate::bed::{Bed, Process, until};

/// A process, and the port on which it answers.
struct Asked<'a> {
    bed: &'a Bed,
    name: &'static str,
    process: Process,
    port: String,
}

impl<'a> Asked<'a> {
    async fn start(bed: &'a Bed, name: &'static str, command: &str) -> Self {
        let mut process = bed.start(&[name, command]);
        let words = "health is at http://127.0.0.1:";
        process.until_logged(words).await;
        let said = process.err();
        let (_, rest) = said.split_once(words).unwrap();
        let port = rest.split('/').next().unwrap().to_owned();
        Self { bed, name, process, port }
    }

    /// The exit code, and the line that was printed on either stream.
    async fn answer(&self, more: &[&str]) -> (Option<i32>, String) {
        let ended = self.bed.run(&[&[self.name, "health", "--port", &self.port], more].concat()).await;
        (ended.code, ended.out + &ended.err)
    }

    async fn until_ready(&self) {
        let condition = async || self.answer(&["--ready"]).await.0 == Some(0);
        until(&format!("the {} is ready", self.name), condition).await;
    }

    /// Not ready for want of this, and alive all the same.
    async fn until_waits_for(&self, what: &str) {
        let words = format!("is not ready, it waits for: {what}\n");
        let condition = async || {
            let (code, line) = self.answer(&["--ready"]).await;
            code == Some(1) && line.ends_with(&words)
        };
        until(&format!("the {} waits for {what}", self.name), condition).await;
        self.until_alive().await;
    }

    /// A machine under load may take longer to answer than `health` waits.
    async fn until_alive(&self) {
        until(&format!("the {} is alive", self.name), async || self.answer(&[]).await.0 == Some(0)).await;
    }

    async fn end(self) {
        self.process.signal(Signal::TERM);
        let ended = self.process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[tokio::test]
async fn an_outage_makes_a_process_unready_and_not_dead() {
    let (nats, database) = tokio::join!(testing::nats(), testing::postgres_database());
    let to_nats = Proxy::to(&nats.url()).await;
    let to_database = Proxy::to(&database).await;
    let bed = Bed::with_services(&to_nats.url(), &to_database.url()).with("MILLRACE_HEALTH__PORT", "0");
    assert_eq!(bed.run(&["consumer", "migrate"]).await.code, Some(0));
    let producer = Asked::start(&bed, "producer", "tail").await;
    let consumer = Asked::start(&bed, "consumer", "run").await;
    producer.until_ready().await;
    consumer.until_ready().await;

    to_nats.cut();
    producer.until_waits_for("nats").await;
    to_nats.mend();
    producer.until_ready().await;

    // It has nothing to write, and notices all the same.
    to_database.cut();
    consumer.until_waits_for("database").await;
    // It needs no database.
    producer.until_ready().await;
    to_database.mend();
    consumer.until_ready().await;
    producer.end().await;
    consumer.end().await;
}

#[tokio::test]
async fn who_waits_for_its_services_at_the_start_is_alive_already() {
    let bed = Bed::new()
        .with("NATS_URL", "nats://127.0.0.1:1")
        .with("DATABASE_URL", "postgres://x@127.0.0.1:1/x")
        .with("MILLRACE_HEALTH__PORT", "0");
    Asked::start(&bed, "producer", "tail").await.until_waits_for("stream").await;
    Asked::start(&bed, "consumer", "run").await.until_waits_for("database").await;
}

#[tokio::test]
async fn processes_beside_each_other_take_ports_beside_each_other() {
    // Where the first one listens is where the second one would.
    let bed = Bed::new().with("NATS_URL", "nats://127.0.0.1:1").with("MILLRACE_HEALTH__PORT", "0");
    let first = Asked::start(&bed, "producer", "tail").await;
    let other = Bed::new()
        .with("NATS_URL", "nats://127.0.0.1:1")
        .with("DATABASE_URL", "postgres://x@127.0.0.1:1/x")
        .with("MILLRACE_HEALTH__PORT", &first.port);
    let second = Asked::start(&other, "consumer", "run").await;
    assert!(second.process.err().contains(&format!("port {} is taken: health is at", first.port)));
    second.until_alive().await;
    let other = Asked { port: first.port.clone(), ..second };
    let words = "answers a producer and no consumer; name its port with --port";
    until("the other one answers", async || {
        let (code, line) = other.answer(&[]).await;
        code == Some(1) && line.contains(words)
    })
    .await;
}
