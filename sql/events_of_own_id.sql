-- The events that their files call $1, and where they came from. It looks through all of events and duplicates.
select event_id, file_id, source_row from events where source_event_id = $1
union
select duplicates.event_id, duplicates.file_id, duplicates.source_row
from duplicates
where source_event_id = $1 and not exists (select from events where events.event_id = duplicates.event_id)
order by file_id, source_row, event_id
limit 20;
