-- Takes rejected rows into the preview.
insert into preview (event_type, file_id, source_row)
select 'rejected', file_id, source_row
from unnest($1::bigint [], $2::bigint []) as record (file_id, source_row);
