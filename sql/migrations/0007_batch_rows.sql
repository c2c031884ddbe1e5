-- Which rows of a file a batch has put into events: a bit for each of 64 rows that follow each other, so that a row which
-- comes again as a rejected one is recognised. An index of events by origin would say the same at many times the cost.
-- Batches of older versions have none.
create table batch_rows (
    file_id  bigint not null,
    -- source_row >> 6
    block    bigint not null,
    batch_id bigint not null,
    bits     bigint not null,
    primary key (file_id, block, batch_id)
);
