use std::path::Path;

use common::FileId;
use futures::TryStreamExt as _;
use sandbox::testing::{Proxy, Way, ended, until};
use tokio::task::JoinHandle;

use super::*;
use crate::file::identity::Identity;

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
    let reached = || store.of_file(FileId::from(1)).unwrap().map_or(0, |checkpoint| checkpoint.reached.row);
    until("the first row is acknowledged", async || reached() >= 5).await;

    nats.jetstream.delete_stream(stream::STREAM).await.unwrap();
    let woken = ended("the loss is noticed", woken.recv()).await;
    assert!(matches!(woken, Some(TailerMessage::Rewind(1))));
    sender.send(chunk(0, 6)).await.unwrap();
    sender.send(chunk(1, 1)).await.unwrap();
    drop(sender);
    ended("the publisher ends", publishing).await.unwrap().unwrap();
    assert_eq!(reached(), 1);
    let events = nats.jetstream.get_stream(stream::STREAM).await.unwrap();
    let there: Vec<_> = events.info_with_subjects(">").await.unwrap().try_collect().await.unwrap();
    assert_eq!(there, [("events.view".to_owned(), 1)]);
}

/// A publisher that has sent messages again, since nothing that the broker says reaches it.
struct Unanswered {
    server: sandbox::Nats,
    _dir: tempfile::TempDir,
    proxy: Proxy,
    progress: Arc<Progress>,
    shutdown: Shutdown,
    _chunks: mpsc::Sender<Chunk>,
    _woken: mpsc::Receiver<TailerMessage>,
    publishing: JoinHandle<Result<(), Error>>,
}

impl Unanswered {
    async fn start(window: usize, messages: usize) -> Self {
        let (server, dir) = (sandbox::testing::nats().await, tempfile::tempdir().unwrap());
        let proxy = Proxy::to(&server.url()).await;
        let mut config = Config::default();
        config.nats.url = Some(proxy.url());
        config.publish.window = window;
        config.publish.ack_timeout = Duration::from_millis(100);
        let nats = common::nats::connect(&config.nats, "test", &Shutdown::new()).await.unwrap();
        let (_, incarnation) = stream::ensure(&nats.jetstream, &config.stream).await.unwrap();
        let store = Arc::new(Store::open(dir.path()).unwrap());
        let ((wakes, woken), (sender, chunks)) = (mpsc::channel(1), mpsc::channel(4));
        let (progress, shutdown) = (Arc::new(Progress::default()), Shutdown::new());
        let publisher =
            Publisher::new(nats, config, store, progress.clone(), wakes, incarnation).await.unwrap();
        proxy.hold(Way::ToClient);
        let Chunk { generation, messages: one, marks } = chunk(0, 3);
        let numbered = |number| Mapped { subject: format!("events.view{number}").into(), ..one[0].clone() };
        let chunk = Chunk { generation, messages: (1..=messages).map(numbered).collect(), marks };
        sender.send(chunk).await.unwrap();
        let publishing = tokio::spawn(publisher.run(chunks, shutdown.clone()));
        until("what nobody acknowledges is sent again", async || progress.resends() > 0).await;
        Self { server, _dir: dir, proxy, progress, shutdown, _chunks: sender, _woken: woken, publishing }
    }
}

#[tokio::test]
async fn a_publisher_that_is_stopped_says_how_many_messages_nobody_has_acknowledged() {
    // Two of them are in flight.
    let unanswered = Unanswered::start(2, 3).await;
    unanswered.shutdown.stop();
    let ended = ended("the publisher ends", unanswered.publishing).await.unwrap();
    assert!(matches!(ended, Err(Error::Stopped(3))), "{ended:?}");
}

#[tokio::test]
async fn rule_no_silent_stall_while_the_broker_answers_nothing() {
    let unanswered = Unanswered::start(10, 1).await;
    let soon = || Instant::now() + WITHOUT_ANSWER + Duration::from_secs(1);
    let stuck = || unanswered.progress.health().stuck(soon());
    assert_eq!(stuck(), ["publish"], "sending again is no progress");
    unanswered.proxy.mend();
    until("the answer is there", async || unanswered.progress.messages() == 1).await;
    until("it has nothing to do", async || stuck().is_empty()).await;
}

#[tokio::test]
async fn no_more_messages_than_the_window_holds_are_sent_before_one_is_acknowledged() {
    let unanswered = Unanswered::start(2, 5).await;
    let config = common::config::Nats { url: Some(unanswered.server.url()), ..Config::default().nats };
    let nats = common::nats::connect(&config, "test", &Shutdown::new()).await.unwrap();
    let subjects = async || -> Vec<String> {
        let events = nats.jetstream.get_stream(stream::STREAM).await.unwrap();
        events
            .info_with_subjects(">")
            .await
            .unwrap()
            .map_ok(|(subject, _)| subject)
            .try_collect()
            .await
            .unwrap()
    };
    assert_eq!(subjects().await.len(), 2);
    unanswered.proxy.mend();
    until("all are acknowledged", async || unanswered.progress.messages() == 5).await;
    assert_eq!(subjects().await.len(), 5);
}
