-- The run that made a batch. Numbers may come again, when a restore or an upgrade begins the sequence again; the id of a
-- run does not. Batches of older versions have none.
alter table batches add column run_id uuid;

-- A stream that was put back to an older copy of its store gives the same sequence to another message, so a place in the
-- stream identifies only records without an origin, and only together with their bytes. Older replicas name none of the
-- constraints, and go on writing.
create unique index corrupt_records_without_origin on corrupt_records (stream_created, stream_sequence, md5(raw))
where file_id is null;
alter table corrupt_records drop constraint corrupt_records_stream_created_stream_sequence_key;
