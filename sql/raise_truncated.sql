-- A tailer that died and then finds its file gone announces the rows of its last checkpoint, although it may have sent
-- more. Where more rows than that have come of a truncated file ($1, or all), they were read: the account was a lower
-- bound.
update files set rows_read = settled.rows
from (
    select
        file_id,
        (
            select coalesce(sum(events + duplicates + corrupt), 0)
            from batch_files
            where batch_files.file_id = truncated.file_id and not replay
        ) as rows
    from files as truncated
    where state = 'truncated' and ($1::bigint [] is null or file_id = any($1))
) as settled
where files.file_id = settled.file_id and files.state = 'truncated' and files.rows_read < settled.rows;
