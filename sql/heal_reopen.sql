-- Opens closed files that are not reconciled, so that they are closed again when they are. Answers how many.
with reopened as (
    update files set closed_at = null
    where
        closed_at is not null
        and rows_read <> (
            select coalesce(sum(events + duplicates + corrupt), 0)
            from batch_files
            where batch_files.file_id = files.file_id and not replay
        )
    returning file_id
)
select count(*) from reopened;
