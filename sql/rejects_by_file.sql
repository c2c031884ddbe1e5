-- Files with rejected rows, and what is needed to write those out again: some files ($1, or all), rows of one reason
-- ($2, or each), open ones or closed ones as well ($3). Rows without origin come as one line without file.
with counts as (
    select file_id, count(*) as rejects
    from corrupt_records
    where
        ($1::bigint [] is null or file_id = any($1))
        and ($2::text is null or reason = $2)
        and ($3 or closed_at is null)
    group by file_id
)
select counts.file_id, counts.rejects, files.path, files.header, files.delimiter
from counts
left join files on files.file_id = counts.file_id
order by files.path, counts.file_id;
