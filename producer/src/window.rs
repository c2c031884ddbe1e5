//! What is on its way to the stream, in order, with the positions between.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use async_nats::Subject;
use bytes::Bytes;

use crate::checkpoint::Checkpoint;

/// The most bytes on their way.
const MOST_BYTES: usize = 8 << 20;

/// Messages by number, from the first that is not acknowledged. A position is reached when it is the first.
#[derive(Debug)]
pub(crate) struct Window {
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
    OnItsWay { subject: Subject, payload: Bytes, sent: Instant, refusal: Refusal },
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

impl Window {
    /// A window of at most so many messages.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, first: 0, slots: VecDeque::new(), unacknowledged: 0, refused: 0, bytes: 0 }
    }

    pub(crate) fn has_room(&self) -> bool {
        // Acknowledged messages behind one that is not take room too, lest a lost one lets the window grow for ever.
        self.unacknowledged < self.most && self.slots.len() < self.most * 4 && self.bytes < MOST_BYTES
    }

    /// Whether the stream refused a message that is in flight, so that no others are to be sent.
    pub(crate) fn has_refused(&self) -> bool {
        self.refused > 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many messages are on their way.
    pub(crate) fn len(&self) -> usize {
        self.unacknowledged
    }

    /// Takes a message that is being sent, and numbers it.
    pub(crate) fn push(&mut self, subject: Subject, payload: Bytes) -> u64 {
        self.unacknowledged += 1;
        self.bytes += payload.len();
        self.slots.push_back(Slot::OnItsWay {
            subject,
            payload,
            sent: Instant::now(),
            refusal: Refusal::Never,
        });
        self.first + self.slots.len() as u64 - 1
    }

    /// Takes a position behind all messages so far.
    pub(crate) fn push_mark(&mut self, checkpoint: Checkpoint) {
        self.slots.push_back(Slot::Mark(Box::new(checkpoint)));
    }

    /// The message, where this is its first acknowledgement.
    pub(crate) fn acknowledge(&mut self, number: u64) -> Option<Bytes> {
        let slot = self.slot(number)?;
        let Slot::OnItsWay { payload, refusal, .. } = slot else { return None };
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
        let Some(Slot::OnItsWay { refusal, .. }) = self.slot(number) else { return false };
        let is_first = std::mem::replace(refusal, Refusal::Due) == Refusal::Never;
        self.refused += usize::from(is_first);
        true
    }

    /// The next position before which everything is acknowledged.
    pub(crate) fn pop_mark(&mut self) -> Option<Checkpoint> {
        loop {
            match self.slots.front()? {
                Slot::OnItsWay { .. } => return None,
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
            if let Slot::OnItsWay { subject, payload, sent, refusal } = slot
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

    /// Forgets everything; numbers go on, so that a late acknowledgement meets nobody.
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
    use crate::tail::identity::Identity;

    fn message(window: &mut Window) -> u64 {
        window.push(Subject::from_static("events.view"), Bytes::from_static(b"{}"))
    }

    fn mark(row: i64) -> Checkpoint {
        let identity = Identity { inode: 1, head_length: 1, head_hash: 1, incarnation: 0 };
        let mut checkpoint = Checkpoint::new(FileId::from(1), identity, Path::new("a.csv"));
        checkpoint.reached.row = row;
        checkpoint
    }

    #[test]
    fn rule_no_gap_in_the_watermark() {
        let mut window = Window::new(10);
        let one = message(&mut window);
        window.push_mark(mark(1));
        let two = message(&mut window);
        window.push_mark(mark(2));
        assert!(window.acknowledge(two).is_some());
        assert!(window.pop_mark().is_none());
        assert!(window.acknowledge(one).is_some() && window.acknowledge(one).is_none());
        assert_eq!(window.pop_mark().unwrap().reached.row, 1);
        assert_eq!(window.pop_mark().unwrap().reached.row, 2);
        assert!(window.is_empty());
    }

    #[test]
    fn what_is_refused_or_late_is_sent_again_under_its_number() {
        let mut window = Window::new(10);
        let one = message(&mut window);
        message(&mut window);
        assert!(window.late(Duration::from_mins(1)).is_empty());
        window.refuse(one);
        let late: Vec<_> =
            window.late(Duration::from_mins(1)).into_iter().map(|(number, ..)| number).collect();
        assert_eq!(late, [one]);
        // Once for each refusal.
        assert!(window.late(Duration::from_mins(1)).is_empty());
        assert_eq!(window.late(Duration::ZERO).len(), 2);
    }

    #[test]
    fn an_acknowledgement_that_comes_twice_is_not_taken_for_that_of_a_later_message() {
        let mut window = Window::new(10);
        let one = message(&mut window);
        assert!(window.acknowledge(one).is_some() && window.pop_mark().is_none());
        let two = message(&mut window);
        assert!(window.acknowledge(one).is_none() && window.len() == 1);
        assert!(window.acknowledge(two).is_some());
    }

    #[test]
    fn rule_no_silent_stall_a_refusal_counts_as_long_as_its_message_is_in_flight() {
        let mut window = Window::new(10);
        let one = message(&mut window);
        let two = message(&mut window);
        assert!(window.refuse(one) && window.refuse(one) && window.refuse(two) && window.has_refused());
        // Sent again, it is refused until it is acknowledged.
        assert_eq!(window.late(Duration::from_mins(1)).len(), 2);
        assert!(window.has_refused());
        window.acknowledge(one);
        assert!(window.has_refused());
        window.acknowledge(two);
        assert!(!window.has_refused());
        // The answer to a second copy, of a message whose slot is still there or is not, or was cleared.
        let three = message(&mut window);
        let four = message(&mut window);
        window.acknowledge(four);
        assert!(!window.refuse(four) && !window.refuse(one) && !window.has_refused());
        window.refuse(three);
        window.clear();
        assert!(!window.has_refused() && !window.refuse(three) && !window.has_refused());
    }

    #[test]
    fn the_window_is_bounded_and_a_cleared_one_knows_no_old_number() {
        let mut window = Window::new(2);
        let one = message(&mut window);
        message(&mut window);
        assert!(!window.has_room());
        assert_eq!((window.len(), window.is_empty()), (2, false));
        window.clear();
        assert_eq!((window.len(), window.is_empty()), (0, true));
        assert!(window.has_room() && window.acknowledge(one).is_none());
        assert_ne!(message(&mut window), one);
    }

    #[test]
    fn the_window_holds_a_bounded_number_of_bytes() {
        let half = || Bytes::from(vec![b'x'; MOST_BYTES / 2]);
        let mut window = Window::new(10);
        let one = window.push(Subject::from_static("events.view"), half());
        assert!(window.has_room());
        window.push(Subject::from_static("events.view"), half());
        assert!(!window.has_room());
        window.acknowledge(one);
        assert!(window.has_room());
    }

    #[test]
    fn four_windows_of_messages_wait_behind_one_that_is_not_acknowledged() {
        let mut window = Window::new(10);
        let first = message(&mut window);
        let mut messages = 1;
        while window.has_room() {
            let next = message(&mut window);
            window.acknowledge(next);
            messages += 1;
        }
        assert_eq!(messages, 40);
        window.acknowledge(first);
        assert!(window.pop_mark().is_none() && window.is_empty() && window.has_room());
    }
}
