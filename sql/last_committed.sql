-- The last message of a life of the stream ($1) of which the database knows, and whether this server follows another
-- one, behind which it may be. A replay's batches say nothing about what was acknowledged.
select
    pg_is_in_recovery(),
    (
        select last_sequence
        from batches
        where stream_created = $1 and not replay
        order by last_sequence desc
        limit 1
    );
