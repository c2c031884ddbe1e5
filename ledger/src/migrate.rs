//! Brings the schema to the version that this build needs, and checks that it is there.

use common::Shutdown;
use common::config::Config;
use futures::future::BoxFuture;
use sqlx::PgConnection;
use sqlx::error::BoxDynError;
use sqlx::migrate::{Migration, MigrationSource, MigrationType, Migrator};

use crate::connect::Database;
use crate::error::Error;
use crate::session::Session;

/// In rising order; what is released never changes.
const MIGRATIONS: [(i64, &str, &str); 8] = [
    (1, "tables", include_str!("../../sql/migrations/0001_tables.sql")),
    (2, "indexes", include_str!("../../sql/migrations/0002_indexes.sql")),
    (3, "views", include_str!("../../sql/migrations/0003_views.sql")),
    (4, "rejects", include_str!("../../sql/migrations/0004_rejects.sql")),
    (5, "batch runs", include_str!("../../sql/migrations/0005_batch_runs.sql")),
    (6, "stream gaps", include_str!("../../sql/migrations/0006_stream_gaps.sql")),
    (7, "batch rows", include_str!("../../sql/migrations/0007_batch_rows.sql")),
    (NEEDED, "differing duplicates", include_str!("../../sql/migrations/0008_differing_duplicates.sql")),
];

/// The version that this build needs.
const NEEDED: i64 = 8;

/// Applies missing migrations. Several processes may do so at once: they queue on an advisory lock.
pub async fn migrate(config: &Config, shutdown: &Shutdown) -> Result<(), Error> {
    let database = Database::of(&config.database)?;
    let Session { mut connection, backend } = database.retry(shutdown, || database.session(None)).await?;
    let mut migrator = Migrator::new(Embedded).await.map_err(Error::Migrate)?;
    // A newer build may have been here: migrations only add, so an older one can still work.
    migrator.set_ignore_missing(true);
    database.watch(backend, migrator.run_direct(&mut connection)).await.map_err(Error::Migrate)
}

/// Fails where the schema is older than this build needs.
pub async fn check_schema(connection: &mut PgConnection) -> Result<(), Error> {
    let exists: bool = sqlx::query_scalar(include_str!("../../sql/schema_exists.sql"))
        .fetch_one(&mut *connection)
        .await
        .map_err(Error::of("read the version of the schema"))?;
    if !exists {
        return Err(Error::SchemaTooOld { found: 0, needed: NEEDED });
    }
    let found: Option<i64> = sqlx::query_scalar(include_str!("../../sql/schema_version.sql"))
        .fetch_one(connection)
        .await
        .map_err(Error::of("read the version of the schema"))?;
    match found.unwrap_or(0) {
        found if found < NEEDED => Err(Error::SchemaTooOld { found, needed: NEEDED }),
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
