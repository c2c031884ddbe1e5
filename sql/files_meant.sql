-- The files that somebody means by $1, the newest first: a path, the end of one, or an id; or those of the ids $2.
select
    row_to_json(meant)::text
from (
    select file_id, path as file, source, state, rows_read, created_at, updated_at, closed_at
    from files
    where
        path = $1 or right(path, length($1) + 1) = '/' || $1 or file_id::text = $1
        or file_id = any($2::bigint [])
    order by created_at desc, file_id
) as meant;
