-- Takes the rows of incoming into the preview.
insert into preview (event_id, event_type, day, file_id, source_row)
select event_id, event_type, (event_timestamp at time zone 'UTC')::date, file_id, source_row
from incoming;
