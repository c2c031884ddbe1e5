-- Puts the sequence of record_id behind the largest one: it may have begun again where the table was restored alone.
select setval(
    pg_get_serial_sequence('corrupt_records', 'record_id'),
    greatest(
        nextval(pg_get_serial_sequence('corrupt_records', 'record_id')),
        (select coalesce(max(record_id), 0) from corrupt_records)
    )
);
