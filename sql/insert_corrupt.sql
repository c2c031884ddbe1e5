-- Keeps rows that could not become events, each once. Answers how many of each file were new.
with kept as (
    insert into corrupt_records (
        file_id, source_row, byte_start, byte_end, stage, reason, message, column_name, value, raw, truncated,
        stream_created, stream_sequence, batch_id
    )
    select
        file_id, source_row, byte_start, byte_end, stage, reason, message, column_name, value, raw, truncated,
        stream_created, stream_sequence, $1
    from unnest(
        $2::bigint [], $3::bigint [], $4::bigint [], $5::bigint [], $6::text [], $7::text [], $8::text [],
        $9::text [], $10::text [], $11::bytea [], $12::boolean [], $13::timestamptz [], $14::bigint []
    ) as record (
        file_id, source_row, byte_start, byte_end, stage, reason, message, column_name, value, raw, truncated,
        stream_created, stream_sequence
    )
    order by file_id, source_row
    on conflict do nothing
    returning file_id
)
select file_id, count(*) from kept group by file_id;
