-- Files that were read to their end and that are reconciled: every row is in a table.
select file_id, revision, rows_read
from files
where
    closed_at is null
    and state <> 'open'
    and rows_read = (
        select coalesce(sum(events + duplicates + corrupt), 0)
        from batch_files
        where batch_files.file_id = files.file_id and not replay
    )
order by file_id;
