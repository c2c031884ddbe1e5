-- Records a batch and what it adds to each file's account. Answers whether one of the rows that were copied straight
-- into events had its fate settled before ($18 to $20: the range of rows of each file).
with batch as (
    insert into batches (
        batch_id, replica, stream_created, first_sequence, last_sequence, rows, inserted, duplicates, redelivered,
        rejected, oldest_written, fetched_at, write_began_at, replay
    )
    values (
        $1, $2, $3, $4, $5, $6::bigint, $7::bigint, $8::bigint, $9::bigint, $10::bigint, $11, $12, $13, $21
    )
),
counts as (
    insert into batch_files (batch_id, file_id, events, duplicates, corrupt, replay)
    select $1, file_id, events, duplicates, corrupt, $21
    from unnest($14::bigint [], $15::bigint [], $16::bigint [], $17::bigint [])
        as count (file_id, events, duplicates, corrupt)
)
select exists (
    select from unnest($18::bigint [], $19::bigint [], $20::bigint []) as span (file_id, first_row, last_row)
    where
        exists (
            select from duplicates as settled
            where settled.file_id = span.file_id and settled.source_row between span.first_row and span.last_row
        )
        or exists (
            select from corrupt_records as settled
            where
                settled.file_id = span.file_id
                and settled.source_row between span.first_row and span.last_row
                and settled.stage = 'database'
        )
);
