-- What would become of the messages that a dry run has seen, by type and day, in the tables (or, with $1, in a new
-- table): inserted; skipped, because the row is there, or came before; in conflict with another row of its event_id.
with numbered as (
    select
        *,
        row_number() over (partition by file_id, source_row order by event_type) as copy,
        row_number() over (partition by event_id order by file_id, source_row) as of_event
    from preview
),
judged as (
    select
        seen.event_type,
        seen.day,
        case
            when seen.copy > 1 then 'skipped'
            when $1 then case when seen.of_event > 1 then 'conflict' else 'inserted' end
            when exists (
                select from corrupt_records as there
                where there.file_id = seen.file_id and there.source_row = seen.source_row
            ) or exists (
                select from duplicates as there
                where there.file_id = seen.file_id and there.source_row = seen.source_row
            ) or seen.event_id is null and exists (
                select from batch_rows as there
                inner join batch_files using (file_id, batch_id)
                where
                    there.file_id = seen.file_id
                    and there.block = seen.source_row >> 6
                    and there.bits & (1::bigint << (seen.source_row & 63)::integer) <> 0
            ) then 'skipped'
            when stored.event_id is null then case when seen.of_event > 1 and seen.event_id is not null then 'conflict' else 'inserted' end
            when stored.file_id = seen.file_id and stored.source_row = seen.source_row then 'skipped'
            else 'conflict'
        end as outcome
    from numbered as seen
    left join events as stored on stored.event_id = seen.event_id
)
select
    event_type,
    day::text as day,
    count(*) as messages,
    count(*) filter (where outcome = 'inserted') as inserted,
    count(*) filter (where outcome = 'skipped') as skipped,
    count(*) filter (where outcome = 'conflict') as conflicts
from judged
group by event_type, day
order by day nulls last, event_type;
