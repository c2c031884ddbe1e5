-- The account of each file ($1, or all) by what the batches recorded.
with sums as (
    select
        file_id,
        sum(events)::bigint as events,
        sum(duplicates)::bigint as duplicates,
        sum(corrupt)::bigint as corrupt_records
    from batch_files
    where not replay and ($1::bigint [] is null or file_id = any($1))
    group by file_id
)
select
    coalesce(files.file_id, sums.file_id) as file_id,
    coalesce(files.path, 'file ' || sums.file_id) as file,
    coalesce(files.rows_read, 0) as rows_read,
    coalesce(sums.events, 0) as events,
    coalesce(sums.duplicates, 0) as duplicates,
    coalesce(sums.corrupt_records, 0) as corrupt_records,
    case
        when sums.duplicates > 0
            then (select count(*) from duplicates where duplicates.file_id = sums.file_id and differs)
        else 0
    end as differing_duplicates,
    files.closed_at is not null as closed,
    coalesce(files.state, 'open') as state
from (select * from files where $1::bigint [] is null or file_id = any($1)) as files
full join sums on sums.file_id = files.file_id
order by file, file_id;
