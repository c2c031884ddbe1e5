//! The one place that decides what an error of the database means.

use sqlx::postgres::PgDatabaseError;

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It will pass: try the same again on a new connection, for as long as it takes.
    Retry,
    /// The values of a row are at fault, and of that row alone.
    BadData,
    /// An event id is taken: find out by whom, carefully.
    Conflict,
    /// The batch is recorded already: an attempt whose outcome was unknown had committed.
    Recorded,
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
        (_, "23505") => match constraint {
            Some("events_pkey") => Verdict::Conflict,
            Some("batches_pkey") => Verdict::Recorded,
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
        for schema_or_permission in ["42703", "42P01", "42501", "P0001", "23503", "XX000", "28P01", "3D000"] {
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
        assert_eq!(of_server("23505", Some("batches_pkey")), Verdict::Recorded);
        assert_eq!(of_server("23505", Some("users_own_index")), Verdict::Stop);
    }
}
