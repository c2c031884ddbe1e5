//! The one place that decides what an error of the database means.

use sqlx::postgres::PgDatabaseError;

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It will pass: try the same again on a new connection, for as long as it takes.
    Retry,
    /// The values of a row are at fault, and of that row alone.
    BadData,
    /// A limit of the server was exceeded: by a row, or by something that concerns every row.
    TooLarge,
    /// An event id is taken: find out by whom, carefully.
    Conflict,
    /// A batch of this number is recorded: an earlier attempt had committed, or the number is another batch's.
    BatchTaken,
    /// The numbers of corrupt records began again, and this one is taken.
    RecordTaken,
    /// A person has to act; nothing may be acknowledged.
    Stop,
}

/// Judges `error`.
pub(crate) fn of(error: &sqlx::Error) -> Verdict {
    match error {
        sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => of_server(error.code(), error.constraint()),
            None => Verdict::Stop,
        },
        // The connection broke, or its state is unknown, which a new one mends.
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => Verdict::Retry,
        _ => Verdict::Stop,
    }
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_server(sqlstate: &str, constraint: Option<&str>) -> Verdict {
    match (sqlstate.get(..2).unwrap_or_default(), sqlstate) {
        // connection, rollback, resources, operator, system; locks, read-only standby, idle connection cut off
        ("08" | "40" | "53" | "57" | "58", _) | (_, "55P03" | "55006" | "25006" | "25P03") => Verdict::Retry,
        ("22", _) | (_, "23502" | "23514") => Verdict::BadData,
        // the size of a value or of an index entry, the depth of nested JSON
        (_, "54000" | "54001") => Verdict::TooLarge,
        (_, "23505") => match constraint {
            Some("events_pkey") => Verdict::Conflict,
            Some("batches_pkey" | "batch_files_pkey") => Verdict::BatchTaken,
            Some("corrupt_records_pkey") => Verdict::RecordTaken,
            _ => Verdict::Stop,
        },
        _ => Verdict::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_only_data_is_corrupt() {
        for bad_data in ["22003", "22P02", "22021", "23502", "23514"] {
            assert_eq!(of_server(bad_data, None), Verdict::BadData, "{bad_data}");
        }
        for limit in ["54000", "54001"] {
            assert_eq!(of_server(limit, None), Verdict::TooLarge, "{limit}");
        }
        for schema_or_permission in
            ["42703", "42P01", "42501", "P0001", "23503", "XX000", "28P01", "3D000", "54011"]
        {
            assert_eq!(of_server(schema_or_permission, None), Verdict::Stop, "{schema_or_permission}");
        }
    }

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        for passing in
            ["08006", "40001", "40P01", "53100", "53300", "57P01", "57P03", "58030", "25006", "55P03"]
        {
            assert_eq!(of_server(passing, None), Verdict::Retry, "{passing}");
        }
    }

    #[test]
    fn only_the_event_id_makes_a_duplicate() {
        assert_eq!(of_server("23505", Some("events_pkey")), Verdict::Conflict);
        assert_eq!(of_server("23505", Some("batches_pkey")), Verdict::BatchTaken);
        assert_eq!(of_server("23505", Some("corrupt_records_pkey")), Verdict::RecordTaken);
        assert_eq!(of_server("23505", Some("users_own_index")), Verdict::Stop);
    }
}
