-- When the first new rows after $1 were committed, by replica $2 (null: any). With $3, only rows that were also taken
-- off the stream after $1.
select min(committed_at)
from batches
where
    committed_at > $1
    and inserted + duplicates + rejected > 0
    and ($2::text is null or replica = $2)
    and (not $3 or fetched_at > $1);
