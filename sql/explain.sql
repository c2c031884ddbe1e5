-- All that is known of the events $1, and of what became of row $3 of file $2, as one JSON object.
with written as (
    select
        'events' as fate, event_id, source_event_id, event_type, event_timestamp, customer_id, customer_name,
        customer_email, customer_address, session_id, user_agent, ip_address, product_id, product_name, category,
        brand, sku, price, price_category, device_type, attributes, file_id, source_row, batch_id, created_at,
        null::boolean as differs
    from events
    where event_id = any($1::uuid [])
    union all
    select
        'duplicates', event_id, source_event_id, event_type, event_timestamp, customer_id, customer_name,
        customer_email, customer_address, session_id, user_agent, ip_address, product_id, product_name, category,
        brand, sku, price, price_category, device_type, attributes, file_id, source_row, batch_id, created_at,
        differs
    from duplicates
    where file_id = $2::bigint and source_row = $3::bigint
),
same_id as (
    select event_id, 'events' as fate, file_id, source_row, null::boolean as differs, created_at
    from events
    where event_id in (select event_id from written)
    union all
    select event_id, 'duplicates', file_id, source_row, differs, created_at
    from duplicates
    where event_id in (select event_id from written)
),
batch as not materialized (
    select
        batch_id, replica, replay, stream_created, first_sequence, last_sequence, rows, inserted, duplicates,
        redelivered, rejected, oldest_written, fetched_at, write_began_at, committed_at
    from batches
),
lives as (
    select
        written.fate,
        json_build_object(
            'event_id', written.event_id,
            'file_id', written.file_id,
            'source_row', written.source_row,
            'created_at', written.created_at,
            'differs', written.differs,
            'columns', json_strip_nulls((
                select row_to_json(said)
                from (
                    select
                        written.source_event_id, written.event_type, written.event_timestamp, written.customer_id,
                        written.customer_name, written.customer_email, written.customer_address, written.session_id,
                        written.user_agent, written.ip_address, written.product_id, written.product_name,
                        written.category, written.brand, written.sku, written.price, written.price_category,
                        written.device_type, written.attributes
                ) as said
            )),
            'batch', (select row_to_json(batch) from batch where batch.batch_id = written.batch_id),
            'same_id', coalesce((
                select json_agg(row_to_json(other) order by other.created_at, other.file_id, other.source_row)
                from (
                    select
                        same_id.fate, same_id.file_id, same_id.source_row, files.path as file, same_id.differs,
                        same_id.created_at
                    from same_id
                    left join files on files.file_id = same_id.file_id
                    where
                        same_id.event_id = written.event_id
                        and (same_id.fate, same_id.file_id, same_id.source_row)
                        is distinct from (written.fate, written.file_id, written.source_row)
                ) as other
            ), '[]')
        ) as life
    from written
)
select json_build_object(
    'events', coalesce((select json_agg(life) from lives where fate = 'events'), '[]'),
    'duplicates', coalesce((select json_agg(life) from lives where fate = 'duplicates'), '[]'),
    'corrupt_records', coalesce((
        select json_agg(row_to_json(record))
        from (
            select
                corrupt.file_id, corrupt.source_row, corrupt.byte_start, corrupt.byte_end, corrupt.stage,
                corrupt.reason, corrupt.message, corrupt.column_name, corrupt.value,
                translate(encode(corrupt.raw, 'base64'), E'\n', '') as raw, corrupt.truncated,
                corrupt.stream_created, corrupt.stream_sequence, corrupt.created_at, corrupt.closed_at,
                corrupt.replaced_by_file_id, corrupt.replaced_by_row, files.path as replaced_by_file,
                (select row_to_json(batch) from batch where batch.batch_id = corrupt.batch_id) as batch
            from corrupt_records as corrupt
            left join files on files.file_id = corrupt.replaced_by_file_id
            where corrupt.file_id = $2::bigint and corrupt.source_row = $3::bigint
        ) as record
    ), '[]')
)::text;
