-- What each replica has written within the last minute before the newest commit: rows, its share of all in per cent, how
-- old its last batch's oldest row was when it committed, and when that was.
with latest as (
    select max(committed_at) as at from batches where not replay
),
recent as (
    select batches.*
    from batches, latest
    where not replay and committed_at > latest.at - interval '1 minute'
)
select
    replica,
    sum(rows)::bigint as rows,
    coalesce(100.0 * sum(rows) / nullif(sum(sum(rows)) over (), 0), 0)::float8 as share_percent,
    (
        (array_agg(1000 * extract(epoch from committed_at - oldest_written) order by committed_at desc)
            filter (where oldest_written is not null))[1]
    )::float8 as lag_ms,
    max(committed_at) as last_commit
from recent
group by replica
order by rows desc, replica;
