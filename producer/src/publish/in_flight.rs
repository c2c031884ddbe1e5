//! Messages in flight, in order, with the positions between them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use async_nats::Subject;
use bytes::Bytes;

use crate::checkpoint::Checkpoint;

/// The most bytes in flight.
const MOST_BYTES: usize = 8 << 20;

/// Messages by number, from the first that is not acknowledged. A position is reached when it is the first.
#[derive(Debug)]
pub(crate) struct InFlight {
    most: usize,
    /// The number of the first slot.
    first: u64,
    slots: VecDeque<Slot>,
    unacknowledged: usize,
    /// Messages that the stream refused and has not acknowledged since.
    refused: usize,
    bytes: usize,
}

#[derive(Debug)]
enum Slot {
    Sent { subject: Subject, payload: Bytes, sent: Instant, refusal: Refusal },
    Acknowledged,
    Mark(Box<Checkpoint>),
}

/// Whether the stream refused a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Never,
    /// It has to be sent again.
    Due,
    /// It was sent again; the answer to that is not there yet.
    Resent,
}

impl InFlight {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, first: 0, slots: VecDeque::new(), unacknowledged: 0, refused: 0, bytes: 0 }
    }

    pub(crate) fn has_room(&self) -> bool {
        // Acknowledged messages behind one that is not take room too, or a lost one would let the queue grow for ever.
        self.unacknowledged < self.most && self.slots.len() < self.most * 4 && self.bytes < MOST_BYTES
    }

    /// Whether the stream refused a message that is in flight, so that no others are to be sent.
    pub(crate) fn has_refused(&self) -> bool {
        self.refused > 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.unacknowledged
    }

    /// Takes a message that is being sent, and numbers it.
    pub(crate) fn push(&mut self, subject: Subject, payload: Bytes) -> u64 {
        self.unacknowledged += 1;
        self.bytes += payload.len();
        self.slots.push_back(Slot::Sent { subject, payload, sent: Instant::now(), refusal: Refusal::Never });
        self.first + self.slots.len() as u64 - 1
    }

    /// Takes a position behind all messages so far.
    pub(crate) fn push_mark(&mut self, checkpoint: Checkpoint) {
        self.slots.push_back(Slot::Mark(Box::new(checkpoint)));
    }

    /// The message, where this is its first acknowledgement.
    pub(crate) fn acknowledge(&mut self, number: u64) -> Option<Bytes> {
        let slot = self.slot(number)?;
        let Slot::Sent { payload, refusal, .. } = slot else { return None };
        let (payload, was_refused) = (std::mem::take(payload), *refusal != Refusal::Never);
        *slot = Slot::Acknowledged;
        self.refused -= usize::from(was_refused);
        self.unacknowledged -= 1;
        self.bytes -= payload.len();
        Some(payload)
    }

    /// Notes that the stream did not take a message. `false` for one that is not in flight any more: the stream refused
    /// a second copy of what it has.
    pub(crate) fn refuse(&mut self, number: u64) -> bool {
        let Some(Slot::Sent { refusal, .. }) = self.slot(number) else { return false };
        let is_first = std::mem::replace(refusal, Refusal::Due) == Refusal::Never;
        self.refused += usize::from(is_first);
        true
    }

    /// The next position before which everything is acknowledged.
    pub(crate) fn pop_mark(&mut self) -> Option<Checkpoint> {
        loop {
            match self.slots.front()? {
                Slot::Sent { .. } => return None,
                Slot::Acknowledged | Slot::Mark(_) => {}
            }
            self.first += 1;
            if let Some(Slot::Mark(checkpoint)) = self.slots.pop_front() {
                return Some(*checkpoint);
            }
        }
    }

    /// Messages that were refused, or sent longer ago than `timeout`; they count as sent now.
    pub(crate) fn late(&mut self, timeout: Duration) -> Vec<(u64, Subject, Bytes)> {
        let (now, first) = (Instant::now(), self.first);
        let mut late = Vec::new();
        for (number, slot) in (first..).zip(&mut self.slots) {
            if let Slot::Sent { subject, payload, sent, refusal } = slot
                && (*refusal == Refusal::Due || now.duration_since(*sent) >= timeout)
            {
                *sent = now;
                if *refusal == Refusal::Due {
                    *refusal = Refusal::Resent;
                }
                late.push((number, subject.clone(), payload.clone()));
            }
        }
        late
    }

    /// Drops everything. Numbers go on, so that a late acknowledgement has no effect.
    pub(crate) fn clear(&mut self) {
        self.first += self.slots.len() as u64;
        self.slots.clear();
        (self.unacknowledged, self.refused, self.bytes) = (0, 0, 0);
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use common::FileId;

    use super::*;
    use crate::file::identity::Identity;

    fn message(in_flight: &mut InFlight) -> u64 {
        in_flight.push(Subject::from_static("events.view"), Bytes::from_static(b"{}"))
    }

    fn mark(row: i64) -> Checkpoint {
        let identity = Identity { inode: 1, head_length: 1, head_hash: 1, incarnation: 0 };
        let mut checkpoint = Checkpoint::new(FileId::from(1), identity, Path::new("a.csv"));
        checkpoint.reached.row = row;
        checkpoint
    }

    #[test]
    fn rule_no_gap_in_the_watermark() {
        let mut in_flight = InFlight::new(10);
        let one = message(&mut in_flight);
        in_flight.push_mark(mark(1));
        let two = message(&mut in_flight);
        in_flight.push_mark(mark(2));
        assert!(in_flight.acknowledge(two).is_some());
        assert!(in_flight.pop_mark().is_none());
        assert!(in_flight.acknowledge(one).is_some() && in_flight.acknowledge(one).is_none());
        assert_eq!(in_flight.pop_mark().unwrap().reached.row, 1);
        assert_eq!(in_flight.pop_mark().unwrap().reached.row, 2);
        assert!(in_flight.is_empty());
    }

    #[test]
    fn what_is_refused_or_late_is_sent_again_under_its_number() {
        let mut in_flight = InFlight::new(10);
        let one = message(&mut in_flight);
        message(&mut in_flight);
        assert!(in_flight.late(Duration::from_mins(1)).is_empty());
        in_flight.refuse(one);
        let late: Vec<_> =
            in_flight.late(Duration::from_mins(1)).into_iter().map(|(number, ..)| number).collect();
        assert_eq!(late, [one]);
        // Once for each refusal.
        assert!(in_flight.late(Duration::from_mins(1)).is_empty());
        assert_eq!(in_flight.late(Duration::ZERO).len(), 2);
    }

    #[test]
    fn an_acknowledgement_that_comes_twice_is_not_taken_for_that_of_a_later_message() {
        let mut in_flight = InFlight::new(10);
        let one = message(&mut in_flight);
        assert!(in_flight.acknowledge(one).is_some() && in_flight.pop_mark().is_none());
        let two = message(&mut in_flight);
        assert!(in_flight.acknowledge(one).is_none() && in_flight.len() == 1);
        assert!(in_flight.acknowledge(two).is_some());
    }

    #[test]
    fn rule_no_silent_stall_a_refusal_counts_as_long_as_its_message_is_in_flight() {
        let mut in_flight = InFlight::new(10);
        let one = message(&mut in_flight);
        let two = message(&mut in_flight);
        assert!(
            in_flight.refuse(one)
                && in_flight.refuse(one)
                && in_flight.refuse(two)
                && in_flight.has_refused()
        );
        // Sent again, it is refused until it is acknowledged.
        assert_eq!(in_flight.late(Duration::from_mins(1)).len(), 2);
        assert!(in_flight.has_refused());
        in_flight.acknowledge(one);
        assert!(in_flight.has_refused());
        in_flight.acknowledge(two);
        assert!(!in_flight.has_refused());
        // The answer to a second copy, of a message whose slot is still there or is not, or was cleared.
        let three = message(&mut in_flight);
        let four = message(&mut in_flight);
        in_flight.acknowledge(four);
        assert!(!in_flight.refuse(four) && !in_flight.refuse(one) && !in_flight.has_refused());
        in_flight.refuse(three);
        in_flight.clear();
        assert!(!in_flight.has_refused() && !in_flight.refuse(three) && !in_flight.has_refused());
    }

    #[test]
    fn in_flight_is_bounded_and_a_cleared_one_knows_no_old_number() {
        let mut in_flight = InFlight::new(2);
        let one = message(&mut in_flight);
        message(&mut in_flight);
        assert!(!in_flight.has_room());
        assert_eq!((in_flight.len(), in_flight.is_empty()), (2, false));
        in_flight.clear();
        assert_eq!((in_flight.len(), in_flight.is_empty()), (0, true));
        assert!(in_flight.has_room() && in_flight.acknowledge(one).is_none());
        assert_ne!(message(&mut in_flight), one);
    }

    #[test]
    fn in_flight_holds_a_bounded_number_of_bytes() {
        let half = || Bytes::from(vec![b'x'; MOST_BYTES / 2]);
        let mut in_flight = InFlight::new(10);
        let one = in_flight.push(Subject::from_static("events.view"), half());
        assert!(in_flight.has_room());
        in_flight.push(Subject::from_static("events.view"), half());
        assert!(!in_flight.has_room());
        in_flight.acknowledge(one);
        assert!(in_flight.has_room());
    }

    #[test]
    fn four_windows_of_messages_wait_behind_one_that_is_not_acknowledged() {
        let mut in_flight = InFlight::new(10);
        let first = message(&mut in_flight);
        let mut messages = 1;
        while in_flight.has_room() {
            let next = message(&mut in_flight);
            in_flight.acknowledge(next);
            messages += 1;
        }
        assert_eq!(messages, 40);
        in_flight.acknowledge(first);
        assert!(in_flight.pop_mark().is_none() && in_flight.is_empty() && in_flight.has_room());
    }
}
