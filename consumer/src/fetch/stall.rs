//! Whether messages wait in vain: they are there, and nobody's request for them is.

use super::durable::Look;

/// How often in a row that has to be seen: between two requests nobody waits for a moment.
const CERTAIN: u32 = 2;

/// What the looks so far say.
#[derive(Debug, Default)]
pub(super) struct Stall {
    in_a_row: u32,
}

impl Stall {
    /// Whether, after this look, it is certain.
    pub(super) fn is_certain(&mut self, look: Look) -> bool {
        self.in_a_row = if look.pending > 0 && look.waiting == 0 { self.in_a_row + 1 } else { 0 };
        self.in_a_row >= CERTAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_for_which_nobody_waits_twice_in_a_row_are_stalled() {
        let stalled = Look { pending: 5, waiting: 0, is_full: false };
        let (waited_for, empty) = (
            Look { pending: 5, waiting: 1, is_full: false },
            Look { pending: 0, waiting: 0, is_full: false },
        );
        for fine in [waited_for, empty] {
            let mut stall = Stall::default();
            assert!(!stall.is_certain(stalled));
            assert!(!stall.is_certain(fine));
            assert!(!stall.is_certain(stalled));
            assert!(stall.is_certain(stalled));
        }
    }
}
