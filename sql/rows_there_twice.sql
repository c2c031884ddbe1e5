-- Rows of the files $1 whose origin is in more than one place, and in which tables. Only the blocks of 64 rows of which
-- is known that they hold such rows ($2) are looked at.
with fates as (
    select file_id, source_row, 'events' as fate from events
    where file_id = any($1)
    union all
    select file_id, source_row, 'duplicates' from duplicates
    where file_id = any($1)
    union all
    select file_id, source_row, 'corrupt_records' from corrupt_records
    where file_id = any($1)
)
select file_id, source_row, string_agg(distinct fate, ' and ' order by fate desc) as tables
from fates
where (file_id, source_row >> 6) in (select * from unnest($1::bigint [], $2::bigint []))
group by file_id, source_row
having count(*) > 1
order by file_id, source_row;
