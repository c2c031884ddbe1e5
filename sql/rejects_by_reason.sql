-- Rejected rows by reason, with one of each as an example: of some files ($1, or all), of one reason ($2, or each),
-- open ones or closed ones as well ($3).
with reasons as (
    select reason, count(*) as rejects, count(distinct file_id) as files, min(record_id) as example
    from corrupt_records
    where
        ($1::bigint [] is null or file_id = any($1))
        and ($2::text is null or reason = $2)
        and ($3 or closed_at is null)
    group by reason
)
select
    reasons.rejects, reasons.files, record.file_id, record.source_row, files.path, record.stage, record.reason,
    record.message, record.column_name, record.value, record.raw, record.truncated, record.stream_sequence,
    record.closed_at, record.replaced_by_file_id, record.replaced_by_row
from reasons
inner join corrupt_records as record on record.record_id = reasons.example
left join files on files.file_id = record.file_id
order by reasons.rejects desc, record.reason;
