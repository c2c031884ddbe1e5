//! Which path a batch takes first, learnt from the batches before it.

/// How a batch is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// Straight into `events`.
    Fast,
    /// By way of a temporary table.
    Careful,
}

/// How often batches had rows that were there already, lately: 0 never, 1 always.
///
/// Careful costs about twice as much as fast, and a fast attempt that fails costs its half besides. So trying fast
/// first pays until two batches in three fail.
#[derive(Debug, Default)]
pub(super) struct Habit {
    conflicts: f64,
}

const TOO_OFTEN: f64 = 2.0 / 3.0;
/// What the newest batch counts.
const WEIGHT: f64 = 0.25;

impl Habit {
    pub(super) fn path(&self) -> Path {
        if self.conflicts > TOO_OFTEN { Path::Careful } else { Path::Fast }
    }

    pub(super) fn learn(&mut self, had_conflicts: bool) {
        let newest = if had_conflicts { 1.0 } else { 0.0 };
        self.conflicts += WEIGHT * (newest - self.conflicts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_that_stay_make_it_careful_and_their_end_makes_it_fast() {
        let mut habit = Habit::default();
        habit.learn(true);
        assert_eq!(habit.path(), Path::Fast);
        (0..5).for_each(|_| habit.learn(true));
        assert_eq!(habit.path(), Path::Careful);
        (0..3).for_each(|_| habit.learn(false));
        assert_eq!(habit.path(), Path::Fast);
    }
}
