-- The events that row $2 of file $1 became: one, unless somebody was at the table. It looks through all of events.
select event_id from events where file_id = $1 and source_row = $2 order by created_at, event_id;
