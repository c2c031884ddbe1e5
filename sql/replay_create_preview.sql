-- What a dry run has seen, a row a message.
create temporary table preview (
    event_id   uuid,
    event_type text   not null,
    day        date,
    file_id    bigint,
    source_row bigint
);
