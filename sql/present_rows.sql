-- Which rows of each file ($1, or all) are in the tables, and in how many places: in one pass and without a sort, as a
-- bit for each of 64 rows that follow each other. Where there are more rows than bits, rows are there twice.
with fates as (
    select
        file_id, source_row >> 6 as block, bit_or(1::bigint << (source_row & 63)::integer) as bits,
        count(*) as events, 0 as duplicates, 0 as corrupt_records
    from events
    where file_id is not null and source_row is not null and ($1::bigint [] is null or file_id = any($1))
    group by file_id, block
    union all
    select file_id, source_row >> 6 as block, bit_or(1::bigint << (source_row & 63)::integer), 0, count(*), 0
    from duplicates
    where $1::bigint [] is null or file_id = any($1)
    group by file_id, block
    union all
    select file_id, source_row >> 6 as block, bit_or(1::bigint << (source_row & 63)::integer), 0, 0, count(*)
    from corrupt_records
    where file_id is not null and ($1::bigint [] is null or file_id = any($1))
    group by file_id, block
)
select
    file_id,
    block,
    bit_or(bits) as bits,
    sum(events)::bigint as events,
    sum(duplicates)::bigint as duplicates,
    sum(corrupt_records)::bigint as corrupt_records
from fates
group by file_id, block
order by file_id, block;
