//! Whether messages wait although a request for them was sent: the request was lost.

use common::stream::Durable;

/// How often in a row that has to be so: between two requests there is none for a moment.
const CERTAIN: u32 = 2;

#[derive(Debug, Default)]
pub(super) struct Stall {
    in_a_row: u32,
}

impl Stall {
    /// Whether that is certain by now.
    pub(super) fn is_certain(&mut self, now: Durable) -> bool {
        self.in_a_row = if now.pending > 0 && now.requests == 0 { self.in_a_row + 1 } else { 0 };
        self.in_a_row >= CERTAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_for_which_nobody_waits_twice_in_a_row_are_stalled() {
        let stalled = Durable { pending: 5, ..Durable::default() };
        for fine in [Durable { requests: 1, ..stalled }, Durable::default()] {
            let mut stall = Stall::default();
            assert!(!stall.is_certain(stalled));
            assert!(!stall.is_certain(fine));
            assert!(!stall.is_certain(stalled));
            assert!(stall.is_certain(stalled));
        }
    }
}
