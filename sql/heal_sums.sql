-- Appends, as batch $1 of no life of the stream, what each file's sums lack of its rows in the tables, or have too many.
-- One statement sees one moment: what replicas commit meanwhile brings its own counts. Which rows of such a file batches
-- have put into events is forgotten, since some are there no more. Answers the file and by how much each sum was wrong.
with fates as (
    select file_id, count(*) as events, 0 as duplicates, 0 as corrupt
    from events
    where file_id is not null
    group by file_id
    union all
    select file_id, 0, count(*), 0
    from duplicates
    group by file_id
    union all
    select file_id, 0, 0, count(*)
    from corrupt_records
    where file_id is not null
    group by file_id
    union all
    select file_id, -sum(events), -sum(duplicates), -sum(corrupt)
    from batch_files
    where not replay
    group by file_id
),
wrong as (
    select
        file_id,
        sum(events)::integer as events,
        sum(duplicates)::integer as duplicates,
        sum(corrupt)::integer as corrupt
    from fates
    group by file_id
    having sum(events) <> 0 or sum(duplicates) <> 0 or sum(corrupt) <> 0
),
batch as (
    insert into batches (
        batch_id, replica, stream_created, first_sequence, last_sequence, rows, inserted, duplicates, redelivered,
        rejected, fetched_at, write_began_at
    )
    select $1, 'heal', 'epoch', 0, 0, 0, 0, 0, 0, 0, now(), now()
    where exists (select from wrong)
),
corrected as (
    insert into batch_files (file_id, batch_id, events, duplicates, corrupt)
    select file_id, $1, events, duplicates, corrupt
    from wrong
),
forgotten as (
    delete from batch_rows
    using wrong
    where batch_rows.file_id = wrong.file_id
)
select
    wrong.file_id,
    coalesce(files.path, 'file ' || wrong.file_id) as file,
    wrong.events,
    wrong.duplicates,
    wrong.corrupt as corrupt_records
from wrong
left join files on wrong.file_id = files.file_id
order by file, file_id;
