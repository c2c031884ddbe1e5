-- The next rejected rows ($5 at most) of a file ($1) behind one of its rows ($2), of one reason ($3, or each), open ones
-- or closed ones as well ($4).
select
    record.file_id, record.source_row, files.path, record.stage, record.reason, record.message, record.column_name,
    record.value, record.raw, record.truncated, record.stream_sequence, record.closed_at, record.replaced_by_file_id,
    record.replaced_by_row
from corrupt_records as record
left join files on files.file_id = record.file_id
where
    record.file_id = $1
    and record.source_row > $2
    and ($3::text is null or record.reason = $3)
    and ($4 or record.closed_at is null)
order by record.source_row
limit $5;
