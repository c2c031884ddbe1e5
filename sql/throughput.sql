-- How many rows were brought into tables, how many a second from the first batch to the last, and how many milliseconds
-- passed from written to its file to committed, for half of the rows and for 99 of 100 at most: by each batch's oldest.
with paces as (
    select
        inserted + duplicates + rejected as written,
        greatest(extract(epoch from committed_at - oldest_written) * 1000, 0) as ms,
        write_began_at,
        committed_at
    from batches
    where not replay and rows > 0
),
ranked as (
    select *, sum(written) over (order by ms nulls last) as upto, sum(written) over () as total
    from paces
)
select
    coalesce(max(total), 0)::bigint as rows_written,
    coalesce(
        max(total) / nullif(extract(epoch from max(committed_at) - min(write_began_at)), 0), 0
    )::float8 as rows_per_second,
    coalesce(min(ms) filter (where upto >= total * 0.5), 0)::float8 as p50_ms,
    coalesce(min(ms) filter (where upto >= total * 0.99), 0)::float8 as p99_ms
from ranked;
