-- Whether nobody else heals this database; the lock ends with the connection.
select pg_try_advisory_lock(hashtextextended('millrace heal', 0));
