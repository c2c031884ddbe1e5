//! Chooses the path that a batch takes first, by how often the batches before it had conflicts.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// COPY into `events`.
    Direct,
    /// COPY into a temporary table, and from there into the tables.
    Staged,
}

/// Staged costs about twice as much as direct, and a direct attempt that fails adds half of that. So direct first pays
/// until two batches in three fail.
#[derive(Debug, Default)]
pub(super) struct PathSelector {
    /// The share of batches with conflicts, as an exponential moving average: 0 none, 1 all.
    conflicts: f64,
}

const TOO_OFTEN: f64 = 2.0 / 3.0;
/// The weight of the newest batch.
const WEIGHT: f64 = 0.25;

impl PathSelector {
    pub(super) fn path(&self) -> Path {
        if self.conflicts > TOO_OFTEN { Path::Staged } else { Path::Direct }
    }

    pub(super) fn record(&mut self, had_conflicts: bool) {
        let newest = if had_conflicts { 1.0 } else { 0.0 };
        self.conflicts += WEIGHT * (newest - self.conflicts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_conflicts_choose_the_staged_path_until_they_end() {
        let mut selector = PathSelector::default();
        selector.record(true);
        assert_eq!(selector.path(), Path::Direct);
        (0..5).for_each(|_| selector.record(true));
        assert_eq!(selector.path(), Path::Staged);
        (0..3).for_each(|_| selector.record(false));
        assert_eq!(selector.path(), Path::Direct);
    }
}
