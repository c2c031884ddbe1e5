use super::*;
use crate::config;
use std::sync::Arc;

const MINUTE: Duration = Duration::from_mins(1);

fn on(port: u16) -> config::Health {
    config::Health { port: Some(port), ..config::Health::default() }
}

async fn asked(port: u16, ready: bool, service: Service) -> Result<(), String> {
    let ask = Ask { ready, port: None };
    ask.execute(&on(port), service).await.map(|_| ()).map_err(|error| format!("{error:#}"))
}

/// The answer, once it is no.
async fn refusal(port: u16, service: Service) -> String {
    let refused = async {
        loop {
            if let Err(refused) = asked(port, false, service).await {
                break refused;
            }
        }
    };
    tokio::time::timeout(MINUTE, refused).await.expect("the answer becomes no in time")
}

#[test]
fn a_stage_is_stuck_when_it_neither_turns_nor_rests() {
    let health = Health::default();
    let (tail, publish) = (health.pulse("tail", MINUTE), health.pulse("publish", 2 * MINUTE));
    let later = Instant::now() + 3 * MINUTE;
    assert!(health.stuck(later).is_empty(), "nothing has begun");
    tail.beat();
    publish.beat();
    assert!(health.stuck(Instant::now()).is_empty());
    assert_eq!(health.stuck(Instant::now() + MINUTE + Duration::from_secs(5)), ["tail"]);
    assert_eq!(health.stuck(later), ["publish", "tail"]);
    tail.rest();
    drop(publish);
    assert!(health.stuck(later).is_empty(), "one has no room, the other one has ended");
}

#[test]
fn rule_no_silent_stall_work_without_progress_counts_from_its_beginning() {
    let health = Health::default();
    let stage = health.pulse("publish", MINUTE);
    stage.work();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(5) {}
    // That there is still work is no progress.
    stage.work();
    let later = began + MINUTE + Duration::from_millis(2);
    assert_eq!(health.stuck(later), ["publish"]);
    stage.rest();
    assert!(health.stuck(later).is_empty());
    stage.work();
    health.limit(Some(2 * MINUTE));
    assert!(health.stuck(later).is_empty());
    assert_eq!(health.stuck(later + 2 * MINUTE), ["publish"]);
}

#[test]
fn rule_no_silent_stall_and_an_outage_that_is_known_is_none() {
    let health = Health::default();
    let is_away = Arc::new(AtomicBool::new(true));
    let away = Arc::clone(&is_away);
    let stage = health.pulse_unless("ack", MINUTE, move || away.load(Ordering::Relaxed));
    stage.work();
    assert!(health.stuck(Instant::now() + 3 * MINUTE).is_empty());
    // When it is back the stage has its whole limit.
    is_away.store(false, Ordering::Relaxed);
    assert!(health.stuck(Instant::now() + MINUTE / 2).is_empty());
    assert_eq!(health.stuck(Instant::now() + 2 * MINUTE), ["ack"]);
}

#[tokio::test]
async fn what_is_missing_makes_a_process_unready_and_not_dead() {
    let health = Health::default();
    let database = health.need("database");
    health.require("nats", || true);
    let serving = serve(&on(0), Service::Consumer, health).await.unwrap().unwrap();
    let port = serving.at.port();
    assert_eq!(asked(port, false, Service::Consumer).await, Ok(()));
    let refused = asked(port, true, Service::Consumer).await.unwrap_err();
    assert!(refused.ends_with("is not ready, it waits for: database"), "{refused}");
    database.set(true);
    assert_eq!(asked(port, true, Service::Consumer).await, Ok(()));
}

#[tokio::test]
async fn a_stuck_stage_is_named() {
    let health = Health::default();
    let stage = health.pulse("fetch", Duration::ZERO);
    stage.beat();
    let serving = serve(&on(0), Service::Consumer, health).await.unwrap().unwrap();
    // A limit of nothing is over within a millisecond or two.
    let refused = refusal(serving.at.port(), Service::Consumer).await;
    assert!(refused.ends_with("is stuck in: fetch"), "{refused}");
}

#[tokio::test]
async fn a_taken_port_gives_way_to_the_next_free_one() {
    let first = serve(&on(0), Service::Producer, Health::default()).await.unwrap().unwrap();
    let second = serve(&on(first.at.port()), Service::Consumer, Health::default()).await.unwrap().unwrap();
    assert!(second.at.port() > first.at.port());
    let refused = asked(first.at.port(), false, Service::Consumer).await.unwrap_err();
    assert!(refused.contains("answers a producer and no consumer; name its port with --port"), "{refused}");
    assert_eq!(asked(second.at.port(), false, Service::Consumer).await, Ok(()));
}

#[tokio::test]
async fn nobody_there_and_nobody_to_ask() {
    let serving = serve(&on(0), Service::Producer, Health::default()).await.unwrap().unwrap();
    let port = serving.at.port();
    drop(serving);
    // The task ends at its next turn.
    let refused = refusal(port, Service::Producer).await;
    assert!(refused.starts_with(&format!("no producer answers at 127.0.0.1:{port}")), "{refused}");
    let off = config::Health { enabled: false, ..on(port) };
    assert!(serve(&off, Service::Producer, Health::default()).await.unwrap().is_none());
    let refused = Ask::default().execute(&off, Service::Producer).await.unwrap_err();
    assert!(refused.is::<config::Problem>(), "{refused}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_refused() {
    let elsewhere = config::Health { address: [192, 0, 2, 1].into(), ..on(0) };
    let refused = serve(&elsewhere, Service::Producer, Health::default()).await.unwrap_err();
    assert_eq!(refused.to_string(), "failed to listen on 192.0.2.1:0 as health.address and health.port say");
}
