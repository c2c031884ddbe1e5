//! Brings the schema to the version that this build needs, and checks that it is there.

use common::Shutdown;
use common::config::Config;
use futures::future::BoxFuture;
use sqlx::PgConnection;
use sqlx::error::BoxDynError;
use sqlx::migrate::{MigrateError, Migration, MigrationSource, MigrationType, Migrator};

use crate::connect::{self, Database};
use crate::session::Session;

/// In rising order; what is released never changes.
const MIGRATIONS: [(i64, &str, &str); 7] = [
    (1, "tables", include_str!("../../sql/migrations/0001_tables.sql")),
    (2, "indexes", include_str!("../../sql/migrations/0002_indexes.sql")),
    (3, "views", include_str!("../../sql/migrations/0003_views.sql")),
    (4, "rejects", include_str!("../../sql/migrations/0004_rejects.sql")),
    (5, "batch runs", include_str!("../../sql/migrations/0005_batch_runs.sql")),
    (6, "stream gaps", include_str!("../../sql/migrations/0006_stream_gaps.sql")),
    (NEEDED, "batch rows", include_str!("../../sql/migrations/0007_batch_rows.sql")),
];

/// The version that this build needs.
const NEEDED: i64 = 7;

/// Why the schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No database.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// A migration failed; the database is as it was before it.
    #[error("failed to migrate the database")]
    Migrate(#[source] MigrateError),
    /// The version could not be read.
    #[error("failed to read the version of the schema")]
    Version(#[source] sqlx::Error),
    /// Nobody has migrated.
    #[error(
        "the schema of the database is at version {found}, this build needs {NEEDED}: run `consumer migrate`"
    )]
    TooOld {
        /// The newest migration that was applied; 0 for none.
        found: i64,
    },
}

/// Applies what is missing. Several may do so at the same time: they queue on an advisory lock.
pub async fn migrate(config: &Config, shutdown: &Shutdown) -> Result<(), Error> {
    let database = Database::of(&config.database)?;
    let connect = async || database.session(None).await;
    let Session { mut connection, backend } =
        database.retry(shutdown, connect::Error::verdict, connect).await?;
    let mut migrator = Migrator::new(Embedded).await.map_err(Error::Migrate)?;
    // A newer build may have been here: migrations only add, so an older one can still work.
    migrator.set_ignore_missing(true);
    database.watch(backend, migrator.run_direct(&mut connection)).await.map_err(Error::Migrate)
}

/// Whether this build can write into the database.
pub(crate) async fn check(connection: &mut PgConnection) -> Result<(), Error> {
    let exists: bool = sqlx::query_scalar(include_str!("../../sql/schema_exists.sql"))
        .fetch_one(&mut *connection)
        .await
        .map_err(Error::Version)?;
    if !exists {
        return Err(Error::TooOld { found: 0 });
    }
    let found: Option<i64> = sqlx::query_scalar(include_str!("../../sql/schema_version.sql"))
        .fetch_one(connection)
        .await
        .map_err(Error::Version)?;
    match found.unwrap_or(0) {
        found if found < NEEDED => Err(Error::TooOld { found }),
        _ => Ok(()),
    }
}

/// The migrations that this build carries in itself.
#[derive(Debug)]
struct Embedded;

impl MigrationSource<'static> for Embedded {
    fn resolve(self) -> BoxFuture<'static, Result<Vec<Migration>, BoxDynError>> {
        Box::pin(std::future::ready(Ok(migrations())))
    }
}

fn migrations() -> Vec<Migration> {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into(), false)
    };
    MIGRATIONS.into_iter().map(migration).collect()
}
