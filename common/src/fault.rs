//! Named points at which a test can kill the process, as `kill -9` would: between two steps where a crash hurts most.
//!
//! `FAULT_POINT=after_commit` kills at that point, `FAULT_POINT=after_commit:3` when it is reached for the third time.
//! Only builds with debug assertions know of it; in others a point is nothing at all.
//!
//! | point of the consumer | what has happened |
//! |---|---|
//! | `after_fetch` | a message is decoded and not queued |
//! | `before_commit` | all statements of a transaction are done, COMMIT is not sent |
//! | `after_commit` | a transaction has committed, its messages are not acknowledged |
//! | `after_ack` | acknowledgements are with the client, and perhaps not yet on their way |
//! | `before_closed_word` | files are complete, and nobody was told |
//! | `after_closed_word` | the bucket says that files are closed, the table of files does not |

/// Ends the process here, where the environment asks for it.
#[inline]
pub fn point(name: &str) {
    #[cfg(debug_assertions)]
    armed::reach(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::env;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    #[derive(Debug)]
    struct Fault {
        point: String,
        /// How many more times the point is passed.
        left: AtomicU32,
    }

    pub(super) fn reach(name: &str) {
        static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
        let Some(fault) = FAULT.get_or_init(asked_for) else { return };
        if fault.point == name && fault.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }

    fn asked_for() -> Option<Fault> {
        let text = env::var("FAULT_POINT").ok()?;
        let (point, times) = text.split_once(':').unwrap_or((&text, "1"));
        Some(Fault { point: point.to_owned(), left: times.parse::<u32>().ok()?.max(1).into() })
    }
}
