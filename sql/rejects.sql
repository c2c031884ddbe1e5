-- The first rejected rows ($4 at most), file by file: of some files ($1, or all), of one reason ($2, or each), open ones
-- or closed ones as well ($3).
select
    record.file_id, record.source_row, files.path, record.stage, record.reason, record.message, record.column_name,
    record.value, record.raw, record.truncated, record.stream_sequence, record.closed_at, record.replaced_by_file_id,
    record.replaced_by_row
from corrupt_records as record
left join files on files.file_id = record.file_id
where
    ($1::bigint [] is null or record.file_id = any($1))
    and ($2::text is null or record.reason = $2)
    and ($3 or record.closed_at is null)
order by files.path, record.file_id, record.source_row, record.record_id
limit $4;
