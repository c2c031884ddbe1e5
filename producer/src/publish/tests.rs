use std::path::Path;

use common::FileId;
use futures::TryStreamExt as _;

use super::*;
use crate::tail::identity::Identity;

/// Longer than anything takes, so that only a mistake reaches it.
const DEADLINE: Duration = Duration::from_secs(30);

/// One row of a file, and the position behind it.
fn chunk(generation: u64, row: i64) -> Chunk {
    let identity = Identity { inode: 1, head_length: 1, head_hash: 1, incarnation: 0 };
    let mut mark = Checkpoint::new(FileId::from(1), identity, Path::new("a.csv"));
    mark.reached.row = row;
    let payload = format!("generation {generation}").into();
    let message = Mapped { subject: "events.view".into(), payload, rejected: None };
    Chunk { generation, messages: vec![message], marks: vec![mark] }
}

/// What the tailer gave before it had heard of the loss is behind what is read again: its positions would pass rows that
/// nobody has.
#[tokio::test]
async fn rule_loss_is_noticed_and_chunks_of_before_are_void() {
    let (server, dir) = (sandbox::testing::nats().await, tempfile::tempdir().unwrap());
    let mut config = Config::default();
    config.nats.url = Some(server.url());
    let nats = common::nats::connect(&config.nats, "test", &Shutdown::new()).await.unwrap();
    let (_, incarnation) = stream::ensure(&nats.jetstream, &config.stream).await.unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    let ((wakes, mut woken), (sender, chunks)) = (mpsc::channel(1), mpsc::channel(4));
    let publisher =
        Publisher::new(nats.clone(), config.clone(), store.clone(), Arc::default(), wakes, incarnation);
    let publishing = tokio::spawn(publisher.await.unwrap().run(chunks, Shutdown::new()));
    sender.send(chunk(0, 5)).await.unwrap();
    let reached = || store.of_file(FileId::from(1)).map_or(0, |checkpoint| checkpoint.reached.row);
    let first = async {
        while reached() < 5 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, first).await.expect("the first row is acknowledged");

    nats.jetstream.delete_stream(stream::STREAM).await.unwrap();
    let woken = tokio::time::timeout(DEADLINE, woken.recv()).await.expect("the loss is noticed");
    assert!(matches!(woken, Some(Wake::Rewind(1))));
    sender.send(chunk(0, 6)).await.unwrap();
    sender.send(chunk(1, 1)).await.unwrap();
    drop(sender);
    tokio::time::timeout(DEADLINE, publishing).await.expect("it ends").unwrap().unwrap();
    assert_eq!(reached(), 1);
    let events = nats.jetstream.get_stream(stream::STREAM).await.unwrap();
    let there: Vec<_> = events.info_with_subjects(">").await.unwrap().try_collect().await.unwrap();
    assert_eq!(there, [("events.view".to_owned(), 1)]);
}

#[tokio::test]
async fn a_publisher_that_is_stopped_says_how_many_messages_nobody_has_acknowledged() {
    let (server, dir) = (sandbox::testing::nats().await, tempfile::tempdir().unwrap());
    let proxy = sandbox::testing::Proxy::to(&server.url()).await;
    let mut config = Config::default();
    config.nats.url = Some(proxy.url());
    config.publish.window = 2;
    config.publish.ack_timeout = Duration::from_millis(100);
    let nats = common::nats::connect(&config.nats, "test", &Shutdown::new()).await.unwrap();
    let (_, incarnation) = stream::ensure(&nats.jetstream, &config.stream).await.unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    let ((wakes, _woken), (sender, chunks)) = (mpsc::channel(1), mpsc::channel(4));
    let (progress, shutdown) = (Arc::new(Progress::default()), Shutdown::new());
    let publisher = Publisher::new(nats, config, store, progress.clone(), wakes, incarnation).await.unwrap();
    // Nothing that the broker says comes back.
    proxy.hold(sandbox::testing::Way::ToClient);
    let Chunk { generation, messages, marks } = chunk(0, 3);
    sender.send(Chunk { generation, messages: vec![messages[0].clone(); 3], marks }).await.unwrap();
    let publishing = tokio::spawn(publisher.run(chunks, shutdown.clone()));
    let resent = async {
        while progress.resends() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, resent).await.expect("what nobody acknowledges is sent again");
    shutdown.stop();
    let ended = tokio::time::timeout(DEADLINE, publishing).await.expect("it ends").unwrap();
    assert!(matches!(ended, Err(Error::Stopped(3))), "{ended:?}");
}
