-- Where the event $1 came from, and whether it is in events; else where a row that says to be the same came from.
select is_event, file_id, source_row
from (
    select true as is_event, file_id, source_row, created_at from events where event_id = $1
    union all
    select false, file_id, source_row, created_at from duplicates where event_id = $1
) as origins
order by is_event desc, created_at, file_id, source_row
limit 1;
