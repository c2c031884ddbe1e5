//! Named points at which a test can kill the process, as `kill -9` would: between two steps where a crash hurts most.
//!
//! `FAULT_POINT=after_commit` kills at that point, `FAULT_POINT=after_commit:3` when it is reached for the third time.
//! `FAULT_POINT=after_archiving_mark:/tmp/hold` does not kill: while there is a file `/tmp/hold`, a thread that reaches the
//! point makes `/tmp/hold.reached` and waits, so that a test can do something at exactly that moment.
//! `FAULT_PANIC=purge` panics at a point; the producer's tasks beside its stages have `closed`, `purge` and `flush`.
//! `FAULT_HANG=publish` makes a stage hang from there on, as a lock that is never released would: at `tail`, `publish`,
//! `checkpoint`, `fetch`, `decode`, `batch`, `write`, `ack` or `close`.
//! Only builds with debug assertions know of it; in others a point is nothing at all.
//!
//! | point of the consumer | what has happened |
//! |---|---|
//! | `after_fetch` | a message is decoded and not queued |
//! | `before_commit` | all statements of a transaction are done, COMMIT is not sent |
//! | `after_commit` | a transaction has committed, its messages are not acknowledged |
//! | `after_ack` | acknowledgements are with the client, and perhaps not yet on their way |
//! | `before_closed_word` | files are complete, and none is announced |
//! | `after_closed_word` | the bucket says that files are closed, the table of files does not |

/// Ends the process here, where the environment asks for it.
#[inline]
pub fn point(name: &str) {
    #[cfg(debug_assertions)]
    armed::reach(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Never completes, where the environment asks for it.
#[inline]
#[cfg_attr(
    not(debug_assertions),
    expect(clippy::unused_async, reason = "a point is nothing at all in a release")
)]
pub async fn hang(name: &str) {
    #[cfg(debug_assertions)]
    if armed::hangs(name) {
        std::future::pending::<()>().await;
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Never returns, where the environment asks for it: [`hang`] of a thread.
#[inline]
pub fn hang_thread(name: &str) {
    #[cfg(debug_assertions)]
    while armed::hangs(name) {
        std::thread::park();
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;
    use std::{env, fs, thread};

    use rustix::process::{Signal, getpid, kill_process};

    #[derive(Debug)]
    struct Fault {
        point: String,
        kind: Kind,
    }

    #[derive(Debug)]
    enum Kind {
        /// How many more times the point is passed.
        Kill { left: AtomicU32 },
        /// As long as this file is there.
        Hold { file: PathBuf },
    }

    pub(super) fn hangs(name: &str) -> bool {
        static STAGE: OnceLock<Option<String>> = OnceLock::new();
        STAGE.get_or_init(|| env::var("FAULT_HANG").ok()).as_deref() == Some(name)
    }

    pub(super) fn reach(name: &str) {
        static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
        static PANIC: OnceLock<Option<String>> = OnceLock::new();
        let panics = PANIC.get_or_init(|| env::var("FAULT_PANIC").ok()).as_deref() == Some(name);
        assert!(!panics, "FAULT_PANIC={name}");
        let Some(fault) = FAULT.get_or_init(asked_for) else { return };
        if fault.point != name {
            return;
        }
        match &fault.kind {
            Kind::Kill { left } if left.fetch_sub(1, Ordering::Relaxed) == 1 => {
                let _ = kill_process(getpid(), Signal::KILL);
            }
            Kind::Kill { .. } => {}
            Kind::Hold { file } => hold(file),
        }
    }

    fn hold(file: &Path) {
        let reached = file.with_extension("reached");
        if file.exists() && fs::write(&reached, "").is_ok() {
            while file.exists() {
                thread::sleep(Duration::from_millis(1));
            }
            let _ = fs::remove_file(reached);
        }
    }

    fn asked_for() -> Option<Fault> {
        let text = env::var("FAULT_POINT").ok()?;
        let (point, how) = text.split_once(':').unwrap_or((&text, "1"));
        let kind = if how.starts_with('/') {
            Kind::Hold { file: how.into() }
        } else {
            Kind::Kill { left: how.parse::<u32>().ok()?.max(1).into() }
        };
        Some(Fault { point: point.to_owned(), kind })
    }
}
