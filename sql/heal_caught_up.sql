-- Takes note, as batch $1, that the rows up to sequence $3 of this life of the stream ($2) were seen to. Only where no
-- batch behind that sequence says so by itself.
insert into batches (
    batch_id, replica, stream_created, first_sequence, last_sequence, rows, inserted, duplicates, redelivered, rejected,
    fetched_at, write_began_at
)
select $1, 'heal', $2, $3, $3, 0, 0, 0, 0, 0, now(), now()
where $3 > 0 and not exists (select from batches where stream_created = $2 and last_sequence >= $3 and not replay);
