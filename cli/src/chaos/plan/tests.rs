use super::*;

fn plan(seed: u64, kills: u64) -> Vec<Round> {
    Plan::new(seed, 2, Kind::all().iter().copied().collect(), Some(kills)).collect()
}

/// A plan without end.
fn plan_of(seed: u64, kinds: &[Kind]) -> Plan {
    Plan::new(seed, 2, kinds.iter().copied().collect(), None)
}

fn faults(rounds: &[Round]) -> Vec<Fault> {
    rounds.iter().flat_map(|round| round.faults.clone()).collect()
}

fn kinds(rounds: &[Round]) -> BTreeSet<Kind> {
    faults(rounds).iter().map(|fault| fault.strike.kind()).collect()
}

/// Those that `draw` can give.
const KINDS: [Kind; 6] = [Kind::Kill, Kind::Stop, Kind::Network, Kind::Fill, Kind::Store, Kind::Restore];

/// How many rounds a deck has.
fn deck_size() -> usize {
    let others: usize = DECK.iter().map(|(_, count)| count).sum();
    others + others.div_ceil(OTHERS)
}

/// Whether the producer is killed while its messages cannot arrive.
fn kills_in_flight(round: &Round) -> bool {
    let [first, second] = &round.faults[..] else { return false };
    let is_cut_off = match first.strike {
        Strike::Kill(victim) => victim == Victim::Nats,
        Strike::Network(link, how) => {
            link == Link::ProducerToNats && matches!(how, Disturbance::Cut | Disturbance::Blackhole)
        }
        Strike::Fill => true,
        _ => false,
    };
    let checkpoint_every = common::config::Tail::default().checkpoint_every;
    is_cut_off && first.lasts > checkpoint_every && second.strike == Strike::Kill(Victim::Producer)
}

#[test]
fn the_same_seed_gives_the_same_plan() {
    assert_eq!(plan(1, 200), plan(1, 200));
    assert_ne!(plan(1, 200), plan(2, 200));
    // It stays the same in later versions, so that a run can be repeated with another build.
    let first: Vec<_> = faults(&plan(1, 200)).iter().take(3).map(Fault::to_string).collect();
    let expected = [
        "kill consumer c1 for 120 ms",
        "kill nats-server for 169 ms",
        "put PostgreSQL back to a copy of 1094 ms ago, and heal",
    ];
    assert_eq!(first, expected);
}

/// `cli/tests/it/chaos.rs` relies on it.
#[test]
fn the_seeds_of_the_integration_tests_give_what_they_need() {
    assert_eq!(kinds(&plan(200, 6)), KINDS.into());
    assert_eq!(plan(4_191, 1)[0].faults[0].to_string(), "stop PostgreSQL for 1493 ms");
    assert_eq!(kinds(&plan(1, 1)[..1]), [Kind::Kill].into());
}

#[test]
fn there_are_as_many_kills_as_were_asked_for_and_some_of_everything() {
    for seed in 0..20 {
        let rounds = plan(seed, 200);
        assert_eq!(rounds.iter().map(Round::kills).sum::<u64>(), 200);
        let faults = faults(&rounds);
        for victim in
            [Victim::Producer, Victim::Consumer(1), Victim::Consumer(2), Victim::Nats, Victim::Postgres]
        {
            let count = |strike| faults.iter().filter(|fault| fault.strike == strike).count();
            assert!(count(Strike::Kill(victim)) > 10, "{victim}");
        }
        assert_eq!(kinds(&rounds[..deck_size()]), KINDS.into());
        let pairs: Vec<_> = rounds.iter().filter(|round| round.faults.len() == 2).collect();
        assert!(pairs.len() > 5);
        assert!(pairs.iter().all(|pair| {
            let victims = [pair.faults[0].strike.victim(), pair.faults[1].strike.victim()];
            !pair.is_measured && victims[0] != victims[1]
        }));
        assert!(rounds.iter().filter(|round| round.is_measured).count() > 50);
    }
}

#[test]
fn the_producer_is_often_killed_while_its_messages_cannot_arrive() {
    for seed in 0..20 {
        let rounds: Vec<Round> = plan_of(seed, Kind::all()).take(200).collect();
        assert!(rounds.windows(2 * OTHERS + 1).all(|some| some.iter().any(kills_in_flight)), "seed {seed}");
    }
    assert!(plan_of(1, &[Kind::Kill]).take(100).any(|round| kills_in_flight(&round)));
    assert!(!plan_of(1, &[Kind::Network, Kind::Fill]).take(100).any(|round| kills_in_flight(&round)));
}

#[test]
fn only_the_kinds_that_were_chosen_are_struck() {
    let of = |chosen: &[Kind]| kinds(&plan_of(3, chosen).take(100).collect::<Vec<_>>());
    assert_eq!(of(&[Kind::Stop, Kind::Append]), [Kind::Stop].into());
    assert_eq!(of(&[Kind::Kill, Kind::Append]), [Kind::Kill].into());
    assert_eq!(of(&[Kind::Kill, Kind::Network]), [Kind::Kill, Kind::Network].into());
    assert_eq!(of(&[Kind::Truncate]), [].into());
}
