//! Repeats what failed for a reason that passes, and logs an outage once when it begins and once when it ends.

mod backoff;
mod outage;

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

pub use backoff::Backoff;
pub use outage::Outage;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Repeat the same, for as long as it takes.
    Transient,
    /// What was to be written is refused: something else has to be written, and the rest goes on.
    Data,
    /// A person has to act; nothing may be acknowledged.
    Stop,
}

/// An error of which some kinds pass by themselves.
pub trait Classify: Error + 'static {
    fn class(&self) -> ErrorClass;
}

/// Repeats `attempt` until it succeeds or its error is not transient; `None` when `end` comes first.
pub async fn until_ok<T, E: Classify, A: Future<Output = Result<T, E>>>(
    outage: &Outage,
    mut backoff: Backoff,
    end: impl Future<Output = ()>,
    mut attempt: impl FnMut() -> A,
) -> Result<Option<T>, E> {
    let mut end = pin!(end);
    loop {
        match attempt().await {
            Ok(done) => {
                outage.succeeded();
                return Ok(Some(done));
            }
            Err(error) if error.class() == ErrorClass::Transient => outage.failed(&error),
            Err(error) => return Err(error),
        }
        if !backoff.wait(&mut end).await {
            return Ok(None);
        }
    }
}

/// Repeats `attempt` up to `tries` times, with a `pause` between, while its error passes.
pub async fn at_most<T, E, A: Future<Output = Result<T, E>>>(
    tries: u32,
    pause: Duration,
    passes: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> A,
) -> Result<T, E> {
    for _ in 1..tries {
        match attempt().await {
            Err(error) if passes(&error) => tokio::time::sleep(pause).await,
            ended => return ended,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0:?}")]
    struct Failure(ErrorClass);

    impl Classify for Failure {
        fn class(&self) -> ErrorClass {
            self.0
        }
    }

    async fn until_third(class: ErrorClass, end: impl Future<Output = ()>) -> Result<Option<u32>, Failure> {
        let attempts = Cell::new(0);
        let attempt = || {
            attempts.set(attempts.get() + 1);
            ready(if attempts.get() < 3 { Err(Failure(class)) } else { Ok(attempts.get()) })
        };
        until_ok(&Outage::new("a test"), Backoff::new(1), end, attempt).await
    }

    #[tokio::test]
    async fn only_a_transient_error_is_retried_and_only_until_the_end() {
        assert_eq!(until_third(ErrorClass::Transient, pending()).await.unwrap(), Some(3));
        assert_eq!(until_third(ErrorClass::Transient, ready(())).await.unwrap(), None);
        assert!(until_third(ErrorClass::Data, pending()).await.is_err());
        assert!(until_third(ErrorClass::Stop, pending()).await.is_err());
    }
}
