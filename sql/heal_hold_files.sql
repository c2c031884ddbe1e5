-- Adds the files $1 to those that were held against their checkpoints. Answers each gap, the files that were held by
-- now, and the paths of those that the database knows and nobody has held.
with held as (
    update stream_gaps
    set held_files = coalesce(
        (select array_agg(distinct file_id) from unnest(held_files || $1::bigint []) as held (file_id)), '{}'
    )
    returning stream_created, first_sequence, last_sequence, held_files
)
select
    stream_created,
    first_sequence,
    last_sequence,
    held_files as held,
    coalesce(
        (select array_agg(path order by path) from files where files.file_id <> all(held.held_files)), '{}'
    ) as not_held
from held
order by stream_created, first_sequence;
