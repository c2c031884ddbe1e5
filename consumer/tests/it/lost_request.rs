//! Requests for messages that are lost on their way, or end without a status.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::stream::{DURABLE, STREAM};
use sandbox::testing::Log;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{self, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::test_env::{TestEnv, row, rows};

/// Passes everything on but the first request for messages.
async fn swallow_first_request(url: &SecretString) -> SecretString {
    let (user, server) = url.expose_secret().split_once('@').unwrap();
    let server = server.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = format!("{user}@{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let swallowed = Arc::new(AtomicBool::new(false));
        while let Ok((client, _)) = listener.accept().await {
            let (from_client, mut to_client) = client.into_split();
            let (mut from_server, to_server) = TcpStream::connect(&server).await.unwrap().into_split();
            tokio::spawn(async move { io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(pass(BufReader::new(from_client), to_server, Arc::clone(&swallowed)));
        }
    });
    through.into()
}

/// Reads the client's half of the NATS protocol: lines, of which PUB and HPUB announce the bytes that follow.
async fn pass(
    mut client: BufReader<OwnedReadHalf>,
    mut server: OwnedWriteHalf,
    swallowed: Arc<AtomicBool>,
) -> io::Result<()> {
    loop {
        let mut line = String::new();
        if client.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut body = Vec::new();
        if line.starts_with("PUB") || line.starts_with("HPUB") {
            let bytes: usize = line.split_whitespace().last().unwrap().parse().unwrap();
            body.resize(bytes + 2, 0);
            client.read_exact(&mut body).await?;
        }
        if line.contains("CONSUMER.MSG.NEXT") && !swallowed.swap(true, Ordering::SeqCst) {
            continue;
        }
        server.write_all(line.as_bytes()).await?;
        server.write_all(&body).await?;
    }
}

#[tokio::test]
async fn messages_that_nobody_waits_for_are_asked_for_anew() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    let url = swallow_first_request(env.config.nats.url.as_ref().unwrap()).await;
    let replica = env.replica_with(|config| config.nats.url = Some(url));
    env.publish_rows(rows(7, 100)).await;
    env.until("select count(*) from events", 100).await;
    assert_eq!(log.lines("WARN").len(), 1, "{:#?}", log.lines(""));
    assert_eq!(log.lines("100 messages wait, and the broker has no request for them").len(), 1);
    assert_eq!(log.lines("the subscription is back").len(), 1);
    replica.drain().await;
}

/// nats-server ends a request without a status when the last message fits exactly what is left of its bytes. What it
/// counts of a message are its subject, its reply subject and its payload.
#[tokio::test]
async fn a_request_whose_bytes_are_spent_exactly_is_followed_by_another() {
    const BYTES_A_REQUEST: usize = 2 << 20;
    const MESSAGES: u8 = 4;
    let log = Log::listen();
    let env = TestEnv::start().await;
    let reply = format!("$JS.ACK.{STREAM}.{DURABLE}.1.1.1.1700000000000000000.1");
    let payload = BYTES_A_REQUEST / usize::from(MESSAGES) - "events.view".len() - reply.len();
    let body = |number: u8, filler: &str| {
        row(7, number.into(), number.into()).with(&format!(r#""attributes":{{"x":"{filler}"}}"#)).body()
    };
    let filler = "x".repeat(payload - body(1, "").len());
    for number in 1..=MESSAGES {
        env.publish("events.view", body(number, &filler)).await;
    }
    env.publish_rows([row(7, 5, 5)]).await;
    let replica = env.replica();
    env.until("select count(*) from events", 5).await;
    assert_eq!(log.lines("WARN"), [""; 0]);
    replica.drain().await;
}
