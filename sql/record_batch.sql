-- Records a batch, what it adds to each file's account, and which rows it puts into events. Answers the rows in some
-- ranges ($18 to $20: file, first and last row) that are in duplicates or corrupt_records: one of those that were copied
-- straight into events may be there.
with batch as (
    insert into batches (
        batch_id, replica, stream_created, first_sequence, last_sequence, rows, inserted, duplicates, redelivered,
        rejected, oldest_written, fetched_at, write_began_at, replay, run_id
    )
    values (
        $1, $2, $3, $4, $5, $6::bigint, $7::bigint, $8::bigint, $9::bigint, $10::bigint, $11, $12, $13, $21, $22
    )
),
counts as (
    insert into batch_files (batch_id, file_id, events, duplicates, corrupt, replay)
    select $1, file_id, events, duplicates, corrupt, $21
    from unnest($14::bigint [], $15::bigint [], $16::bigint [], $17::bigint [])
        as count (file_id, events, duplicates, corrupt)
),
settles as (
    insert into batch_rows (file_id, block, batch_id, bits)
    select file_id, block, $1, bits
    from unnest($23::bigint [], $24::bigint [], $25::bigint []) as settled (file_id, block, bits)
)
select settled.file_id, settled.source_row
from unnest($18::bigint [], $19::bigint [], $20::bigint []) as span (file_id, first_row, last_row)
cross join lateral (
    select file_id, source_row
    from duplicates
    where file_id = span.file_id and source_row between span.first_row and span.last_row
    union all
    select file_id, source_row
    from corrupt_records
    where file_id = span.file_id and source_row between span.first_row and span.last_row
) as settled;
