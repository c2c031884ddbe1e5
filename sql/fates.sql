-- Every row in every table that it is in: its origin, and what tells it apart.
select file_id, source_row, 'event' as fate, event_id, null::bytea as raw from events
union all
select file_id, source_row, 'duplicate', event_id, null from duplicates
union all
select file_id, source_row, 'corrupt', null, raw from corrupt_records;
