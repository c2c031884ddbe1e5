//! The one place that classifies errors of the database.

use common::ErrorClass;
use sqlx::postgres::PgDatabaseError;

/// Why what was to be written is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The values of a row are wrong, and of that row alone.
    BadData,
    /// A limit of the server was exceeded: by a row, or by something that concerns every row.
    TooLarge,
    /// An event id is taken: the batch is written again through a temporary table.
    Conflict,
    /// A batch of this number is recorded: an earlier attempt had committed, or the number is another batch's.
    BatchTaken,
    /// The numbers of corrupt records began again, and this one is taken.
    RecordTaken,
}

/// What to do about `error`.
pub fn classify(error: &sqlx::Error) -> ErrorClass {
    match error {
        sqlx::Error::Database(_) => match server_error(error) {
            Some(error) if passes(error.code()) => ErrorClass::Transient,
            Some(error) if of_sqlstate(error.code(), error.constraint()).is_some() => ErrorClass::Data,
            _ => ErrorClass::Stop,
        },
        // The connection broke, or its state is unknown; a new connection can go on.
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => ErrorClass::Transient,
        _ => ErrorClass::Stop,
    }
}

/// Why the server refuses what was to be written; `None` for an error that is not [`ErrorClass::Data`].
pub fn refusal(error: &sqlx::Error) -> Option<Refusal> {
    server_error(error).and_then(|error| of_sqlstate(error.code(), error.constraint()))
}

fn server_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|error| error.try_downcast_ref())
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn passes(sqlstate: &str) -> bool {
    // connection, rollback, resources, operator, system; locks, read-only standby, idle connection cut off
    matches!(sqlstate.get(..2), Some("08" | "40" | "53" | "57" | "58"))
        || matches!(sqlstate, "55P03" | "55006" | "25006" | "25P03")
}

fn of_sqlstate(sqlstate: &str, constraint: Option<&str>) -> Option<Refusal> {
    match sqlstate {
        "23502" | "23514" => Some(Refusal::BadData),
        data if data.starts_with("22") => Some(Refusal::BadData),
        // the size of a value or of an index entry, the depth of nested JSON
        "54000" | "54001" => Some(Refusal::TooLarge),
        "23505" => match constraint {
            Some("events_pkey") => Some(Refusal::Conflict),
            Some("batches_pkey" | "batch_files_pkey") => Some(Refusal::BatchTaken),
            Some("corrupt_records_pkey") => Some(Refusal::RecordTaken),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_only_data_is_corrupt() {
        for bad_data in ["22003", "22P02", "22021", "23502", "23514"] {
            assert_eq!(of_sqlstate(bad_data, None), Some(Refusal::BadData), "{bad_data}");
        }
        for limit in ["54000", "54001"] {
            assert_eq!(of_sqlstate(limit, None), Some(Refusal::TooLarge), "{limit}");
        }
        for schema_or_permission in
            ["42703", "42P01", "42501", "P0001", "23503", "XX000", "28P01", "3D000", "54011"]
        {
            assert_eq!(of_sqlstate(schema_or_permission, None), None, "{schema_or_permission}");
            assert!(!passes(schema_or_permission), "{schema_or_permission}");
        }
    }

    #[test]
    fn transient_errors_are_retried() {
        for transient in
            ["08006", "40001", "40P01", "53100", "53300", "57P01", "57P03", "58030", "25006", "55P03"]
        {
            assert!(passes(transient), "{transient}");
            assert_eq!(of_sqlstate(transient, None), None, "{transient}");
        }
    }

    #[test]
    fn only_the_event_id_makes_a_duplicate() {
        assert_eq!(of_sqlstate("23505", Some("events_pkey")), Some(Refusal::Conflict));
        assert_eq!(of_sqlstate("23505", Some("batches_pkey")), Some(Refusal::BatchTaken));
        assert_eq!(of_sqlstate("23505", Some("corrupt_records_pkey")), Some(Refusal::RecordTaken));
        assert_eq!(of_sqlstate("23505", Some("users_own_index")), None);
    }
}
