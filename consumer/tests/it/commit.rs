//! The reply to a COMMIT is lost, and what a COMMIT is worth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::test_env::{TestEnv, rows};

/// The query `commit` as the protocol sends it: its kind, its length, its text.
const COMMIT: &[u8] = b"Q\0\0\0\x0bcommit\0";

/// Passes everything on, but breaks the first connection on which the server answers to a COMMIT.
async fn lose_reply_to_commit(url: &SecretString) -> (SecretString, Arc<AtomicBool>) {
    let server: PgConnectOptions = url.expose_secret().parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let through = url.expose_secret().replace(&format!(":{}/", server.get_port()), &format!(":{port}/"));
    let lost = Arc::new(AtomicBool::new(false));
    let its_lost = Arc::clone(&lost);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect((server.get_host(), server.get_port())).await.unwrap();
            tokio::spawn(pass(client, server, Arc::clone(&its_lost)));
        }
    });
    (through.into(), lost)
}

async fn pass(mut client: TcpStream, mut server: TcpStream, lost: Arc<AtomicBool>) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut committing = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let message = &asked[..read?];
                committing = message == COMMIT;
                if message.is_empty() {
                    return Ok(());
                }
                server.write_all(message).await?;
            }
            read = server.read(&mut answered) => {
                let message = &answered[..read?];
                if message.is_empty() || (committing && !lost.swap(true, Ordering::SeqCst)) {
                    return Ok(());
                }
                client.write_all(message).await?;
            }
        }
    }
}

#[tokio::test]
async fn rule_commit_once() {
    let mut env = TestEnv::start().await;
    let (url, lost) = lose_reply_to_commit(&env.url).await;
    env.config.database.url = Some(url);
    env.publish_rows(rows(7, 100)).await;
    let replica = env.replica();
    env.until("select count(*) from events", 100).await;
    let counts = replica.drain().await;
    assert!(lost.load(Ordering::SeqCst), "no answer to a COMMIT was lost");
    assert_eq!((counts.events, counts.redelivered, counts.duplicates), (100, 0, 0));
    assert_eq!(env.count("select sum(events) from batch_files").await, 100);
    assert_eq!(env.unread().await, (0, 0));
}

#[tokio::test]
async fn rule_synchronous_commit() {
    let env = TestEnv::start().await;
    let prepare = "do $$ begin
            execute format('alter database %I set synchronous_commit = off', current_database());
        end $$;
        create table seen (setting text);
        create function see() returns trigger language plpgsql as
            $$ begin insert into seen values (current_setting('synchronous_commit')); return null; end $$;
        create trigger see after insert on batches for each statement execute function see()";
    sqlx::raw_sql(prepare).execute(&env.pool).await.unwrap();
    let replica = env.replica();
    env.publish_rows(rows(7, 10)).await;
    env.until("select count(*) from events", 10).await;
    replica.drain().await;
    assert!(env.count("select count(*) from seen").await > 0);
    assert_eq!(env.count("select count(*) from seen where setting <> 'on'").await, 0);
}
