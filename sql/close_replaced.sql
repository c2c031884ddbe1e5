-- Closes the corrupt records that other rows take the place of ($1, $2: the rejected row; $3, $4: the row that was made
-- from it), each with a link to that row. A rejected row may have been replaced before by one that was rejected as
-- well: then that one is closed, as the last of its line. Rows of the file that the new row stands in are not: they are
-- the new row itself, delivered again, or its neighbours, which nobody has mended.
with recursive line as (
    select file_id, source_row, by_file_id, by_row
    from unnest($1::bigint [], $2::bigint [], $3::bigint [], $4::bigint [])
        as replacement (file_id, source_row, by_file_id, by_row)
    where file_id <> by_file_id
    union
    select record.replaced_by_file_id, record.replaced_by_row, line.by_file_id, line.by_row
    from line
    inner join corrupt_records as record on record.file_id = line.file_id and record.source_row = line.source_row
    where record.replaced_by_file_id <> line.by_file_id
),
ends as (
    select distinct on (record.record_id) record.record_id, line.by_file_id, line.by_row
    from line
    inner join corrupt_records as record on record.file_id = line.file_id and record.source_row = line.source_row
    where record.closed_at is null
    order by record.record_id, line.by_file_id, line.by_row
),
-- In one order, so that replicas which close the same records wait for each other and not for ever.
locked as (
    select record.record_id, ends.by_file_id, ends.by_row
    from ends
    inner join corrupt_records as record on record.record_id = ends.record_id
    where record.closed_at is null
    order by record.record_id
    for update of record
)
update corrupt_records as record
set replaced_by_file_id = locked.by_file_id, replaced_by_row = locked.by_row, closed_at = now()
from locked
where record.record_id = locked.record_id;
