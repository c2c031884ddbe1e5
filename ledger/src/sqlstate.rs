//! The one place that classifies errors of the database.

use sqlx::postgres::PgDatabaseError;

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Repeat the same on a new connection, for as long as it takes.
    Transient,
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
    /// A person has to act; nothing may be acknowledged.
    Stop,
}

/// What to do about `error`.
pub fn classify(error: &sqlx::Error) -> ErrorClass {
    match error {
        sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => of_sqlstate(error.code(), error.constraint()),
            None => ErrorClass::Stop,
        },
        // The connection broke, or its state is unknown, which a new one mends.
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => ErrorClass::Transient,
        _ => ErrorClass::Stop,
    }
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_sqlstate(sqlstate: &str, constraint: Option<&str>) -> ErrorClass {
    match (sqlstate.get(..2).unwrap_or_default(), sqlstate) {
        // connection, rollback, resources, operator, system; locks, read-only standby, idle connection cut off
        ("08" | "40" | "53" | "57" | "58", _) | (_, "55P03" | "55006" | "25006" | "25P03") => {
            ErrorClass::Transient
        }
        ("22", _) | (_, "23502" | "23514") => ErrorClass::BadData,
        // the size of a value or of an index entry, the depth of nested JSON
        (_, "54000" | "54001") => ErrorClass::TooLarge,
        (_, "23505") => match constraint {
            Some("events_pkey") => ErrorClass::Conflict,
            Some("batches_pkey" | "batch_files_pkey") => ErrorClass::BatchTaken,
            Some("corrupt_records_pkey") => ErrorClass::RecordTaken,
            _ => ErrorClass::Stop,
        },
        _ => ErrorClass::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_only_data_is_corrupt() {
        for bad_data in ["22003", "22P02", "22021", "23502", "23514"] {
            assert_eq!(of_sqlstate(bad_data, None), ErrorClass::BadData, "{bad_data}");
        }
        for limit in ["54000", "54001"] {
            assert_eq!(of_sqlstate(limit, None), ErrorClass::TooLarge, "{limit}");
        }
        for schema_or_permission in
            ["42703", "42P01", "42501", "P0001", "23503", "XX000", "28P01", "3D000", "54011"]
        {
            assert_eq!(of_sqlstate(schema_or_permission, None), ErrorClass::Stop, "{schema_or_permission}");
        }
    }

    #[test]
    fn transient_errors_are_retried() {
        for transient in
            ["08006", "40001", "40P01", "53100", "53300", "57P01", "57P03", "58030", "25006", "55P03"]
        {
            assert_eq!(of_sqlstate(transient, None), ErrorClass::Transient, "{transient}");
        }
    }

    #[test]
    fn only_the_event_id_makes_a_duplicate() {
        assert_eq!(of_sqlstate("23505", Some("events_pkey")), ErrorClass::Conflict);
        assert_eq!(of_sqlstate("23505", Some("batches_pkey")), ErrorClass::BatchTaken);
        assert_eq!(of_sqlstate("23505", Some("corrupt_records_pkey")), ErrorClass::RecordTaken);
        assert_eq!(of_sqlstate("23505", Some("users_own_index")), ErrorClass::Stop);
    }
}
