-- Keeps rows that could not become events, each once: by its origin, or by its bytes and place in the stream. Every other
-- conflict is an error. A row that is in duplicates, or that a batch has put into events, stays there. Answers how many
-- of each file were new.
with record as (
    select *
    from unnest(
        $2::bigint [], $3::bigint [], $4::bigint [], $5::bigint [], $6::text [], $7::text [], $8::text [],
        $9::text [], $10::text [], $11::bytea [], $12::boolean [], $13::timestamptz [], $14::bigint []
    ) as record (
        file_id, source_row, byte_start, byte_end, stage, reason, message, column_name, value, raw, truncated,
        stream_created, stream_sequence
    )
),
with_origin as (
    insert into corrupt_records (
        file_id, source_row, byte_start, byte_end, stage, reason, message, column_name, value, raw, truncated,
        stream_created, stream_sequence, batch_id
    )
    select
        file_id, source_row, byte_start, byte_end, stage, reason, message, column_name, value, raw, truncated,
        stream_created, stream_sequence, $1
    from record
    where
        file_id is not null
        -- `offset 0`: a look into an index for each record, whatever the statistics say of tables that grow.
        and not exists (
            select from duplicates as settled
            where settled.file_id = record.file_id and settled.source_row = record.source_row
            offset 0
        )
        and not exists (
            select from batch_rows as settled
            where
                settled.file_id = record.file_id
                and settled.block = record.source_row >> 6
                and settled.bits & (1::bigint << (record.source_row & 63)::integer) <> 0
                and exists (
                    select from batch_files
                    where batch_files.file_id = settled.file_id and batch_files.batch_id = settled.batch_id
                    offset 0
                )
            offset 0
        )
    order by file_id, source_row
    on conflict (file_id, source_row) do nothing
    returning file_id
),
without_origin as (
    insert into corrupt_records (
        byte_start, byte_end, stage, reason, message, column_name, value, raw, truncated, stream_created,
        stream_sequence, batch_id
    )
    select
        byte_start, byte_end, stage, reason, message, column_name, value, raw, truncated, stream_created,
        stream_sequence, $1
    from record
    where file_id is null
    order by stream_created, stream_sequence
    on conflict (stream_created, stream_sequence, md5(raw)) where file_id is null do nothing
    returning file_id
),
kept as (
    select file_id from with_origin
    union all
    select file_id from without_origin
)
select file_id, count(*) from kept group by file_id;
